"""Texts of incidents: each kind of rule as one whole sentence, with its window in the tenant's zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hubbub.alerts.judge import Judged, Verdict
from hubbub.alerts.notice import sentence
from hubbub.alerts.notifications import summary
from hubbub.alerts.rules import checked, rule_from
from hubbub.model.tenant import Tenant
from hubbub.query.usual import Usual

TENANT = Tenant(1, "hotel", "Europe/Berlin")
START = datetime(2026, 3, 3, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 2, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "start", "value", "written"),
    [
        ({"kind": "threshold", "metric": "messages", "limit": 2, "grain": "hour"}, START, 3,
         "Messages: 3 on Tue 3 Mar, 13:00 – 14:00, above the limit of 2."),
        ({"kind": "threshold", "metric": "messages", "limit": 2, "grain": "hour"}, datetime(2026, 10, 25, 0, tzinfo=UTC), 3,
         "Messages: 3 on Sun 25 Oct, 02:00 – 02:00, above the limit of 2."),
        ({"kind": "threshold", "metric": "messages", "limit": 2, "direction": "below"}, MIDNIGHT, 1,
         "Messages: 1 on Tue 3 Mar, below the limit of 2."),
        ({"kind": "threshold", "metric": "messages", "limit": 2, "grain": "week"}, MIDNIGHT, 9,
         "Messages: 9 in the week from Tue 3 Mar, above the limit of 2."),
        ({"kind": "budget", "metric": "messages", "limit": 50}, MIDNIGHT, 51,
         "Messages: 51 from the first of the month to Tue 3 Mar, above the limit of 50."),
        ({"kind": "change", "metric": "messages"}, MIDNIGHT, 61, "Messages: 61 on Tue 3 Mar, where 15 is usual (9 – 21)."),
        ({"kind": "source"}, START, 0, "No event came in the hours before Tue 3 Mar, 14:00; about 15 were expected."),
        ({"kind": "sla", "limit": 900_000}, START, 1_200_000, "Somebody has waited 20 min for a reply; the limit is 15 min."),
        ({"kind": "sla"}, START, 1, "1 conversation has waited for a reply longer than the target."),
    ],
)  # fmt: skip
def test_a_sentence_says_what_fired_and_when(rule: dict[str, Any], start: datetime, value: float, written: str) -> None:
    """One sentence holds the number, its window, and the limit or usual range."""
    read = rule_from({"name": "x", **rule})
    judged = Judged(start, start + timedelta(hours=1), "", value, None, Usual(15, 2, 8, 9, 21), Verdict.FIRED)
    assert sentence(read, checked(read), judged, TENANT) == written


@pytest.mark.parametrize(("titles", "head"), [(["a"], "Any: 1 more message"), (["a", "b"], "Any: 2 more messages")])
def test_a_summary_counts_the_held_messages(titles: list[str], head: str) -> None:
    """A summary's title counts the held messages, in singular and plural."""
    assert summary("Any", TENANT, titles).title == head

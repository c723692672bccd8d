"""What no source ever reported is not shown as 0: its numbers are left out, the page says so, and the first report shows them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.dashboard.ask import UNREPORTED
from tests.unit.dashboard.busy import LONG_AGO, VIEW, numbers, read, report
from tests.unit.dashboard.conftest import Pages
from tests.unit.dashboard.visiting import visiting

OF: dict[str, tuple[str, ...]] = {
    "team": ("tasks_completed", "staff_online", "responses"), "live": ("staff_online", "open_conversations"),
    "speed": ("response_ms.p50", "resolution_ms.p90"), "satisfaction": ("ratings", "csat", "surveys_sent"),
    "messages": ("delivery_rate", "failure_rate", "read_rate"), "messages/states": ("campaigns_total", "campaigns_active"),
    "overview": ("csat", "conversations_started", "escalation_rate"),
}  # fmt: skip
"""Page or part -> numbers that need a report."""
NEEDS = {
    "tasks_completed": "task",
    "staff_online": "staff",
    "campaigns_total": "campaign",
    "campaigns_active": "campaign",
}
NEEDS |= dict.fromkeys((*OF["speed"], *OF["overview"][1:], "responses", "open_conversations"), "conversation")
NEEDS |= dict.fromkeys(OF["satisfaction"], "satisfaction") | dict.fromkeys(OF["messages"], "receipt")


@given(st.sets(st.sampled_from(sorted(LONG_AGO))))
@settings(max_examples=8, deadline=None)
def test_numbers_are_shown_of_what_was_ever_reported(reported: set[str]) -> None:
    """Whatever the sources reported, exactly the numbers of that are on the pages."""
    with TemporaryDirectory() as folder, visiting(Path(folder)) as visitor:
        sent = {
            "type": "message.received",
            "time": "2026-08-15T10:00:00Z",
            "id": "1",
            "channel": "sms",
            "contact_id": "c1",
        }
        visitor.engine.record("acme", sent, history=True)
        report(visitor.engine, "acme", *reported)
        for path, names in OF.items():
            shown = numbers(read(visitor.http, f"/t/acme/{path}", **VIEW))
            assert {name for name in names if name in shown} == {name for name in names if NEEDS[name] in reported}, (
                path
            )


@pytest.mark.parametrize(("path", "what"), [
    ("satisfaction", "satisfaction"), ("team", "task"), ("team", "staff"), ("team/online", "staff"), ("live/online", "staff"),
    ("messages/states", "campaign"), ("speed", "conversation"), ("conversations", "conversation"), ("live/waiting", "conversation"),
    ("overview/unanswered", "conversation"), ("messages/funnel", "receipt"), ("messages/failures", "receipt"),
])  # fmt: skip
def test_the_page_says_what_no_source_reports(pages: Pages, path: str, what: str) -> None:
    """A page or part names what no source reports; with the first event it does not."""
    pages.engine.add_tenant("new", zone="Europe/Rome")
    sent = {"type": "message.received", "time": "2026-08-19T10:00:00Z", "id": "1", "channel": "sms", "contact_id": "c1"}
    pages.engine.record("new", sent)
    http = pages.sign_in()
    assert UNREPORTED[what] in read(http, f"/t/new/{path}", **VIEW)
    report(pages.engine, "new", what)
    assert f"No source here reports {UNREPORTED[what]}" not in read(http, f"/t/new/{path}", **VIEW)


def test_live_without_events_for_weeks_states_no_zeros(pages: Pages) -> None:
    """Where the data ended weeks ago, Live says so in place of zeros, and nothing is called complete."""
    pages.engine.add_tenant("old", zone="Europe/Rome")
    sent = {
        "type": "message.received",
        "time": "2026-05-19T10:00:00Z",
        "id": "1",
        "contact_id": "c1",
        "conversation_id": "k1",
    }
    pages.engine.record("old", sent, history=True)
    text = read(pages.sign_in(), "/t/old/live")
    assert "ends on 19 May 2026" in text and "This page shows the present" in text and not numbers(text)
    assert "Complete to" not in text and "No data since 19 May 2026" in text
    assert "waiting_conversations" in numbers(read(pages.sign_in(), "/t/b/live"))

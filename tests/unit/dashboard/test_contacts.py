"""Contacts: counts equal the engine's, and only analysts see who they are."""

from __future__ import annotations

import re
from datetime import timedelta

from hubbub.dashboard.contacts import DRIVING, SCORE
from tests.unit.dashboard.busy import VIEW, agree, asked, numbers, read, rows
from tests.unit.dashboard.conftest import NOW, Pages


def test_numbers_of_contacts_are_the_engines(busy: Pages) -> None:
    """Cards, days and tables equal the engine's answers; the score names its scale, and says that it has no line over time."""
    http = busy.sign_in()
    answer = asked(busy.engine, *DRIVING, SCORE)[0]
    assert numbers(read(http, "/t/a/contacts", **VIEW)) == {name: answer[name] for name in (*DRIVING, SCORE)}
    assert answer["blocked_contacts"] == 1
    assert re.search(
        r'data-number="contact_engagement_score".*?<p class="n">0 to 100',
        read(http, "/t/a/contacts", **VIEW),
        re.DOTALL,
    )
    days = asked(busy.engine, "new_contacts", grain="day")
    found = rows(http, "/t/a/contacts/chart", **VIEW, metric="new_contacts")
    assert [int(row["new_contacts"]) for row in found] == [row["new_contacts"] for row in days]
    assert "number at the end" in read(http, "/t/a/contacts/chart", **VIEW, metric=SCORE)
    for part, dimension in (("channels", "channel"), ("accounts", "account_id")):
        names = ("active_contacts", "new_contacts")
        agree(
            rows(http, f"/t/a/contacts/{part}", **VIEW), asked(busy.engine, *names, by=[dimension]), dimension, *names
        )


def test_only_analysts_see_the_contacts(busy: Pages) -> None:
    """Analysts see the most engaged contacts, highest score first; a viewer or a guest gets 404."""
    found = rows(busy.sign_in("analyst", "a"), "/t/a/contacts/top", **VIEW)
    scores = [float(row[SCORE]) for row in found]
    known = {row["contact_id"]: row[SCORE] for row in asked(busy.engine, SCORE, by=["contact_id"])}
    assert scores == sorted((value for value in known.values() if value), reverse=True)[:10]
    assert all(known[row["contact_id"]] == float(row[SCORE]) for row in found)
    assert "p3" not in [row["contact_id"] for row in found]
    link = busy.engine.access.share_link("a", "range=28d").path
    for http, path in ((busy.sign_in("viewer", "a"), "/t/a"), (busy.window(), link)):
        assert http.get(f"{path}/contacts/top").status_code == http.get(f"{path}/contacts/top.csv").status_code == 404
        assert "Most engaged" not in read(http, f"{path}/contacts")


def test_a_filter_by_staff_shows_no_number_of_contacts(busy: Pages) -> None:
    """Filtered by staff, the page shows no number and says that contacts are not known by staff."""
    http = busy.sign_in()
    html = read(http, "/t/a/contacts", **VIEW, staff_id="x")
    assert not numbers(html) and "not known by staff" in html
    assert "not known by staff" in read(http, "/t/a/contacts/top", **VIEW, staff_id="x")


def test_a_total_that_only_grows_has_no_usual_range(pages: Pages) -> None:
    """All contacts ever known are more than in earlier weeks in any week: no range is claimed, neither of days nor of all."""
    sent = [
        {"type": "message.received", "time": NOW - timedelta(days=day, hours=1), "id": f"m{day}", "contact_id": f"c{day}"}
        for day in range(84)
    ]  # fmt: skip
    pages.engine.record("b", sent, history=True)
    days = ("2026-08-07", "2026-08-20")
    total, new = pages.engine.answers.judged("b", *days, ["total_contacts", "new_contacts"], "day").numbers
    assert new.usual.median is not None and all(row.low is not None for row in new.course or ())
    assert (total.usual.low, total.way, {row.low for row in total.course or ()}) == (None, None, {None})
    assert "usual range not known for 14 days" in read(
        pages.sign_in(), "/t/b/contacts/cards", **{"from": days[0], "to": "2026-08-21"}
    )

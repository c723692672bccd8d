"""Live: its numbers equal the API's, its minutes add up, and viewers see no conversations."""

from __future__ import annotations

from hubbub.dashboard.live import OTHER_DAYS, STATES
from tests.unit.dashboard.busy import EVIL, numbers, read, report, rows
from tests.unit.dashboard.conftest import Pages


def test_states_are_the_api_s(busy: Pages) -> None:
    """Cards equal the answer of `states`; with a filter, that of a query, and the rest say that they are not known by it."""
    http = busy.sign_in()
    now = busy.engine.states("a")["now"]
    assert numbers(read(http, "/t/a/live")) == {name: now[name] for name in STATES}
    assert now["waiting_conversations"] == 3 and now["staff_online"] == 1 and now["tasks_pending"] == 1
    html = read(http, "/t/a/live", channel="web")
    known = [name for name in STATES if name != "staff_online"]
    answer = busy.engine.query("a", metrics=known, start="2026-08-20", end="2026-08-21", where={"channel": "web"})[
        "rows"
    ][0]
    assert numbers(html) == {name: answer[name] for name in known}
    assert "not known by channel" in html


def test_minutes_are_the_raw_events(busy: Pages) -> None:
    """The minutes of half an hour add up to the query over it, also with filters."""
    http = busy.sign_in()
    for where in ({}, {"channel": "web"}):
        found = rows(http, "/t/a/live/minutes", **where)
        answer = busy.engine.query(
            "a", metrics=["messages_received", "messages_sent"], where=where,
            start="2026-08-20T11:31:00Z", end="2026-08-20T12:01:00Z",
        )["rows"][0]  # fmt: skip
        assert len(found) == 30 and answer["messages_received"] == 2
        for name in ("messages_received", "messages_sent"):
            assert sum(int(row[name]) for row in found) == answer[name]
    assert "No message was received or sent" in read(http, "/t/a/live/minutes", channel="fax")
    assert "not known by topic" in read(http, "/t/a/live/minutes", topic="x")


def test_only_analysts_see_waiting_conversations(busy: Pages) -> None:
    """Analysts see waiting conversations, longest first, with links; a viewer sees only their number."""
    html = read(busy.sign_in("analyst", "a"), "/t/a/live")
    assert html.index("Id </span>k1<") < html.index("Id </span>now<") < html.index("Id </span>late ")
    assert "/t/a/conversation?range=28d&amp;id=k1" in html
    viewer = busy.sign_in("viewer", "a")
    assert "Id </span>k1<" not in read(viewer, "/t/a/live")
    assert viewer.get("/t/a/live/waiting").status_code == 404
    found = rows(busy.sign_in(), "/t/a/live/waiting")
    assert [row["id"] for row in found] == ["k1", "now", f"late {EVIL}"]
    assert float(found[0]["waits"]) == busy.engine.states("a")["now"]["oldest_waiting_ms"]


def test_a_link_to_other_days_shows_no_present(busy: Pages) -> None:
    """A shared link to days without today shows no present; one with today does, under its filter."""
    old = busy.engine.access.share_link("a", "from=2026-08-01&to=2026-08-02").path
    html = read(busy.window(), f"{old}/live")
    assert html.count(OTHER_DAYS) == 3 and not numbers(html) and "bob" not in html
    today = busy.engine.access.share_link("a", "range=7d&channel=web").path
    assert numbers(read(busy.window(), f"{today}/live"))["waiting_conversations"] == 2


def test_without_recent_events_each_part_says_so(pages: Pages) -> None:
    """Without anything in the last half hour, each part says so."""
    report(pages.engine, "b", "staff")
    pages.engine.record(
        "b", {"type": "staff.logout", "staff_id": "p1", "time": "2026-01-10T11:00:00Z", "id": "out"}, history=True
    )
    html = read(pages.sign_in(), "/t/b/live")
    assert "No message was received or sent" in html and "Nobody is logged in" in html
    assert 'data-again="30"' in html

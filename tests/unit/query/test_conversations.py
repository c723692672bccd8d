"""Conversations as rows: states equal the metrics', filters and search find their values, and pages are complete."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hubbub import demo
from hubbub.errors import BadQuestionError, BadRequestError
from hubbub.model.tenant import Tenant
from hubbub.query.classified import flagged
from hubbub.query.conversations import ConversationRow, Wanted, conversation_of, conversations
from hubbub.query.timeline import episodes, event, lines, timeline
from tests.unit.query.conftest import Desk

NOW = datetime(2026, 8, 19, 14, 30, tzinfo=UTC)
START = NOW - timedelta(days=6)
TONES = ("Negative", "frustrated")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Eight days of the demo, the last events not folded, and a few conversations of another tenant."""
    opened = Desk(tmp_path_factory.mktemp("rows"))
    opened.now = NOW
    name, zone, _ = demo.tenants()[0]
    events = list(demo.events(name, NOW, days=8))
    opened.send(opened.add(name, zone), events[:-60])
    opened.refresh()
    opened.send(opened.tenant(name), events[-60:])
    opened.add("small")
    opened.record("small", [_said("a", 1, "in"), _said("a", 2, "out", staff_id="ann"), _said("b", 3, "in")])
    yield opened
    opened.store.close()


def _said(conversation: str, hour: int, way: str, **fields: Any) -> dict[str, Any]:
    type_ = {"in": "message.received", "out": "message.sent"}[way]
    return {
        "type": type_, "time": f"2026-08-18T{hour:02}:00:00Z", "id": f"{conversation}-{hour}", "source": "test",
        "conversation_id": conversation, "contact_id": f"of-{conversation}", "message_id": f"m-{conversation}-{hour}",
        "channel": "web", "channel_id": "front", "attributes": {"text": f"50% \\ Wörter_{conversation}"}, **fields,
    }  # fmt: skip


def tenant_of(desk: Desk, name: str = "") -> Tenant:
    """Return the demo's tenant, or another."""
    return desk.tenant(name or demo.tenants()[0][0])


def every(desk: Desk, wanted: Wanted, tenant: str = "", limit: int = 7) -> list[ConversationRow]:
    """Return all matching conversations, page by page."""
    rows: list[ConversationRow] = []
    cursor = None
    while True:
        found = conversations(desk.queries, tenant_of(desk, tenant), wanted, limit=limit, cursor=cursor)
        rows += found.rows
        cursor = found.next
        if cursor is None:
            return rows


def test_a_page_says_how_many_conversations_there_are(desk: Desk) -> None:
    """Every page has the same total, which is that of all pages, and how many conversations the pages before it have."""
    wanted, cursor, seen = Wanted(START, NOW), None, 0
    whole = len(every(desk, wanted))
    assert whole > 14
    while True:
        found = conversations(desk.queries, tenant_of(desk), wanted, limit=7, cursor=cursor)
        assert (found.total, found.before) == (whole, seen)
        seen += len(found.rows)
        if (cursor := found.next) is None:
            break
    assert seen == whole


def test_states_are_those_that_the_metrics_count(desk: Desk) -> None:
    """Open and waiting conversations, and the oldest wait, equal the metrics, at the present and at past moments."""
    waited = [_waiting_as_counted(desk, NOW - timedelta(hours=hours)) for hours in (0, 5, 51, 64)]
    assert sum(waited) > 0


def _waiting_as_counted(desk: Desk, until: datetime) -> int:
    asked = desk.query(
        tenant_of(desk).id, metrics=["open_conversations", "waiting_conversations", "oldest_waiting_ms"],
        start=START.isoformat(), end=until.isoformat(),
    )["rows"][0]  # fmt: skip
    waiting = every(desk, Wanted(START, until, state="waiting"), limit=50)
    assert len(every(desk, Wanted(START, until, state="open"), limit=50)) == asked["open_conversations"] > 10
    assert len(waiting) == asked["waiting_conversations"]
    if waiting:
        longest = until.replace(tzinfo=None) - min(row.since for row in waiting if row.since is not None)
        assert abs(longest / timedelta(milliseconds=1) - asked["oldest_waiting_ms"]) <= 1
    return len(waiting)


def test_pages_are_the_whole_list_newest_first(desk: Desk) -> None:
    """Small pages together equal one large page, without repeats, newest first."""
    wanted = Wanted(NOW - timedelta(days=1), NOW)
    rows = every(desk, wanted)
    assert rows == every(desk, wanted, limit=1000)
    assert len({row.conversation_id for row in rows}) == len(rows) > 20
    assert [row.last_at for row in rows] == sorted((row.last_at for row in rows), reverse=True)


def test_a_filter_keeps_conversations_that_have_it(desk: Desk) -> None:
    """A conversation matches a filter if it has one of its values; `(none)` matches those without any."""
    plain = {row.conversation_id for row in every(desk, Wanted(START, NOW), limit=1000)}
    staff = {row.staff_id for row in every(desk, Wanted(START, NOW), limit=1000) if row.staff_id is not None}
    some = {row.conversation_id for row in every(desk, Wanted(START, NOW, {"staff_id": sorted(staff)}), limit=1000)}
    none = {row.conversation_id for row in every(desk, Wanted(START, NOW, {"staff_id": ["(none)"]}), limit=1000)}
    assert (some | none, some & none) == (plain, set()) and some and none
    both = every(desk, Wanted(START, NOW, {"channel": ["sms"], "topic": ["wifi", "billing"]}), limit=1000)
    assert both and {row.channel for row in both} == {"sms"}
    with pytest.raises(BadQuestionError, match="no dimension 'kind'"):
        every(desk, Wanted(START, NOW, {"kind": ["bot"]}))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("wörter_A", ["a"]), ("WÖRTER_b", ["b"]), ("\\", ["b", "a"]), ("%", ["b", "a"]), ("%W", []),
        ("50% ", ["b", "a"]), ("of-b", ["b"]), ("ANN", ["a"]), ("front", ["b", "a"]), ("m-b-3", ["b"]),
        ("a' OR 1=1 --", []),
    ],
)  # fmt: skip
def test_search_looks_at_ids_rooms_and_texts(desk: Desk, text: str, found: list[str]) -> None:
    """Search finds any part of ids, rooms and texts, ignoring case; no character of it is a wildcard."""
    assert [row.conversation_id for row in every(desk, Wanted(START, NOW, text=text), "small")] == found


def test_an_invalid_state_or_cursor_is_refused(desk: Desk) -> None:
    """An unknown state and a foreign cursor are refused."""
    with pytest.raises(BadQuestionError, match="is not one of open, waiting, resolved"):
        every(desk, Wanted(START, NOW, state="asleep"))
    with pytest.raises(BadRequestError):
        conversations(desk.queries, tenant_of(desk), Wanted(START, NOW), cursor="WyJ4Il0")


def test_a_timeline_is_the_conversations_events_with_their_waits(desk: Desk) -> None:
    """A timeline has every event in order, once over all pages; replies have the wait of `response_ms`. `lines` gives
    the same events.
    """
    tenant = tenant_of(desk, "small")
    first = timeline(desk.queries, tenant, "a", limit=1)
    second = timeline(desk.queries, tenant, "a", limit=1, cursor=first.next)
    assert [row.event["id"] for row in (*first.rows, *second.rows)] == ["a-1", "a-2"] and second.next is None
    assert (second.rows[0].waited_ms, first.rows[0].waited_ms) == (3_600_000, None)
    asked = desk.query("small", metrics=["response_ms.avg"], start="2026-08-18", end="2026-08-19")["rows"][0]
    assert asked["response_ms.avg"] == 3_600_000
    (episode,) = episodes(desk.queries, tenant, "a")
    assert (episode.first_response_ms, episode.resolved_at) == (3_600_000, None)
    written = b"".join(lines(desk.queries, tenant, "a")).splitlines()
    assert len(written) == 2 and b'"text": "50% \\\\ W\xc3\xb6rter_a"' in written[0]
    waiting = conversation_of(desk.queries, tenant, "b")
    assert waiting is not None and (waiting.state, waiting.messages, waiting.contact_id) == ("waiting", 1, "of-b")
    assert conversation_of(desk.queries, tenant, "none") is None


def test_another_tenants_rows_are_not_found(desk: Desk) -> None:
    """No tenant finds another's conversations or events."""
    other = tenant_of(desk)
    assert every(desk, Wanted(START, NOW, text="of-a")) == []
    assert (timeline(desk.queries, other, "a").rows, episodes(desk.queries, other, "a")) == ([], [])
    assert conversation_of(desk.queries, other, "a") is None and event(desk.queries, other, "test", "a-1") is None
    found = event(desk.queries, tenant_of(desk, "small"), "test", "a-1")
    assert found is not None and found["attributes"]["text"].startswith("50%") and "tenant" not in found


def test_flagged_messages_are_as_many_as_the_hotspot_counts(desk: Desk) -> None:
    """The flagged messages of a room are as many as its hotspot counts; an unknown filter is refused."""
    tenant = tenant_of(desk)
    worst = desk.hotspots(tenant.id, START.isoformat(), NOW.isoformat(), tones=TONES)["rows"][0]
    where = {"channel_id": [worst["channel_id"]]}
    found = flagged(desk.queries, tenant, START, NOW, where, tones=TONES, limit=3)
    rows = list(found.rows)
    while found.next:
        found = flagged(desk.queries, tenant, START, NOW, where, tones=TONES, limit=3, cursor=found.next)
        rows += found.rows
    assert len(rows) == len({row.id for row in rows}) == worst["flagged_count"] > 3
    assert flagged(desk.queries, tenant, START, NOW, where).rows == []  # the sample has no topic of complaint
    with pytest.raises(BadQuestionError, match="no dimension 'staff_id'"):
        flagged(desk.queries, tenant, START, NOW, {"staff_id": ["ann"]})

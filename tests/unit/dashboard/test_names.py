"""Names on pages: shown in place of ids, beside them in CSV, searchable and escaped."""

from __future__ import annotations

import csv
import io

import pytest

from hubbub.model.name import Name
from tests.unit.dashboard.visiting import XSS, Visitor, plain

VIEW = "from=2026-08-18&to=2026-08-20"


@pytest.fixture
def named(visitor: Visitor) -> Visitor:
    """Conversations in rooms and between people with names; two rooms have the same name."""
    common = {"source": "test", "channel": "slack", "channel_id": "C1", "conversation_id": "k1", "contact_id": "U1"}
    again = {**common, "type": "message.received"}
    events = [
        {**common, "type": "message.received", "id": "1", "time": "2026-08-19T08:00:00Z"},
        {**common, "type": "message.sent", "id": "2", "time": "2026-08-19T08:04:02Z", "staff_id": "U2"},
        {**again, "id": "3", "time": "2026-08-19T08:05:00Z", "channel_id": "C2", "conversation_id": "k2"},
        {**again, "id": "4", "time": "2026-08-19T08:06:00Z", "channel_id": "C3", "conversation_id": "k3"},
        {**common, "type": "topic.classified", "id": "5", "time": "2026-08-19T08:06:00Z", "topic": "complaint"},
    ]  # fmt: skip
    visitor.engine.record("acme", events, history=True)
    given = (
        ("room", "C1", "front desk"),
        ("room", "C2", "same"),
        ("room", "C3", "same"),
        ("contact", "U1", f"Zoë {XSS}"),
    )
    visitor.engine.names.take("acme", [Name(*one) for one in (*given, ("staff", "U2", "Bo"))])
    return visitor


def test_tables_show_names_and_their_csv_both(named: Visitor) -> None:
    """Tables show names, with the id where two rooms have the same name; CSV has a column for each."""
    shown = named.see(f"/t/acme/overview/places?{VIEW}")
    assert "front desk" in shown and "same (C2)" in shown and "same (C3)" in shown and "front desk (C1)" not in shown
    answer = named.http.get(f"/t/acme/overview/places.csv?{VIEW}")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert {row["room"]: row["room.name"] for row in rows if row["room"]} == {
        "C1": "front desk",
        "C2": "same",
        "C3": "same",
    }
    assert "Bo" in named.see(f"/t/acme/team/agents?{VIEW}")
    assert "front desk" in named.see(f"/t/acme/topics/hotspots?{VIEW}")


def test_conversations_are_found_and_shown_by_name(named: Visitor) -> None:
    """A search finds conversations by name; list and timeline show names, with ids on the conversation's own page."""
    for text, found in (("zoe", 3), ("BO", 1), ("front desk", 1), ("nobody", 0)):
        page = named.page(f"/t/acme/conversations/list?{VIEW}&find={text}")
        assert page.count("/t/acme/conversation?") == 2 * found, text  # contact and time
        assert XSS not in page
    told = named.see(f"/t/acme/conversation?{VIEW}&id=k1")
    assert f"Zoë {XSS} (U1)" in told and "front desk (C1)" in told and "Bo (U2)" in told
    assert XSS not in named.page(f"/t/acme/conversation?{VIEW}&id=k1")


def test_filters_are_chosen_and_shown_by_name(named: Visitor) -> None:
    """Filter values come with names, and a chosen value is shown by name; the address keeps the id."""
    answer = named.http.get(f"/t/acme/values/channel_id?{VIEW}").json()
    assert dict(zip(answer["values"], answer["labels"], strict=True)) == {
        "C1": "front desk", "C2": "same (C2)", "C3": "same (C3)",
    }  # fmt: skip
    assert "Channel: front desk" in " ".join(named.see(f"/t/acme/overview?{VIEW}&channel_id=C1").split())


def test_names_are_searched_and_set_on_their_page(named: Visitor) -> None:
    """An analyst sees and searches names; an admin sets one by hand and removes it again."""
    named.enter("acme", "analyst")
    assert "Set a name by hand" not in named.see("/t/acme/names")
    assert "front desk" in named.see("/t/acme/names/names?find=FRONT") and "Bo" not in named.see(
        "/t/acme/names/names?find=FRONT"
    )
    assert "same Channel C2 its source Thu 20 Aug 2026 same Channel C3" in named.see("/t/acme/names/names?kind=room")
    assert "“Name since” is when its source last changed or first sent it" in named.see("/t/acme/names")
    named.enter("acme", "admin")
    named.act("/t/acme/names/call", "/t/acme/names", kind="room", id="C1", name="Reception")
    assert "Reception" in named.see(f"/t/acme/overview/places?{VIEW}")
    assert "names[0].name" in plain(
        named.act("/t/acme/names/call", "/t/acme/names", 400, kind="room", id="C1", name=" ").text
    )
    named.act("/t/acme/names/forget", "/t/acme/names", kind="room", id="C1")
    assert "Reception" not in named.see("/t/acme/names")
    assert XSS not in named.page("/t/acme/names")


def test_ids_without_a_name_are_listed_with_a_form(named: Visitor) -> None:
    """Ids that no source named are listed by how much they are seen; an admin names one beside it, and it leaves the list."""
    assert "All repliers, channels, accounts and campaigns of" in named.see("/t/acme/names/unnamed")
    common = {"type": "message.received", "source": "test", "channel": "slack", "contact_id": "U1"}
    named.engine.record(
        "acme",
        [{**common, "id": f"{room}{n}", "time": f"2026-08-19T09:0{n}:00Z", "channel_id": room, "conversation_id": room}
         for room, most in (("C-8", 2), (XSS, 1)) for n in range(most)],
        history=True,
    )  # fmt: skip
    shown = named.see("/t/acme/names/unnamed")
    assert "C-8 Channel 2 Messages" in shown and f"{XSS} Channel 1 Messages" in shown and "C1 Channel" not in shown
    assert shown.index("C-8") < shown.index(XSS)
    named.act("/t/acme/names/call", "/t/acme/names", kind="room", id="C-8", name="Desk")
    assert "C-8" not in named.see("/t/acme/names/unnamed") and "Desk" in named.see("/t/acme/names/names")
    named.enter("acme", "analyst")
    assert "Give a name" not in named.see("/t/acme/names/unnamed") and XSS not in named.page("/t/acme/names/unnamed")

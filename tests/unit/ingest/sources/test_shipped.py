"""Shipped mappings, each on an export of its service, made by hand from the documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import BadInputError
from hubbub.ingest.accept import EARLIEST, LATEST, Bounds, check
from hubbub.ingest.sources import files, mapping
from hubbub.ingest.sources.summary import Record
from hubbub.model.event import Event

T = "2024-03-01T09:0{}:00Z"
S = 1709283600

ZENDESK = {
    "id": 35, "created_at": T.format(0), "updated_at": T.format(9), "via": {"channel": "email"}, "priority": "high",
    "status": "solved", "requester": {"id": 7}, "assignee": {"id": 9}, "metric_set": {"solved_at": T.format(8)},
    "satisfaction_rating": {"score": "good"}, "comments": [
        {"id": 1, "author_id": 7, "created_at": T.format(0), "public": True, "body": "¿Cuándo?"},
        {"id": 2, "author_id": 9, "created_at": T.format(3), "public": False, "body": "intern"},
        {"id": 3, "author_id": 9, "created_at": T.format(5), "public": True, "body": "今日"},
    ],
}  # fmt: skip
INTERCOM = {
    "type": "conversation", "id": "503", "created_at": S, "updated_at": S + 900,
    "source": {"id": "40", "delivered_as": "customer_initiated", "author": {"type": "user", "id": "u7"}, "body": "<p>hallo</p>"},
    "contacts": {"contacts": [{"type": "contact", "id": "u7"}]},
    "conversation_rating": {"rating": 4, "created_at": S + 800}, "conversation_parts": {"conversation_parts": [
        {"id": "1", "part_type": "comment", "created_at": S + 60, "author": {"type": "bot", "id": "2", "name": "Fin"}, "body": "x"},
        {"id": "2", "part_type": "note", "created_at": S + 120, "author": {"type": "admin", "id": "a9"}, "body": "x"},
        {"id": "3", "part_type": "comment", "created_at": S + 300, "author": {"type": "admin", "id": "a9"}, "body": "x"},
        {"id": "4", "part_type": "close", "created_at": S + 480, "author": {"type": "admin", "id": "a9"}, "body": None},
        {"id": "5", "part_type": "attribute_updated", "created_at": S + 490, "author": {"type": "bot", "id": "1"}, "body": None},
    ]},
}  # fmt: skip
CHATWOOT = {
    "meta": {"contact": {"id": 7}}, "payload": [
        {"id": 1, "message_type": 0, "created_at": S, "conversation_id": 5, "account_id": 1, "inbox_id": 2, "private": False,
         "sender": {"id": 7, "type": "contact"}},
        {"id": 2, "message_type": 2, "created_at": S + 1, "conversation_id": 5, "account_id": 1, "inbox_id": 2, "private": False},
        {"id": 3, "message_type": 3, "created_at": S + 2, "conversation_id": 5, "account_id": 1, "inbox_id": 2, "private": False},
        {"id": 4, "message_type": 1, "created_at": S + 120, "conversation_id": 5, "account_id": 1, "inbox_id": 2, "private": True,
         "sender": {"id": 9, "type": "user"}},
        {"id": 5, "message_type": 1, "created_at": S + 300, "conversation_id": 5, "account_id": 1, "inbox_id": 2, "private": False,
         "sender": {"id": 9, "type": "user"}},
    ],
}  # fmt: skip
FRESHDESK = {
    "id": 20, "created_at": T.format(0), "updated_at": T.format(9), "source": 1, "status": 4, "priority": 3, "requester_id": 7,
    "responder_id": 9, "stats": {"resolved_at": T.format(8)}, "conversations": [
        {"id": 3, "incoming": False, "private": True, "user_id": 9, "created_at": T.format(2)},
        {"id": 4, "incoming": False, "private": False, "user_id": 9, "created_at": T.format(5)},
        {"id": 5, "incoming": True, "private": False, "user_id": 7, "created_at": T.format(6)},
    ],
}  # fmt: skip
EXPECTED: dict[str, tuple[Any, list[str]]] = {
    "zendesk": (ZENDESK, [
        "09:00 conversation.started ticket:35:started zendesk:7 -", "09:00 message.received zendesk:1 zendesk:7 - public",
        "09:03 message.sent zendesk:2 zendesk:7 zendesk:9 private", "09:05 message.sent zendesk:3 zendesk:7 zendesk:9 public",
        "09:08 conversation.resolved ticket:35:solved zendesk:7 -",
        "09:09 satisfaction.rating_received ticket:35:rating zendesk:7 -",
    ]),
    "intercom": (INTERCOM, [
        "09:00 conversation.started conversation:503:started intercom:u7 -",
        "09:00 message.received intercom:source:40 intercom:u7 -",
        "09:01 message.sent intercom:part:1 intercom:u7 - ai", "09:02 message.sent intercom:part:2 intercom:u7 intercom:a9 private",
        "09:05 message.sent intercom:part:3 intercom:u7 intercom:a9", "09:08 conversation.resolved part:4:close intercom:u7 -",
        f"09:13 satisfaction.rating_received intercom:rating:503:{S + 800} intercom:u7 -",
    ]),
    "chatwoot": (CHATWOOT, [
        "09:00 message.received chatwoot:1 chatwoot:7 -", "09:00 message.sent chatwoot:3 chatwoot:7 - auto",
        "09:02 message.sent chatwoot:4 chatwoot:7 chatwoot:9 private", "09:05 message.sent chatwoot:5 chatwoot:7 chatwoot:9 public",
    ]),
    "freshdesk": (FRESHDESK, [
        "09:00 conversation.started ticket:20:started freshdesk:7 -", "09:00 message.received freshdesk:ticket:20 freshdesk:7 -",
        "09:02 message.sent freshdesk:3 freshdesk:7 freshdesk:9 private",
        "09:05 message.sent freshdesk:4 freshdesk:7 freshdesk:9 public",
        "09:06 message.received freshdesk:5 freshdesk:7 - public",
        "09:08 conversation.resolved ticket:20:resolved freshdesk:7 freshdesk:9",
    ]),
}  # fmt: skip


def told(event: Event) -> str:
    """Return the main fields of an event on one line."""
    more = [event.status] if event.status else [event.kind] if event.kind not in (None, "person") else []
    return " ".join(
        map(str, (f"{event.time:%H:%M}", event.type, event.id, event.contact_id, event.staff_id or "-", *more))
    )


@pytest.mark.parametrize(
    ("name", "form"), [(n, f) for n in EXPECTED for f in ("alone", "list", "lines") if (n, f) != ("chatwoot", "lines")]
)
def test_a_service_through_its_mapping(tmp_path: Path, name: str, form: str) -> None:
    """Every message, step and rating becomes its event, in one conversation, from one object, a list or lines."""
    value, expected = EXPECTED[name]
    texts = {
        "alone": json.dumps(value),
        "list": json.dumps([value]),
        "lines": json.dumps(value) + "\n" + json.dumps(value),
    }
    (tmp_path / "e.json").write_text(texts[form])
    items = list(files.read([tmp_path / "e.json"], mapping.named(Path(name))).records())
    events = [item.event for item in items if isinstance(item, Record)]
    good, _, refused = check(events, Bounds(EARLIEST, LATEST))
    assert (len(good), refused) == (len(items), [])
    assert sorted({told(event): event for event in events}) == sorted(expected)
    assert len({event.conversation_id for event in events}) == 1
    assert {event.source for event in events} == {name}


def test_an_unknown_name_lists_the_shipped_mappings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown mapping name is refused with the list of names; a file of that name takes precedence."""
    with pytest.raises(BadInputError, match="chatwoot, freshdesk, intercom, zendesk"):
        mapping.named(Path("zendes"))
    monkeypatch.chdir(tmp_path)
    Path("zendesk").write_text("events: [{type: {const: message.sent}, time: t}]")
    assert mapping.named(Path("zendesk")).path == Path("zendesk")


def test_conditions_compare_columns(tmp_path: Path) -> None:
    """`same` and `differs` compare with another column, and `a|b` is the first that is filled."""
    (tmp_path / "m.yaml").write_text(
        "events:\n  - {each: l, when: {item.who: {same: owner|creator.id}}, type: {const: message.received}, time: t, id: item.n}\n"
        "  - {each: l, when: {item.who: {differs: owner|creator.id}}, type: {const: message.sent}, time: t, id: item.n}\n"
    )
    rows = [{"t": T.format(0), "owner": "", "creator": {"id": 1}, "l": [{"who": "1", "n": "a"}, {"who": 2, "n": "b"}]},
            {"t": T.format(0), "owner": 2, "creator": {"id": 1}, "l": [{"who": 1, "n": "c"}]},
            {"t": T.format(0), "l": []}]  # fmt: skip
    (tmp_path / "e.json").write_text(json.dumps(rows))
    run = files.read([tmp_path / "e.json"], mapping.load(tmp_path / "m.yaml"))
    found = [(i.event.id, i.event.type) for i in run.records() if isinstance(i, Record)]
    assert found == [("a", "message.received"), ("b", "message.sent"), ("c", "message.sent")]
    assert run.summary["left_out"] == {"each": 1}
    (tmp_path / "m.yaml").write_text("events: [{when: {a: {same: [b]}}, type: {const: message.sent}, time: t}]")
    with pytest.raises(BadInputError, match=r"events\[0\].when.a.same"):
        mapping.load(tmp_path / "m.yaml")

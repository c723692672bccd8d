"""Erasing a contact: what is deleted, what stays, what is refused later, and interrupted erasures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine, open_engine
from hubbub.errors import BadInputError, NotFoundError, StoreFullError
from hubbub.facts import erase as erasure
from hubbub.facts.retention import cut_at
from hubbub.reports.store import Report
from hubbub.settings import load

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
GUEST = "guest-7f3a91"
SPAN: dict[str, Any] = {"start": "2026-06-01", "end": "2026-08-21"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with the tenants acme and beta."""
    with Engine(load(data=tmp_path, free_floor_mb=0), lambda: NOW) as made:
        for tenant in ("acme", "beta"):
            made.add_tenant(tenant, retention={"raw": None, "hour": None})
        yield made


def event(id_: str, contact: str | None = GUEST, days: float = 1, **fields: Any) -> dict[str, Any]:
    """Return a message of a contact, some days ago."""
    told = {"type": "message.received", "time": (NOW - timedelta(days=days)).isoformat(), "id": id_, "channel": "sms"}
    return told | ({"contact_id": contact, "conversation_id": f"with {contact}"} if contact else {}) | fields


def record(engine: Engine, *events: dict[str, Any], tenant: str = "acme") -> None:
    """Store events; none may be rejected."""
    assert engine.record(tenant, events, history=True)["rejected"] == []


def ids(engine: Engine) -> list[str]:
    """Return the ids of stored events."""
    engine.refresh()
    with engine.store.facts.read() as reading:
        return [id_ for (id_,) in reading.rows("SELECT id FROM event ORDER BY id")]


def named(engine: Engine) -> dict[str, int]:
    """Count the data that names the guest, by kind."""
    who = erasure.find(engine.store, engine.control.tenant("acme"), GUEST, "")
    return {kind: count for kind, count in erasure.count(engine.store, who).items() if count}


# --- what is deleted


def test_an_erasure_deletes_every_event_that_names_the_contact(engine: Engine) -> None:
    """Events of the contact, and those that name it in a field, attribute or conversation id, are deleted; longer ids
    and other tenants stay.
    """
    record(
        engine,
        event("own"),
        event("mention", None, conversation_id=f"sms:{GUEST}"),
        event("attribute", "guest-2", attributes={"a": [{"said": f"call {GUEST}!"}]}),
        event("key", None, attributes={GUEST: 1}),
        event("glued", conversation_id=f"wax{GUEST}x"),
        event("answer", None, type="message.sent", conversation_id=f"wax{GUEST}x", staff_id="anna"),
        event("longer", f"{GUEST}0"),
        event("inside", None, attributes={"a": f"x{GUEST}"}),
        event("other", "guest-2"),
    )
    record(engine, event("theirs"), tenant="beta")
    told = engine.erasures.erase("acme", GUEST, dry_run=True)
    assert (told.events, told.mentions, told.dry_run, told.erasure) == (2, 4, True, None)
    assert len(ids(engine)) == 10
    done = engine.erasures.erase("acme", GUEST)
    assert (done.events, done.mentions, done.dry_run) == (2, 4, False)
    assert ids(engine) == ["inside", "longer", "other", "theirs"]
    assert named(engine) == {}
    assert engine.verify()["clean"]


def test_a_short_id_matches_whole_values_only(engine: Engine) -> None:
    """An id of fewer than six characters matches whole values only, not words, numbers or parts of ids."""
    record(
        engine,
        event("own", "7"),
        event("whole", None, staff_id="7"),
        event("text", None, attributes={"guest": "7"}),
        event("number", None, attributes={"n": 7}),
        event("word", None, attributes={"text": "room 7 please"}),
        event("id-7", "17", conversation_id="c-7"),
    )
    assert engine.erasures.erase("acme", "7").mentions == 2
    assert ids(engine) == ["id-7", "number", "word"]


def test_an_erasure_reaches_quarantine_snapshots_reports_and_replies(engine: Engine) -> None:
    """Corrected events, quarantine, numbers, snapshots, reports and replies lose the contact; the rest of each stays."""
    record(engine, event("a"), event("b", "guest-2"), event("c", "guest-2", account_id=GUEST))
    record(engine, event("a", revision=2, days=2), event("b", "guest-2", revision=2, attributes={"was": GUEST}))
    for bad in ({"contact_id": GUEST}, {"contact_id": "guest-2"}):
        engine.record("acme", {"type": "no.such", "time": NOW.isoformat(), **bad})
    engine.refresh()
    engine.snapshot("daily", "2026-08-19", "acme")
    report = engine.reports.make("acme", "monthly", "2026-08-01", sections=["summary"], formats=["json"])
    said = {"workspace_id": "w", "channel_id": "c", "message_ts": "1.0", "triggered_by": "mention"}
    asked = {"trigger_message_text": "hello", **said}
    context = [{"user_id": GUEST, "text": "secret", "ts": "1"}]
    references = [
        engine.replies.prepare("acme", {**asked, "user_id": GUEST}),
        engine.replies.prepare("acme", {**asked, "user_id": "u", "context_messages": context}),
        engine.replies.prepare("acme", {**asked, "user_id": "u"}),
    ]
    engine.idempotency.once("acme", "key", "f", lambda: {"contact": GUEST})
    done = engine.erasures.erase("acme", GUEST)
    counts = ("events", "mentions", "superseded", "quarantine", "reports", "payloads")
    assert {name: getattr(done, name) for name in counts} == {
        "events": 1, "mentions": 2, "superseded": 0, "quarantine": 1, "reports": 1, "payloads": 2,
    }  # fmt: skip
    assert named(engine) == {}
    assert ids(engine) == []
    kept = [reference for reference in references if engine.payload_store.find("acme", reference, "ai_request")]
    assert len(kept) <= 1
    assert engine.payload_store.naming("acme", lambda _: True) == references[2:]
    assert [json.loads(row.raw or "")["contact_id"] for row in engine.quarantine.of("acme").rows] == ["guest-2"]
    assert {row["account_id"] for row in engine.snapshots("acme", "2026-08-19", "2026-08-20")["rows"]} == {None}
    again = engine.reports.show("acme", report.id)
    assert isinstance(again, Report) and again.hash != report.hash
    assert (again.from_, again.sections, again.formats) == (report.from_, ("summary",), ("json",))
    assert engine.idempotency.once("acme", "key", "f", dict)[1] is False
    assert engine.verify()["clean"]


# --- after retention


def test_an_erasure_reaches_rows_carried_over_a_cut(engine: Engine) -> None:
    """After a cut, rows and boundaries that name the contact are deleted, and other contacts' states stay."""
    record(
        engine,
        *(event(f"g{n}", days=40, channel_id=f"room:{GUEST}", account_id=GUEST) for n in range(3)),
        *(event(f"o{n}", "guest-2", days=40) for n in range(2)),
    )  # fmt: skip
    at = int((NOW - timedelta(days=30)).replace(hour=0).timestamp() * 1_000_000)
    engine.refresh()
    cut_at(engine.store, engine.control.tenant("acme"), at)
    assert ids(engine) == []
    assert named(engine)["facts"] > 0
    done = engine.erasures.erase("acme", GUEST)
    assert (done.events, done.facts > 0) == (0, True)
    assert named(engine) == {}
    (row,) = engine.query("acme", metrics=["total_contacts"], start="2026-08-20", end="2026-08-21")["rows"]
    assert row["total_contacts"] == 1
    assert engine.verify()["clean"]
    assert engine.erasures.erase("acme", GUEST).facts == 0


# --- later events


def test_erased_events_are_rejected_when_resent(engine: Engine) -> None:
    """Erased events are rejected when resent, corrected or late, without quarantine; later events of the contact are stored."""
    record(engine, event("own"), event("mention", None, attributes={"to": GUEST}), event("other", "guest-2"))
    engine.erasures.erase("acme", GUEST)
    again = [
        event("own"), event("own", revision=3), event("never seen", days=3), event("mention", None, attributes={"to": GUEST}),
    ]  # fmt: skip
    answer = engine.record("acme", again, history=True)
    assert [one["code"] for one in answer["rejected"]] == ["contact_erased"] * 4
    assert engine.quarantine.of("acme").rows == []
    record(engine, event("from now on", days=-0.1), event("other 2", "guest-2"))
    record(engine, event("own"), tenant="beta")
    assert ids(engine) == ["from now on", "other", "other 2", "own"]


def test_another_process_rejects_erased_events_at_once(engine: Engine) -> None:
    """Another process with the same folder rejects erased events at once, and its earlier ones are deleted."""
    with open_engine(engine.settings.data, clock=lambda: NOW) as other:
        assert other.record("acme", event("own"), history=True)["accepted"] == 1
        engine.erasures.erase("acme", GUEST)
        answer = other.record("acme", [event("own"), event("never seen", days=3)], history=True)
        assert [one["code"] for one in answer["rejected"]] == ["contact_erased"] * 2
    assert ids(engine) == []


def test_an_erasure_reaches_superseded_versions(engine: Engine) -> None:
    """A conversation named after the contact in a superseded version of an event is deleted too."""
    glued = f"xx{GUEST}yy"
    record(engine, event("own", conversation_id=glued), event("reply", None, conversation_id=glued))
    with open_engine(engine.settings.data, clock=lambda: NOW + timedelta(minutes=1)) as later:
        record(later, event("own", conversation_id="c9", revision=1))
    engine.erasures.erase("acme", GUEST)
    assert ids(engine) == []


def test_an_erasure_can_be_shown(engine: Engine) -> None:
    """Each erasure is recorded with time, counts and a digest in place of the id, listed by contact, by page and per tenant."""
    record(engine, event("own"))
    first = engine.erasures.erase("acme", GUEST)
    engine.erasures._clock = lambda: NOW + timedelta(hours=1)
    second = engine.erasures.erase("acme", "guest-2")
    rows = engine.erasures.of("acme").rows
    assert [row.id for row in rows] == [first.erasure, second.erasure]
    assert [row.at for row in rows] == [datetime(2026, 8, 20, 12), datetime(2026, 8, 20, 13)]  # noqa: DTZ001 - UTC
    assert [(row.counts or {})["events"] for row in rows] == [1, 0]
    assert GUEST not in repr(rows)
    assert engine.erasures.of("acme", GUEST).rows == rows[:1]
    page = engine.erasures.of("acme", limit=1)
    assert engine.erasures.of("acme", limit=1, cursor=page.next).rows == rows[1:]
    assert engine.erasures.of("beta").rows == []
    assert engine.erasures.erase("beta", GUEST).contact != first.contact


def test_an_unknown_tenant_and_an_invalid_contact_are_refused(engine: Engine) -> None:
    """An unknown tenant and an invalid contact id are refused."""
    with pytest.raises(NotFoundError):
        engine.erasures.erase("nobody", GUEST)
    for bad in ("", "x" * 513, "a\0b"):
        with pytest.raises(BadInputError, match="contact_id"):
            engine.erasures.erase("acme", bad)


# --- interrupted erasures


@pytest.mark.parametrize("step", ["erase", "finish"])
def test_an_interrupted_erasure_can_be_repeated(engine: Engine, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """After an error at any step, erasing the same contact again has the result of an undisturbed erasure."""
    record(engine, event("own"), event("mention", None, attributes={"to": GUEST}), event("other", "guest-2"))
    engine.record("acme", {"type": "no.such", "time": NOW.isoformat(), "contact_id": GUEST})
    engine.refresh()

    def fails(*_: object) -> None:
        raise StoreFullError

    monkeypatch.setattr(erasure, step, fails)
    with pytest.raises(StoreFullError):
        engine.erasures.erase("acme", GUEST)
    monkeypatch.undo()
    engine.erasures.erase("acme", GUEST)
    assert ids(engine) == ["other"]
    assert named(engine) == {}
    with engine.store.facts.read() as reading:
        assert reading.rows("SELECT value FROM meta WHERE key LIKE 'erasing%'") == []
    assert sorted(row.counts is None for row in engine.erasures.of("acme").rows) == [False, True]
    assert engine.verify()["clean"]


# --- persons


def link(id_: str, one: str, other: str, days: float, *, joins: bool = True) -> dict[str, Any]:
    """Return a link between two ids, or an unlink, some days ago."""
    type_ = "contact.linked" if joins else "contact.unlinked"
    return {
        "type": type_,
        "time": (NOW - timedelta(days=days)).isoformat(),
        "id": id_,
        "contact_id": one,
        "name": other,
    }


def test_a_person_is_erased_under_every_id(engine: Engine, tmp_path: Path) -> None:
    """Erasing one id erases all linked ids, and none returns; an unlinked id stays."""
    mail, phone, stays = "ada-4711@example.org", "+39-555-0104711", "bo-0815@example.org"
    record(engine, event("1"), event("2", mail), event("3", phone), event("4", stays), event("5", "guest-other"))
    record(engine, link("l1", GUEST, mail, 5), link("l2", phone, mail, 4), link("l3", GUEST, stays, 3))
    record(engine, link("l4", stays, GUEST, 2, joins=False))
    counts = engine.erasures.erase("acme", GUEST, dry_run=True)
    assert (counts.contacts, counts.events) == (3, 6)
    assert engine.erasures.erase("acme", GUEST).contacts == 3
    assert ids(engine) == ["4", "5"]
    again = engine.record("acme", [event("2", mail), event("6", phone, 2), event("7", stays, 2)], history=True)
    assert ids(engine) == ["4", "5", "7"] and again["accepted"] == 1
    assert len(engine.erasures.of("acme").rows) == 3
    assert engine.verify("acme")["clean"]
    engine.close()
    for file in (one for one in tmp_path.rglob("*") if one.is_file()):
        assert not any(one.encode() in file.read_bytes() for one in (GUEST, mail, phone)), file.name

"""Names of ids: from sources, set by hand, searched, switched off, and erased with the contact."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hubbub
from hubbub.app import Engine
from hubbub.errors import BadInputError
from hubbub.model.name import Name
from hubbub.services.names import NamesSet

T = "acme"


def day(n: int) -> datetime:
    """Return a day of 2026."""
    return datetime(2026, 1, n, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with one tenant."""
    with hubbub.open(tmp_path, log_level="error") as one:
        one.add_tenant(T)
        yield one


def kept(engine: Engine, **asked: Any) -> dict[tuple[str, str], str]:
    """Return the stored names."""
    return {(row.kind, row.id): row.name for row in engine.names.of(T, **asked).rows}


def test_the_latest_name_holds_in_any_order(engine: Engine) -> None:
    """The newest name wins in any order of arrival; at the same time, the later arrival."""
    assert engine.names.take(T, [Name("room", "C1", "new", day(5))]) == 1
    assert engine.names.take(T, [Name("room", "C1", "old", day(2))]) == 0
    assert engine.names.take(T, [Name("room", "C1", "new", day(6))]) == 0
    assert kept(engine) == {("room", "C1"): "new"}
    assert engine.names.take(T, [Name("room", "C1", "other", day(5))]) == 0
    assert engine.names.take(T, [Name("room", "C1", "other", day(6))]) == 1
    assert kept(engine) == {("room", "C1"): "other"}


def test_a_name_set_by_hand_stays(engine: Engine) -> None:
    """A name set by hand is not changed by a source; after it is removed, the next source sets it."""
    engine.names.take(T, [Name("staff", "U1", "u1-handle")])
    assert engine.names.set(T, [{"kind": "staff", "id": "U1", "name": "Ada"}]) == NamesSet(1, 0)
    assert engine.names.take(T, [Name("staff", "U1", "u1-handle")]) == 0
    assert kept(engine) == {("staff", "U1"): "Ada"}
    assert engine.names.set(T, [{"kind": "staff", "id": "U1", "name": None}]) == NamesSet(0, 1)
    assert kept(engine) == {}
    assert engine.names.take(T, [Name("staff", "U1", "u1-handle")]) == 1


def test_invalid_names_are_skipped(engine: Engine) -> None:
    """An empty name, one equal to the id, and an invalid id are skipped; valid ones beside them are stored."""
    odd = [
        Name("room", "C1", " \0 "),
        Name("room", "C2", "C2"),
        Name("room", "x" * 513, "x"),
        Name("room", "\ud800", "x"),
    ]
    assert engine.names.take(T, [*odd, Name("room", "C3", "desk")]) == 1
    assert kept(engine) == {("room", "C3"): "desk"}


def test_a_bad_entry_leaves_all_names_unset(engine: Engine) -> None:
    """A bad entry is refused with its number, and nothing is set."""
    good = {"kind": "room", "id": "C1", "name": "desk"}
    for bad, said in (
        ({"kind": "rooms", "id": "C1", "name": "x"}, "did you mean 'room'"),
        ({"kind": "room", "id": "", "name": "x"}, r"names\[1\].id"),
        ({"kind": "room", "id": "C2", "name": "\n"}, r"names\[1\].name"),
        ({"kind": "room", "id": "C2", "name": "front\x07desk"}, r"names\[1\].name: holds '\\x07'"),
    ):
        with pytest.raises(BadInputError, match=said):
            engine.names.set(T, [good, bad])
    assert kept(engine) == {}


@pytest.mark.parametrize("hidden", ["\x07", "\n", "\u202e"])
def test_names_with_control_characters_are_refused(engine: Engine, hidden: str) -> None:
    """Names of tenants and labels of keys with control characters are refused by field; joined emoji and no-break
    spaces are allowed.
    """
    for give in (
        lambda text: engine.tenants.add("new", name=text), lambda text: engine.tenants.change(T, name=text),
        lambda text: engine.keys.add(T, label=text),
    ):  # fmt: skip
        with pytest.raises(BadInputError, match=r"(name|label): holds"):
            give(f"front{hidden}desk")
    assert engine.tenants.change(T, name="Ada\u00a0\U0001f469\u200d\U0001f4bb").name


def test_names_are_searched_and_paged(engine: Engine) -> None:
    """Search ignores case and accents and also matches ids; pages are complete; one id may have a name per kind."""
    engine.names.take(
        T, [Name("contact", "U1", "Zoë Ünal"), Name("staff", "U1", "Zoë Ünal"), Name("room", "C1", "front desk")]
    )
    assert set(kept(engine, find="zoe u")) == {("contact", "U1"), ("staff", "U1")}
    assert set(kept(engine, find="C1")) == {("room", "C1")}
    assert set(kept(engine, kind="staff")) == {("staff", "U1")}
    found, cursor = [], None
    while True:
        page = engine.names.of(T, limit=1, cursor=cursor)
        found += [(row.kind, row.id) for row in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert found == [("contact", "U1"), ("room", "C1"), ("staff", "U1")]


def test_names_of_contacts_can_be_switched_off(engine: Engine) -> None:
    """With contact names off they are deleted, and accepted neither from sources nor by hand; staff names stay."""
    both = [Name("contact", "U1", "Ada"), Name("staff", "U2", "Bo")]
    engine.names.take(T, both)
    assert engine.tenants.change(T, contact_names=False).contact_names is False
    engine.names.take(T, both)
    assert kept(engine) == {("staff", "U2"): "Bo"}
    with pytest.raises(BadInputError, match="stores no names of contacts"):
        engine.names.set(T, [{"kind": "contact", "id": "U1", "name": "Ada"}])
    engine.tenants.change(T, contact_names=True)
    engine.names.take(T, both)
    assert len(kept(engine)) == 2


def test_erasing_a_contact_deletes_its_names(engine: Engine) -> None:
    """Erasing a contact deletes its names; a source can name it again only after a new event of it."""
    message = {"type": "message.received", "time": "2026-01-05T10:00:00Z", "contact_id": "guest-17"}
    engine.record(T, {**message, "id": "1"})
    names = [Name("contact", "guest-17", "Ada"), Name("staff", "guest-17", "Ada"), Name("contact", "guest-1", "Bo")]
    engine.names.take(T, names)
    assert engine.erasures.erase(T, "guest-17", dry_run=True).names == 2
    assert engine.erasures.erase(T, "guest-17").names == 2
    engine.names.take(T, names)
    assert kept(engine) == {("contact", "guest-1"): "Bo"}
    engine.record(T, {**message, "id": "2", "time": datetime.now(UTC).isoformat()})
    engine.refresh(T)
    engine.names.take(T, names)
    assert kept(engine)["contact", "guest-17"] == "Ada"


given_names = st.builds(
    Name, st.sampled_from(("room", "staff")), st.sampled_from(("A", "B")), st.sampled_from(("x", "y", "z")),
    st.integers(1, 6).map(day),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(st.lists(given_names, max_size=6), max_size=4))
def test_batches_of_names_are_one_stream(engine: Engine, batches: list[list[Name]]) -> None:
    """In any batches, each id has the name of the latest time, at ties the last to arrive."""
    engine.names.set(T, [{"kind": kind, "id": id_, "name": None} for kind in ("room", "staff") for id_ in "AB"])
    right: dict[tuple[str, str], Name] = {}
    for batch in batches:
        engine.names.take(T, batch)
        for one in batch:
            held = right.get((one.kind, one.id))
            if held is None or (one.valid_from or day(1)) >= (held.valid_from or day(1)):
                right[one.kind, one.id] = one
    assert kept(engine) == {place: one.name for place, one in right.items()}


def test_names_are_set_from_a_csv_file(engine: Engine, tmp_path: Path) -> None:
    """A CSV file sets names by hand; a bad row is refused with its line, and nothing is set."""
    file = tmp_path / "names.csv"
    file.write_text("\ufeffkind,id,name\nroom,C1,desk\nstaff,U1,Zoë\n", encoding="utf-8")
    assert engine.names.set_from(T, file) == NamesSet(2, 0)
    assert kept(engine) == {("room", "C1"): "desk", ("staff", "U1"): "Zoë"}
    file.write_text("kind,id,name\nroom,C1,\nroom,,x\n")
    with pytest.raises(BadInputError, match=r"names.csv line 3: names\[1\].id"):
        engine.names.set_from(T, file)
    file.write_text("id,name\nC1,x\n")
    with pytest.raises(BadInputError, match="line 1: the column 'kind' is missing"):
        engine.names.set_from(T, file)
    assert len(kept(engine)) == 2


def test_answers_have_names_on_request(engine: Engine) -> None:
    """`names` adds a name column after each id; rows without it are unchanged."""
    for n, staff in enumerate(("U1", "U2", None)):
        message = {"type": "message.sent", "time": "2026-01-05T10:00:00Z", "conversation_id": "k", "channel_id": "C1"}
        engine.record(T, {**message, "id": str(n), **({"staff_id": staff} if staff else {})}, history=True)
    asked: dict[str, Any] = {
        "metrics": ["messages_sent"],
        "start": "2026-01-01",
        "end": "2026-02-01",
        "by": ["channel_id"],
    }
    plain = engine.query(T, **asked)["rows"]
    assert engine.query(T, **asked, names=True)["rows"] == plain
    engine.names.take(T, [Name("room", "C1", "desk"), Name("staff", "C1", "nobody")])
    (row,) = engine.query(T, **asked, names=True)["rows"]
    assert list(row)[:3] == ["window", "channel_id", "channel_id.name"] and row["channel_id.name"] == "desk"
    assert engine.query(T, **asked)["rows"] == plain

"""Erase a contact from a store: every row that names it, down to the last byte. Linked ids are one person, and are erased together.

One transaction deletes its events and the events, facts, former versions, refused records and snapshots that name it, and removes
it from boundaries. The units of the deleted events are folded again. Then both files are rewritten, so that they and their
write-ahead logs hold nothing of it. Identities stay: they are hashes. A note in `meta` marks an interrupted erasure; running the
same erasure again completes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from hubbub.facts.moments import moment
from hubbub.facts.refresh import refresh
from hubbub.facts.units import Touched, touched
from hubbub.model.naming import BETWEEN, SHORTEST, anywhere, pattern, written
from hubbub.model.tenant import Tenant
from hubbub.storage import schema
from hubbub.storage.log import EVENT
from hubbub.storage.store import Store
from hubbub.storage.transaction import Row, Transaction

OURS = frozenset({
    "type", "kind", "responder", "entity", "state", "unit", "code", "zone", "date", "fact", "cause",
})  # fmt: skip
"""Columns whose values Hubbub defines."""
TEXTS: Mapping[str, tuple[str, ...]] = {
    table: tuple(
        name for name, type_ in schema.TABLES[table][0].items() if type_.startswith("TEXT") and name not in OURS
    )
    for table in (
        "event",
        "response",
        "episode",
        "survey",
        "state",
        "person",
        "boundary",
        "former_version",
        "quarantine",
        "snapshot",
        "name",
    )
}
"""The columns that may hold a contact's id, by table."""
FACTS: Mapping[str, tuple[str, str, str]] = {
    "response": ("'conversation'", "conversation_id", "anchor"), "episode": ("'conversation'", "conversation_id", "anchor"),
    "survey": ("'survey'", "survey", "coalesce(rated_at, sent_at)"), "state": ("entity", "id", "since"),
    "person": ("'person'", "contact_id", "NULL"),
}  # fmt: skip
"""Table -> SQL of the unit and the key that its rows are folded by, and of a row's date."""


@dataclass(frozen=True)
class Contact:
    """A tenant's contact. `ids`: all ids of the person, its own first; `digest`: the key of the erasure; `names`: texts to
    search for.
    """

    tenant: Tenant
    ids: tuple[str, ...]
    digest: str
    names: tuple[str, ...]

    @property
    def pending(self) -> str:
        """The key in `meta` that exists from the first deleted row to the last rewritten file."""
        return f"erasing {self.digest}"

    def named(self, transaction: Transaction, table: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return these columns of a table's rows that name the contact.

        SQL selects rows that contain one of its forms; Python then checks that it is a whole word.
        """
        texts, match, between = TEXTS[table], re.compile(pattern(self.names)), chr(BETWEEN)
        held = " || :between || ".join(f"coalesce({name}, '')" for name in texts)
        wanted = {f"form_{n}": anywhere(form) for n, form in enumerate(written(self.names))}
        some = " OR ".join(f"held LIKE :{form} ESCAPE '!'" for form in wanted)
        rows = transaction.scan(
            f"SELECT * FROM (SELECT {', '.join(columns)}, {held} AS held FROM {table} WHERE tenant = :tenant) AS t WHERE {some}",
            {"tenant": self.tenant.no, "between": between, **wanted},
        )
        return [row[:-1] for row in rows if match.search(row[-1])]


@dataclass(frozen=True)
class Mention:
    """An event of somebody else that names the contact."""

    source: str
    id: str


def find(store: Store, tenant: Tenant, contact: str, digest: str) -> Contact:
    """Return the contact of an id, with all ids of the same person.

    Ids of its conversations that contain one of them inside a longer word are searched for too.
    """
    refresh(store, tenant.no)
    with store.facts.read() as reading:
        linked = reading.rows(
            "SELECT q.contact_id FROM person AS p JOIN person AS q ON q.tenant = p.tenant AND q.root = p.root "
            "WHERE p.tenant = ? AND p.contact_id = ? AND q.contact_id <> p.contact_id ORDER BY q.contact_id",
            (tenant.no, contact),
        )
        ids = (contact, *(id_ for (id_,) in linked))
        glued = [name for id_ in ids for name in _glued(reading, tenant, id_)]
    return Contact(tenant, ids, digest, tuple(dict.fromkeys((*ids, *glued))))


def _glued(reading: Transaction, tenant: Tenant, contact: str) -> list[str]:
    """Return ids of a contact's conversations that contain its id inside a longer word."""
    if len(contact) < SHORTEST:
        return []
    plain = re.compile(pattern([contact]))
    own = reading.rows(
        " UNION ".join(
            f"SELECT conversation_id FROM {table} WHERE tenant = :no AND contact_id = :who AND conversation_id IS NOT NULL"
            for table in ("event", "former_version")
        ),
        {"no": tenant.no, "who": contact},
    )
    return sorted(name for (name,) in own if contact in name and not plain.search(name))


def count(store: Store, who: Contact) -> dict[str, int]:
    """Return how many rows an erasure deletes: the contact's events, `mentions` by other events, and rows elsewhere that name it.

    `superseded`: former versions; `facts`: rows of facts and boundaries.
    """
    with store.facts.read() as reading:
        counts = {table: len(who.named(reading, table, ("tenant",))) for table in TEXTS}
        sql = "SELECT count(*) FROM event WHERE tenant = ? AND contact_id = ?"
        own = sum(reading.value(sql, (who.tenant.no, id_)) for id_ in who.ids)
    return {
        "events": own, "mentions": counts["event"] - own, "superseded": counts["former_version"],
        "quarantine": counts["quarantine"],
        "facts": sum(counts[table] for table in (*FACTS, "boundary")), "snapshots": counts["snapshot"], "names": counts["name"],
    }  # fmt: skip


def pending(store: Store, who: Contact) -> bool:
    """Whether an erasure of the contact was interrupted."""
    with store.facts.read() as reading:
        return bool(reading.rows("SELECT 1 FROM meta WHERE key = ?", (who.pending,)))


def mentions(store: Store, who: Contact) -> list[Mention]:
    """Return the events of others that name the contact."""
    with store.facts.read() as reading:
        rows = who.named(reading, "event", ("source", "id", "contact_id"))
    return [Mention(source, id_) for source, id_, contact in rows if contact not in who.ids]


def moments(store: Store, who: Contact) -> list[datetime]:
    """Return the times (UTC) of rows that name the contact, in order."""
    dated = {"event": "time", **{table: at for table, (_, _, at) in FACTS.items()}}
    times: set[int] = set()
    with store.facts.read() as reading:
        for table, at in dated.items():
            times.update(us for (us,) in who.named(reading, table, (at,)) if us is not None)
    return [moment(us) for us in sorted(times)]


def days(store: Store, who: Contact) -> list[date]:
    """Return the days (UTC) of rows that name the contact, in order."""
    return sorted({at.date() for at in moments(store, who)})


def erase(store: Store, who: Contact) -> None:
    """Delete all rows that name the contact, and fold their units again; call `finish` afterwards."""
    tenant = who.tenant.no
    with store.settling:
        refresh(store, tenant)
        units: Touched = set()
        with store.facts.write(tenant) as writing:
            writing.run(schema.upsert("meta"), (who.pending, "begun"))
            gone = _take_out(writing, who, "event", (*EVENT, "receipts"))
            units.update(("contact", *contact) for contact in touched(gone, units))
            channel = EVENT.index("channel")
            units.update(("channel", tenant, row[channel] or "") for row in gone if row[-1])
            for table, (unit, key, _) in FACTS.items():
                rows = _take_out(writing, who, table, (unit, key))
                units.update((kind, tenant, name) for kind, name in rows)
            for table in ("former_version", "quarantine", "snapshot", "name"):
                _take_out(writing, who, table, ())
            units |= _forget(writing, who)
            writing.many(schema.insert_new("todo"), sorted(units))
        refresh(store, tenant)


def _take_out(writing: Transaction, who: Contact, table: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Delete a table's rows that name the contact; returns these columns of them."""
    place = schema.key_columns(table) or (writing.dialect.row,)
    rows = who.named(writing, table, (*columns, *place))
    where = " AND ".join(f"{name} = ?" for name in place)
    writing.many(f"DELETE FROM {table} WHERE {where}", [row[len(columns) :] for row in rows])
    return [row[: len(columns)] for row in rows]


def _forget(writing: Transaction, who: Contact) -> Touched:
    """Remove the contact from boundaries; returns the units to fold again."""
    match = re.compile(pattern(who.names))
    rows = who.named(writing, "boundary", ("unit", "key", "carried"))
    for unit, key, carried in rows:
        place = (who.tenant.no, unit, key)
        if match.search(key):
            writing.run("DELETE FROM boundary WHERE tenant = ? AND unit = ? AND key = ?", place)
            continue
        text = json.dumps(_without(json.loads(carried), match), ensure_ascii=False, separators=(",", ":"))
        writing.run("UPDATE boundary SET carried = ? WHERE tenant = ? AND unit = ? AND key = ?", (text, *place))
    return {(unit, who.tenant.no, key) for unit, key, _ in rows}


def _without(value: Any, match: re.Pattern[str]) -> Any:
    """Return a carried value without texts that match, and without links to them."""
    if isinstance(value, dict):
        return {name: rest for name, item in value.items() if (rest := _without(item, match)) is not None}
    if isinstance(value, list):
        rest = [item for item in value if not (isinstance(item, dict) and _link_of(item, match))]
        return [_without(item, match) for item in rest]
    return None if isinstance(value, str) and match.search(value) else value


def _link_of(row: Row, match: re.Pattern[str]) -> bool:
    return row.get("type") == "contact.linked" and any(match.search(row[name]) for name in ("contact_id", "name"))


def finish(store: Store, who: Contact) -> None:
    """Rewrite all files without a byte of deleted rows. Raises StoreBusyError when a reader prevents it for a minute."""
    store.rewrite()
    with store.facts.write(who.tenant.no) as writing:
        writing.run("DELETE FROM meta WHERE key = ?", (who.pending,))

"""Take a contact out of a store: what names it anywhere, as if it had never been there, down to the last byte. Ids that are linked
are one person, who goes whole.

In one transaction its events go, with others that name it, and with them rows of facts, former versions, refused records and
snapshots that name it; boundaries forget it. The units that its events were part of are folded again. Then both files are written
out whole, so that their write-ahead logs hold nothing. Identities stay: they are hashes. An erasure that was cut short is found
by its note in `meta`, and the same one does the rest.
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
from hubbub.storage.transaction import Transaction

OURS = frozenset({
    "type", "kind", "responder", "entity", "state", "unit", "code", "zone", "date", "fact", "cause",
})  # fmt: skip
"""Columns whose words are given by us."""
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
"""The columns in which a contact's id may stand, by table."""
FACTS: Mapping[str, tuple[str, str, str]] = {
    "response": ("'conversation'", "conversation_id", "anchor"), "episode": ("'conversation'", "conversation_id", "anchor"),
    "survey": ("'survey'", "survey", "coalesce(rated_at, sent_at)"), "state": ("entity", "id", "since"),
    "person": ("'person'", "contact_id", "NULL"),
}  # fmt: skip
"""Table -> the unit and key that its rows are folded by, and the moment that a row is dated by."""


@dataclass(frozen=True)
class Contact:
    """A tenant's contact: its id, the digest under which its erasure is noted, and all that it is looked for by.

    `ids` are those of the same person, its own first.
    """

    tenant: Tenant
    ids: tuple[str, ...]
    digest: str
    names: tuple[str, ...]

    @property
    def pending(self) -> str:
        """The key in `meta` that is there from the first row that goes until the last byte has gone."""
        return f"erasing {self.digest}"

    def named(self, transaction: Transaction, table: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return these columns of the rows of a table that name it.

        The engine picks those that hold one of its forms anywhere; whether that is a word of its own is seen here.
        """
        texts, found, between = TEXTS[table], re.compile(pattern(self.names)), chr(BETWEEN)
        held = " || :between || ".join(f"coalesce({name}, '')" for name in texts)
        wanted = {f"form_{n}": anywhere(form) for n, form in enumerate(written(self.names))}
        some = " OR ".join(f"held LIKE :{form} ESCAPE '!'" for form in wanted)
        rows = transaction.scan(
            f"SELECT * FROM (SELECT {', '.join(columns)}, {held} AS held FROM {table} WHERE tenant = :tenant) AS t WHERE {some}",
            {"tenant": self.tenant.no, "between": between, **wanted},
        )
        return [row[:-1] for row in rows if found.search(row[-1])]


@dataclass(frozen=True)
class Mention:
    """An event that is not the contact's own and names it."""

    source: str
    id: str


def find(store: Store, tenant: Tenant, contact: str, digest: str) -> Contact:
    """Return the contact of an id, with all ids of the same person.

    Ids of its own conversations that have one of them inside a longer word are looked for like itself.
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
    """Return the ids of a contact's own conversations that have its id inside a longer word."""
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
    """Return how many rows there are: the contact's own events, others that name it, and what names it elsewhere.

    `superseded` are former versions, `facts` rows of facts.
    """
    with store.facts.read() as reading:
        found = {table: len(who.named(reading, table, ("tenant",))) for table in TEXTS}
        sql = "SELECT count(*) FROM event WHERE tenant = ? AND contact_id = ?"
        own = sum(reading.value(sql, (who.tenant.no, id_)) for id_ in who.ids)
    return {
        "events": own, "mentions": found["event"] - own, "superseded": found["former_version"], "quarantine": found["quarantine"],
        "facts": sum(found[table] for table in (*FACTS, "boundary")), "snapshots": found["snapshot"], "names": found["name"],
    }  # fmt: skip


def pending(store: Store, who: Contact) -> bool:
    """Say whether an erasure of the contact did not come to its end."""
    with store.facts.read() as reading:
        return bool(reading.rows("SELECT 1 FROM meta WHERE key = ?", (who.pending,)))


def mentions(store: Store, who: Contact) -> list[Mention]:
    """Return the events that are not the contact's own and name it."""
    with store.facts.read() as reading:
        rows = who.named(reading, "event", ("source", "id", "contact_id"))
    return [Mention(source, id_) for source, id_, contact in rows if contact not in who.ids]


def moments(store: Store, who: Contact) -> list[datetime]:
    """Return when there is something of the contact (UTC), in order."""
    dated = {"event": "time", **{table: at for table, (_, _, at) in FACTS.items()}}
    found: set[int] = set()
    with store.facts.read() as reading:
        for table, at in dated.items():
            found.update(us for (us,) in who.named(reading, table, (at,)) if us is not None)
    return [moment(us) for us in sorted(found)]


def days(store: Store, who: Contact) -> list[date]:
    """Return the days (UTC) in which there is something of the contact, in order."""
    return sorted({at.date() for at in moments(store, who)})


def erase(store: Store, who: Contact) -> None:
    """Delete all that names the contact, and fold again what it was part of; `finish` has to follow."""
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
    """Delete the rows of a table that name the contact; returns these columns of them."""
    place = schema.key_columns(table) or (writing.dialect.row,)
    rows = who.named(writing, table, (*columns, *place))
    where = " AND ".join(f"{name} = ?" for name in place)
    writing.many(f"DELETE FROM {table} WHERE {where}", [row[len(columns) :] for row in rows])
    return [row[: len(columns)] for row in rows]


def _forget(writing: Transaction, who: Contact) -> Touched:
    """Take the contact out of what is carried over cuts; returns the units that begin with something else now."""
    found = re.compile(pattern(who.names))
    rows = who.named(writing, "boundary", ("unit", "key", "carried"))
    for unit, key, carried in rows:
        place = (who.tenant.no, unit, key)
        if found.search(key):
            writing.run("DELETE FROM boundary WHERE tenant = ? AND unit = ? AND key = ?", place)
            continue
        kept = json.dumps(_without(json.loads(carried), found), ensure_ascii=False, separators=(",", ":"))
        writing.run("UPDATE boundary SET carried = ? WHERE tenant = ? AND unit = ? AND key = ?", (kept, *place))
    return {(unit, who.tenant.no, key) for unit, key, _ in rows}


def _without(value: Any, found: re.Pattern[str]) -> Any:
    """Return what is carried without texts that name somebody; a link to nobody is none."""
    if isinstance(value, dict):
        return {name: kept for name, one in value.items() if (kept := _without(one, found)) is not None}
    if isinstance(value, list):
        links = [one for one in value if not (isinstance(one, dict) and _link_of(one, found))]
        return [_without(one, found) for one in links]
    return None if isinstance(value, str) and found.search(value) else value


def _link_of(row: Mapping[str, Any], found: re.Pattern[str]) -> bool:
    return row.get("type") == "contact.linked" and any(found.search(row[name]) for name in ("contact_id", "name"))


def finish(store: Store, who: Contact) -> None:
    """Leave no byte of what was deleted in any file. Raises StoreBusyError while somebody reads for longer than a minute."""
    store.rewrite()
    with store.facts.write(who.tenant.no) as writing:
        writing.run("DELETE FROM meta WHERE key = ?", (who.pending,))

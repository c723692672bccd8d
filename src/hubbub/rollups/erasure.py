"""Take a contact out of a store: what names it anywhere, as if it had never been there, in windows that can be folded again.

Its events are withdrawn first, like corrections that leave nothing in their stead. The next refresh folds the windows they were in.
Then goes what no fold reaches: refused records, and in frozen windows the rows of the contact itself. There totals stay; where
the id is the value of another dimension, the row counts on under no value. Last goes what was withdrawn, and then every byte of it.
So whatever an erasure that was cut short has left, the next one of the same contact finds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from hubbub.metrics import fold
from hubbub.metrics.catalogue import ROLLUPS
from hubbub.metrics.definition import Rollup
from hubbub.model.naming import SHORTEST, named, pattern
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain
from hubbub.rollups.retention import remember_newest
from hubbub.store.base import EVENT_COLUMNS, Store, Work
from hubbub.store.tables import SQL_TYPES

FIXED = frozenset({"type", "kind", "direction", "responder"})
"""Columns whose words are given by us."""

TEXTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("superseded", "events"),
        tuple(n for n, kind in EVENT_COLUMNS.items() if SQL_TYPES[kind] == "VARCHAR" and n not in FIXED),
    ),
    "quarantine": ("origin", "field", "message", "raw"),
    "snapshots": ("account",),
}
"""The columns in which a contact's id may stand, by table; those of rollups follow from the catalogue."""


@dataclass(frozen=True)
class Contact:
    """A tenant's contact: its id, the digest under which its erasure is noted, and all that it is looked for by."""

    tenant: Tenant
    id: str
    digest: str
    names: tuple[str, ...]

    @property
    def pending(self) -> str:
        """The key in `meta` that is there from the first row that goes until the last byte has gone."""
        return f"erasing {self.digest}"

    @property
    def params(self) -> dict[str, Any]:
        """Return what the conditions below are bound to."""
        return {"tenant": self.tenant.no, "pattern": pattern(self.names)}


@dataclass(frozen=True)
class Mention:
    """An event that is not the contact's own and names it."""

    source: str
    id: str


def find(store: Store, tenant: Tenant, contact: str, digest: str) -> Contact:
    """Return the contact of an id. Ids of its own conversations that have it inside a longer word are looked for like itself."""
    glued: list[str] = []
    if len(contact) >= SHORTEST:
        own = " UNION ".join(
            f"SELECT DISTINCT conversation_id FROM {table} WHERE tenant = $tenant AND contact_id = $contact "
            "AND contains(conversation_id, $contact)"
            for table in ("events", "superseded")
        )
        rows = store.query(
            f"SELECT conversation_id FROM ({own}) AS own WHERE NOT {named(['conversation_id'])} ORDER BY 1",
            {"tenant": tenant.no, "contact": contact, "pattern": pattern([contact])},
        ).rows
        glued = [name for (name,) in rows]
    return Contact(tenant, contact, digest, (contact, *glued))


def conditions() -> dict[str, str]:
    """Return SQL, by table, of the rows that name a contact."""
    found = {table: _naming(columns) for table, columns in TEXTS.items()}
    for rollup in ROLLUPS:
        for grain in rollup.keep:
            for table, columns in fold.schema(rollup, grain):
                texts = [name for name, kind in columns if kind == "VARCHAR" and name not in FIXED]
                if texts:
                    found[table] = _naming(texts)
    return found


def _naming(columns: Sequence[str]) -> str:
    return f"tenant = $tenant AND {named([fold.quoted([c]) for c in columns])}"


def count(store: Store, contact: Contact) -> dict[str, int]:
    """Return how many rows there are: the contact's own events, others that name it, and what names it elsewhere."""
    counts = dict.fromkeys(("events", "mentions", "superseded", "quarantine", "rollup_rows", "snapshots"), 0)
    with store.work() as work:
        for table, where in conditions().items():
            counts[table if table in counts else "rollup_rows"] += _count(work, table, where, contact)
        own = work.execute(
            "SELECT count(*) FROM events WHERE tenant = $tenant AND contact_id = $contact",
            {"tenant": contact.tenant.no, "contact": contact.id},
        ).rows[0][0]
    counts["mentions"] = counts["events"] - own
    counts["events"] = own
    return counts


def pending(store: Store, contact: Contact) -> bool:
    """Say whether an erasure of the contact did not come to its end."""
    return bool(store.query("SELECT value FROM meta WHERE key = $key", {"key": contact.pending}).rows)


def mentions(store: Store, contact: Contact) -> list[Mention]:
    """Return the events that are not the contact's own and name it."""
    rows = store.query(
        f"SELECT source, id FROM events WHERE {conditions()['events']} AND coalesce(contact_id, '') <> $contact",
        {**contact.params, "contact": contact.id},
    ).rows
    return [Mention(source, id_) for source, id_ in rows]


def days(store: Store, contact: Contact) -> list[date]:
    """Return the days (UTC) in which there is something of the contact, in order."""
    wheres = conditions()
    moments = {"events": '"time"', "superseded": '"time"'} | {
        table: "window_start"
        for rollup in ROLLUPS
        if Grain.DAY in rollup.keep
        for table, _ in fold.schema(rollup, Grain.DAY)
        if table in wheres
    }
    found: set[date] = set()
    with store.work() as work:
        for table, moment in moments.items():
            select = f"SELECT DISTINCT CAST({moment} AS DATE) FROM {table} WHERE {wheres[table]}"
            found |= {day for (day,) in work.execute(select, contact.params).rows}
    return sorted(found)


def newest(store: Store, contact: Contact) -> datetime | None:
    """Return the time (UTC without zone) of the contact's newest event, or None."""
    rows = store.query(f'SELECT max("time") FROM events WHERE {conditions()["events"]}', contact.params).rows
    moment: datetime | None = rows[0][0]
    return moment


def withdraw(store: Store, contact: Contact) -> int:
    """Take its events out of what counts; a refresh has to follow. Returns how many."""
    with store.change() as work:
        work.execute("DELETE FROM meta WHERE key = $key", {"key": contact.pending})
        work.execute("INSERT INTO meta VALUES ($key, 'begun')", {"key": contact.pending})
    return store.withdraw(conditions()["events"], contact.params)


def clear(store: Store, contact: Contact) -> dict[str, int]:
    """Delete what names it beside its events, when a refresh has folded all windows that can be; returns rows by kind."""
    counts = dict.fromkeys(("quarantine", "rollup_rows", "snapshots"), 0)
    wheres = conditions()
    with store.change() as work:
        for table in ("quarantine", "snapshots"):
            counts[table] = _delete(work, table, wheres[table], contact)
        for rollup in ROLLUPS:
            for grain in rollup.keep:
                counts["rollup_rows"] += _clear_rollup(work, rollup, grain, wheres, contact)
    return counts


def _count(work: Work, table: str, where: str, contact: Contact) -> int:
    count: int = work.execute(f"SELECT count(*) FROM {table} WHERE {where}", contact.params).rows[0][0]
    return count


def _delete(work: Work, table: str, where: str, contact: Contact) -> int:
    count = _count(work, table, where, contact)
    if count:
        work.execute(f"DELETE FROM {table} WHERE {where}", contact.params)
    return count


def _clear_rollup(work: Work, rollup: Rollup, grain: Grain, wheres: Mapping[str, str], contact: Contact) -> int:
    """Delete rows of the contact itself, and take its id out of those that are about something else."""
    shown = [d for d in rollup.dimensions if d not in rollup.hidden and d not in FIXED]
    total = 0
    for (table, columns), merged in zip(fold.schema(rollup, grain), _merges(rollup), strict=True):
        if table not in wheres or not _count(work, table, wheres[table], contact):
            continue
        own = [n for n, kind in columns if kind == "VARCHAR" and n not in shown and n not in FIXED]
        if own:
            total += _delete(work, table, _naming(own), contact)
        if shown:
            total += _blank(work, table, [n for n, _ in columns], rollup, shown, merged, contact)
    return total


def _merges(rollup: Rollup) -> list[tuple[str, ...]]:
    """Return, for each table of a rollup, SQL over its rows `r` that merges what is behind the dimensions."""
    main = tuple(c.merge for c in rollup.columns())
    return [main, *(("r.bucket", "CAST(sum(r.n) AS BIGINT)") for _ in rollup.distributions())]


def _blank(
    work: Work, table: str, columns: Sequence[str], rollup: Rollup, shown: Sequence[str], merges: Sequence[str], contact: Contact
) -> int:  # fmt: skip
    """Merge the rows whose shown dimensions name the contact into those without a value; returns how many."""
    where = _naming(shown)
    count = _count(work, table, where, contact)
    if not count:
        return 0
    dims = [
        f"CASE WHEN {named([f't.{d}'])} THEN NULL ELSE t.{d} END AS {d}" if d in shown else f"t.{d}"
        for d in rollup.dimensions
    ]
    rest = [f't."{name}"' for name in columns[2 + len(dims) :]]
    windows = f"SELECT window_start FROM {table} WHERE {where}"
    blanked = f"SELECT {', '.join(['t.tenant', 't.window_start', *dims, *rest])} FROM {table} AS t"
    keys = ["r.tenant", "r.window_start", *(f"r.{d}" for d in rollup.dimensions)]
    keys += ["r.bucket"] if merges[0] == "r.bucket" else []
    told = [*keys, *(m for m in merges if m != "r.bucket")]
    named_ = ", ".join(f'{value} AS "{name}"' for value, name in zip(told, columns, strict=True))
    work.make(
        "blanked",
        f"SELECT {named_} FROM ({blanked} WHERE t.tenant = $tenant AND t.window_start IN ({windows})) AS r "
        f"GROUP BY {', '.join(keys)}",
        contact.params,
    )
    mine = "tenant = $tenant AND window_start IN (SELECT window_start FROM blanked)"
    work.execute(f"DELETE FROM {table} WHERE {mine}", {"tenant": contact.tenant.no})
    work.execute(f"INSERT INTO {table} ({fold.quoted(columns)}) SELECT {fold.quoted(columns)} FROM blanked")
    return count


def finish(store: Store, contact: Contact) -> int:
    """Delete what was withdrawn, and leave no byte of it; returns how many superseded events went, its own among them."""
    wheres = conditions()
    with store.change() as work:
        remember_newest(work)
        gone = _delete(work, "superseded", wheres["superseded"], contact)
    store.scrub(wheres, contact.params)
    with store.change() as work:
        work.execute("DELETE FROM meta WHERE key = $key", {"key": contact.pending})
    return gone

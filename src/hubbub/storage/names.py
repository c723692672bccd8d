"""The table `name`: names of a tenant's ids. Each kind and id has one row: the latest name from a source, or the one set by hand.

Queries never join it: names are looked up for the rows shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from hubbub.model.name import LONGEST_ID, Name, plain, searched
from hubbub.storage import schema
from hubbub.storage.transaction import Transaction

DAY = 86_400_000_000
AT_ONCE = 500
"""Ids in one statement."""
MOST_FOUND = 200
"""The most ids that a search by name returns."""
Names = Mapping[tuple[str, str], str]
"""(kind, id) -> name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of the table. `valid_from`: microseconds; `by_hand`: set by a person, so that no source changes it."""

    kind: str
    id: str
    name: str
    valid_from: int
    by_hand: bool


def look_up(reading: Transaction, tenant: int, wanted: Mapping[str, Iterable[str]]) -> Names:
    """Return the names of some ids by kind; an id without one is left out."""
    return {
        (name.kind, name.id): name.name for kind, ids in wanted.items() for name in _of(reading, tenant, kind, set(ids))
    }


def _of(reading: Transaction, tenant: int, kind: str, ids: Collection[str]) -> Iterator[Kept]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), AT_ONCE):
        some = ordered[start : start + AT_ONCE]
        marks = ", ".join("?" * len(some))
        sql = f"SELECT kind, id, name, valid_from, by_hand FROM name WHERE tenant = ? AND kind = ? AND id IN ({marks})"
        for kind_, id_, name, since, by_hand in reading.each(sql, (tenant, kind, *some)):
            yield Kept(kind_, id_, name, since, bool(by_hand))


def newer(reading: Transaction, tenant: int, names: Iterable[Kept]) -> tuple[list[Kept], int]:
    """Return the names that replace stored ones, one for each id, and how many of them differ from the stored name.

    A name set by hand wins over sources; among sources the latest `valid_from` wins, at the same moment the later one in order.
    """
    latest: dict[tuple[str, str], Kept] = {}
    for name in names:
        held = latest.get((name.kind, name.id))
        if held is None or _holds(name, held):
            latest[name.kind, name.id] = name
    known: dict[tuple[str, str], Kept] = {}
    for kind in {kind for kind, _ in latest}:
        known |= {(kind, name.id): name for name in _of(reading, tenant, kind, {id_ for k, id_ in latest if k == kind})}
    rows = [name for place, name in latest.items() if _replaces(name, known.get(place))]
    return rows, sum((held := known.get((name.kind, name.id))) is None or held.name != name.name for name in rows)


def _holds(new: Kept, old: Kept) -> bool:
    return new.by_hand or (not old.by_hand and new.valid_from >= old.valid_from)


def _replaces(new: Kept, old: Kept | None) -> bool:
    return old is None or (new != old and _holds(new, old))


def put(writing: Transaction, tenant: int, rows: Iterable[Kept]) -> int:
    """Write names, replacing stored ones; returns how many."""
    return writing.many(
        schema.upsert("name", ("tenant", "kind", "id", "name", "searched", "valid_from", "by_hand")),
        [
            (tenant, name.kind, name.id, name.name, searched(name.name), name.valid_from, int(name.by_hand))
            for name in rows
        ],
    )


def drop(writing: Transaction, tenant: int, places: Iterable[tuple[str, str]]) -> int:
    """Delete names by (kind, id); returns how many."""
    return writing.many(
        "DELETE FROM name WHERE tenant = ? AND kind = ? AND id = ?", [(tenant, *place) for place in places]
    )


def drop_kind(writing: Transaction, tenant: int, kind: str) -> int:
    """Delete all names of a kind; returns how many."""
    return writing.run("DELETE FROM name WHERE tenant = ? AND kind = ?", (tenant, kind))


def page(
    reading: Transaction, tenant: int, kind: str | None, find: str, after: tuple[str, str] | None, limit: int
) -> list[Kept]:
    """Return names, of one kind or all, whose name or id contains a text, ordered by kind and id, after the (kind, id) `after`."""
    rows = reading.rows(
        "SELECT kind, id, name, valid_from, by_hand FROM name WHERE tenant = :tenant AND kind = coalesce(:kind, kind) "
        "AND (:find = '' OR replace(searched, :searched, '') <> searched OR replace(id, :find, '') <> id) "
        "AND (kind, id) > (:after_kind, :after_id) "
        "ORDER BY kind, id LIMIT :limit",
        {
            "tenant": tenant, "kind": kind, "find": find, "searched": searched(find), "limit": limit,
            "after_kind": after[0] if after else "", "after_id": after[1] if after else "",
        },
    )  # fmt: skip
    return [Kept(kind_, id_, name, since, bool(by_hand)) for kind_, id_, name, since, by_hand in rows]


def find(reading: Transaction, tenant: int, text: str, kinds: Iterable[str]) -> list[str]:
    """Return ids of these kinds whose name contains a text, at most MOST_FOUND."""
    wanted = tuple(kinds)
    rows = reading.rows(
        f"SELECT DISTINCT id FROM name WHERE tenant = ? AND kind IN ({', '.join('?' * len(wanted))}) "
        "AND replace(searched, ?, '') <> searched "
        "ORDER BY id LIMIT ?",
        (tenant, *wanted, searched(text), MOST_FOUND),
    )
    return [id_ for (id_,) in rows]


def kept(name: Name, now: int, *, by_hand: bool = False) -> Kept | None:
    """Return a name as a row; None when it is empty, equals the id, or cannot be stored.

    A name without a date is valid from the start (UTC) of the day `now` (microseconds): sent again that day, nothing changes.
    """
    text = plain(name.name)
    if not text or text == name.id or not 0 < len(name.id) <= LONGEST_ID or "\0" in name.id or not _writable(name.id):
        return None
    since = now - now % DAY if name.valid_from is None else int(name.valid_from.timestamp() * 1_000_000)
    return Kept(name.kind, name.id, text, min(since, now), by_hand)


def _writable(text: str) -> bool:
    """Whether a text has no lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in text)

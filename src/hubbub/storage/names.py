"""The table `name`: what ids of a tenant are called. One row an id, the latest name that a source gave, or the one set by hand.

Answers never join it: names are looked up for the rows that are shown.
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
"""Ids that a search by name leads to."""
Names = Mapping[tuple[str, str], str]
"""(kind, id) -> name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A row: `valid_from` in microseconds; `by_hand`, and no source changes it."""

    kind: str
    id: str
    name: str
    valid_from: int
    by_hand: bool


def look_up(reading: Transaction, tenant: int, wanted: Mapping[str, Iterable[str]]) -> Names:
    """Return the names of some ids by kind; an id without one is left out."""
    return {
        (one.kind, one.id): one.name for kind, ids in wanted.items() for one in _of(reading, tenant, kind, set(ids))
    }


def _of(reading: Transaction, tenant: int, kind: str, ids: Collection[str]) -> Iterator[Kept]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), AT_ONCE):
        some = ordered[start : start + AT_ONCE]
        marks = ", ".join("?" * len(some))
        sql = f"SELECT kind, id, name, valid_from, by_hand FROM name WHERE tenant = ? AND kind = ? AND id IN ({marks})"
        for kind_, id_, name, since, by_hand in reading.each(sql, (tenant, kind, *some)):
            yield Kept(kind_, id_, name, since, bool(by_hand))


def newer(reading: Transaction, tenant: int, given: Iterable[Kept]) -> tuple[list[Kept], int]:
    """Return what of the given names is to take the place of what is kept, one for each id, and how many are other names.

    What is set by hand holds against sources; of sources the latest `valid_from` holds, and of the same moment who comes later.
    """
    latest: dict[tuple[str, str], Kept] = {}
    for one in given:
        held = latest.get((one.kind, one.id))
        if held is None or _holds(one, held):
            latest[one.kind, one.id] = one
    known: dict[tuple[str, str], Kept] = {}
    for kind in {kind for kind, _ in latest}:
        known |= {(kind, one.id): one for one in _of(reading, tenant, kind, {id_ for k, id_ in latest if k == kind})}
    rows = [one for place, one in latest.items() if _replaces(one, known.get(place))]
    return rows, sum((held := known.get((one.kind, one.id))) is None or held.name != one.name for one in rows)


def _holds(new: Kept, old: Kept) -> bool:
    return new.by_hand or (not old.by_hand and new.valid_from >= old.valid_from)


def _replaces(new: Kept, old: Kept | None) -> bool:
    return old is None or (new != old and _holds(new, old))


def put(writing: Transaction, tenant: int, rows: Iterable[Kept]) -> int:
    """Write names over those that are there; returns how many."""
    return writing.many(
        schema.upsert("name", ("tenant", "kind", "id", "name", "searched", "valid_from", "by_hand")),
        [(tenant, one.kind, one.id, one.name, searched(one.name), one.valid_from, int(one.by_hand)) for one in rows],
    )


def drop(writing: Transaction, tenant: int, places: Iterable[tuple[str, str]]) -> int:
    """Delete the names of ids, given by kind and id; returns how many there were."""
    return writing.many(
        "DELETE FROM name WHERE tenant = ? AND kind = ? AND id = ?", [(tenant, *place) for place in places]
    )


def drop_kind(writing: Transaction, tenant: int, kind: str) -> int:
    """Delete all names of a kind; returns how many there were."""
    return writing.run("DELETE FROM name WHERE tenant = ? AND kind = ?", (tenant, kind))


def page(
    reading: Transaction, tenant: int, kind: str | None, find: str, after: tuple[str, str] | None, limit: int
) -> list[Kept]:
    """Return names of a kind or all, whose name or id holds a text, by kind and id, after a place."""
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
    """Return ids of these kinds whose name holds a text, at most MOST_FOUND."""
    wanted = tuple(kinds)
    rows = reading.rows(
        f"SELECT DISTINCT id FROM name WHERE tenant = ? AND kind IN ({', '.join('?' * len(wanted))}) "
        "AND replace(searched, ?, '') <> searched "
        "ORDER BY id LIMIT ?",
        (tenant, *wanted, searched(text), MOST_FOUND),
    )
    return [id_ for (id_,) in rows]


def kept(name: Name, now: int, *, by_hand: bool = False) -> Kept | None:
    """Return a name as a row; None for one that says nothing or cannot be kept.

    One that its source does not date holds since the beginning of the day `now` (microseconds): heard again, it stays as it is.
    """
    said = plain(name.name)
    if not said or said == name.id or not 0 < len(name.id) <= LONGEST_ID or "\0" in name.id or not _writable(name.id):
        return None
    since = now - now % DAY if name.valid_from is None else int(name.valid_from.timestamp() * 1_000_000)
    return Kept(name.kind, name.id, said, min(since, now), by_hand)


def _writable(text: str) -> bool:
    """Whether a text has no half character."""
    return not any("\ud800" <= character <= "\udfff" for character in text)

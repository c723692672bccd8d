"""Names: what ids are called, as sources say it, or as somebody set it by hand.

Ids stay the identity of everything; why/0034-names-are-labels.md says what was decided.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.erasures import Erased, Erasures
from hubbub.errors import BadInputError
from hubbub.facts.moments import micros, moment
from hubbub.model.name import LONGEST_ID, Name, check_kind, check_seen
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.tenant import Tenant
from hubbub.model.window import utc_naive
from hubbub.query.cached import CachedAnswers
from hubbub.storage import names as table
from hubbub.storage.names import Kept, Names
from hubbub.storage.store import Store
from hubbub.storage.transaction import Transaction

MOST_AT_ONCE, MOST_IN_FILE = 1_000, 1_000_000
"""Names that can be set by one request, and by one file."""


@dataclass(frozen=True, slots=True)
class NameView:
    """What an id is called."""

    kind: str
    """staff, contact, room, account or campaign."""
    id: str
    """As in events."""
    name: str
    valid_from: datetime
    """Since when, as its source says it, or heard of then."""
    by_hand: bool
    """Set by somebody: no source changes it."""


@dataclass(frozen=True, slots=True)
class NamesSet:
    """What became of names set by hand."""

    set: int
    """Names that are set by hand now."""
    removed: int
    """Names that are gone until a source gives them."""


class NameService:
    """Keeps names."""

    def __init__(self, clock: Clock, store: Store, control: Control, cached: CachedAnswers, erasures: Erasures) -> None:
        self._clock, self._store, self._control, self._cached, self._erasures = clock, store, control, cached, erasures

    def of(
        self, tenant: str, kind: str | None = None, find: str = "", limit: int = 100, cursor: str | None = None
    ) -> Page[NameView]:
        """Return what ids are called, by kind and id; `find` keeps those whose name or id holds a text."""
        one, place = self._control.tenant(tenant), place_of(cursor, str, str)
        wanted = check_kind(kind) if kind is not None else None
        with self._store.facts.read() as reading:
            found = table.page(reading, one.no, wanted, find, place, check_limit(limit) + 1)
        return paged(found, limit, lambda row: (row.kind, row.id), _view)

    def set(self, tenant: str, names: Sequence[Mapping[str, Any]]) -> NamesSet:
        """Set names by hand, each `{kind, id, name}`; no source changes them again. A name that is null goes back to the sources.

        Raises BadInputError that names the entry, and nothing is done then.
        """
        one, now = self._control.tenant(tenant), micros(self._clock())
        if len(names) > MOST_AT_ONCE:
            raise BadInputError(f"names: {len(names)} are more than the {MOST_AT_ONCE} of one request")
        rows, gone = _read(one, names, now)
        return self._set(one, rows, gone)

    def set_from(self, tenant: str, file: Path) -> NamesSet:
        """Set the names of a CSV file with the columns kind, id and name, all or none; an empty name is removed.

        Raises BadInputError that names file and line.
        """
        given = _csv(file)
        one, now = self._control.tenant(tenant), micros(self._clock())
        try:
            rows, gone = _read(one, given, now)
        except BadInputError as error:
            place = re.match(r"names\[(\d+)\]", error.message)
            line = f" line {int(place[1]) + 2}" if place else ""
            raise BadInputError(f"{file}{line}: {error.message}") from None
        return self._set(one, rows, gone)

    def _set(self, tenant: Tenant, rows: Sequence[Kept], gone: Sequence[tuple[str, str]]) -> NamesSet:
        with self._store.facts.write() as writing:
            removed = table.drop(writing, tenant.no, gone)
            newer, others = table.newer(writing, tenant.no, rows)
            table.put(writing, tenant.no, newer)
        if removed or others:
            self._cached.drop([tenant])
        return NamesSet(len(rows), removed)

    def take(self, tenant: str, names: Iterable[Name]) -> int:
        """Keep what a source says that ids are called; returns how many names are others now.

        Names of contacts are left out where the tenant keeps none, and those of an erased one until an event names it again.
        """
        one, now = self._control.tenant(tenant), micros(self._clock())
        wanted = [row for name in names if _taken(one, name) and (row := table.kept(name, now)) is not None]
        if not wanted:
            return 0
        erased = self._erasures.of(one.id)
        with self._store.facts.read() as reading:
            newer = _there(reading, one, erased, table.newer(reading, one.no, wanted)[0])
        if not newer:
            return 0
        with self._store.facts.write() as writing:
            newer, others = table.newer(writing, one.no, newer)  # another process may have been here
            table.put(writing, one.no, newer)
        if others:
            self._cached.drop([one])
        return others

    def called(self, tenant: Tenant, wanted: Mapping[str, Iterable[str]]) -> Names:
        """Return the names of some ids, given by kind; an id without one is left out."""
        if not any(wanted.values()):
            return {}
        with self._store.facts.read() as reading:
            return table.look_up(reading, tenant.no, wanted)

    def forget(self, tenant: Tenant, kind: str) -> None:
        """Delete all names of a kind."""
        with self._store.facts.write() as writing:
            gone = table.drop_kind(writing, tenant.no, kind)
        if gone:
            self._cached.drop([tenant])


def _csv(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV file of names. Raises BadInputError."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines, strict=True)
            if missing := [name for name in ("kind", "id", "name") if name not in (rows.fieldnames or ())]:
                raise BadInputError(f"{file} line 1: there is no column {missing[0]!r}; name kind, id and name there")
            return [{**row, "name": row["name"] or None} for row in islice(rows, MOST_IN_FILE)]
    except (OSError, UnicodeError, csv.Error) as error:
        raise BadInputError(f"{file}: this cannot be read as CSV in UTF-8 ({error})") from None


def _taken(tenant: Tenant, name: Name) -> bool:
    return name.kind != "contact" or tenant.contact_names


def _there(reading: Transaction, tenant: Tenant, erased: Erased | None, rows: Sequence[Kept]) -> list[Kept]:
    """Return the names but for those of erased contacts that no event names since."""
    return [
        row
        for row in rows
        if erased is None
        or not erased.person(row.id)
        or reading.value("SELECT 1 FROM event WHERE tenant = ? AND contact_id = ? LIMIT 1", (tenant.no, row.id))
    ]


def _read(tenant: Tenant, names: Sequence[Mapping[str, Any]], now: int) -> tuple[list[Kept], list[tuple[str, str]]]:
    """Return what is set by hand, and the kinds and ids whose names are removed."""
    rows, gone = [], []
    for number, given in enumerate(names):
        kind, id_, name = check_kind(str(given.get("kind"))), given.get("id"), given.get("name")
        if not isinstance(id_, str) or not 0 < len(id_) <= LONGEST_ID:
            raise BadInputError(f"names[{number}].id: 1 to {LONGEST_ID} characters, as in events")
        if name is None:
            gone.append((kind, id_))
            continue
        check_seen(f"names[{number}].name", str(name))
        if kind == "contact" and not tenant.contact_names:
            raise BadInputError(f"names[{number}]: {tenant.id} keeps no names of contacts; it is set per tenant")
        row = table.kept(Name(kind, id_, str(name)), now, by_hand=True)
        if row is None:
            raise BadInputError(
                f"names[{number}].name: a text of one line that is not the id itself, or null to remove it"
            )
        rows.append(row)
    return rows, gone


def _view(row: Kept) -> NameView:
    return NameView(row.kind, row.id, row.name, utc_naive(moment(row.valid_from)), row.by_hand)

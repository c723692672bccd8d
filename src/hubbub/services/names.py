"""Names: display names of ids, from sources or set by hand.

Ids stay the identity of everything; see why/0034-names-are-labels.md.
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
from hubbub.facts.moments import in_utc, micros
from hubbub.model.name import LONGEST_ID, Name, check_kind, check_seen
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.plain import JsonObject
from hubbub.model.tenant import Tenant
from hubbub.query.cached import CachedAnswers
from hubbub.storage import names as table
from hubbub.storage.names import Kept, Names
from hubbub.storage.store import Store
from hubbub.storage.transaction import Transaction

MOST_AT_ONCE, MOST_IN_FILE = 1_000, 1_000_000
"""Names that can be set by one request, and by one file."""


@dataclass(frozen=True, slots=True)
class NameView:
    """An id's name."""

    kind: str
    """staff, contact, room, account or campaign."""
    id: str
    """As in events."""
    name: str
    valid_from: datetime
    """Since when, by its source, or by its arrival."""
    by_hand: bool
    """Set by a person: no source changes it."""


@dataclass(frozen=True, slots=True)
class NamesSet:
    """The result of setting names by hand."""

    set: int
    """Names that are set by hand now."""
    removed: int
    """Names removed until a source gives them."""


class NameService:
    """Stores names."""

    def __init__(self, clock: Clock, store: Store, control: Control, cached: CachedAnswers, erasures: Erasures) -> None:
        self._clock, self._store, self._control, self._cached, self._erasures = clock, store, control, cached, erasures

    def of(
        self, tenant: str, kind: str | None = None, find: str = "", limit: int = 100, cursor: str | None = None
    ) -> Page[NameView]:
        """Return names, by kind and id; `find` selects those whose name or id contains a text."""
        owner, place = self._control.tenant(tenant), place_of(cursor, str, str)
        checked_kind = check_kind(kind) if kind is not None else None
        with self._store.facts.read() as reading:
            names = table.page(reading, owner.no, checked_kind, find, place, check_limit(limit) + 1)
        return paged(names, limit, lambda row: (row.kind, row.id), _view)

    def set(self, tenant: str, names: Sequence[JsonObject]) -> NamesSet:
        """Set names by hand, each `{kind, id, name}`; no source changes them any more. A null name returns to the sources.

        Raises BadInputError that names the entry; then nothing is changed.
        """
        owner, now = self._control.tenant(tenant), micros(self._clock())
        if len(names) > MOST_AT_ONCE:
            raise BadInputError(f"names: {len(names)} are more than the {MOST_AT_ONCE} allowed in a request")
        rows, removed = _read(owner, names, now)
        return self._set(owner, rows, removed)

    def set_from(self, tenant: str, file: Path) -> NamesSet:
        """Set the names of a CSV file with the columns kind, id and name, all or none; an empty name is removed.

        Raises BadInputError that names file and line.
        """
        entries = _csv(file)
        owner, now = self._control.tenant(tenant), micros(self._clock())
        try:
            rows, removed = _read(owner, entries, now)
        except BadInputError as error:
            place = re.match(r"names\[(\d+)\]", error.message)
            line = f" line {int(place[1]) + 2}" if place else ""
            raise BadInputError(f"{file}{line}: {error.message}") from None
        return self._set(owner, rows, removed)

    def _set(self, tenant: Tenant, rows: Sequence[Kept], dropped: Sequence[tuple[str, str]]) -> NamesSet:
        with self._store.facts.write() as writing:
            removed = table.drop(writing, tenant.no, dropped)
            newer, renamed = table.newer(writing, tenant.no, rows)
            table.put(writing, tenant.no, newer)
        if removed or renamed:
            self._cached.drop([tenant])
        return NamesSet(len(rows), removed)

    def take(self, tenant: str, names: Iterable[Name]) -> int:
        """Store names from a source; returns the number of changed names.

        Names of contacts are left out where the tenant stores none, and those of an erased one until an event names it again.
        """
        owner, now = self._control.tenant(tenant), micros(self._clock())
        rows = [row for name in names if _is_stored(owner, name) and (row := table.kept(name, now)) is not None]
        if not rows:
            return 0
        erased = self._erasures.of(owner.id)
        with self._store.facts.read() as reading:
            newer = _without_erased(reading, owner, erased, table.newer(reading, owner.no, rows)[0])
        if not newer:
            return 0
        with self._store.facts.write() as writing:
            newer, renamed = table.newer(writing, owner.no, newer)  # another process may have written meanwhile
            table.put(writing, owner.no, newer)
        if renamed:
            self._cached.drop([owner])
        return renamed

    def called(self, tenant: Tenant, ids_by_kind: Mapping[str, Iterable[str]]) -> Names:
        """Return the names of ids, given by kind; an id without one is left out."""
        if not any(ids_by_kind.values()):
            return {}
        with self._store.facts.read() as reading:
            return table.look_up(reading, tenant.no, ids_by_kind)

    def forget(self, tenant: Tenant, kind: str) -> None:
        """Delete all names of a kind."""
        with self._store.facts.write() as writing:
            dropped = table.drop_kind(writing, tenant.no, kind)
        if dropped:
            self._cached.drop([tenant])


def _csv(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV file of names. Raises BadInputError."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines, strict=True)
            if missing := [name for name in ("kind", "id", "name") if name not in (rows.fieldnames or ())]:
                raise BadInputError(
                    f"{file} line 1: the column {missing[0]!r} is missing; the columns are kind, id and name"
                )
            return [{**row, "name": row["name"] or None} for row in islice(rows, MOST_IN_FILE)]
    except (OSError, UnicodeError, csv.Error) as error:
        raise BadInputError(f"{file}: not valid CSV in UTF-8 ({error})") from None


def _is_stored(tenant: Tenant, name: Name) -> bool:
    return name.kind != "contact" or tenant.contact_names


def _without_erased(reading: Transaction, tenant: Tenant, erased: Erased | None, rows: Sequence[Kept]) -> list[Kept]:
    """Return the names without those of erased contacts that no later event names."""
    return [
        row
        for row in rows
        if erased is None
        or not erased.person(row.id)
        or reading.value("SELECT 1 FROM event WHERE tenant = ? AND contact_id = ? LIMIT 1", (tenant.no, row.id))
    ]


def _read(tenant: Tenant, names: Sequence[JsonObject], now: int) -> tuple[list[Kept], list[tuple[str, str]]]:
    """Return the names set by hand, and the kinds and ids whose names are removed."""
    rows, removed = [], []
    for number, entry in enumerate(names):
        kind, id_, name = check_kind(str(entry.get("kind"))), entry.get("id"), entry.get("name")
        if not isinstance(id_, str) or not 0 < len(id_) <= LONGEST_ID:
            raise BadInputError(f"names[{number}].id: 1 to {LONGEST_ID} characters, as in events")
        if name is None:
            removed.append((kind, id_))
            continue
        check_seen(f"names[{number}].name", str(name))
        if kind == "contact" and not tenant.contact_names:
            raise BadInputError(
                f"names[{number}]: {tenant.id} stores no names of contacts; this is a setting of the tenant"
            )
        row = table.kept(Name(kind, id_, str(name)), now, by_hand=True)
        if row is None:
            raise BadInputError(
                f"names[{number}].name: a text of one line that is not the id itself, or null to remove it"
            )
        rows.append(row)
    return rows, removed


def _view(row: Kept) -> NameView:
    return NameView(row.kind, row.id, row.name, in_utc(row.valid_from), row.by_hand)

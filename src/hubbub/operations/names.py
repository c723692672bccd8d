"""The engine's operations on names: what ids are called, as sources say it, or as somebody set it by hand.

`Engine` (app.py) inherits them. Ids stay the identity of everything; why/0034-names-are-labels.md tells what was decided.
"""

from __future__ import annotations

import csv
import re
from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from hubbub.clock import Clock
from hubbub.errors import BadInputError
from hubbub.facts.moments import micros, moment
from hubbub.model.name import LONGEST_ID, Name, check_kind
from hubbub.model.page import check_limit, cut, place_of
from hubbub.model.tenant import Tenant
from hubbub.query.cached import CachedAnswers
from hubbub.storage import names as table
from hubbub.storage.names import Kept, Names
from hubbub.storage.store import Store
from hubbub.storage.transaction import Transaction
from hubbub.store.control import Control
from hubbub.store.erasures import Erased, Erasures

OPERATIONS = ("names", "put_names", "import_names")
"""Those that a command beside a running server may ask it to do."""

MOST_AT_ONCE, MOST_IN_FILE = 1_000, 1_000_000
"""Names that can be set by one request, and by one file."""


class NameOperations(ABC):
    """What an engine knows of names."""

    clock: Clock
    store: Store
    control: Control
    cached: CachedAnswers
    erasure_store: Erasures

    def names(
        self, tenant: str, kind: str | None = None, find: str = "", limit: int = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Return a page of what ids are called, by kind and id; `find` keeps those whose name or id holds a text."""
        one, place = self.control.tenant(tenant), place_of(cursor, str, str)
        wanted = check_kind(kind) if kind is not None else None
        with self.store.facts.read() as reading:
            found = table.page(reading, one.no, wanted, find, place, check_limit(limit) + 1)
        rows, following = cut(found, limit, lambda row: (row.kind, row.id))
        return {"rows": [_row(row) for row in rows], "next": following}

    def put_names(self, tenant: str, names: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Set names by hand, each `{kind, id, name}`; no source changes them again. A name that is null goes back to the sources.

        Returns how many were `set` and `removed`. Raises BadInputError that names the entry, and nothing is done then.
        """
        one, now = self.control.tenant(tenant), micros(self.clock())
        if len(names) > MOST_AT_ONCE:
            raise BadInputError(f"names: {len(names)} are more than the {MOST_AT_ONCE} of one request")
        rows, gone = _read(one, names, now)
        return self._set(one, rows, gone)

    def import_names(self, tenant: str, file: Path) -> dict[str, Any]:
        """Set the names of a CSV file with the columns kind, id and name, all or none; an empty name is removed.

        Returns what `put_names` does. Raises BadInputError that names file and line.
        """
        given = _csv(file)
        one, now = self.control.tenant(tenant), micros(self.clock())
        try:
            rows, gone = _read(one, given, now)
        except BadInputError as error:
            place = re.match(r"names\[(\d+)\]", error.message)
            line = f" line {int(place[1]) + 2}" if place else ""
            raise BadInputError(f"{file}{line}: {error.message}") from None
        return self._set(one, rows, gone)

    def _set(self, tenant: Tenant, rows: Sequence[Kept], gone: Sequence[tuple[str, str]]) -> dict[str, Any]:
        with self.store.facts.write() as writing:
            removed = table.drop(writing, tenant.no, gone)
            newer, others = table.newer(writing, tenant.no, rows)
            table.put(writing, tenant.no, newer)
        if removed or others:
            self.cached.drop([tenant])
        return {"set": len(rows), "removed": removed}

    def take_names(self, tenant: str, names: Iterable[Name]) -> int:
        """Keep what a source says that ids are called; returns how many names are others now.

        Names of contacts are left out where the tenant keeps none, and those of an erased one until an event names it again.
        """
        one, now = self.control.tenant(tenant), micros(self.clock())
        wanted = [row for name in names if _taken(one, name) and (row := table.kept(name, now)) is not None]
        if not wanted:
            return 0
        erased = self.erasure_store.of(one.id)
        with self.store.facts.read() as reading:
            newer = _there(reading, one, erased, table.newer(reading, one.no, wanted)[0])
        if not newer:
            return 0
        with self.store.facts.write() as writing:
            newer, others = table.newer(writing, one.no, newer)  # another process may have been here
            table.put(writing, one.no, newer)
        if others:
            self.cached.drop([one])
        return others

    def called(self, tenant: Tenant, wanted: Mapping[str, Iterable[str]]) -> Names:
        """Return the names of some ids, given by kind; an id without one is left out."""
        if not any(wanted.values()):
            return {}
        with self.store.facts.read() as reading:
            return table.look_up(reading, tenant.no, wanted)

    def forget_names(self, tenant: Tenant, kind: str) -> None:
        """Delete all names of a kind."""
        with self.store.facts.write() as writing:
            gone = table.drop_kind(writing, tenant.no, kind)
        if gone:
            self.cached.drop([tenant])


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
        if kind == "contact" and not tenant.contact_names:
            raise BadInputError(f"names[{number}]: {tenant.id} keeps no names of contacts; it is set per tenant")
        row = table.kept(Name(kind, id_, str(name)), now, by_hand=True)
        if row is None:
            raise BadInputError(
                f"names[{number}].name: a text of one line that is not the id itself, or null to remove it"
            )
        rows.append(row)
    return rows, gone


def _row(row: Kept) -> dict[str, Any]:
    since = moment(row.valid_from).replace(tzinfo=None).isoformat() + "Z"
    return {"kind": row.kind, "id": row.id, "name": row.name, "valid_from": since, "by_hand": row.by_hand}

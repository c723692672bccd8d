"""Erasures after a backup, so that erased data do not come back with the backup.

Erasures are stored as digests of ids, with a key that the backup has too: the ids in the restored store are compared with them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hubbub.control.changes import count_change, tenant_changes
from hubbub.control.control import tenants
from hubbub.control.database import Database
from hubbub.control.erasures import erased_events, erasures
from hubbub.control.installation import installation
from hubbub.errors import BadInputError, NotFoundError, WrongInstallationError
from hubbub.facts.moments import in_utc
from hubbub.facts.refresh import refresh
from hubbub.model.tenant import Tenant
from hubbub.model.window import utc_naive
from hubbub.storage.store import Store

CONTACTS = """
SELECT contact_id FROM event WHERE tenant = :tenant AND contact_id IS NOT NULL
UNION SELECT name FROM event WHERE tenant = :tenant AND name IS NOT NULL AND type IN ('contact.linked', 'contact.unlinked')
UNION SELECT id FROM state WHERE tenant = :tenant AND entity = 'contact' UNION SELECT contact_id FROM person WHERE tenant = :tenant
"""


@dataclass(frozen=True, slots=True)
class NotedErasure:
    """An erasure: the contact's digest, its beginning, and until when the contact's events are refused (UTC)."""

    id: str
    tenant: str
    contact: str
    at: datetime
    until: datetime
    counts: str | None


@dataclass(slots=True)
class Later:
    """Erasures in another copy of the installation, and digests of refused events."""

    erasures: list[NotedErasure] = field(default_factory=list)
    events: list[tuple[bytes, str]] = field(default_factory=list)


def later_erasures(database: Database, as_of: int) -> list[NotedErasure]:
    """Return the erasures of a control database that began at a moment (microseconds) or later, or were never finished."""
    since = in_utc(as_of)
    late = sa.or_(erasures.c.at >= since, erasures.c.counts.is_(None))
    with database.read() as con:
        return [NotedErasure(*row) for row in con.execute(sa.select(*_COLUMNS).where(late).order_by(erasures.c.at))]


_COLUMNS = [erasures.c[name] for name in ("id", "tenant", "contact", "at", "until", "counts")]


def erasures_of(source: str | Path, own: str | None, as_of: int) -> Later:
    """Read later erasures from a data folder, a control database's URL, or a file of `hubbub erasures --json`.

    Raises NotFoundError, BadInputError, WrongInstallationError when they belong to another installation than `own`.
    """
    text = str(source)
    path = Path(text)
    if "://" not in text and path.is_file() and path.suffix != ".db":
        return _from_json(path, as_of)
    file = path / "control.db" if path.is_dir() else path
    if "://" not in text and not file.is_file():
        raise NotFoundError(
            f"{source} is neither a data folder with a control.db, nor a file, nor a URL of a control database"
        )
    with closing(Database(text if "://" in text else f"sqlite:///{file}")) as database:
        with database.read() as con:
            if not sa.inspect(con).has_table(installation.name):
                raise BadInputError(f"{source} has no control data of Hubbub")
            whose = con.execute(sa.select(installation.c.id)).scalar()
            if whose != own:
                raise WrongInstallationError(
                    f"{source} belongs to another installation: its erasures do not apply to this one"
                )
            there = sa.inspect(con).has_table(erased_events.name)
            events = [(bytes(row.event), row.tenant) for row in con.execute(sa.select(erased_events))] if there else []
        return Later(later_erasures(database, as_of) if there else [], events)


def _from_json(path: Path, as_of: int) -> Later:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        rows: list[Mapping[str, Any]] = document["rows"] if isinstance(document, dict) else document
        noted = [
            NotedErasure(
                row["id"], row["tenant"], row["contact"], at := _naive(row["at"]), at,
                json.dumps(row["counts"]) if row["counts"] is not None else None,
            )
            for row in rows
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path} is not the output of 'hubbub erasures --json' ({error})") from None
    since = in_utc(as_of)
    return Later([erasure for erasure in noted if erasure.at >= since or erasure.counts is None])


def _naive(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    return utc_naive(parsed) if parsed.tzinfo else parsed


def adopt(database: Database, later: Later) -> None:
    """Note erasures that this control database does not know, so that their events are refused."""
    with database.write() as con:
        known = set(con.execute(sa.select(tenants.c.id)).scalars())
        noted = set(con.execute(sa.select(erasures.c.id)).scalars())
        for erasure in later.erasures:
            if erasure.tenant in known and erasure.id not in noted:
                values = {name: getattr(erasure, name) for name in ("id", "tenant", "contact", "at", "until", "counts")}
                con.execute(erasures.insert().values(values))
        for event, tenant in later.events:
            if tenant in known:
                con.execute(erased_events.delete().where(erased_events.c.event == event))
                con.execute(erased_events.insert().values(event=event, tenant=tenant))
        count_change(con, tenant_changes)


def erased_contacts(
    store: Store, known: Mapping[str, Tenant], noted: Sequence[NotedErasure], digest: Callable[[str, str], str]
) -> Iterator[tuple[str, str]]:
    """Yield tenant and id of each contact in the store that a noted erasure erased, by its digest."""
    by_tenant: dict[str, set[str]] = {}
    for erasure in noted:
        by_tenant.setdefault(erasure.tenant, set()).add(erasure.contact)
    for name, digests in by_tenant.items():
        if name in known:
            refresh(store, known[name].no)
            for contact in _contacts(store, known[name].no):
                if digest(name, contact) in digests:
                    yield name, contact


def _contacts(store: Store, tenant: int) -> Iterable[str]:
    with store.facts.read() as reading:
        return [contact for (contact,) in reading.each(CONTACTS, {"tenant": tenant})]

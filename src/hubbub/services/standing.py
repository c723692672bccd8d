"""The engine's operations that say how things stand: freshness, sources, the system. `Engine` (app.py) inherits them."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import threading
import time
from contextlib import suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.deliveries import Deliveries, state_of
from hubbub.errors import BadInputError
from hubbub.facts.moments import DAY, micros, moment
from hubbub.facts.refresh import refresh
from hubbub.facts.units import UNITS
from hubbub.model.page import check_limit, cursor_of, place_of
from hubbub.model.window import day_of
from hubbub.settings import Settings, told
from hubbub.storage.store import Store

STATES = ("behind", "fresh", "empty")
"""Of a tenant, the worst first: something waits to be folded, nothing does, nothing was ever stored."""

OPERATIONS = ("freshness", "sources", "deliveries", "refusals", "system")
"""Those that a command beside a running server may ask it to do."""

PARTS = ("hubbub", "dbos", "fastapi", "pyarrow", "sqlalchemy")
"""Packages whose versions tell most when something goes wrong."""
_BEGUN = time.monotonic()
"""When this process loaded this file, which it does as it starts."""


class StandingOperations:
    """What an engine tells its operator."""

    settings: Settings
    clock: Clock
    store: Store
    control: Control
    delivered: Deliveries

    def freshness(
        self, state: str | None = None, tenant: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> dict[str, Any]:
        """Return how far each tenant's facts have come, what is behind first, page by page; and what waits by kind of unit.

        `behind` counts units (conversations, messages, …) that are to be folded, `newest` is the local day of the newest event.
        `state` keeps tenants in it, `tenant` those whose id holds this text. Raises BadInputError, BadRequestError.
        """
        if state is not None and state not in STATES:
            raise BadInputError(f"state {state[:40]!r} is not one of {', '.join(STATES)}")
        skipped = (place_of(cursor, int) or (0,))[0]
        with self.store.facts.read() as reading:
            todo = reading.rows("SELECT tenant, unit, count(*) FROM todo GROUP BY tenant, unit")
            rows = [
                {
                    "tenant": one.id, "state": "behind" if count else "fresh" if newest is not None else "empty", "behind": count,
                    "newest": day_of(moment(newest), one.tz).isoformat() if newest is not None else None,
                }
                for one in self.control.tenants().values()
                if tenant is None or tenant in one.id
                for count in [sum(n for no, _, n in todo if no == one.no)]
                for newest in [reading.value("SELECT max(time) FROM event WHERE tenant = ?", (one.no,))]
            ]  # fmt: skip
        rows = [row for row in rows if state in (None, row["state"])]
        rows.sort(key=lambda row: (STATES.index(row["state"]), -row["behind"], row["tenant"]))
        page = rows[skipped : skipped + check_limit(limit)]
        more = len(rows) > skipped + limit
        return {
            "rows": page, "next": cursor_of((skipped + limit,)) if more else None, "tenants": len(rows),
            "batches": self.store.log.behind(),
            "units": [{"unit": unit, "waiting": sum(n for _, kind, n in todo if kind == unit)} for unit in UNITS],
        }  # fmt: skip

    def sources(self, tenant: str | None = None, cursor: str | None = None, limit: int = 50) -> dict[str, Any]:
        """Return what each tenant's sources sent, the longest silent first: newest event, when it came, and how late.

        `late_seconds` lie between the newest event's time and its arrival; `events_day` came in the last 24 hours. `tenant` asks
        for one alone.
        """
        skipped, now = (place_of(cursor, int) or (0,))[0], micros(self.clock())
        only = self.control.tenant(tenant).no if tenant is not None else None
        names = {one.no: one.id for one in self.control.tenants().values() if only in (None, one.no)}
        refresh(self.store, only)
        with self.store.facts.read() as reading:
            found = reading.rows(
                "WITH s AS (SELECT tenant, source, max(time) AS newest, max(received_at) AS last, "
                "count(*) FILTER (WHERE received_at >= :since) AS day FROM event "
                f"WHERE {'TRUE' if only is None else 'tenant = :tenant'} GROUP BY tenant, source) "
                "SELECT s.tenant, s.source, s.newest, (SELECT min(e.received_at) FROM event AS e WHERE e.tenant = s.tenant "
                "AND e.time = s.newest AND e.source = s.source), s.last, s.day FROM s",
                {"since": now - DAY, "tenant": only},
            )
        known = sorted((row for row in found if row[0] in names), key=lambda row: (row[4], names[row[0]], row[1]))
        rows = [
            {
                "tenant": names[no], "source": source, "last_event": _utc(last), "last_received": _utc(received),
                "late_seconds": max(0.0, (arrived - last) / 1e6), "silent_seconds": max(0.0, (now - received) / 1e6),
                "events_day": day,
            }
            for no, source, last, arrived, received, day in known[skipped : skipped + check_limit(limit)]
        ]  # fmt: skip
        return {"rows": rows, "next": cursor_of((skipped + limit,)) if len(known) > skipped + limit else None}

    def deliveries(
        self, tenant: str | None = None, state: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> dict[str, Any]:
        """Return what was sent over HTTP in the last 30 days, the newest minute first: by key and outcome, and why it was refused.

        A row counts `bodies`, their `bytes` as sent, and events. `outcome` is accepted, partly_refused, refused or the code of a
        problem; `reason` and `field` are those of the first refused event, or what is known beyond the problem's code. Tenant and
        key are null where no key, or an unknown one, came along. `state`: accepted, partly refused or refused. `tenant` asks for
        one alone. Raises BadInputError, BadRequestError, NotFoundError.
        """
        only = self.control.tenant(tenant).id if tenant is not None else None
        found, following = self.delivered.page(only, state, cursor, limit)
        rows = [
            {
                "minute": utc(row["minute"]), "tenant": row["tenant"] or None, "key": row["key"] or None,
                "state": state_of(row["outcome"]),
                **{name: row[name] for name in ("origin", "status", "outcome", "bodies", "bytes")},
                **{name: row[name] for name in ("accepted", "duplicates", "corrected", "rejected")},
                "reason": row["reason"] or None, "field": row["field"] or None,
            }
            for row in found
        ]  # fmt: skip
        return {"rows": rows, "next": following}

    def refusals(self, tenant: str | None = None) -> dict[str, Any]:
        """Return how many refused records wait in quarantine, by tenant, origin and reason, with one message of each."""
        names = {one.no: one.id for one in self.control.tenants().values()}
        only = self.control.tenant(tenant).no if tenant is not None else None
        refresh(self.store, only)
        with self.store.facts.read() as reading:
            found = reading.rows(
                "SELECT tenant, origin, code, field, count(*), max(received_at), max(message) FROM quarantine "
                f"WHERE {'TRUE' if only is None else 'tenant = ?'} GROUP BY tenant, origin, code, field",
                () if only is None else (only,),
            )
        rows = [
            {
                "tenant": names[no], "origin": origin, "code": code, "field": field, "records": n,
                "last_received": _utc(last), "message": message,
            }
            for no, origin, code, field, n, last, message in found if no in names
        ]  # fmt: skip
        return {"rows": sorted(rows, key=lambda row: (-row["records"], row["tenant"], row["code"]))}

    def system(self) -> dict[str, Any]:
        """Return versions, what this process takes and since when it runs, what the data folder takes, and all settings.

        Sizes are in bytes. A secret is never in it, nor the password of an address.
        """
        folder = self.settings.data
        return {
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PARTS}},
            "process": {
                "id": os.getpid(), "seconds": round(time.monotonic() - _BEGUN), "memory": _memory(),
                "threads": threading.active_count(),
            },
            "folder": {
                "path": str(folder.absolute()), "free": shutil.disk_usage(folder).free,
                "bytes": sum(_size(one) for one in folder.rglob("*")),
            },
            "settings": told(self.settings),
        }  # fmt: skip


def _size(file: Path) -> int:
    """Return a file's bytes; one that went meanwhile has none."""
    with suppress(OSError):
        return file.stat().st_size if file.is_file() else 0
    return 0


def _memory() -> int:
    """Return the bytes of memory that this process holds; where the system does not say, the most it ever held."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _utc(us: int) -> str:
    """Write microseconds of the store for others."""
    return moment(us).replace(tzinfo=None).isoformat() + "Z"


def utc(at: datetime | None) -> str | None:
    """Write a moment of the control data (UTC without zone) for others."""
    return at.isoformat() + "Z" if at is not None else None

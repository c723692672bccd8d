"""The engine's operations that say how things stand: freshness, sources, the system. `Engine` (app.py) inherits them."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hubbub.clock import Clock
from hubbub.errors import BadInputError
from hubbub.metrics.catalogue import FACTS
from hubbub.model.page import check_limit, cursor_of, place_of
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of
from hubbub.rollups.freshness import STATES, Standing, standings
from hubbub.settings import Settings, told
from hubbub.store.base import Store, utc_naive
from hubbub.store.control import Control
from hubbub.store.deliveries import Deliveries, state_of

OPERATIONS = ("freshness", "freshness_of", "sources", "deliveries", "refusals", "system")
"""Those that a command beside a running server may ask it to do."""

PARTS = ("hubbub", "duckdb", "dbos", "fastapi", "pyarrow", "sqlalchemy")
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
        """Return how far the rollups of tenants have come, the worst first, page by page; and of all, by fact.

        `state` keeps tenants that have a fact in it, `tenant` those whose id holds this text. The order changes with time: a
        tenant may move between pages meanwhile. Raises BadInputError, BadRequestError.
        """
        if state is not None and state not in STATES:
            raise BadInputError(f"state {state[:40]!r} is not one of {', '.join(STATES)}")
        skipped = (place_of(cursor, int) or (0,))[0]
        everyone = list(self.control.tenants().values())
        found: dict[str, list[Standing]] = defaultdict(list)
        facts: dict[str, Counter[str]] = {fact.name: Counter() for fact in FACTS}
        for one in standings(self.store, everyone):
            found[one.tenant].append(one)
            facts[one.fact][one.state] += 1
        rows = [
            _whole(self.control.tenant(name), mine)
            for name, mine in found.items()
            if (tenant is None or tenant in name) and (state is None or any(one.state == state for one in mine))
        ]
        rows.sort(key=lambda row: (STATES.index(row["state"]), -row["failed"], -row["behind"], row["tenant"]))
        page = rows[skipped : skipped + check_limit(limit)]
        more = len(rows) > skipped + limit
        return {
            "rows": page, "next": cursor_of((skipped + limit,)) if more else None, "tenants": len(rows),
            "facts": [{"fact": name, **{state: counts[state] for state in STATES}} for name, counts in facts.items()],
        }  # fmt: skip

    def freshness_of(self, tenant: str) -> dict[str, Any]:
        """Return how far each fact of a tenant has come: state, events behind, newest stored day, and a failed fold's error."""
        chosen = self.control.tenant(tenant)
        found = standings(self.store, [chosen])
        docs = {fact.name: fact.doc for fact in FACTS}
        rows = [
            {
                "fact": one.fact, "doc": docs[one.fact], "state": one.state, "behind": one.behind,
                "newest": _day(one.newest, chosen), "error": one.error, "attempts": one.attempts, "tried_at": utc(one.tried_at),
            }
            for one in found
        ]  # fmt: skip
        return {"rows": rows}

    def sources(self, tenant: str | None = None, cursor: str | None = None, limit: int = 50) -> dict[str, Any]:
        """Return what each tenant's sources sent, the longest silent first: newest event, when it came, and how late.

        `late_seconds` lie between the newest event's time and its arrival; `events_day` came in the last 24 hours. `tenant` asks
        for one alone.
        """
        skipped, now = (place_of(cursor, int) or (0,))[0], utc_naive(self.clock())
        names = {one.no: one.id for one in self.control.tenants().values()}
        only = self.control.tenant(tenant).no if tenant is not None else None
        found = self.store.query(
            'SELECT tenant, source, max("time") AS last_event, arg_max(received_at, "time") AS arrived, '
            "max(received_at) AS last_received, count(*) FILTER (WHERE received_at >= $since) AS events_day FROM events "
            f"WHERE {'TRUE' if only is None else 'tenant = $tenant'} GROUP BY tenant, source",
            {"since": now - timedelta(days=1), **({} if only is None else {"tenant": only})},
        ).rows
        known = sorted((row for row in found if row[0] in names), key=lambda row: (row[4], names[row[0]], row[1]))
        rows = [
            {
                "tenant": names[no], "source": source, "last_event": utc(last), "last_received": utc(received),
                "late_seconds": max(0.0, (arrived - last).total_seconds()),
                "silent_seconds": max(0.0, (now - received).total_seconds()), "events_day": day,
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
        found = self.store.query(
            "SELECT tenant, origin, code, field, count(*) AS n, max(received_at) AS last, max(message) AS message FROM quarantine "
            f"WHERE {'TRUE' if only is None else 'tenant = $tenant'} GROUP BY tenant, origin, code, field",
            {} if only is None else {"tenant": only},
        ).rows
        rows = [
            {
                "tenant": names[no], "origin": origin, "code": code, "field": field, "records": n,
                "last_received": utc(last), "message": message,
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


def _whole(tenant: Tenant, mine: list[Standing]) -> dict[str, Any]:
    """Return how a tenant stands: as its worst fact, with events behind as the one that is most."""
    counts = Counter(one.state for one in mine)
    newest = max((one.newest for one in mine if one.newest is not None), default=None)
    return {
        "tenant": tenant.id, "state": next(state for state in STATES if counts[state]),
        "behind": max(one.behind for one in mine), **{state: counts[state] for state in STATES},
        "newest": _day(newest, tenant), "error": next((f"{one.fact}: {one.error}" for one in mine if one.error), None),
    }  # fmt: skip


def _day(start: datetime | None, tenant: Tenant) -> str | None:
    """Return the tenant's day that begins at a moment of the store."""
    return day_of(start.replace(tzinfo=UTC), tenant.tz).isoformat() if start is not None else None


def utc(moment: datetime | None) -> str | None:
    """Write a moment of the store (UTC without zone) for others."""
    return moment.isoformat() + "Z" if moment is not None else None

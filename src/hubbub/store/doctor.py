"""Look an installation over: what an operator should know before users do, and what to do about it."""

from __future__ import annotations

import shutil
from typing import Any

from hubbub.settings import Settings
from hubbub.store.base import Store
from hubbub.store.control import Control


def behind(store: Store) -> int:
    """Return how many events wait for a fold, by what the marks say."""
    # a tenant stands where its least advanced fact does: its own mark, or the general one (tenant 0)
    waiting: int = store.query(
        "WITH own AS (SELECT tenant, min(seq) AS seq FROM marks WHERE tenant <> 0 GROUP BY tenant), "
        "general AS (SELECT coalesce(min(seq), 0) AS seq FROM marks WHERE tenant = 0) "
        "SELECT count(*) FROM events AS e LEFT JOIN own ON own.tenant = e.tenant "
        "WHERE e.seq > coalesce((SELECT min(seq) FROM marks), 0) AND e.seq > coalesce(own.seq, (SELECT seq FROM general))"
    ).rows[0][0]
    return waiting


def doctor(store: Store, settings: Settings, control: Control) -> list[dict[str, Any]]:
    """Return rows of check, ok, found, advice. Everything is read, nothing changed."""
    free = shutil.disk_usage(settings.data).free >> 20
    events = store.query("SELECT count(*), count(DISTINCT tenant) FROM events").rows[0]
    marks = store.query("SELECT count(*) FILTER (WHERE error IS NOT NULL), max(error) FROM marks").rows[0]
    waiting = behind(store)
    refused = store.query("SELECT count(*), max(code) FROM quarantine").rows[0]
    tenants = len(control.tenants())
    return [
        _row("store", True, f"{events[0]} events of {events[1]} tenants in {settings.data}", ""),
        _row("tenants", tenants > 0, f"{tenants} tenants", "make one: hubbub tenants add NAME --zone ZONE"),
        _row(
            "disk", free > settings.free_floor_mb, f"{free} MiB free",
            f"free space: below {settings.free_floor_mb} MiB events are refused",
        ),
        _row("rollups", marks[0] == 0, f"{marks[0]} failed folds", f"look at the last error ({marks[1]}), then: hubbub refresh"),
        _row("freshness", waiting == 0, f"{waiting} events not folded yet", "hubbub refresh, or let 'hubbub serve' run"),
        _row(
            "quarantine", refused[0] == 0, f"{refused[0]} refused records (for example {refused[1]})" if refused[0] else "empty",
            "hubbub quarantine list --tenant NAME, mend the sender, then: hubbub quarantine replay",
        ),
    ]  # fmt: skip


def _row(check: str, ok: bool, found: str, advice: str) -> dict[str, Any]:
    return {"check": check, "ok": ok, "found": found, "advice": "" if ok else advice}

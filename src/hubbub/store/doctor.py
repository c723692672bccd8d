"""Look an installation over: what an operator should know before users do, and what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from hubbub.metrics.catalogue import FACTS
from hubbub.settings import Settings
from hubbub.store.base import Store
from hubbub.store.control import Control
from hubbub.store.integrations import Integrations

MOST = 1000
"""More than so many of a kind are not counted."""

SHOWN = 5
"""So many of a kind are named."""


def behind(store: Store) -> int:
    """Return how many events wait for a fold, by what the marks say."""
    # a tenant stands where its least advanced fact does: at its own mark of it, the general one (tenant 0), or the beginning
    marks = store.query("SELECT fact, tenant, seq FROM marks").rows
    general = {fact: seq for fact, tenant, seq in marks if tenant == 0}
    own: dict[int, dict[str, int]] = {}
    for fact, tenant, seq in marks:
        if tenant:
            own.setdefault(tenant, {})[fact] = seq
    others = min(general.get(fact.name, 0) for fact in FACTS)
    stands = {no: min(mine.get(f.name, general.get(f.name, 0)) for f in FACTS) for no, mine in own.items()}
    columns = [pa.array(list(stands), pa.int32()), pa.array(list(stands.values()), pa.int64())]
    waiting: int = store.query(
        "SELECT count(*) FROM events AS e LEFT JOIN stands AS s ON s.tenant = e.tenant "
        "WHERE e.seq > $least AND e.seq > coalesce(s.seq, $others)",
        {
            "stands": pa.table(columns, names=["tenant", "seq"]),
            "least": min([others, *stands.values()]),
            "others": others,
        },
    ).rows[0][0]
    return waiting


def doctor(
    store: Store,
    settings: Settings,
    control: Control,
    integrations: Integrations,
    jobs: Mapping[str, int] | None = None,
) -> list[dict[str, Any]]:
    """Return rows of check, ok, found, advice. Everything is read, nothing changed.

    `jobs` says how many jobs (up to `MOST`) ended how, of the ways that need somebody; None when there never was a job.
    """
    free = shutil.disk_usage(settings.data).free >> 20
    events = store.query("SELECT count(*), count(DISTINCT tenant) FROM events").rows[0]
    failed = store.query("SELECT tenant, fact, error FROM marks WHERE error IS NOT NULL ORDER BY tenant, fact").rows
    names = {tenant.no: tenant.id for tenant in control.tenants().values()}
    waiting = behind(store)
    refused = store.query("SELECT count(*), max(code) FROM quarantine").rows[0]
    tenants = len(control.tenants())
    broken = integrations.page(state="broken", limit=MOST)
    rows = [
        _row("store", True, f"{events[0]} events of {events[1]} tenants in {settings.data}", ""),
        _row("tenants", tenants > 0, f"{tenants} tenants", "make one: hubbub tenants add NAME --zone ZONE"),
        _row(
            "disk", free > settings.free_floor_mb, f"{free} MiB free",
            f"free space: below {settings.free_floor_mb} MiB events are refused",
        ),
        _row(
            "rollups", not failed, _some([f"{fact} of {names.get(no, no)}: {error}" for no, fact, error in failed], "failed folds"),
            "mend what the errors name, then: hubbub refresh",
        ),
        _row("freshness", waiting == 0, f"{waiting} events not folded yet", "hubbub refresh, or let 'hubbub serve' run"),
        _row(
            "quarantine", refused[0] == 0, f"{refused[0]} refused records (for example {refused[1]})" if refused[0] else "empty",
            "hubbub quarantine list --tenant NAME, mend the sender, then: hubbub quarantine replay",
        ),
        _row(
            "integrations", not broken, _some([f"{i.id} of {i.tenant}: {i.reason}" for i in broken], "broken integrations"),
            "; ".join(dict.fromkeys(f"{i.action} (hubbub integrations rotate or resume {i.id})" for i in broken[:SHOWN])),
        ),
    ]  # fmt: skip
    ended = {state: n for state, n in (jobs or {}).items() if n}
    if jobs is not None:
        found = ", ".join(f"{_many(n)} {state}" for state, n in ended.items()) or "none failed or parked"
        rows.append(
            _row("jobs", not ended, found, "hubbub jobs list --state failed (or parked), then: hubbub jobs retry ID")
        )
    return rows


def _some(found: list[str], what: str) -> str:
    """Name the first of what was found, and say how many there are."""
    return f"{_many(len(found))} {what}" + "".join(f"; {one}" for one in found[:SHOWN])


def _many(count: int) -> str:
    return str(count) if count < MOST else f"{MOST} or more"


def _row(check: str, ok: bool, found: str, advice: str) -> dict[str, Any]:
    return {"check": check, "ok": ok, "found": found, "advice": "" if ok else advice}

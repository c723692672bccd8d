"""Retention: let raw events and rollups go when their time has come, and freeze the windows whose raw events went.

What later windows still need stays a little longer: the events of conversations and surveys that go on after the cut, and
the stretch before the cut that a fact looks back over. So every window after the cut still folds to the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hubbub.metrics import fold
from hubbub.metrics.catalogue import FACTS, ROLLUPS
from hubbub.metrics.definition import Fact
from hubbub.metrics.snapshots import Kind
from hubbub.model.tenant import Tenant, kept_from
from hubbub.model.window import EPOCH
from hubbub.store.base import Store, Work, utc_naive


def retention(store: Store, tenants: Sequence[Tenant], now: datetime, *, dry_run: bool = False) -> list[dict[str, Any]]:
    """Delete what each tenant's retention lets go; returns one row per tenant with counts. Call after a refresh.

    `dry_run` only counts. A tenant whose folds failed, or that events arrived for since, keeps its raw events this time.
    """
    rows = [_one(store, tenant, now, dry_run) for tenant in tenants]
    if not dry_run and any(row["raw"] or row["rollup_rows"] or row["snapshots"] for row in rows):
        store.checkpoint()
    return rows


def _one(store: Store, tenant: Tenant, now: datetime, dry_run: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "tenant": tenant.id,
        "raw": 0,
        "rollup_rows": 0,
        "snapshots": 0,
        "frozen_until": None,
        "kept_back": "",
    }
    with store.change() as work:
        mine = {"tenant": tenant.no}
        if tenant.retention.raw is not None:
            cut = utc_naive(kept_from(tenant, tenant.retention.raw, now))
            row["kept_back"] = _behind(work, tenant, cut)
            if not row["kept_back"]:
                row["raw"] = _raw(work, tenant, cut, dry_run)
                if row["raw"] and not dry_run:
                    work.execute("DELETE FROM frozen WHERE tenant = $tenant", mine)
                    work.execute("INSERT INTO frozen VALUES ($tenant, $until)", {**mine, "until": cut})
                    for table, column in (("superseded", "time"), ("quarantine", "received_at")):
                        work.execute(
                            f'DELETE FROM {table} WHERE tenant = $tenant AND "{column}" < $cut', {**mine, "cut": cut}
                        )
        row["rollup_rows"] = _rollups(work, tenant, now, dry_run)
        row["snapshots"] = _snapshots(work, tenant, now, dry_run)
        until = work.execute("SELECT max(until) FROM frozen WHERE tenant = $tenant", mine).rows[0][0]
        row["frozen_until"] = until.isoformat() + "Z" if until is not None else None
    return row


def _behind(work: Work, tenant: Tenant, cut: datetime) -> str:
    """Say why raw events before the cut cannot go yet, or an empty string."""
    since = work.execute("SELECT min(since) FROM hours WHERE tenant = $tenant", {"tenant": tenant.no}).rows[0][0]
    if since is not None and since < cut:
        return f"windows from {since:%Y-%m-%d %H:%M} UTC on are not folded by the new business hours yet; refresh first"
    for fact in FACTS:
        rows = work.execute(
            "SELECT arg_max(seq, tenant), arg_max(error, tenant) FROM marks WHERE fact = $fact AND tenant IN (0, $tenant)",
            {"fact": fact.name, "tenant": tenant.no},
        ).rows
        seq, error = rows[0]
        if error:
            return f"{fact.name} could not be folded: {error}"
        waiting = work.execute(
            'SELECT count(*) FROM events WHERE tenant = $tenant AND seq > $seq AND "time" < $cut',
            {"tenant": tenant.no, "seq": seq or 0, "cut": cut},
        ).rows[0][0]
        if waiting:
            return f"{waiting} events are not folded yet; refresh first"
    return ""


def _needed(fact: Fact) -> str:
    """SQL for events before the cut that windows after it still read."""
    reads = fold.types_in(fact.reads, "e.type")
    if fact.plain:
        return "FALSE"
    if fact.bounded:
        back = int(fact.look_back.total_seconds())
        return f'({reads} AND e."time" >= $cut - INTERVAL {back} SECOND)' if back else "FALSE"
    key = (fact.key or "").replace("{e}", "e")
    other = (fact.key or "").replace("{e}.", "")
    return (
        f"({reads} AND {key} IN (SELECT {other} FROM events WHERE tenant = $tenant AND {fold.types_in(fact.reads)} "
        f'AND "time" >= $cut AND {other} IS NOT NULL))'
    )


def _raw(work: Work, tenant: Tenant, cut: datetime, dry_run: bool) -> int:
    needed = " OR ".join(dict.fromkeys(_needed(fact) for fact in FACTS))
    where = f'e.tenant = $tenant AND e."time" < $cut AND NOT coalesce({needed}, FALSE)'
    params = {"tenant": tenant.no, "cut": cut}
    count: int = work.execute(f"SELECT count(*) FROM events AS e WHERE {where}", params).rows[0][0]
    if count and not dry_run:
        remember_newest(work)
        work.execute(f"DELETE FROM events AS e WHERE {where}", params)
    return count


def remember_newest(work: Work) -> None:
    """Keep the newest sequence number: should its event go, the store is not to look as if it had lost it."""
    newest = work.execute(
        "SELECT greatest((SELECT max(seq) FROM events), (SELECT max(seq) FROM superseded), "
        "(SELECT max(CAST(value AS BIGINT)) FROM meta WHERE key = 'seq'))"
    ).rows[0][0]
    work.execute("DELETE FROM meta WHERE key = 'seq'")
    work.execute("INSERT INTO meta VALUES ('seq', $newest)", {"newest": str(newest)})


def _snapshots(work: Work, tenant: Tenant, now: datetime, dry_run: bool) -> int:
    """Let go of snapshots that begin before rollups of their grain are kept."""
    total = 0
    for kind in Kind:
        start = utc_naive(kept_from(tenant, tenant.retention.days(kind.grain), now))
        where = "tenant = $tenant AND kind = $kind AND window_start < $start"
        params = {"tenant": tenant.no, "kind": kind.value, "start": start}
        total += work.execute(f"SELECT count(*) FROM snapshots WHERE {where}", params).rows[0][0]
        if not dry_run:
            work.execute(f"DELETE FROM snapshots WHERE {where}", params)
    return total


def _rollups(work: Work, tenant: Tenant, now: datetime, dry_run: bool) -> int:
    total = 0
    for rollup in ROLLUPS:
        for grain in rollup.keep:
            start = kept_from(tenant, tenant.retention.days(grain), now)
            if start == EPOCH:
                continue
            for table, _ in fold.schema(rollup, grain):
                where, params = (
                    "tenant = $tenant AND window_start < $start",
                    {"tenant": tenant.no, "start": utc_naive(start)},
                )
                count = work.execute(f"SELECT count(*) FROM {table} WHERE {where}", params).rows[0][0]
                if count and not dry_run:
                    work.execute(f"DELETE FROM {table} WHERE {where}", params)
                total += count
    return total

"""Retention: attributes are deleted first, facts later by whole local days. Facts that continue after the cut keep their numbers.

Age counts from the later of an event's time and its arrival, so that imported history is not deleted at once. Facts are deleted as
a prefix in event time, so that `kept` is one range: a tenant's **cut** is the last local midnight before which every event is old
enough. An old event that arrived yesterday holds the cut back to its own day until it is old enough itself.

A cut goes day by day, each day in one transaction: it moves `kept`, writes the boundary of each key, deletes the events, and folds
the keys again from their boundaries, which deletes rows that lie wholly before. An interrupted cut leaves whole days.
Conversions, and clicks and reactions without a message id, stay 72 hours longer: a message just after the cut may have an earlier
receipt, since clocks differ, and depends on what its contact did since then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hubbub.facts import boundary
from hubbub.facts.message import HORIZON
from hubbub.facts.moments import DAY, micros, moment
from hubbub.facts.refresh import refresh, waits
from hubbub.facts.units import CARRIES, GIVES, UNITS, Touched, by_kind, touched
from hubbub.metrics.snapshots import Kind
from hubbub.model.plain import JsonRow
from hubbub.model.tenant import Tenant, kept_from
from hubbub.model.window import day_of, local_midnight
from hubbub.storage.log import EVENT
from hubbub.storage.store import Store
from hubbub.storage.transaction import Transaction

GOES = (
    "tenant = :tenant AND time < :cut AND NOT (time >= :deeds AND contact_id IS NOT NULL AND (type = 'contact.converted' "
    "OR (type IN ('link.clicked', 'message.reacted') AND message_id IS NULL)))"
)
"""Condition of the events that a cut deletes; `deeds` is 72 hours before the cut."""


def _all_before(*names: str) -> str:
    """Return the SQL condition that all times of a row, if set, lie before the cut."""
    return " AND ".join(f"coalesce({name}, 0) < :cut" for name in names)


_EPISODE = _all_before(
    "anchor", "first_inbound", "first_reply_at", "person_from", "first_person_at", "last_resolve", "resolved_at", "returned_at",
)  # fmt: skip
FACTS = {
    "event": GOES,
    "response": "tenant = :tenant AND anchor < :cut",
    "episode": f"tenant = :tenant AND {_EPISODE}",
    "survey": f"tenant = :tenant AND {_all_before('sent_at', 'rated_at')}",
    "state": "tenant = :tenant AND until < :cut",
    "former_version": "tenant = :tenant AND time < :cut",
}
"""Table -> condition of the rows that a cut deletes, as a dry run counts them."""

NOTE = "facts hold ids of contacts, staff and conversations: deleted ones cannot be restored"


@dataclass
class Gone:
    """What was or would be deleted of a tenant: rows by table, events that lose attributes, and the end of deleted facts."""

    tenant: str
    attributes: int = 0
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FACTS, 0))
    quarantine: int = 0
    snapshots: int = 0
    gone_until: datetime | None = None
    kept_back: str = ""

    def answer(self) -> JsonRow:
        """Return the row that answers and commands show; times in UTC."""
        until = self.gone_until.astimezone(UTC).isoformat().replace("+00:00", "Z") if self.gone_until else None
        counts = {f"{table}s": count for table, count in self.rows.items()}
        return {
            "tenant": self.tenant, "attributes": self.attributes, **counts, "quarantine": self.quarantine,
            "snapshots": self.snapshots, "gone_until": until, "kept_back": self.kept_back,
            "note": NOTE if any(self.rows.values()) else "",
        }  # fmt: skip


def retention(store: Store, tenants: Sequence[Tenant], now: datetime, *, dry_run: bool = False) -> list[Gone]:
    """Refresh, then delete what is past each tenant's retention; `dry_run` only counts.

    Nothing of a tenant is deleted while any of its events is not folded; `kept_back` then says so.
    """
    results = [_of_tenant(store, tenant, now, dry_run) for tenant in tenants]
    if not dry_run and any(gone.attributes or any(gone.rows.values()) for gone in results):
        store.facts.shrink()
        store.facts.checkpoint()
    return results


def gone_until(store: Store, tenant: int) -> datetime | None:
    """Return the time (UTC) before which a tenant's facts are deleted; None if none are."""
    with store.facts.read() as reading:
        since = _since(reading, tenant)
    return moment(since) if since is not None else None


def _since(reading: Transaction, tenant: int) -> int | None:
    since: int | None = reading.value("SELECT since FROM kept WHERE tenant = ? AND what = 'facts'", (tenant,))
    return since


def _of_tenant(store: Store, tenant: Tenant, now: datetime, dry_run: bool) -> Gone:
    gone = Gone(tenant.id)
    days = tenant.retention
    with store.settling:
        refresh(store, tenant.no)
        with store.facts.read() as reading:
            if waits(store, tenant.no):
                gone.kept_back = "not all events are folded yet; refresh first"
                return gone
            cut = cut_of(reading, tenant, now)
            if cut is not None:
                params = _params(tenant, cut)
                for table, where in FACTS.items():
                    gone.rows[table] = reading.value(f"SELECT count(*) FROM {table} WHERE {where}", params)
        if cut is not None and not dry_run:
            for at in _midnights(store, tenant, cut):
                cut_at(store, tenant, at)
        if days.raw is not None:
            raw = micros(kept_from(tenant, days.raw, now))
            gone.attributes = _attributes(store, tenant, raw, cut or 0, dry_run)
            gone.quarantine = _delete(store, "quarantine", "tenant = ? AND received_at < ?", (tenant.no, raw), dry_run)
        for kind in Kind:
            kept_since = micros(kept_from(tenant, days.days(kind.grain), now))
            where = "tenant = ? AND kind = ? AND window_start < ?"
            gone.snapshots += _delete(store, "snapshot", where, (tenant.no, kind.value, kept_since), dry_run)
    gone.gone_until = gone_until(store, tenant.no)
    return gone


def _params(tenant: Tenant, cut: int) -> dict[str, int]:
    return {"tenant": tenant.no, "cut": cut, "deeds": cut - HORIZON}


def cut_of(reading: Transaction, tenant: Tenant, now: datetime) -> int | None:
    """Return a tenant's cut (microseconds), or None when facts are never deleted or nothing is old enough."""
    if tenant.retention.facts is None:
        return None
    kept_since = micros(kept_from(tenant, tenant.retention.facts, now))
    young = reading.value(
        "SELECT min(time) FROM event WHERE tenant = ? AND time < ? AND received_at >= ?",
        (tenant.no, kept_since, kept_since),
    )
    cut = kept_since if young is None else min(kept_since, _midnight(tenant, young))
    first = reading.value("SELECT min(time) FROM event WHERE tenant = ?", (tenant.no,))
    return cut if first is not None and first < cut else None


def _midnight(tenant: Tenant, at: int, days: int = 0) -> int:
    """Return the local midnight (microseconds) that begins the day of a moment, or a day `days` later."""
    return micros(local_midnight(day_of(moment(at), tenant.tz) + timedelta(days=days), tenant.tz))


def _midnights(store: Store, tenant: Tenant, cut: int) -> Iterator[int]:
    """Yield the end (microseconds) of each day that has something to delete, in order, and finally the cut.

    Events of a day that stay 72 hours longer are deleted with a later day, so no day is yielded twice.
    """
    params, done = _params(tenant, cut), 0
    while done < cut:
        with store.facts.read() as reading:
            first = reading.value(
                f"SELECT min(time) FROM event WHERE {GOES} AND time >= :done", params | {"done": done}
            )
        done = cut if first is None else min(_midnight(tenant, first, 1), cut)
        yield done


def cut_at(store: Store, tenant: Tenant, cut: int) -> None:
    """Delete everything that lies wholly before a moment (microseconds), in one transaction; all units must be folded."""
    with store.facts.write(tenant.no) as writing:
        since = _since(writing, tenant.no)
        if since is not None and since > cut:
            return
        params = _params(tenant, cut)
        first = writing.value("SELECT min(time) FROM event WHERE tenant = ? AND time < ?", (tenant.no, cut))
        if first is not None:
            writing.run(
                "INSERT INTO kept VALUES (?, 'facts', ?, ?) ON CONFLICT (tenant, what) DO UPDATE SET since = excluded.since, "
                "gone_from = CASE WHEN kept.gone_from < excluded.gone_from THEN kept.gone_from ELSE excluded.gone_from END",
                (tenant.no, _midnight(tenant, first), cut),
            )  # fmt: skip
        elif since is not None:
            writing.run("UPDATE kept SET since = ? WHERE tenant = ? AND what = 'facts'", (cut, tenant.no))
        arrived = writing.value(
            f"SELECT max(at) FROM (SELECT max(received_at) AS at FROM event WHERE {GOES} UNION ALL "
            f"SELECT max(until) FROM former_version WHERE {FACTS['former_version']}) AS gone", params,
        )  # fmt: skip
        if arrived is not None:  # `as_of` before this time can no longer be answered
            writing.run(
                "INSERT INTO kept VALUES (?, 'arrivals', 0, ?) ON CONFLICT (tenant, what) DO UPDATE SET since = excluded.since "
                "WHERE excluded.since > kept.since",
                (tenant.no, arrived),
            )
        units: Touched = set()
        rows = writing.scan(f"SELECT {', '.join(EVENT)} FROM event WHERE {GOES}", params)
        units.update(("contact", *contact) for contact in touched(rows, units))
        for unit, keys in by_kind(units):
            begins = boundary.boundaries_of(writing, tenant.no, unit, keys)
            for key, carried in CARRIES[unit](writing, tenant.no, begins, cut):
                boundary.write(writing, tenant.no, unit, key, cut, carried)
        for (channel,) in writing.rows("SELECT channel FROM receipt_channel WHERE tenant = ?", (tenant.no,)):
            if writing.rows(GIVES.replace(" LIMIT 1", " AND time < ? LIMIT 1"), (tenant.no, channel, cut)):
                boundary.write(writing, tenant.no, "channel", channel, cut, True)
        writing.run(f"DELETE FROM event WHERE {GOES}", params)
        writing.run(f"DELETE FROM former_version WHERE {FACTS['former_version']}", {"tenant": tenant.no, "cut": cut})
        for unit, keys in by_kind(units):
            UNITS[unit](writing, tenant.no, keys)


def _attributes(store: Store, tenant: Tenant, before: int, cut: int, dry_run: bool) -> int:
    """Delete the attributes of events that are old enough, a month in a transaction; returns how many events.

    A dry run does not count events that the cut deletes.
    """
    where = "tenant = :tenant AND time >= :low AND time < :high AND received_at < :before AND attributes IS NOT NULL"
    params = _params(tenant, cut) | {"before": before, "low": 0, "high": before}
    with store.facts.read() as reading:
        low = reading.value("SELECT min(time) FROM event WHERE tenant = ?", (tenant.no,))
        if low is None or dry_run:
            count: int = reading.value(f"SELECT count(*) FROM event WHERE {where} AND NOT ({GOES})", params)
            return count
    total = 0
    while low < before:
        params |= {"low": low, "high": min(low + 30 * DAY, before)}
        with store.facts.write(tenant.no) as writing:
            total += writing.run(f"UPDATE event SET attributes = NULL WHERE {where}", params)
        low = params["high"]
    return total


def _delete(store: Store, table: str, where: str, params: Sequence[Any], dry_run: bool) -> int:
    if dry_run:
        with store.facts.read() as reading:
            count: int = reading.value(f"SELECT count(*) FROM {table} WHERE {where}", params)
            return count
    with store.facts.write() as writing:
        return writing.run(f"DELETE FROM {table} WHERE {where}", params)

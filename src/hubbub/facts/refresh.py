"""Refresh: move waiting batches from the log to `event`, and fold the units they touch, a few hundred in a transaction.

Storing an event adds its units to `todo` in the same transaction; folding deletes them in the transaction of the facts. So a
process that dies anywhere leaves nothing half done. Every answer refreshes its tenant first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from random import sample
from time import monotonic
from typing import Any

from hubbub.facts import whole
from hubbub.facts.moments import moment
from hubbub.facts.units import UNITS, Touched, fold, new_sights, touched
from hubbub.memory import uncollected
from hubbub.model.event import Event
from hubbub.progress import Progress, quiet
from hubbub.storage import published, schema
from hubbub.storage.identity import ident_of
from hubbub.storage.log import EVENT, IDENT, TIME, Entry, Refused
from hubbub.storage.store import Store
from hubbub.storage.transaction import Row, Transaction

AT_ONCE = 200
"""Units in one transaction: other writers wait until it ends."""
AT_FIRST = 10
"""Units that are folded at once before it is known how long they take."""
MANY, EACH, MOST, MOST_ON_SERVER = 20, 10, 2, 5
"""A tenant with at least MANY units to fold, and at most EACH events for each unit, is folded whole. With more than EVENTS_AT_ONCE
events, the limit is MOST events for each unit, or MOST_ON_SERVER where each statement goes to a database server."""
WHOLE = tuple(unit for unit in UNITS if unit != "person")
"""Units that a whole fold completes: persons are not folded from events alone."""
EVENTS_AT_ONCE, EVENTS_IN_TURNS = 5_000, 500
"""Events that are stored or folded whole in one transaction: when no other thread waits, and when one does."""
TURN = 0.05
"""Seconds after which a turn of folding ends, so that other writers wait no longer, however costly its units."""
_ADD = schema.upsert("event", EVENT)
_TODO = schema.insert_new("todo")
_REFUSE = (
    "INSERT INTO quarantine SELECT :id, :tenant, :received_at, :origin, :code, :field, :message, :raw, :same "
    "WHERE NOT EXISTS (SELECT 1 FROM quarantine WHERE tenant = :tenant AND same = :same)"
)
"""A record refused again, as when a file is imported twice, is stored once."""
_FORMER = schema.insert_new("former_version", (*EVENT, "until"))
_SEQ, _CHANNEL, _RECEIVED = (EVENT.index(name) for name in ("seq", "channel", "received_at"))
_ATTRIBUTES = EVENT.index("attributes")
Units = dict[str, set[str]]
"""Keys of a tenant's units, by kind."""


@dataclass
class Refreshed:
    """The result of a refresh: events moved out of the log, units folded by kind, and tenants changed."""

    events: int = 0
    units: dict[str, int] = field(default_factory=dict)
    tenants: set[int] = field(default_factory=set)


def refresh(store: Store, tenant: int | None = None, *, progress: Progress = quiet) -> Refreshed:
    """Store the batches that wait in the log now and fold their units, of all tenants or one.

    With a tenant, the others stay as they are, and the call takes no lock when that tenant has nothing new. Callable at any time
    from any thread and process. Raises StoreFullError, StoreUnavailableError, StoreBusyError.
    """
    if tenant is None and store.facts.by_tenant:
        return _one_by_one(store, progress)
    done = Refreshed()
    last = store.log.last() if tenant is None else store.log.last_of(tenant)
    if tenant is not None and not last and not _anything(store, tenant):
        return done
    work = _steps(store, tenant, last, done)
    try:
        while True:
            with store.settling:
                for what in work:
                    progress(what)
                    if store.settling.is_over(background=tenant is None):
                        break
                else:
                    return done
            store.settling.step_aside(background=tenant is None)
    finally:  # also after an error: earlier transactions are committed
        if done.tenants:
            store.announce(done.tenants)


def store_waiting(store: Store, tenant: int) -> None:
    """Store a tenant's waiting batches without folding them: for callers that only read events.

    Raises StoreFullError, StoreUnavailableError, StoreBusyError.
    """
    last = store.log.last_of(tenant)
    if last:
        with store.settling:
            while _store(store, tenant, last, Refreshed()):
                pass


def _steps(store: Store, tenant: int | None, last: int, done: Refreshed) -> Iterator[str]:
    """Store, then fold; yields a progress line after each transaction. A transaction ends early when others wait."""
    while count := _store(store, tenant, last, done):
        yield f"{count} batches stored"
    for count in _fold_whole(store, tenant, done):
        yield f"{count} units folded"
    only, pace = _units_of(store, tenant) if tenant is not None else None, Pace()
    while count := _fold(store, tenant, done, only, pace):
        yield f"{count} units folded"


def _one_by_one(store: Store, progress: Progress) -> Refreshed:
    """Refresh all tenants with waiting work, in random order: other processes do the same at the same time."""
    done = Refreshed()
    waiting = store.log.tenants()
    with store.facts.read() as reading:
        waiting |= {no for (no,) in reading.rows("SELECT DISTINCT tenant FROM todo")}
    for no in sample(sorted(waiting), len(waiting)):
        refreshed = refresh(store, no, progress=progress)
        done.events += refreshed.events
        done.tenants |= refreshed.tenants
        for unit, count in refreshed.units.items():
            done.units[unit] = done.units.get(unit, 0) + count
    return done


def waits(store: Store, tenant: int) -> bool:
    """Whether a tenant has events that are not stored or not folded yet."""
    return bool(store.log.last_of(tenant)) or _anything(store, tenant)


def _store(store: Store, tenant: int | None, upto: int, done: Refreshed) -> int:
    """Move batches numbered up to `upto` from the log to `event`, and add their units to `todo`; returns how many batches.

    With a tenant only its batches, in order, so that its answers do not wait for others' events.
    """
    with uncollected(), store.log.moving(tenant, upto, _at_once(store)) as moving:
        if moving is None:
            return 0
        units: Touched = set()
        for entry in moving.entries():
            done.events += _store_batch(moving.writing, entry, units)
            done.tenants.add(entry.tenant)
            if store.settling.is_over(background=tenant is None):
                break
        moving.writing.many(_TODO, sorted(units))
    return len(moving.moved)


def _at_once(store: Store) -> int:
    return EVENTS_IN_TURNS if store.settling.contended else EVENTS_AT_ONCE


def _store_batch(writing: Transaction, entry: Entry, units: Touched) -> int:
    """Store a batch, and add its units to `units`; returns how many events."""
    late = _late(writing, entry)
    rows = [_numbered(row, entry.n, at) for at, row in enumerate(entry.rows) if at not in late]
    _take_out(writing, entry, units, late)
    writing.many(_ADD, rows)
    published.mark(writing, entry.tenant, (row[TIME] for row in rows))
    new_sights(writing, touched(rows, units), units)
    writing.many(_REFUSE, _refused(entry, late))
    return len(rows)


def _numbered(row: Any, n: int, place: int) -> list[Any]:
    """Return an event's row with its place in the order of arrival."""
    numbered = list(row)
    numbered[_SEQ] = (n << 20) + place
    return numbered


def _late(writing: Transaction, entry: Entry) -> set[int]:
    """Return the places of events from before the cut, if retention cut after they were accepted."""
    since = writing.value("SELECT since FROM kept WHERE tenant = ? AND what = 'facts'", (entry.tenant,))
    return {at for at, row in enumerate(entry.rows) if row[TIME] < since} if since is not None else set()


def _take_out(writing: Transaction, entry: Entry, units: Touched, late: set[int]) -> None:
    """Delete the events that this batch corrects, and add their units to `units`.

    They move to `former_version` without their attributes, which no fold reads.
    """
    former = []
    for place, time in entry.replaced.items():
        if place in late:
            continue
        old = writing.rows(
            f"DELETE FROM event WHERE tenant = ? AND time = ? AND ident = ? RETURNING {', '.join(EVENT)}, receipts",
            (entry.tenant, time, entry.rows[place][IDENT]),
        )
        units.update(("contact", *contact) for contact in touched(old, units))
        units.update(("channel", entry.tenant, row[_CHANNEL] or "") for row in old if row[-1])
        until = entry.rows[place][_RECEIVED]
        former += [
            (*row[:_ATTRIBUTES], None, *row[_ATTRIBUTES + 1 : -1], until) for row in old if row[_RECEIVED] < until
        ]
    writing.many(_FORMER, former)


def _refused(entry: Entry, late: set[int]) -> list[Row]:
    """Return the quarantine's rows for a batch: its refused records, and its events from days that retention has deleted."""
    return [
        _quarantined(entry, *pair)
        for pair in enumerate([*entry.rejected, *(_too_late(entry, n) for n in sorted(late))])
    ]


def _too_late(entry: Entry, place: int) -> Refused:
    row = dict(zip(EVENT, entry.rows[place], strict=True))
    sent = {name: row[name] for name in Event.__struct_fields__ if row[name] is not None}
    sent["time"] = moment(row["time"]).isoformat()
    if row["attributes"] is not None:
        sent["attributes"] = json.loads(row["attributes"])
    why = "retention deleted this day before the event was stored"
    return Refused(row["received_at"], "api", "too_late", "time", why, json.dumps(sent, ensure_ascii=False))


def _quarantined(entry: Entry, place: int, refused: Refused) -> Row:
    same = ident_of(f"{refused.origin}\0{refused.code}", refused.raw)
    return {
        "id": (entry.n << 20) + place, "tenant": entry.tenant, "received_at": refused.received_at, "origin": refused.origin,
        "code": refused.code, "field": refused.field, "message": refused.message, "raw": refused.raw, "same": same,
    }  # fmt: skip


def _fold(store: Store, tenant: int | None, done: Refreshed, only: Units | None, pace: Pace) -> int:
    """Fold some units in one turn; returns how many.

    `only`: the units to fold; folded ones are removed, follow-ups added. Units of events that arrive meanwhile are left.
    """
    if not (_anything(store, tenant) if only is None else any(only.values())):
        return 0
    count = 0
    with store.facts.write(tenant) as writing:
        until = monotonic() + TURN

        def over() -> bool:
            return store.settling.is_over(background=tenant is None) or monotonic() >= until

        while some := _fold_some(writing, tenant, done, only, over, pace):
            count += some
            if count >= AT_ONCE or over():
                break
    return count


def _fold_some(
    writing: Transaction, tenant: int | None, done: Refreshed, only: Units | None, over: Callable[[], bool], pace: Pace
) -> int:
    """Fold units of the first kind that has any, at least one and until the turn is over; returns how many."""
    for unit in UNITS:
        keys = _keys(writing, unit, tenant, only)
        if not keys:
            continue
        again: Touched = set()
        folded: Touched = set()
        while keys:
            no = keys[0][0]
            some = [key for of, key in keys[: pace.size(unit)] if of == no]
            del keys[: len(some)]
            with pace.measured(unit, len(some)):
                again |= fold(writing, unit, no, some, folded)
            done.tenants.add(no)
            if over():
                break
        writing.many("DELETE FROM todo WHERE unit = ? AND tenant = ? AND key = ?", sorted(folded))
        writing.many(_TODO, sorted(again))
        if only is not None:
            for kind, _, key in folded:
                only[kind].discard(key)
            for kind, _, key in again:
                only[kind].add(key)
        done.units[unit] = done.units.get(unit, 0) + len(folded)
        return len(folded)
    return 0


class Pace:
    """How many units of a kind are folded at once: as many as take half a turn, by the time that the last ones took."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}

    def size(self, unit: str) -> int:
        """Return how many units to fold at once now."""
        return self._sizes.get(unit, AT_FIRST)

    @contextmanager
    def measured(self, unit: str, count: int) -> Iterator[None]:
        """Fold this many units in this context."""
        began = monotonic()
        yield
        took = max(monotonic() - began, 1e-6)
        self._sizes[unit] = max(1, min(AT_ONCE, 4 * count, int(count * TURN / 2 / took)))


def _keys(writing: Transaction, unit: str, tenant: int | None, only: Units | None) -> list[tuple[Any, ...]]:
    """Return tenant and key of some units of a kind to fold; removes units from `only` that others have folded."""
    if only is None:
        of_tenant, params = ("", ()) if tenant is None else (" AND tenant = ?", (tenant,))
        return writing.rows(
            f"SELECT tenant, key FROM todo WHERE unit = ?{of_tenant} ORDER BY tenant LIMIT {AT_ONCE}", (unit, *params)
        )
    sql = f"SELECT tenant, key FROM todo WHERE unit = ? AND tenant = ? AND key {writing.dialect.in_texts('?')}"
    while some := list(islice(only[unit], AT_ONCE)):
        if rows := writing.rows(sql, (unit, tenant, json.dumps(some))):
            return rows
        only[unit].difference_update(some)
    return []


def _units_of(store: Store, tenant: int) -> Units:
    """Return a tenant's units to fold."""
    units: Units = {unit: set() for unit in UNITS}
    kinds = ", ".join("?" * len(UNITS))
    with store.facts.read() as reading:
        for unit, key in reading.each(
            f"SELECT unit, key FROM todo WHERE unit IN ({kinds}) AND tenant = ?", (*UNITS, tenant)
        ):
            units[unit].add(key)
    return units


def _most_each(store: Store, events: int) -> int:
    """Return the most events for each unit with which a tenant of this many events is folded whole."""
    if events <= EVENTS_AT_ONCE:
        return EACH
    return MOST_ON_SERVER if store.facts.by_tenant else MOST


def _fold_whole(store: Store, tenant: int | None, done: Refreshed) -> Iterator[int]:
    """Fold tenants whole where that is cheaper than unit by unit; yields the number of units of each transaction.

    While others wait for the lock, a tenant with many events is left to be folded unit by unit, which can be interrupted.
    """
    of_tenant, params = ("", ()) if tenant is None else ("AND tenant = ?", (tenant,))
    with store.facts.read() as reading:
        many = reading.rows(  # after a cut of retention, folds begin at boundaries
            f"SELECT tenant, count(*) FROM todo WHERE tenant NOT IN (SELECT tenant FROM kept) {of_tenant} "
            f"GROUP BY tenant HAVING count(*) >= {MANY}",
            params,
        )
        sizes = {
            no: reading.value(
                "SELECT count(*) FROM (SELECT 1 FROM event WHERE tenant = ? LIMIT ?) AS e", (no, whole.AT_MOST + 1)
            )
            for no, _ in many
        }
    chosen = [
        (no, units) for no, units in many if sizes[no] <= min(whole.AT_MOST, units * _most_each(store, sizes[no]))
    ]
    while chosen:
        events = count = 0
        with uncollected(), store.facts.write(tenant) as writing:
            while chosen and events < (at_once := _at_once(store)):
                no, units = chosen.pop()
                if at_once < EVENTS_AT_ONCE and sizes[no] > at_once:
                    continue
                whole.write(writing, no, whole.fold(whole.read(writing, no)))
                writing.many("DELETE FROM todo WHERE unit = ? AND tenant = ?", [(unit, no) for unit in WHOLE])
                done.units["whole"] = done.units.get("whole", 0) + 1
                done.tenants.add(no)
                events, count = events + sizes[no], count + units
        yield count


def _anything(store: Store, tenant: int | None) -> bool:
    """Whether any unit waits to be folded: one look-up in an index, since every answer calls this."""
    units = ", ".join("?" * len(UNITS))
    with store.facts.read() as reading:
        if tenant is None:
            return reading.value("SELECT 1 FROM todo LIMIT 1") is not None
        sql = f"SELECT 1 FROM todo WHERE unit IN ({units}) AND tenant = ? LIMIT 1"
        return reading.value(sql, (*UNITS, tenant)) is not None

"""Refresh: what waits in the log becomes events, and the units they touch are folded; one transaction for each few hundred.

Storing an event adds its units to `todo` in the same transaction, folding takes them out in the same transaction as the facts, so
that a process that dies anywhere leaves nothing half done. An answer refreshes its own tenant first: there is one way of answering.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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
from hubbub.storage import published, schema
from hubbub.storage.identity import ident_of
from hubbub.storage.log import EVENT, IDENT, TIME, Entry
from hubbub.storage.store import Store
from hubbub.storage.transaction import Transaction

AT_ONCE = 200
"""Units that are folded in one transaction: other writers wait no longer than they take."""
MANY, EACH, MOST = 20, 10, 2
"""A tenant with so many units to be folded, and fewer than so many events for each of them, is folded whole. One with more events
than others should wait for is folded so only where most of it is new: fewer than `MOST` events for each unit."""
WHOLE = tuple(unit for unit in UNITS if unit != "person")
"""Units of which a whole fold does all: who several contacts are is not worked out of events alone."""
EVENTS_AT_ONCE, EVENTS_IN_TURNS = 5_000, 500
"""Events that are stored in one transaction, or folded whole: where nobody else waits, and where others do."""
TURN = 0.05
"""Seconds that a turn of folding takes: others who want to write wait no longer, also where a unit costs more."""
_ADD = schema.upsert("event", EVENT)
_TODO = schema.insert_new("todo")
_REFUSE = (
    "INSERT INTO quarantine SELECT :id, :tenant, :received_at, :origin, :code, :field, :message, :raw, :same "
    "WHERE NOT EXISTS (SELECT 1 FROM quarantine WHERE tenant = :tenant AND same = :same)"
)
"""What is refused again, as when a file is imported twice, is kept once."""
_FORMER = schema.insert_new("former_version", (*EVENT, "until"))
_SEQ, _CHANNEL, _RECEIVED = (EVENT.index(name) for name in ("seq", "channel", "received_at"))
_ATTRIBUTES = EVENT.index("attributes")
Progress = Callable[[str], None]
Units = dict[str, set[str]]
"""Keys of a tenant's units, by kind."""


def quiet(_: str) -> None:
    """Hear of progress and say nothing."""


@dataclass
class Refreshed:
    """What a refresh did: events moved out of the log, and units folded by kind."""

    events: int = 0
    units: dict[str, int] = field(default_factory=dict)
    tenants: set[int] = field(default_factory=set)


def refresh(store: Store, tenant: int | None = None, *, progress: Progress = quiet) -> Refreshed:
    """Store what waits in the log now and fold what it touches, of all tenants or of one.

    Of one, nothing of others is touched, and where it has nothing new nobody is waited for. May be called by anybody at any time,
    in several processes; raises StoreFullError, StoreUnavailableError, StoreBusyError.
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
    finally:  # what was committed before an error has changed
        if done.tenants:
            store.announce(done.tenants)


def store_waiting(store: Store, tenant: int) -> None:
    """Store what waits of a tenant in the log, and leave folding to others: for callers that read events alone.

    Raises StoreFullError, StoreUnavailableError, StoreBusyError.
    """
    last = store.log.last_of(tenant)
    if last:
        with store.settling:
            while _store(store, tenant, last, Refreshed()):
                pass


def _steps(store: Store, tenant: int | None, last: int, done: Refreshed) -> Iterator[str]:
    """Store, then fold; yields after each transaction what it did. One that is long ends early when others are due."""
    while count := _store(store, tenant, last, done):
        yield f"{count} batches stored"
    for count in _fold_whole(store, tenant, done):
        yield f"{count} units folded"
    only = _units_of(store, tenant) if tenant is not None else None
    while count := _fold(store, tenant, done, only):
        yield f"{count} units folded"


def _one_by_one(store: Store, progress: Progress) -> Refreshed:
    """Refresh all tenants of which anything waits, in an order by chance: other processes do the same at the same time."""
    done = Refreshed()
    waiting = store.log.tenants()
    with store.facts.read() as reading:
        waiting |= {no for (no,) in reading.rows("SELECT DISTINCT tenant FROM todo")}
    for no in sample(sorted(waiting), len(waiting)):
        one = refresh(store, no, progress=progress)
        done.events += one.events
        done.tenants |= one.tenants
        for unit, count in one.units.items():
            done.units[unit] = done.units.get(unit, 0) + count
    return done


def waits(store: Store, tenant: int) -> bool:
    """Whether anything of a tenant is not stored or not folded yet."""
    return bool(store.log.last_of(tenant)) or _anything(store, tenant)


def _store(store: Store, tenant: int | None, upto: int, done: Refreshed) -> int:
    """Move some of the log into `event`, up to a number, with what it touches; returns how many batches.

    Of one tenant, its own batches, each tenant's in their order: whoever asks does not wait for what others sent.
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
    """Store a batch, and add the units that it touches; returns how many events."""
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
    """Return the places of events from before what is kept: retention cut while they were on their way."""
    since = writing.value("SELECT since FROM kept WHERE tenant = ? AND what = 'facts'", (entry.tenant,))
    return {at for at, row in enumerate(entry.rows) if row[TIME] < since} if since is not None else set()


def _take_out(writing: Transaction, entry: Entry, units: Touched, late: set[int]) -> None:
    """Take out the events that this batch corrects; what they were part of is folded again.

    What they said stays in `former_version`, without its texts: nothing is folded from them.
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


def _refused(entry: Entry, late: set[int]) -> list[dict[str, Any]]:
    refused = [dict(one) for one in entry.rejected]
    for at in sorted(late):
        row = dict(zip(EVENT, entry.rows[at], strict=True))
        sent = {name: row[name] for name in Event.__struct_fields__ if row[name] is not None}
        sent["time"] = moment(row["time"]).isoformat()
        if row["attributes"] is not None:
            sent["attributes"] = json.loads(row["attributes"])
        refused.append(
            {
                "received_at": row["received_at"], "origin": "api", "code": "too_late", "field": "time",
                "message": "what is from then went meanwhile", "raw": json.dumps(sent, ensure_ascii=False),
            }
        )  # fmt: skip
    for place, one in enumerate(refused):
        same = ident_of(f"{one['origin']}\0{one['code']}", one["raw"])
        one |= {"id": (entry.n << 20) + place, "tenant": entry.tenant, "same": same}
    return refused


def _fold(store: Store, tenant: int | None, done: Refreshed, only: Units | None) -> int:
    """Fold some of what is to be folded, in one turn; returns how many units.

    `only` these units and what follows from them, which leave it: what others send meanwhile is not waited for.
    """
    if not (_anything(store, tenant) if only is None else any(only.values())):
        return 0
    count = 0
    with store.facts.write(tenant) as writing:
        until = monotonic() + TURN

        def over() -> bool:
            return store.settling.is_over(background=tenant is None) or monotonic() >= until

        while some := _fold_some(writing, tenant, done, only, over):
            count += some
            if count >= AT_ONCE or over():
                break
    return count


def _fold_some(
    writing: Transaction, tenant: int | None, done: Refreshed, only: Units | None, over: Callable[[], bool]
) -> int:
    """Fold units of the first kind of which there are any, at least one and until the turn is over; returns how many."""
    for unit in UNITS:
        keys = _keys(writing, unit, tenant, only)
        if not keys:
            continue
        again: Touched = set()
        folded: Touched = set()
        for no, key in keys:
            again |= fold(writing, unit, no, key, folded)
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


def _keys(writing: Transaction, unit: str, tenant: int | None, only: Units | None) -> list[tuple[Any, ...]]:
    """Return tenant and key of some units of a kind that are to be folded; what others have folded leaves `only`."""
    if only is None:
        mine, params = ("", ()) if tenant is None else (" AND tenant = ?", (tenant,))
        return writing.rows(f"SELECT tenant, key FROM todo WHERE unit = ?{mine} LIMIT {AT_ONCE}", (unit, *params))
    sql = f"SELECT tenant, key FROM todo WHERE unit = ? AND tenant = ? AND key IN {writing.dialect.texts('?')}"
    while some := list(islice(only[unit], AT_ONCE)):
        if found := writing.rows(sql, (unit, tenant, json.dumps(some))):
            return found
        only[unit].difference_update(some)
    return []


def _units_of(store: Store, tenant: int) -> Units:
    """Return what of a tenant is to be folded now."""
    found: Units = {unit: set() for unit in UNITS}
    kinds = ", ".join("?" * len(UNITS))
    with store.facts.read() as reading:
        for unit, key in reading.each(
            f"SELECT unit, key FROM todo WHERE unit IN ({kinds}) AND tenant = ?", (*UNITS, tenant)
        ):
            found[unit].add(key)
    return found


def _fold_whole(store: Store, tenant: int | None, done: Refreshed) -> Iterator[int]:
    """Fold at once the tenants where that is cheaper than key by key; yields how many units, transaction by transaction.

    While others wait for their turn, a tenant with many events is left to be folded key by key, which can be interrupted.
    """
    mine, params = ("", ()) if tenant is None else ("AND tenant = ?", (tenant,))
    with store.facts.read() as reading:
        many = reading.rows(  # where retention cut, a fold begins at the boundary of each key
            f"SELECT tenant, count(*) FROM todo WHERE tenant NOT IN (SELECT tenant FROM kept) {mine} "
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
        (no, units)
        for no, units in many
        if sizes[no] <= min(whole.AT_MOST, units * (EACH if sizes[no] <= EVENTS_AT_ONCE else MOST))
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
    """Whether anything is to be folded: asked before every answer, and so one statement that looks into an index."""
    units = ", ".join("?" * len(UNITS))
    with store.facts.read() as reading:
        if tenant is None:
            return reading.value("SELECT 1 FROM todo LIMIT 1") is not None
        sql = f"SELECT 1 FROM todo WHERE unit IN ({units}) AND tenant = ? LIMIT 1"
        return reading.value(sql, (*UNITS, tenant)) is not None

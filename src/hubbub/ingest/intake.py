"""Intake: check events, give each a source, id and time of receipt, append them to the log, and return the verdicts.

`read_events` (model/event.py) has parsed them; `check` (ingest/accept.py) finds faults beyond the shape; the log finds duplicates
and corrections, and returns once the events are on disk. Refused records are quarantined with their reason and can be replayed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hubbub.clock import Clock
from hubbub.control.erasures import Erased
from hubbub.facts.moments import micros
from hubbub.ingest.accept import DEFAULT_SOURCE, UNKEPT, Outcome, bounds, check, notes
from hubbub.ingest.stored import changed_rows, contradicting
from hubbub.memory import uncollected
from hubbub.model.event import MAX_RAW, NOTHING, TEXT_FIELDS, Event, Item, Rejection
from hubbub.model.tenant import Tenant
from hubbub.model.window import EPOCH
from hubbub.precedence import step_aside
from hubbub.storage.identity import ident_of
from hubbub.storage.log import EVENT, Batch, Refused, Verdict
from hubbub.storage.schema import BOOLEANS
from hubbub.storage.store import Store

_EPOCH = EPOCH.replace(tzinfo=None)
_MICROSECOND = timedelta(microseconds=1)
_FIELDS = Event.__struct_fields__
_GIVEN = tuple(
    c for c in EVENT if c not in ("tenant", "time", "ident", "seq", "source", "id", "attributes", "received_at")
)
_TEXTS = frozenset(TEXT_FIELDS)


class Intake:
    """Accepts events for a store. `gone_until` returns the time from which a tenant has facts.

    `arrived` is called with each tenant whose stored events changed, before the sender gets its answer. `erased` returns
    the erasures whose events are refused.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        gone_until: Callable[[Tenant], datetime | None],
        arrived: Callable[[Tenant], None] = lambda _: None,
        erased: Callable[[Tenant], Erased | None] = lambda _: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._gone_until = gone_until
        self._arrived = arrived
        self._erased = erased

    @uncollected()
    def accept(
        self,
        tenant: Tenant,
        items: Iterable[Item],
        *,
        history: bool = False,
        origin: str = "api",
        quarantine: bool = True,
        origins: Sequence[str] | None = None,
        changed: bool = False,
    ) -> Outcome:
        """Store good events durably and quarantine refused ones; returns one outcome for all.

        `history` accepts events older than the raw retention, and notes duplicates that contradict the stored event; `origin`
        says in quarantine where records came from; `origins` (one for each item) put file and line before each message.
        `changed`: an event equal to the stored one is a duplicate whatever its revision.
        """
        items = list(items)
        now = self._clock()
        gone = self._gone_until(tenant)
        limits = bounds(tenant, now, gone and gone.replace(tzinfo=None), history, self._erased(tenant))
        good, times, rejected = check(items, limits)
        for rejection in rejected if origins else ():
            rejection.message = f"{(origins or [])[rejection.index]}: {rejection.message}"
        received_at = micros(now)
        refused = [_quarantined(r, origin, received_at) for r in rejected if r.code not in UNKEPT] if quarantine else []
        verdicts: list[Verdict] = []
        remarks = notes(items)
        if good or refused:
            batch = batch_of(tenant, good, times, received_at, refused)
            step_aside()
            verdicts = self._append(batch, changed)
            if history:
                remarks += self._contradicting(batch, verdicts, items, rejected)
        for remark in remarks if origins else ():
            remark.message = f"{(origins or [])[remark.index]}: {remark.message}"
        if any(verdict is not Verdict.DUPLICATE for verdict in verdicts):
            self._arrived(tenant)
        return Outcome(
            stored=verdicts.count(Verdict.STORED),
            duplicates=verdicts.count(Verdict.DUPLICATE),
            corrected=verdicts.count(Verdict.CORRECTED),
            rejected=rejected,
            notes=remarks,
        )

    def _append(self, batch: Batch, changed: bool) -> list[Verdict]:
        if not changed:
            return self._store.log.append(batch)
        less, places = changed_rows(self._store, batch)
        verdicts = [Verdict.DUPLICATE] * len(batch.rows)
        for place, verdict in zip(places, self._store.log.append(less), strict=True):
            verdicts[place] = verdict
        return verdicts

    def _contradicting(
        self, batch: Batch, verdicts: Sequence[Verdict], items: Sequence[Item], rejected: Sequence[Rejection]
    ) -> list[Rejection]:
        """Return a note on each duplicate that differs from the stored event."""
        refused = {rejection.index for rejection in rejected}
        places = [i for i, item in enumerate(items) if isinstance(item, Event) and i not in refused]
        repeats = [n for n, verdict in enumerate(verdicts) if verdict is Verdict.DUPLICATE]
        contradicted = contradicting(self._store, batch.tenant, [batch.rows[n] for n in repeats])
        return [
            Rejection(
                index=places[repeats[n]], code="contradicts", field="id",
                message="the stored event with this id has other values and stays; send a higher 'revision' to replace it",
            )
            for n in contradicted
        ]  # fmt: skip


def batch_of(
    tenant: Tenant,
    events: Sequence[Event],
    times: Sequence[datetime],
    received_at: int,
    rejected: Sequence[Refused],
) -> Batch:
    """Return checked events as rows of the log; `times` are UTC without zone. An empty text is stored as absent."""
    if not events:
        return Batch(tenant.no, (), (), received_at, rejected)
    by_field = dict(zip(_FIELDS, zip(*map(msgspec.structs.astuple, events), strict=True), strict=True))
    n = len(events)
    columns: dict[str, Sequence[Any]] = {name: _plain(name, by_field[name]) for name in _GIVEN}
    given = [bool(id_) for id_ in by_field["id"]]
    columns["id"] = [id_ or uuid.uuid4().hex for id_ in by_field["id"]]
    columns["source"] = [source or DEFAULT_SOURCE for source in by_field["source"]]
    columns["ident"] = list(map(ident_of, columns["source"], columns["id"]))
    columns["time"] = [(time - _EPOCH) // _MICROSECOND for time in times]
    columns["attributes"] = [None if raw is NOTHING else bytes(raw).decode() or None for raw in by_field["attributes"]]
    columns |= {"tenant": [tenant.no] * n, "seq": [0] * n, "received_at": [received_at] * n}
    columns |= {name: [None if flag is None else int(flag) for flag in by_field[name]] for name in BOOLEANS}
    rows = list(zip(*(columns[name] for name in EVENT), strict=True))
    return Batch(tenant.no, rows, given, received_at, rejected)


def _plain(name: str, values: tuple[Any, ...]) -> Sequence[Any]:
    return [value or None for value in values] if name in _TEXTS and "" in values else values


def _quarantined(rejection: Rejection, origin: str, received_at: int) -> Refused:
    raw = rejection.raw[:MAX_RAW].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return Refused(received_at, origin, rejection.code, rejection.field, rejection.message, raw)

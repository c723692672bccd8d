"""Bring rollups up to date: find what is due from the data, fold it from raw events, replace whole windows.

Per fact there is a mark: the sequence number up to which its windows are folded. A refresh looks at the events after the
mark, names every window they can change, folds those windows anew and moves the mark, all in one transaction, for all
tenants at once. When that fails the tenants are halved until the bad one stands alone; it keeps its old mark and error,
and is tried again by the next refresh.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import pyarrow as pa

from hubbub.clock import Clock
from hubbub.metrics import fold
from hubbub.metrics.catalogue import FACTS, ROLLUPS
from hubbub.metrics.definition import Fact, Rollup
from hubbub.model import calendar
from hubbub.model.tenant import Tenant
from hubbub.rollups.halves import by_halves
from hubbub.rollups.windows import SLOT, Span, Step, WindowFold
from hubbub.store.base import Store, Work, utc_naive
from hubbub.store.hours import hours_from
from hubbub.telemetry import log

EVERYONE = 0
"""The tenant number under which a fact's general mark is kept."""

AT_ONCE = 4_000_000
"""So many events are folded from scratch in one transaction: beyond, what DuckDB collects of each group outgrows its limit."""


@dataclass
class Report:
    """What a refresh did: windows folded per rollup and grain, and the tenants that failed, with their error."""

    windows: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    up_to: int = 0

    def answer(self) -> dict[str, object]:
        """Return the public form."""
        return {
            "windows": sum(self.windows.values()),
            "rollups": dict(sorted(self.windows.items())),
            "errors": self.errors,
            "up_to": self.up_to,
        }


class Refresher:
    """Folds due windows of a store. One refresh runs at a time; appends and queries go on meanwhile."""

    def __init__(
        self,
        store: Store,
        tenants: Callable[[], Iterable[Tenant]],
        clock: Clock,
        changed: Callable[[set[int]], None] = lambda _: None,
    ) -> None:
        """`changed` hears the numbers of the tenants whose windows are others now, also when a refresh ends in an error."""
        self._store = store
        self._tenants = tenants
        self._clock = clock
        self._changed = changed
        self._touched: set[int] = set()
        self._settled: set[str] = set()
        self._now = clock()

    def refresh(
        self, only: Sequence[Tenant] | None = None, *, step: Step = lambda _: None, wait: bool = True
    ) -> Report:
        """Bring every due window of all tenants (or of `only`) up to date; `step` hears of each step by name.

        Raises StoreBusyError when another process refreshes for minutes; without `wait`, when one does.
        """
        with self._store.alone(wait=wait), self._telling():
            everyone = self._follow_tenants()
            chosen = everyone if only is None else {t.no: everyone[t.no] for t in only}
            unlike = self._unlike(chosen)
            report = Report(up_to=self._store.last_seq())
            self._now = self._clock()
            if only is None:
                self._store.order(self._now)
            marks_of = self._marks()
            for fact in FACTS:
                marks = marks_of.get(fact.name, {})
                groups: dict[int, list[Tenant]] = {}
                for no, tenant in chosen.items():
                    groups.setdefault(marks.get(no, marks.get(EVERYONE, 0)), []).append(tenant)
                failed: set[int] = set()
                whole = only is None and len(groups) == 1
                for since, group in sorted(groups.items()):
                    if since < report.up_to:
                        failed |= self._fold_group(fact, group, since, report, step, whole=whole)
                self._fold_hours(fact, unlike, report, step)
                if only is None and fact.name not in self._settled and marks != {EVERYONE: report.up_to}:
                    with self._store.change() as work:
                        _settle(work, fact, report.up_to, keep=failed)
            self._hours_folded(unlike, report)
            return report

    def fold(
        self, tenants: Sequence[Tenant], span: Span, rollups: Sequence[Rollup] | None = None, *, step: Step
    ) -> Report:
        """Fold all windows that touch a span anew, whether or not anything is due in them (backfill)."""
        with self._store.alone(), self._telling():
            self._follow_tenants()
            report = Report(up_to=self._store.last_seq())
            self._now = self._clock()
            for fact in {r.source.name: r.source for r in rollups or ROLLUPS}.values():
                mine = [r for r in rollups or ROLLUPS if r.source is fact]
                self._fold_group(fact, list(tenants), None, report, step, span=span, rollups=mine)
            return report

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell at the end whose windows changed, once, whatever happened."""
        self._touched, self._settled = set(), set()
        try:
            yield
        finally:
            if self._touched:
                self._changed(self._touched)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold refreshes back while something else changes rollups (retention)."""
        with self._store.alone():
            yield

    def _marks(self) -> dict[str, dict[int, int]]:
        """Return the marks of all facts by their names."""
        found: dict[str, dict[int, int]] = {}
        for fact, tenant, seq in self._store.query("SELECT fact, tenant, seq FROM marks").rows:
            found.setdefault(fact, {})[tenant] = seq
        return found

    def _follow_tenants(self) -> dict[int, Tenant]:
        """Copy tenants' names, zones and calendars into the store, and return all by number.

        A tenant whose zone changed is folded anew in full, one whose calendar did from the change on.
        """
        everyone = {t.no: t for t in self._tenants()}
        known = {
            no: (name, zone) for no, name, zone in self._store.query("SELECT tenant, name, zone FROM tenants").rows
        }
        changed = [t for t in everyone.values() if known.get(t.no) != (t.id, t.zone)]
        hours = self._changed_hours(everyone.values(), known)
        if not changed and not hours:
            return everyone
        self._touched.update([*(t.no for t in changed), *(row[0] for row in hours)])
        columns = ([t.no for t in changed], [t.id for t in changed], [t.zone for t in changed])
        with self._store.change() as work:
            kinds = (pa.int32(), pa.string(), pa.string())
            arrays = [pa.array(values, kind) for values, kind in zip(columns, kinds, strict=True)]
            work.table("changed", pa.table(arrays, names=["tenant", "name", "zone"]))
            work.execute("DELETE FROM tenants WHERE tenant IN (SELECT tenant FROM changed)")
            work.execute("INSERT INTO tenants SELECT tenant, name, zone FROM changed")
            for tenant in changed:
                no = {"tenant": tenant.no}
                if tenant.no not in known or known[tenant.no][1] == tenant.zone:
                    continue
                log.info("tenant zone changed", tenant=tenant.id, zone=tenant.zone)
                for rollup in ROLLUPS:
                    for grain in rollup.keep:
                        for table, _ in fold.schema(rollup, grain):
                            work.execute(
                                f"DELETE FROM {table} WHERE tenant = $tenant AND window_start >= coalesce("
                                "(SELECT max(until) FROM frozen WHERE tenant = $tenant), TIMESTAMP '1970-01-01')", no,
                            )  # fmt: skip
                for fact in FACTS:
                    work.execute("DELETE FROM marks WHERE fact = $fact AND tenant = $tenant", {**no, "fact": fact.name})
                    work.execute(
                        "INSERT INTO marks VALUES ($fact, $tenant, 0, NULL, 0, NULL)", {**no, "fact": fact.name}
                    )
            if hours:
                names = ["tenant", "calendar", "since"]
                kept = [pa.int32(), pa.string(), pa.timestamp("us")]
                columns_ = [pa.array(values, kind) for values, kind in zip(zip(*hours, strict=True), kept, strict=True)]
                work.table("changed_hours", pa.table(columns_, names=names))
                work.execute("DELETE FROM hours WHERE tenant IN (SELECT tenant FROM changed_hours)")
                work.execute("INSERT INTO hours SELECT tenant, calendar, since FROM changed_hours")
        return everyone

    def _changed_hours(
        self, tenants: Iterable[Tenant], known: Container[int]
    ) -> list[tuple[int, str, datetime | None]]:
        """Return the rows of the store's table `hours` that are not as they must be; nothing is folded of unknown tenants."""
        kept = {no: (told, since) for no, told, since in self._store.query("SELECT * FROM hours").rows}
        rows: list[tuple[int, str, datetime | None]] = []
        for tenant in tenants:
            row = kept.get(tenant.no)
            since = hours_from(row, tenant) if tenant.no in known else None
            told = json.dumps(calendar.document(tenant.calendar)) if tenant.calendar or row else None
            if told is not None and row != (told, since):
                rows.append((tenant.no, told, since))
        return rows

    def _unlike(self, chosen: Mapping[int, Tenant]) -> dict[datetime, list[Tenant]]:
        """Return who is folded by another calendar than the present one, by the moment from which on."""
        found: dict[datetime, list[Tenant]] = {}
        for no, since in self._store.query("SELECT tenant, since FROM hours WHERE since IS NOT NULL").rows:
            if no in chosen:
                found.setdefault(since, []).append(chosen[no])
        return found

    def _fold_hours(self, fact: Fact, unlike: Mapping[datetime, list[Tenant]], report: Report, step: Step) -> None:
        """Fold what a changed calendar concerns: windows of rollups in business hours, from the change on."""
        mine = [rollup for rollup in ROLLUPS if rollup.source is fact and rollup.in_hours]
        for since, tenants in unlike.items() if mine else ():
            low, high = self._store.query(
                'SELECT min("time"), max("time") FROM events WHERE tenant IN (SELECT unnest($tenants::INTEGER[]))',
                {"tenants": [t.no for t in tenants]},
            ).rows[0]
            if high is None or high < since:
                continue
            span = Span(max(low, since).replace(tzinfo=UTC), high.replace(tzinfo=UTC) + SLOT)
            self._fold_group(fact, tenants, None, report, step, span=span, rollups=mine)

    def _hours_folded(self, unlike: Mapping[datetime, list[Tenant]], report: Report) -> None:
        """Write down whose numbers in business hours are all by the present calendar now."""
        done = [t.no for tenants in unlike.values() for t in tenants if t.id not in report.errors]
        if done:
            with self._store.change() as work:
                told = {"tenants": done}
                mine = "tenant IN (SELECT unnest($tenants::INTEGER[]))"
                work.make("settled", f"SELECT tenant, calendar FROM hours WHERE {mine}", told)
                work.execute(f"DELETE FROM hours WHERE {mine}", told)
                work.execute("INSERT INTO hours SELECT tenant, calendar, NULL FROM settled")

    def _fold_group(
        self,
        fact: Fact,
        tenants: list[Tenant],
        since: int | None,
        report: Report,
        step: Step,
        *,
        span: Span | None = None,
        rollups: Sequence[Rollup] | None = None,
        whole: bool = False,
    ) -> set[int]:
        """Fold for these tenants together; on failure by halves, until who fails stands alone. Returns who failed.

        `whole` says that these are all tenants: folded in one transaction they get one mark, in the same.
        """

        def act(some: Sequence[Tenant]) -> None:
            with self._store.change() as work:
                windows = WindowFold(work, fact, some, self._now, step, rollups)
                counts = windows.run(since, span)
                settled = whole and len(some) == len(tenants)
                if settled:
                    _settle(work, fact, report.up_to)
                elif since is not None:
                    _mark(work, fact, some, report.up_to)
                step(f"{fact.name}: before commit")
            # a tenant's first fold changes what answers say of windows in which nothing happened: they are settled now
            self._touched |= windows.changed if since else {t.no for t in some}
            if settled:
                self._settled.add(fact.name)
            step(f"{fact.name}: after commit")
            for name, count in counts.items():
                report.windows[name] = report.windows.get(name, 0) + count

        failed: set[int] = set()
        shares = self._shares(tenants) if since == 0 and report.up_to > AT_ONCE else [tenants]
        for tenant, message in chain.from_iterable(by_halves(share, act) for share in shares):
            log.error("fold failed", tenant=tenant.id, fact=fact.name, error=message)
            report.errors[tenant.id] = f"{fact.name}: {message}"
            if since is not None:
                with self._store.change() as work:
                    _mark(work, fact, [tenant], since, message, utc_naive(self._clock()))
            failed.add(tenant.no)
        return failed

    def _shares(self, tenants: Iterable[Tenant]) -> list[list[Tenant]]:
        """Split tenants, in order, where their events come to `AT_ONCE`."""
        events = dict(self._store.query("SELECT tenant, count(*) FROM events GROUP BY tenant").rows)
        shares: list[list[Tenant]] = [[]]
        room = AT_ONCE
        for tenant in sorted(tenants, key=lambda one: one.no):
            count = events.get(tenant.no, 0)
            if shares[-1] and count > room:
                shares.append([])
                room = AT_ONCE
            shares[-1].append(tenant)
            room -= count
        return shares


def _settle(work: Work, fact: Fact, up_to: int, keep: Iterable[int] = ()) -> None:
    """All tenants stand at `up_to` but those to `keep`: one general mark says so."""
    names = {"fact": fact.name}
    kept = ", ".join(str(no) for no in keep) or "-1"
    work.execute(f"DELETE FROM marks WHERE fact = $fact AND tenant NOT IN ({kept})", names)
    work.execute(f"INSERT INTO marks VALUES ($fact, {EVERYONE}, $seq, NULL, 0, NULL)", {**names, "seq": up_to})


def _mark(
    work: Work,
    fact: Fact,
    tenants: Sequence[Tenant],
    seq: int,
    error: str | None = None,
    tried_at: datetime | None = None,
) -> None:
    numbers = pa.table({"tenant": pa.array([t.no for t in tenants], pa.int32())})
    work.table("marked", numbers)
    tries = work.execute(
        "SELECT coalesce(max(attempts), 0) FROM marks WHERE fact = $fact AND tenant IN (SELECT tenant FROM marked)",
        {"fact": fact.name},
    ).rows[0][0]
    work.execute("DELETE FROM marks WHERE fact = $fact AND tenant IN (SELECT tenant FROM marked)", {"fact": fact.name})
    work.execute(
        "INSERT INTO marks SELECT $fact, tenant, $seq, $error, $attempts, $tried_at FROM marked",
        {"fact": fact.name, "seq": seq, "error": error, "attempts": tries + 1 if error else 0, "tried_at": tried_at},
    )

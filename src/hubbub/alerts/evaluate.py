"""Evaluates a rule once: judges the windows that are due, and opens, updates and closes incidents.

A window opens an incident once: when it is due or, where data was missing then, when the data has arrived. When late events change
a judged window, its incident notes the change, and nobody is notified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hubbub.alerts.judge import Judged, Number, Verdict, judged
from hubbub.alerts.notice import over, sentence, title, when
from hubbub.alerts.rules import TICK, checked, delay, windows_to_close
from hubbub.alerts.run import Run, step
from hubbub.alerts.series import Facts, now_waiting, series_of
from hubbub.control.alerts import Entry, Incident, Skipped, StoredRule
from hubbub.control.database import new_id
from hubbub.errors import StoreUnavailableError
from hubbub.metrics.catalogue import RequestedMetric
from hubbub.model.alert import Kind, Rule
from hubbub.model.question import Question
from hubbub.model.window import windows
from hubbub.query.result import Answer, Cell
from hubbub.reports.formatting import near

BACK = timedelta(days=7)
"""How far back missed windows are still judged: the server was down, or a source caught up."""
INTEGRATION = "integration:"
"""Prefix of the slice of an integration's incident."""
LATE = timedelta(days=31)
"""How far back windows of an open incident are judged again."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A broken integration of the tenant, with the reason."""

    id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result: changed incidents by id, their new entries, and those that opened or closed with a sentence each."""

    judged_to: datetime
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    opened: Sequence[tuple[Incident, str]] = ()
    closed: Sequence[tuple[Incident, str]] = ()
    skipped: Sequence[Skipped] = ()
    """Windows whose numbers are unknown."""
    caught_up: Sequence[Skipped] = ()
    """Earlier skipped windows that are judged now."""


def folded(ask: Callable[[Question], Answer]) -> Callable[[Question], Answer]:
    """Return `ask` with a check: the answer raises StoreUnavailableError while events wait to be folded."""

    def answered(question: Question) -> Answer:
        answer = ask(question)
        if answer.freshness.behind:
            raise StoreUnavailableError(f"nothing is judged: {answer.freshness.behind}")
        return answer

    return answered


def evaluate(
    facts: Facts,
    stored: StoredRule,
    rule: Rule,
    last: Mapping[str, Incident],
    skipped: Sequence[Skipped],
    broken: Sequence[Broken],
    now: datetime,
) -> Evaluation | None:
    """Judge the windows of a rule that are due at `now`; None where none is.

    `last`: the newest incident of each slice. `skipped`: windows that were unknown so far. `broken`: all broken integrations of
    the tenant. Raises what answers raise, and StoreUnavailableError while events wait to be folded.
    """
    metric = checked(rule)
    facts = replace(facts, ask=folded(facts.ask))
    work = _Work(facts, stored, rule, metric, dict(last), now)
    if rule.kind is Kind.SLA:
        return work.of_states()
    if rule.kind is Kind.SOURCE:
        work.of_integrations(broken)
    return work.of_windows(skipped)


class _Work:
    """The incidents of a rule while it is judged."""

    def __init__(
        self,
        facts: Facts,
        stored: StoredRule,
        rule: Rule,
        metric: RequestedMetric,
        last: dict[str, Incident],
        now: datetime,
    ) -> None:
        self._facts, self._stored, self._rule, self._metric, self._now = facts, stored, rule, metric, now
        self._last = last
        self._changed: dict[str, Incident] = {}
        self._entries: list[Entry] = []
        self._opened: dict[str, str] = {}
        self._closed: dict[str, str] = {}

    def of_states(self) -> Evaluation | None:
        """Judge the present state, at most once a tick; a slice that is gone is quiet."""
        if self._now - self._stored.judged_to < TICK * 0.9:
            return None
        start = self._now - TICK
        waiting = list(now_waiting(self._facts, self._rule, start, self._now))
        slices = {waiter.slice for waiter in waiting}
        gone = [last.slice for last in self._last.values() if last.closed_at is None and last.slice not in slices]
        for value in (*waiting, *(Number(start, self._now, slice_, Cell(None)) for slice_ in gone)):
            self._go_on(judged(self._rule, self._metric.unit, value))
        return self._done(self._now, (), ())

    def of_integrations(self, broken: Sequence[Broken]) -> None:
        """Open an incident for each broken integration; close it once the integration works again or was removed."""
        by_slice = {f"{INTEGRATION}{integration.id}": integration for integration in broken}
        for slice_, integration in by_slice.items():
            if self._open(slice_) is None:
                text = f"The integration {integration.name} is broken: {integration.reason or 'see the page Sources'}."
                self._begin(Run(slice_, self._now, self._now, 1.0, None, 1.0, self._now), text, integration.name)
        for about in list(self._last.values()):
            if about.slice.startswith(INTEGRATION) and about.closed_at is None and about.slice not in by_slice:
                self._close(about, "The integration works again, or was removed.")

    def of_windows(self, skipped: Sequence[Skipped]) -> Evaluation | None:
        """Judge the windows that ended long enough ago, and the skipped ones."""
        to = self._stored.judged_to
        ripe = self._now - delay(self._metric)
        since = max(to, self._now - BACK)
        cut = [
            w for w in windows(since, max(since, ripe), self._rule.grain, self._facts.tenant.tz) if to < w.end <= ripe
        ]
        again = {(skip.start, skip.slice): skip for skip in skipped if skip.start >= self._now - BACK}
        if not cut and not again:
            return self._done(to, (), ()) if self._changed else None
        judged_to = cut[-1].end if cut else to
        open_ = [
            last.peak_at for last in self._last.values() if last.closed_at is None and last.peak_at >= self._now - LATE
        ]
        low = min([w.start for w in cut[:1]] + [start for start, _ in again] + open_)
        new = {w.start for w in cut}
        left: dict[datetime, list[Judged]] = {}
        for verdict in sorted(self._judged(low, judged_to), key=lambda verdict: (verdict.start, verdict.slice)):
            missed = (verdict.start, verdict.slice) in again or (verdict.start, "") in again
            if verdict.start not in new and not missed:
                self._look_again(verdict)
                continue
            if verdict.verdict is Verdict.UNKNOWN:
                left.setdefault(verdict.start, []).append(verdict)
            elif verdict.start in new:
                self._go_on(verdict)
            else:
                self._catch_up(verdict)
        unknown = [skip for start, some in left.items() for skip in _skipped(start, some)]
        still = {(skip.start, skip.slice) for skip in unknown}
        return self._done(judged_to, unknown, [skip for key, skip in again.items() if key not in still])

    def _judged(self, low: datetime, high: datetime) -> Iterator[Judged]:
        for value in series_of(self._facts, self._rule, low, high):
            yield judged(self._rule, self._metric.unit, value)

    # --- one verdict

    def _go_on(self, verdict: Judged) -> None:
        """Open, update or close a slice's incident by the verdict on its next window."""
        before = self._open(verdict.slice)
        run = step(_run(before) if before else None, verdict, windows_to_close(self._rule), self._rule.direction)
        if run is None:
            return
        if before is None:
            self._begin(run, self._sentence(verdict))
            return
        after = replace(before, fired_to=run.fired_to, peak=run.peak, peak_at=run.peak_at, quiet=run.quiet)
        self._keep(after)
        if after.peak != before.peak:
            self._note(after, "updated", f"{self._sentence(verdict)} Nobody was notified again.")
        if run.closed_at is not None:
            self._close(after, over(self._rule, self._metric, run, self._facts.tenant))

    def _catch_up(self, verdict: Judged) -> None:
        """Judge a skipped window: it may open an incident where none covers it, and closes none."""
        if verdict.verdict is Verdict.QUIET or verdict.value is None:
            return
        about = self._last.get(verdict.slice)
        if about is None or (about.closed_at is not None and verdict.start >= about.fired_to):
            run = step(None, verdict, 1, self._rule.direction)
            assert run is not None
            self._begin(run, self._sentence(verdict))
        elif about.closed_at is None:
            self._keep(replace(about, start=min(about.start, verdict.start)))
            self._note(about, "late", f"{self._sentence(verdict)} It came late; nobody was notified again.")

    def _look_again(self, verdict: Judged) -> None:
        """Note that late events changed the peak window of an open incident."""
        about = self._open(verdict.slice)
        if about is None or verdict.start != about.peak_at or verdict.value is None or verdict.value == about.peak:
            return
        unit = self._metric.unit
        text = (
            f"Late events changed it from {near(about.peak, unit)} to {near(verdict.value, unit)} "
            f"{when(verdict.start, self._rule.grain, self._facts.tenant)}. Same incident; nobody was notified again."
        )
        self._keep(
            replace(about, peak=verdict.value, value=verdict.value if about.start == verdict.start else about.value)
        )
        self._note(about, "late", text)

    def _begin(self, run: Run, text: str, name: str = "") -> None:
        incident = Incident(
            new_id("inc"), self._stored.tenant, self._stored.id, run.slice, title(self._rule, name or run.slice)[:400], run.start,
            run.fired_to, run.value, run.usual, run.peak, run.peak_at, 0, self._now,
        )  # fmt: skip
        self._opened[incident.id] = text
        self._keep(incident)
        self._note(incident, "opened", text)

    def _close(self, incident: Incident, text: str) -> None:
        self._closed[incident.id] = text
        self._keep(replace(incident, closed_at=self._now))
        self._note(incident, "closed", text)

    def _open(self, slice_: str) -> Incident | None:
        incident = self._last.get(slice_)
        return incident if incident is not None and incident.closed_at is None else None

    def _keep(self, incident: Incident) -> None:
        self._last[incident.slice] = self._changed[incident.id] = incident

    def _note(self, incident: Incident, what: str, text: str) -> None:
        self._entries.append(Entry(incident.id, self._now, what, text))

    def _sentence(self, verdict: Judged) -> str:
        return sentence(self._rule, self._metric, verdict, self._facts.tenant)

    def _done(self, to: datetime, skipped: Sequence[Skipped], caught_up: Sequence[Skipped]) -> Evaluation:
        def of(texts: Mapping[str, str]) -> list[tuple[Incident, str]]:
            return [(self._changed[id_], text) for id_, text in texts.items()]

        return Evaluation(to, self._changed, self._entries, of(self._opened), of(self._closed), skipped, caught_up)


def _run(incident: Incident) -> Run:
    return Run(
        incident.slice, incident.start, incident.fired_to, incident.value, incident.usual, incident.peak, incident.peak_at,
        incident.quiet,
    )  # fmt: skip


def _skipped(start: datetime, some: Sequence[Judged]) -> list[Skipped]:
    """Return the skipped slices of a window: one row for all where they share the reason."""
    reasons = {verdict.why for verdict in some}
    if len(reasons) == 1:
        return [Skipped(start, "", reasons.pop())]
    return [Skipped(start, verdict.slice, verdict.why) for verdict in some]

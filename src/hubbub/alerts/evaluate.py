"""One evaluation of a rule: the windows that became ripe are judged, incidents open, go on and close, and messages are drafted.

A window opens an incident once: when its time comes, or, where something was missing then, when that is there. What events change
in windows that were judged before is written into their incident, and rings nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hubbub.alerts.judge import Judged, Number, Verdict, judged
from hubbub.alerts.notice import number, sentence, title, when
from hubbub.alerts.rules import TICK, checked, delay, windows_to_close
from hubbub.alerts.run import Run, step
from hubbub.alerts.series import Facts, now_waiting, series_of
from hubbub.control.alerts import Entry, Incident, Skipped, StoredRule, new_id
from hubbub.errors import StoreUnavailableError
from hubbub.metrics.catalogue import Asked
from hubbub.model.alert import Kind, Rule
from hubbub.model.question import Question
from hubbub.model.window import windows
from hubbub.query.result import Answer, Cell

BACK = timedelta(days=7)
"""How far back windows are judged that were not when their time came: a server that was down, a source that caught up."""
INTEGRATION = "integration:"
"""What the slice of an integration's incident begins with."""
LATE = timedelta(days=31)
"""For how long windows of an open incident are looked at again."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An integration of the tenant that is broken, and why."""

    id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of it: incidents as they are now with what happened to them, those that opened and closed with a sentence each."""

    judged_to: datetime
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    opened: Sequence[tuple[Incident, str]] = ()
    closed: Sequence[tuple[Incident, str]] = ()
    skipped: Sequence[Skipped] = ()
    caught_up: Sequence[Skipped] = ()


def folded(ask: Callable[[Question], Answer]) -> Callable[[Question], Answer]:
    """Return what answers from facts that hold all that came; raises StoreUnavailableError where some waits to be folded."""

    def asked(question: Question) -> Answer:
        answer = ask(question)
        if "behind" in answer.freshness:
            raise StoreUnavailableError(f"nothing is judged: {answer.freshness['behind']}")
        return answer

    return asked


def evaluate(
    facts: Facts,
    stored: StoredRule,
    rule: Rule,
    last: Mapping[str, Incident],
    skipped: Sequence[Skipped],
    broken: Sequence[Broken],
    now: datetime,
) -> Evaluation | None:
    """Judge what became ripe of a rule by a moment; None where nothing did. `last`: the newest incident of each slice.

    `broken` are all integrations of the tenant that are.

    Raises what answers raise, and StoreUnavailableError where not all is folded.
    """
    asked = checked(rule)
    facts = replace(facts, ask=folded(facts.ask))
    work = _Work(facts, stored, rule, asked, dict(last), now)
    if rule.kind is Kind.SLA:
        return work.of_states()
    if rule.kind is Kind.SOURCE:
        work.of_integrations(broken)
    return work.of_windows(skipped)


class _Work:
    """The incidents of a rule while it is judged."""

    def __init__(
        self, facts: Facts, stored: StoredRule, rule: Rule, asked: Asked, last: dict[str, Incident], now: datetime
    ) -> None:
        self._facts, self._stored, self._rule, self._asked, self._now = facts, stored, rule, asked, now
        self._last = last
        self._changed: dict[str, Incident] = {}
        self._entries: list[Entry] = []
        self._opened: dict[str, str] = {}
        self._closed: dict[str, str] = {}

    def of_states(self) -> Evaluation | None:
        """Judge what is so now, at most once a tick; a slice that is not there any more is quiet."""
        if self._now - self._stored.judged_to < TICK * 0.9:
            return None
        start = self._now - TICK
        found = list(now_waiting(self._facts, self._rule, start, self._now))
        there = {one.slice for one in found}
        gone = [one.slice for one in self._last.values() if one.closed_at is None and one.slice not in there]
        for one in (*found, *(Number(start, self._now, slice_, Cell(None)) for slice_ in gone)):
            self._go_on(judged(self._rule, self._asked.unit, one))
        return self._done(self._now, (), ())

    def of_integrations(self, broken: Sequence[Broken]) -> None:
        """Open an incident for each integration that is broken, and close those of integrations that are not any more."""
        found = {f"{INTEGRATION}{one.id}": one for one in broken}
        for slice_, one in found.items():
            if self._open(slice_) is None:
                text = f"The integration {one.name} is broken: {one.reason or 'see the page Sources'}."
                self._begin(Run(slice_, self._now, self._now, 1.0, None, 1.0, self._now), text, one.name)
        for about in list(self._last.values()):
            if about.slice.startswith(INTEGRATION) and about.closed_at is None and about.slice not in found:
                self._close(about, "The integration works again, or was removed.")

    def of_windows(self, skipped: Sequence[Skipped]) -> Evaluation | None:
        """Judge the windows that ended long enough ago, and those that could not be judged before."""
        to = self._stored.judged_to
        ripe = self._now - delay(self._asked)
        since = max(to, self._now - BACK)
        cut = [
            w for w in windows(since, max(since, ripe), self._rule.grain, self._facts.tenant.tz) if to < w.end <= ripe
        ]
        again = {(one.start, one.slice): one for one in skipped if one.start >= self._now - BACK}
        if not cut and not again:
            return self._done(to, (), ()) if self._changed else None
        judged_to = cut[-1].end if cut else to
        open_ = [
            one.peak_at for one in self._last.values() if one.closed_at is None and one.peak_at >= self._now - LATE
        ]
        low = min([w.start for w in cut[:1]] + [start for start, _ in again] + open_)
        new = {w.start for w in cut}
        left: dict[datetime, list[Judged]] = {}
        for one in sorted(self._judged(low, judged_to), key=lambda one: (one.start, one.slice)):
            missed = (one.start, one.slice) in again or (one.start, "") in again
            if one.start not in new and not missed:
                self._look_again(one)
                continue
            if one.verdict is Verdict.UNKNOWN:
                left.setdefault(one.start, []).append(one)
            elif one.start in new:
                self._go_on(one)
            else:
                self._catch_up(one)
        unknown = [skip for start, some in left.items() for skip in _skipped(start, some)]
        still = {(one.start, one.slice) for one in unknown}
        return self._done(judged_to, unknown, [one for key, one in again.items() if key not in still])

    def _judged(self, low: datetime, high: datetime) -> Iterator[Judged]:
        for one in series_of(self._facts, self._rule, low, high):
            yield judged(self._rule, self._asked.unit, one)

    # --- one verdict

    def _go_on(self, one: Judged) -> None:
        """Let an incident of a slice open, go on, or close by the verdict on its next window."""
        before = self._open(one.slice)
        run = step(_run(before) if before else None, one, windows_to_close(self._rule), self._rule.direction)
        if run is None:
            return
        if before is None:
            self._begin(run, self._sentence(one))
            return
        after = replace(
            before, fired_to=run.fired_to, peak=run.peak, peak_at=run.peak_at, quiet=run.quiet,
        )  # fmt: skip
        self._keep(after)
        if after.peak != before.peak:
            self._note(after, "updated", f"{self._sentence(one)} Nobody was notified again.")
        if run.closed_at is not None:
            count = windows_to_close(self._rule)
            windows_ = "A quiet window" if count == 1 else f"{count} quiet windows in a row"
            self._close(after, f"{windows_}; the farthest was {self._number(after.peak)}.")

    def _catch_up(self, one: Judged) -> None:
        """Judge a window whose time was before: it opens an incident where none is about it, and closes none."""
        if one.verdict is Verdict.QUIET or one.value is None:
            return
        about = self._last.get(one.slice)
        if about is None or (about.closed_at is not None and one.start >= about.fired_to):
            run = step(None, one, 1, self._rule.direction)
            assert run is not None
            self._begin(run, self._sentence(one))
        elif about.closed_at is None:
            self._keep(replace(about, start=min(about.start, one.start)))
            self._note(about, "late", f"{self._sentence(one)} It came late; nobody was notified again.")

    def _look_again(self, one: Judged) -> None:
        """Write down that events changed the farthest window of an open incident after it was judged."""
        about = self._open(one.slice)
        if about is None or one.start != about.peak_at or one.value is None or one.value == about.peak:
            return
        text = (
            f"Late events changed it from {self._number(about.peak)} to {self._number(one.value)} "
            f"{when(one.start, self._rule.grain, self._facts.tenant)}. Same incident; nobody was notified again."
        )
        self._keep(replace(about, peak=one.value, value=one.value if about.start == one.start else about.value))
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
        found = self._last.get(slice_)
        return found if found is not None and found.closed_at is None else None

    def _keep(self, incident: Incident) -> None:
        self._last[incident.slice] = self._changed[incident.id] = incident

    def _note(self, incident: Incident, what: str, text: str) -> None:
        self._entries.append(Entry(incident.id, self._now, what, text))

    def _sentence(self, one: Judged) -> str:
        return sentence(self._rule, self._asked, one, self._facts.tenant)

    def _number(self, value: float) -> str:
        return number(value, self._asked.unit)

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
    """Return what is written down of a window's slices that could not be judged: one line where all have the same reason."""
    reasons = {one.why for one in some}
    if len(reasons) == 1:
        return [Skipped(start, "", reasons.pop())]
    return [Skipped(start, one.slice, one.why) for one in some]

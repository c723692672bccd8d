"""Tries a rule on the past year: its incidents, how many other floors or limits would open, and what it would miss.

Past windows are judged like new ones, with all that is known today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hubbub.alerts.judge import FEWEST, Judged, Number, Verdict, judged
from hubbub.alerts.rules import checked, counts_things, delay, windows_to_close
from hubbub.alerts.run import Run, runs
from hubbub.alerts.series import Facts, series_of
from hubbub.errors import BadInputError
from hubbub.metrics.catalogue import RequestedMetric
from hubbub.metrics.definition import Unit
from hubbub.model.alert import Direction, Kind, Rule
from hubbub.model.window import Grain, window_of
from hubbub.query.usual import WEEKS

YEAR = timedelta(days=365)
FLOORS = ((None, 2.0), (0.0, 1.0), (5.0, 1.5), (10.0, 2.0), (20.0, 3.0))
"""Absolute (None: unlikely by chance) and relative floors to compare with the rule's own."""
LIMITS = (0.5, 0.75, 1.5, 2.0)
"""Limits to compare, as multiples of the rule's own."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A rule with other floors or another limit: incidents a year and, for counts, the share of tripled windows that fire."""

    at_least: float | None
    times: float
    limit: float | None
    incidents: int
    tripled: float | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """What a rule would have done over `[start, end)`: runs (newest first), number of judged windows, variants.

    `unknown` counts the windows that were not judged, by reason.
    """

    start: datetime
    end: datetime
    runs: tuple[Run, ...]
    judged: int
    unknown: dict[str, int]
    variants: tuple[Variant, ...]


def replay(facts: Facts, rule: Rule, now: datetime) -> Replay:
    """Try a rule on the past year. Raises BadQuestionError for unknown names, BadInputError for a rule that cannot work."""
    metric = checked(rule)
    tried = replace(rule, grain=Grain.HOUR) if rule.kind is Kind.SLA else rule
    end = window_of(now - delay(metric), tried.grain, facts.tenant.tz).start
    start = end - YEAR
    numbers = list(series_of(facts, tried, start, end)) if start < end else []
    refuse(rule, metric, numbers)
    verdicts = [judged(tried, metric.unit, number) for number in numbers]
    unknown: dict[str, int] = {}
    for verdict in verdicts:
        if verdict.verdict is Verdict.UNKNOWN:
            unknown[verdict.why] = unknown.get(verdict.why, 0) + 1
    runs_ = _runs(tried, verdicts)
    return Replay(
        start, end, tuple(reversed(runs_)), len(verdicts) - sum(unknown.values()), unknown,
        tuple(_tried(other, metric, numbers, own=other == tried) for other in _variants(tried)),
    )  # fmt: skip


def refuse(rule: Rule, metric: RequestedMetric, numbers: Sequence[Number]) -> None:
    """Raise BadInputError for a rule on falling counts where too few are usual for a low number to mean anything."""
    falls = rule.kind is Kind.CHANGE and rule.direction is not Direction.ABOVE
    if not falls or not counts_things(metric):
        return
    recent = numbers[-1].start - WEEKS * timedelta(weeks=1) if numbers else None
    most = max(
        (n.usual.median for n in numbers if n.usual and n.usual.median is not None and recent and n.start >= recent), default=0.0
    )  # fmt: skip
    if most < FEWEST:
        each = f" of each {rule.by}" if rule.by else ""
        raise BadInputError(
            f"direction: fewer than {FEWEST} {metric.name} a {rule.grain} are expected{each} (at most {most:g} are usual), so a "
            f"quiet {rule.grain} says nothing; take a longer grain, larger slices, or the direction above"
        )


def _runs(rule: Rule, verdicts: Sequence[Judged]) -> list[Run]:
    return runs(verdicts, windows_to_close(rule), rule.direction)


def _variants(rule: Rule) -> list[Rule]:
    if rule.kind is Kind.CHANGE:
        own = None if rule.at_least is None else float(rule.at_least), float(rule.times)
        floors = sorted({*FLOORS, own}, key=lambda floor: (floor[0] if floor[0] is not None else -1.0, floor[1]))
        return [replace(rule, at_least=at_least, times=times) for at_least, times in floors]
    if rule.limit:
        return [replace(rule, limit=rule.limit * part) for part in sorted((*LIMITS, 1.0))]
    return [rule]


def _tried(rule: Rule, metric: RequestedMetric, numbers: Sequence[Number], *, own: bool) -> Variant:
    verdicts = [judged(rule, metric.unit, number) for number in numbers]
    return Variant(
        rule.at_least, rule.times, rule.limit, len(_runs(rule, verdicts)), _tripled(rule, metric.unit, numbers), own
    )


def _tripled(rule: Rule, unit: Unit, numbers: Sequence[Number]) -> float | None:
    """Return the share of windows that would fire with three times their count; None where no window has a count."""
    if rule.kind is not Kind.CHANGE or rule.direction is Direction.BELOW or unit is not Unit.COUNT:
        return None
    higher = [
        judged(rule, unit, replace(number, cell=replace(number.cell, value=3 * number.cell.value)))
        for number in numbers
        if number.cell.value
    ]
    known = [verdict for verdict in higher if verdict.verdict is not Verdict.UNKNOWN]
    return sum(verdict.verdict is Verdict.FIRED for verdict in known) / len(known) if known else None

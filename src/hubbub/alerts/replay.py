"""A rule tried on the past year: when it would have opened an incident, how often with other floors, and what it would have missed.

The windows of the past are judged by the same code as those to come, with all that is known of them today.
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
from hubbub.metrics.catalogue import Asked
from hubbub.metrics.definition import Unit
from hubbub.model.alert import Direction, Kind, Rule
from hubbub.model.window import Grain, window_of
from hubbub.query.usual import WEEKS

YEAR = timedelta(days=365)
FLOORS = ((0.0, 1.0), (5.0, 1.5), (10.0, 2.0), (20.0, 3.0))
"""Absolute and relative floors that are shown beside a rule's own."""
LIMITS = (0.5, 0.75, 1.5, 2.0)
"""The same of limits: parts of a rule's own."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A rule with other floors or another limit: incidents a year, and of counts the share of tripled windows that it finds."""

    at_least: float
    times: float
    limit: float | None
    incidents: int
    tripled: float | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """What a rule would have done over `[start, end)`: its runs, newest first, how many windows it judged, and other floors.

    `unknown` counts by reason the windows that were not judged.
    """

    start: datetime
    end: datetime
    runs: tuple[Run, ...]
    judged: int
    unknown: dict[str, int]
    variants: tuple[Variant, ...]


def replay(facts: Facts, rule: Rule, now: datetime) -> Replay:
    """Try a rule on the past year. Raises BadQuestionError, and BadInputError for a rule that cannot work."""
    asked = checked(rule)
    tried = replace(rule, grain=Grain.HOUR) if rule.kind is Kind.SLA else rule
    end = window_of(now - delay(asked), tried.grain, facts.tenant.tz).start
    start = end - YEAR
    found = list(series_of(facts, tried, start, end)) if start < end else []
    refuse(rule, asked, found)
    verdicts = [judged(tried, asked.unit, number) for number in found]
    unknown: dict[str, int] = {}
    for one in verdicts:
        if one.verdict is Verdict.UNKNOWN:
            unknown[one.why] = unknown.get(one.why, 0) + 1
    mine = _runs(tried, verdicts)
    return Replay(
        start, end, tuple(reversed(mine)), len(verdicts) - sum(unknown.values()), unknown,
        tuple(_tried(other, asked, found, own=other == tried) for other in _variants(tried)),
    )  # fmt: skip


def refuse(rule: Rule, asked: Asked, found: Sequence[Number]) -> None:
    """Raise BadInputError for a rule on falling counts where so few are expected lately that a low number says nothing."""
    falls = rule.kind is Kind.CHANGE and rule.direction is not Direction.ABOVE
    if not falls or not counts_things(asked):
        return
    recent = found[-1].start - WEEKS * timedelta(weeks=1) if found else None
    most = max(
        (n.usual.median for n in found if n.usual and n.usual.median is not None and recent and n.start >= recent), default=0.0
    )  # fmt: skip
    if most < FEWEST:
        each = f" of each {rule.by}" if rule.by else ""
        raise BadInputError(
            f"direction: fewer than {FEWEST} {asked.name} a {rule.grain} are expected{each} (at most {most:g} are usual), so a "
            f"quiet {rule.grain} says nothing; take a longer grain, more of the whole, or the direction above"
        )


def _runs(rule: Rule, verdicts: Sequence[Judged]) -> list[Run]:
    return runs(verdicts, windows_to_close(rule), rule.direction)


def _variants(rule: Rule) -> list[Rule]:
    if rule.kind is Kind.CHANGE:
        floors = sorted({*FLOORS, (float(rule.at_least), float(rule.times))})
        return [replace(rule, at_least=at_least, times=times) for at_least, times in floors]
    if rule.limit:
        return [replace(rule, limit=rule.limit * part) for part in sorted((*LIMITS, 1.0))]
    return [rule]


def _tried(rule: Rule, asked: Asked, found: Sequence[Number], *, own: bool) -> Variant:
    verdicts = [judged(rule, asked.unit, number) for number in found]
    return Variant(
        rule.at_least, rule.times, rule.limit, len(_runs(rule, verdicts)), _tripled(rule, asked.unit, found), own
    )


def _tripled(rule: Rule, unit: Unit, found: Sequence[Number]) -> float | None:
    """Return the share of windows in which a count, had it been three times as high, would have fired; None where none counted."""
    if rule.kind is not Kind.CHANGE or rule.direction is Direction.BELOW or unit is not Unit.COUNT:
        return None
    higher = [
        judged(rule, unit, replace(number, cell=replace(number.cell, value=3 * number.cell.value)))
        for number in found
        if number.cell.value
    ]
    known = [one for one in higher if one.verdict is not Verdict.UNKNOWN]
    return sum(one.verdict is Verdict.FIRED for one in known) / len(known) if known else None

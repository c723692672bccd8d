"""The catalogue: every fact, rollup and metric by name, and the dimensions of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from hubbub.errors import BadQuestionError
from hubbub.metrics import (
    activity,
    ai,
    campaigns,
    contacts,
    conversations,
    hours,
    intents,
    messages,
    questions,
    responses,
    satisfaction,
    staff,
    targets,
    tasks,
    topics,
)  # fmt: skip
from hubbub.metrics.definition import WITHIN, Better, Fact, Metric, Quantiles, Rollup, State, Unit
from hubbub.model.event import nearest
from hubbub.model.window import Grain

DEFINITION_VERSION = 4
"""Raised when a metric's meaning changes; every answer names the version it was computed by."""

ROLLUPS: tuple[Rollup, ...] = (
    *messages.ROLLUPS, *responses.ROLLUPS, *conversations.ROLLUPS, *ai.ROLLUPS, *questions.ROLLUPS, *hours.ROLLUPS, *tasks.ROLLUPS,
    *staff.ROLLUPS, *intents.ROLLUPS, *topics.ROLLUPS, *satisfaction.ROLLUPS, *contacts.ROLLUPS, *campaigns.ROLLUPS,
    *activity.ROLLUPS, *targets.ROLLUPS,
)  # fmt: skip
FACTS: tuple[Fact, ...] = tuple({r.source.name: r.source for r in ROLLUPS}.values())
STATISTICS: dict[str, str] = {
    "avg": "mean", "p50": "median", "p90": "9 in 10 within", "p95": "19 in 20 within", "p99": "99 in 100 within",
    "min": "shortest", "max": "longest", "count": "count", "sum": "sum",
    **{name: re.sub(r"_(\d+)", r" \1 ", name) for name in WITHIN},
}  # fmt: skip
"""Statistics of a distribution -> their titles."""
DIMENSION_NAMES = {"first_staff_id": "staff_id"}
"""Column -> public dimension name, where they differ."""
MEMBERS_ALLOWED = frozenset({"contact_id"})
"""Hidden dimensions that may still be filtered and grouped by: a tenant may look at one of its contacts."""


@dataclass(frozen=True)
class RequestedMetric:
    """A requested metric: its full name, declaration, rollup, and for distributions the statistic."""

    name: str
    declared: Metric
    rollup: Rollup
    statistic: str | None = None

    @property
    def unit(self) -> Unit:
        """Unit of the value: a distribution's count is a count, and the part within a limit a share."""
        if self.statistic in WITHIN:
            return Unit.SHARE
        return Unit.COUNT if self.statistic == "count" else self.declared.unit

    @property
    def better(self) -> Better | None:
        """The better direction: `HIGHER` for the share of short durations within a limit; None for counts and sums."""
        if self.statistic in WITHIN and self.declared.better is Better.LOWER:
            return Better.HIGHER
        return None if self.statistic in ("count", "sum") else self.declared.better

    @property
    def correlated(self) -> bool:
        """Whether it is read by subqueries that name columns of the rows around them, which not every engine has."""
        fact = self.rollup.source
        of_waits = isinstance(self.declared, State) and self.declared.past_target
        return of_waits or ("EXISTS (" in fact.view and not fact.by_joins)


METRICS: dict[str, tuple[Metric, Rollup]] = {name: (m, r) for r in ROLLUPS for name, m in r.metrics.items()}


def dimensions_of(rollup: Rollup) -> Mapping[str, str]:
    """Return public dimension name -> column for a rollup, in order."""
    return _named(rollup.dimensions)


@cache
def _named(columns: tuple[str, ...]) -> Mapping[str, str]:
    return {DIMENSION_NAMES.get(column, column): column for column in columns}


def askable(rollup: Rollup) -> list[str]:
    """Return the public names of dimensions to split and filter by."""
    return [
        name
        for name, column in dimensions_of(rollup).items()
        if column not in rollup.hidden or column in MEMBERS_ALLOWED
    ]


def names() -> list[str]:
    """Return all metric names, distributions with their statistics."""
    return [
        full
        for name, (metric, _) in METRICS.items()
        for full in ([f"{name}.{s}" for s in STATISTICS] if isinstance(metric, Quantiles) else [name])
    ]


def title_of(name: str) -> str:
    """Return a metric's title, with its statistic if named: the declared title, or the words of its name."""
    base, _, statistic = name.partition(".")
    title = METRICS[base][0].title or base.removesuffix("_ms").replace("_", " ").capitalize()
    return f"{title}, {STATISTICS[statistic]}" if statistic else title


def find(name: str) -> RequestedMetric:
    """Return a metric by its name. Raises BadQuestionError with the nearest names."""
    base, _, statistic = name.partition(".")
    if base in METRICS:
        metric, rollup = METRICS[base]
        if not isinstance(metric, Quantiles):
            if not statistic:
                return RequestedMetric(name, metric, rollup)
        elif statistic in STATISTICS:
            return RequestedMetric(name, metric, rollup, statistic)
        elif not statistic:
            raise BadQuestionError(
                f"metric '{base}' is a distribution: ask for one of {', '.join(f'{base}.{s}' for s in STATISTICS)}"
            )
    raise BadQuestionError(f"metric {name[:80]!r} is not in the catalogue{nearest(name, names())}")


@dataclass(frozen=True, slots=True)
class MetricEntry:
    """A metric of the catalogue."""

    name: str
    title: str
    """Its name for people."""
    definition: str
    unit: str
    better: Better | None
    """The better direction; null where neither is good by itself."""
    kind: str
    statistics: Sequence[str]
    """Asked for as <name>.<statistic>; empty: it is asked for by its name."""
    dimensions: Sequence[str]
    grains: Sequence[str]
    rollup: str
    """The group of metrics that one statement computes."""
    state: bool
    """Whether it is a value at a moment, not over a range."""
    definition_version: int


def entries() -> list[MetricEntry]:
    """Return the catalogue, in the order of its declarations."""
    return [
        MetricEntry(
            name=name,
            title=title_of(name),
            definition=metric.doc,
            unit=metric.unit.value,
            better=metric.better,
            kind=type(metric).__name__.lower(),
            statistics=list(STATISTICS) if isinstance(metric, Quantiles) else [],
            dimensions=askable(rollup),
            grains=[grain.value for grain in Grain if grain is not Grain.TOTAL],
            rollup=rollup.name,
            state=isinstance(metric, State),
            definition_version=DEFINITION_VERSION,
        )
        for name, (metric, rollup) in METRICS.items()
    ]

"""The grammar of metric declarations: Fact, Measure, Rollup, and the metrics that are read from them.

A `Fact` is a view with one row for each logical thing. A `Rollup` says which of its rows, dated by an anchor and split by
dimensions, are aggregated into which measures. From that alone follow answers, explanations, the catalogue and the reference page;
nothing that is declared here is stored.

SQL here is what SQLite and other databases share: FILTER, CASE, EXISTS; nothing user-given is in it.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from hubbub.model.tenant import MOST_TONES


class Unit(StrEnum):
    """How a value is written, and how its change is: percent for all but shares, which change in percentage points."""

    COUNT = "count"
    MS = "ms"
    SHARE = "share"
    SCORE = "score"
    NUMBER = "number"


class Better(StrEnum):
    """Which way a metric should go, where it should."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True)
class Measure(ABC):
    """A number that facts (`f`) are aggregated into."""

    doc: str
    unit: Unit


@dataclass(frozen=True)
class Count(Measure):
    """Facts for which a condition holds."""

    where: str | None = None


@dataclass(frozen=True)
class Sum(Measure):
    """The sum of a fact's column, added up as whole millionths, so that any order gives the same last digit."""

    column: str = ""
    where: str | None = None

    SCALE = 1_000_000


@dataclass(frozen=True)
class Extreme(Measure):
    """The smallest or largest value of a fact's column; null where there is none."""

    column: str = ""
    largest: bool = False


@dataclass(frozen=True)
class Distribution(Measure):
    """The values of a duration in whole ms: a fact's column, or one of its `spells`."""

    column: str = ""


TONES = f"({', '.join(f':tone_{n}' for n in range(MOST_TONES))})"
"""The tones that a tenant counts, in the SQL of a measure; `tones_bound` says which they are."""


def tones_bound(tones: Sequence[str]) -> dict[str, str | None]:
    """Return what `TONES` binds; places that are left are null, which nothing is equal to."""
    return {f"tone_{n}": tones[n] if n < len(tones) else None for n in range(MOST_TONES)}


WITHIN: Mapping[str, int] = {
    "within_1min": 60_000, "within_5min": 300_000, "within_15min": 900_000, "within_1h": 3_600_000, "within_4h": 14_400_000,
    "within_1d": 86_400_000,
}  # fmt: skip
"""Shares of a distribution's values up to a limit in ms, the limit included, by the statistic's name."""


@dataclass(frozen=True)
class Fact:
    """One row for each logical thing: `docs/facts.md`. `view` is a SELECT of these rows from the store's tables.

    `persons` is the same for tenants who have linked contacts, where rows say what a person did: all ids of one count.
    Its columns are `tenant`, the anchor(s) in microseconds, dimensions and what measures aggregate. `key` tells apart two rows of
    the same anchor; a fact whose key is `ident` is of the event at that anchor. `id` is what people know the thing by.
    `event` is a condition on `e`, an event of the anchor's moment, under which that is the one that the row is about.
    `look_ahead` is the horizon: how long after the anchor an event may still change a row. `spells` names durations that reading
    works out: the business milliseconds between two moments of the row, by the tenant's calendar, null where there is none.
    `subjects` are those of the event types that rows are made of (`message` of `message.sent`); empty: of any.
    """

    name: str
    doc: str
    view: str
    persons: str = ""
    key: str = "ident"
    id: str = "id"
    event: str = ""
    look_ahead: timedelta = timedelta(0)
    subjects: tuple[str, ...] = ()
    spells: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """Something that can be asked for by name.

    `title` is what people call it, where the words of its name would not do. `better` None: neither way is good by itself.
    """

    doc: str
    unit: Unit
    title: str = ""
    better: Better | None = None


@dataclass(frozen=True)
class Stored(Metric):
    """A measure over the asked windows. `divide` turns millionths back into the unit."""

    measure: str = ""
    divide: int = 1
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ratio(Metric):
    """A division: sum(weight * measure) / under * factor; 0 below gives null.

    `receipted`: only channels that ever gave a receipt count.
    """

    over: Mapping[str, float] = field(default_factory=dict)
    under: str = ""
    factor: float = 1.0
    receipted: bool = False


@dataclass(frozen=True)
class Quantiles(Metric):
    """A distribution, asked for as `<name>.avg|p50|p90|p95|p99|min|max|count|sum`, or by a limit: see `WITHIN`."""

    measure: str = ""


@dataclass(frozen=True)
class Distinct(Metric):
    """How many different members have a fact that a measure counts; exact over any range."""

    member: str = ""
    measure: str = ""


@dataclass(frozen=True)
class DistinctRatio(Metric):
    """Distinct members with a fact that measure `over` counts / those with one that `under` counts."""

    member: str = ""
    over: str = ""
    under: str = ""


@dataclass(frozen=True)
class State(Metric):
    """How many entities are in a state at the end of a window, or now while it is open: `held` is (entity, state).

    With `age`: how many ms ago what the state means began for the one in it longest, null when there is none.
    """

    held: tuple[str, str] = ("", "")
    age: bool = False


@dataclass(frozen=True)
class First(Metric):
    """How many entities came into a state that is never left in the window: `held` is (entity, state)."""

    held: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Score(Metric):
    """A number that a function of `hubbub.calculations` makes from the measures `parts` of one rollup."""

    parts: tuple[str, ...] = ()
    function: str = ""


@dataclass(frozen=True)
class Rollup:
    """Measures of a fact by dimensions per window, and the metrics that are read from them."""

    name: str
    doc: str
    source: Fact
    dimensions: tuple[str, ...]
    measures: Mapping[str, Measure]
    metrics: Mapping[str, Metric]
    anchor: str = "anchor"
    where: str = "TRUE"
    hidden: tuple[str, ...] = ()
    """Dimensions that hold entities (contacts, conversations): members of distinct counts, never grouped by."""

    @property
    def in_hours(self) -> bool:
        """Whether its numbers depend on the tenant's business hours; without a calendar they are null."""
        values = {measure.column for measure in self.measures.values() if isinstance(measure, Distribution)}
        return bool(values & set(self.source.spells))

    @property
    def by_tones(self) -> bool:
        """Whether its numbers depend on the tones that the tenant counts, see `TONES`."""
        return any(TONES in (m.where or "") for m in self.measures.values() if isinstance(m, Count))

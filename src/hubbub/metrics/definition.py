"""The types of metric declarations: Fact, Measure, Rollup, and the metrics computed from them.

A `Fact` is a view with one row for each logical thing. A `Rollup` selects rows, dates them by an anchor, splits them
by dimensions, and names their measures. Answers, explanations, the catalogue and the reference page follow from these declarations,
which are not stored.

SQL here is common to all engines, like FILTER and CASE, and holds no user input; `Fact.by_joins` is the exception.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from fractions import Fraction

from hubbub.model.target import Aim
from hubbub.model.tenant import MOST_TONES, Tenant
from hubbub.model.threads import MOST_CHANNELS, MOST_SIGNS, Threads


class Unit(StrEnum):
    """The unit of a value. Changes are in percent, of shares in percentage points."""

    COUNT = "count"
    MS = "ms"
    SHARE = "share"
    SCORE = "score"
    """A mean on a short scale, like 1 to 5."""
    INDEX = "index"
    """A number on a scale that ends at 100."""
    NUMBER = "number"


class Better(StrEnum):
    """The better direction of a metric."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True)
class Measure(ABC):
    """An aggregate of facts (`f`)."""

    doc: str
    unit: Unit


@dataclass(frozen=True)
class Count(Measure):
    """The number of facts that meet a condition; None: of all."""

    where: str | None = None


@dataclass(frozen=True)
class Sum(Measure):
    """The sum of a fact's column in whole millionths, so that the order of rows does not change the last digit.

    `known`: null, with state `not_reported`, where there are facts and none has a value; else such a sum is 0.
    """

    column: str = ""
    where: str | None = None
    known: bool = False

    SCALE = 1_000_000


@dataclass(frozen=True)
class Extreme(Measure):
    """The smallest or largest value of a fact's column; null without values."""

    column: str = ""
    largest: bool = False


@dataclass(frozen=True)
class Distribution(Measure):
    """The values of a duration in whole ms: a fact's column, or one of its `spells`."""

    column: str = ""


@dataclass(frozen=True)
class Judged(Measure):
    """The number of spells that a tenant's target judges: all (None), those within it (True), or those past it (False)."""

    within: bool | None = None


TONES = f"({', '.join(f':tone_{n}' for n in range(MOST_TONES))})"
"""SQL of the tones that a tenant counts; `tones_bound` gives the parameters."""


def tones_bound(tones: Sequence[str]) -> dict[str, str | None]:
    """Return the parameters of `TONES`; unused ones are null, which equals nothing."""
    return {f"tone_{n}": tones[n] if n < len(tones) else None for n in range(MOST_TONES)}


HELP_CHANNELS = f"({', '.join(f':help_{n}' for n in range(MOST_CHANNELS))})"
"""SQL of the channels that a tenant names as help channels."""
SIGNS = f"(VALUES {', '.join(f'(:sign_{n})' for n in range(MOST_SIGNS))})"
"""SQL of the reactions that answer a question, one a row (`column1`)."""


def threads_bound(threads: Threads) -> dict[str, str | None]:
    """Return the parameters of `HELP_CHANNELS` and `SIGNS`; unused ones are null, which equals nothing."""
    return {
        f"{name}_{n}": names[n] if n < len(names) else None
        for name, names, most in (
            ("help", threads.help_channels, MOST_CHANNELS),
            ("sign", threads.answer_signs, MOST_SIGNS),
        )
        for n in range(most)
    }


NOW = ":now"
"""SQL of the moment of the answer, in microseconds, for conditions of measures."""

WITHIN: Mapping[str, int] = {
    "within_1min": 60_000, "within_5min": 300_000, "within_15min": 900_000, "within_1h": 3_600_000, "within_4h": 14_400_000,
    "within_1d": 86_400_000,
}  # fmt: skip
"""Shares of a distribution's values up to a limit in ms, the limit included, by the statistic's name."""


@dataclass(frozen=True)
class Fact:
    """One row for each logical thing: `docs/facts.md`. `view` is a SELECT of these rows from the store's tables.

    `persons` is the same for tenants with linked contacts, where rows say what a person did under any id. `by_joins` and
    `persons_by_joins` are the same two for the rows in `[:low, :high)` (microseconds), for an engine without correlated subqueries.
    Its columns are `tenant`, the anchor(s) in microseconds, dimensions and inputs of measures. `key` distinguishes rows of the same
    anchor; a fact with the key `ident` belongs to the event at that anchor. `id`: the public id of the thing.
    `event`: condition on `e`, an event at the anchor's time, for the event that the row is about.
    `look_ahead`: how long after the anchor an event may still change a row. `spells`: durations computed on reading, the business
    milliseconds between two times of the row by the tenant's calendar, null without one.
    `subjects`: those of the event types that rows are made of (`message` of `message.sent`); empty: any.
    """

    name: str
    doc: str
    view: str
    persons: str = ""
    by_joins: str = ""
    persons_by_joins: str = ""
    key: str = "ident"
    id: str = "id"
    event: str = ""
    look_ahead: timedelta = timedelta(0)
    subjects: tuple[str, ...] = ()
    spells: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """A metric that can be asked for by name.

    `title`: its name for people; empty: made from its name. `better` None: neither direction is good by itself.
    """

    doc: str
    unit: Unit
    title: str = ""
    better: Better | None = None


@dataclass(frozen=True)
class Stored(Metric):
    """A measure over the windows of a question. `divide` turns millionths back into the unit.

    `times`: a factor from the tenant's settings; without it the value is null. `where`: filters, unless the question has its own.
    """

    measure: str = ""
    divide: int = 1
    times: Callable[[Tenant], Fraction | None] | None = None
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
    """The number of distinct members with a fact that a measure counts; exact over any range."""

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
    """The number of entities in a state at the end of a window, or now while it is open; `held`: (entity, state).

    With `age`: the age in ms of what the state describes, for the entity longest in it; null without entities.
    With `past_target`: the number of those that have waited longer than the tenant's target allows; null without a target.
    """

    held: tuple[str, str] = ("", "")
    age: bool = False
    past_target: bool = False

    @property
    def only_grows(self) -> bool:
        """Whether it counts all that was ever known: earlier weeks do not say how much is usual."""
        return self.held[1] == "known"


@dataclass(frozen=True)
class First(Metric):
    """The number of entities that entered, in the window, a state that is never left; `held`: (entity, state)."""

    held: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Score(Metric):
    """A number computed by a function of `hubbub.calculations` from the measures `parts` of a rollup."""

    parts: tuple[str, ...] = ()
    function: str = ""


@dataclass(frozen=True)
class Rollup:
    """Measures of a fact by dimensions for each window, and the metrics computed from them."""

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
    aim: Aim | None = None
    """The targets that judge its rows: spells from `began` to `ended`; one without an end goes on until `waited_until`."""

    @property
    def in_hours(self) -> bool:
        """Whether its numbers depend on the tenant's business hours; without a calendar they are null."""
        values = {measure.column for measure in self.measures.values() if isinstance(measure, Distribution)}
        return bool(values & set(self.source.spells))

    @property
    def by_tones(self) -> bool:
        """Whether its numbers depend on the tenant's tones, see `TONES`."""
        return any(TONES in (m.where or "") for m in self.measures.values() if isinstance(m, Count))

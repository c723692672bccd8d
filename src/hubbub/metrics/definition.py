"""The grammar of metric declarations: Fact, Measure, Rollup, and the metrics read from rollups.

A `Fact` is a SELECT with one row per logical thing, folded from events. A `Rollup` says which fact rows, cut into windows
by their anchor time and grouped by dimensions, are aggregated into which measures. From that alone follow table schemas,
the fold from raw events, the merge of stored rows, the catalogue, and the reference page.

SQL here is the part that DuckDB and ClickHouse share: CTEs, window functions, FILTER, CASE; nothing user-given is in it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from hubbub.model.window import Grain

GAMMA = 1.02
"""Ratio of neighbouring histogram bounds: a bucket's estimate is within (GAMMA - 1) / (GAMMA + 1) < 1 % of any value in it."""

ZERO_BUCKET = -1


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
class Column:
    """A stored column: how fact rows fold into it (`f` is the fact) and how stored values of it merge (`r` is the rollup)."""

    name: str
    type: str
    fold: str
    merge: str


@dataclass(frozen=True)
class Measure(ABC):
    """A stored number. `columns(name)` are its columns in the rollup's table."""

    doc: str
    unit: Unit

    @abstractmethod
    def columns(self, name: str) -> tuple[Column, ...]:
        """Return the stored columns of this measure under `name`."""


def _filter(where: str | None) -> str:
    return f" FILTER (WHERE {where})" if where else ""


@dataclass(frozen=True)
class Count(Measure):
    """Rows of the fact, where a condition holds."""

    where: str | None = None

    def columns(self, name: str) -> tuple[Column, ...]:
        """One BIGINT that merges by adding."""
        return (Column(name, "BIGINT", f"count(*){_filter(self.where)}", f"CAST(sum(r.{name}) AS BIGINT)"),)


@dataclass(frozen=True)
class Sum(Measure):
    """The sum of a fact's column. Stored as whole millionths, so that adding in any order gives the same last digit."""

    column: str = ""
    where: str | None = None

    SCALE = 1_000_000

    def columns(self, name: str) -> tuple[Column, ...]:
        """One exact 128-bit integer, in millionths, that merges by adding."""
        fold = f"coalesce(sum(CAST(round(f.{self.column} * {self.SCALE}) AS HUGEINT)){_filter(self.where)}, 0)"
        return (Column(name, "HUGEINT", f"CAST({fold} AS HUGEINT)", f"CAST(sum(r.{name}) AS HUGEINT)"),)


@dataclass(frozen=True)
class Extreme(Measure):
    """The smallest or largest value of a fact's column; null where there is none."""

    column: str = ""
    largest: bool = False
    type: str = "DOUBLE"
    where: str | None = None

    def columns(self, name: str) -> tuple[Column, ...]:
        """One nullable column that merges by min or max."""
        how = "max" if self.largest else "min"
        return (Column(name, self.type, f"{how}(f.{self.column}){_filter(self.where)}", f"{how}(r.{name})"),)


@dataclass(frozen=True)
class Unended(Measure):
    """The moments in a fact's column that are later than all of another, `ends`: what still waits.

    All of them, not only the first: rows of two channels overlap in time, and an end in one takes back what began the other's.
    """

    column: str = ""
    ends: str = ""

    def columns(self, name: str) -> tuple[Column, ...]:
        """The moments, in order and each once, and under `<name>_ended` the latest end."""
        return (
            Column(name, "TIMESTAMP[]", _later(f"list(f.{self.column})", f"f.{self.ends}"),
                   _later(f"flatten(list(r.{name}))", f"r.{name}_ended")),
            Column(f"{name}_ended", "TIMESTAMP", f"max(f.{self.ends})", f"max(r.{name}_ended)"),
        )  # fmt: skip


def _later(moments: str, ends: str) -> str:
    kept = f"list_filter({moments}, lambda x: x > coalesce(max({ends}), TIMESTAMP '1900-01-01'))"
    return f"list_sort(list_distinct({kept}))"


@dataclass(frozen=True)
class Latest(Measure):
    """The last value of a column by the fact's anchor time; of two at the same moment the greater, in any arrival order."""

    column: str = ""
    at: str = "anchor"
    where: str | None = None

    def columns(self, name: str) -> tuple[Column, ...]:
        """The value and the moment it was set; merging keeps the later pair."""
        keep = f"f.{self.column} IS NOT NULL" + (f" AND ({self.where})" if self.where else "")
        return (
            Column(
                name, "VARCHAR",
                f"arg_max(f.{self.column}, (f.{self.at}, f.{self.column})) FILTER (WHERE {keep})",
                f"arg_max(r.{name}, (r.{name}_at, r.{name})) FILTER (WHERE r.{name} IS NOT NULL)",
            ),
            Column(f"{name}_at", "TIMESTAMP", f"max(f.{self.at}) FILTER (WHERE {keep})", f"max(r.{name}_at)"),
        )  # fmt: skip


@dataclass(frozen=True)
class Distribution(Measure):
    """Count, exact sum, min and max of a duration in whole ms, and a log-bucket histogram in a table of its own.

    Bucket b holds values in (GAMMA^(b-1), GAMMA^b]; zero has `ZERO_BUCKET`. After DDSketch (Masson et al., VLDB 2019):
    merging is adding counts, and any quantile is within 1 % of a true value at that rank.
    """

    column: str = ""

    def columns(self, name: str) -> tuple[Column, ...]:
        """Four BIGINT columns `<name>_count|sum|min|max`."""
        c = f"f.{self.column}"
        return (
            Column(f"{name}_count", "BIGINT", f"count({c})", f"CAST(sum(r.{name}_count) AS BIGINT)"),
            Column(
                f"{name}_sum",
                "HUGEINT",
                f"CAST(coalesce(sum({c}), 0) AS HUGEINT)",
                f"CAST(sum(r.{name}_sum) AS HUGEINT)",
            ),
            Column(f"{name}_min", "BIGINT", f"min({c})", f"min(r.{name}_min)"),
            Column(f"{name}_max", "BIGINT", f"max({c})", f"max(r.{name}_max)"),
        )

    @property
    def bucket(self) -> str:
        """SQL for the bucket number of a fact row; rounding first keeps every engine on the same side of a bound."""
        c = f"f.{self.column}"
        return (
            f"CASE WHEN {c} <= 0 THEN {ZERO_BUCKET} ELSE CAST(ceil(round(ln({c}) / {LOG_GAMMA!r}, 9)) AS INTEGER) END"
        )


LOG_GAMMA = 0.01980262729617973


def bucket_estimate(bucket: str = "bucket") -> str:
    """SQL for the value a bucket stands for: the point with equal relative error to both bounds, 2*GAMMA^b/(GAMMA+1)."""
    return f"CASE WHEN {bucket} < 0 THEN 0.0 ELSE 2.0 * pow({GAMMA}, {bucket}) / ({GAMMA} + 1.0) END"


def estimate(bucket: int) -> float:
    """Return the same number; answers take it from here, so that it is one to the last digit whatever store the bucket is in."""
    return 0.0 if bucket < 0 else float(2.0 * GAMMA**bucket / (GAMMA + 1.0))


WITHIN: Mapping[str, int] = {
    "within_1min": 60_000, "within_5min": 300_000, "within_15min": 900_000, "within_1h": 3_600_000, "within_4h": 14_400_000,
    "within_1d": 86_400_000,
}  # fmt: skip
"""Shares of a distribution's values up to a limit in ms, by the statistic's name. Values count as their bucket's estimate."""


def last_bucket(limit: int) -> int:
    """Return the last bucket whose estimate lies within a limit of 1 ms or more."""
    return math.floor(math.log(limit * (GAMMA + 1.0) / 2.0) / LOG_GAMMA)


@dataclass(frozen=True)
class Link:
    """How a new event reaches facts anchored elsewhere: it changes facts whose anchor event shares `key`, no further
    than `back` before it or `ahead` after it (None: without limit)."""

    key: str
    types: tuple[str, ...]
    back: timedelta | None = timedelta(0)
    ahead: timedelta | None = timedelta(0)


@dataclass(frozen=True)
class Fact:
    """One row per logical thing. `sql` selects from `{events}`, which holds the events of `reads` in scope.

    Its columns are `tenant`, the anchor(s), dimensions and what measures fold. `anchors` are the event types at whose
    time a fact can be dated. A fact with `links` depends on other events than its own: `key` ties them together.
    `look_ahead` is its horizon: how long after the anchor an event may still change it; `look_back` how long before. A fact
    with a link without limit needs all events of the keys that are active in a window. No links: every event stands alone.
    `spells` adds columns to those of `sql`: the business milliseconds between two of its moments, by the tenant's calendar,
    null where there is none. SQL sees no calendars: see `fold.with_hours`.
    """

    name: str
    doc: str
    sql: str
    reads: tuple[str, ...]
    anchors: tuple[str, ...] = ()
    key: str | None = None
    links: tuple[Link, ...] = ()
    look_back: timedelta = timedelta(0)
    look_ahead: timedelta = timedelta(0)
    id: str = "id"
    spells: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    view: str = ""
    """SELECT of the fact's rows from the store's tables: `docs/facts.md`."""

    @property
    def plain(self) -> bool:
        """Whether every row comes from one event alone."""
        return not self.links

    @property
    def bounded(self) -> bool:
        """Whether only events within look_back and look_ahead of a window matter to it."""
        return all(link.back is not None and link.ahead is not None for link in self.links)


def days(n: int) -> timedelta:
    """Return `n` days."""
    return timedelta(days=n)


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
    """A measure as it is stored, merged over the asked windows. `divide` turns millionths back into the unit."""

    measure: str = ""
    divide: int = 1
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ratio(Metric):
    """A division done on reading, never stored: sum(weight * measure) / under * factor; 0 below gives null.

    `where_seen` names a measure: only channels in which it is above 0 in the asked range count at all.
    """

    over: Mapping[str, float] = field(default_factory=dict)
    under: str = ""
    factor: float = 1.0
    where_seen: str | None = None


@dataclass(frozen=True)
class Quantiles(Metric):
    """A distribution, asked for as `<name>.avg|p50|p90|p95|p99|min|max|count|sum`, or by a limit: see `WITHIN`."""

    measure: str = ""


@dataclass(frozen=True)
class Distinct(Metric):
    """How many different members have rows for which `where` (over merged measures) holds; exact over any range."""

    member: str = ""
    where: str = "TRUE"


@dataclass(frozen=True)
class DistinctRatio(Metric):
    """Distinct members for which `over` holds / distinct members for which `under` holds."""

    member: str = ""
    over: str = ""
    under: str = ""


@dataclass(frozen=True)
class State(Metric):
    """How many entities are in a state at the end of a window (or at the asked moment): last known state per entity.

    With `since`, a moment made of merged measures: how many ms ago the earliest of theirs was, null when there is none.
    """

    entity: str = ""
    where: str = ""
    since: str = ""
    held: tuple[str, str] = ("", "")
    """Entity and state in the table `state`."""


@dataclass(frozen=True)
class First(Metric):
    """How many entities were first seen in the window; `column` is the rollup's earliest moment per entity."""

    entity: str = ""
    column: str = ""
    held: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Score(Metric):
    """A number that a function of `hubbub.calculations` makes from the measures `parts` of one rollup."""

    parts: tuple[str, ...] = ()
    function: str = ""


ALL_GRAINS: Mapping[Grain, timedelta] = {
    Grain.HOUR: days(30), Grain.DAY: days(365), Grain.WEEK: days(730), Grain.MONTH: days(1095),
}  # fmt: skip
DAILY: Mapping[Grain, timedelta] = {g: d for g, d in ALL_GRAINS.items() if g is not Grain.HOUR}


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
    keep: Mapping[Grain, timedelta] = field(default_factory=lambda: DAILY)
    hidden: tuple[str, ...] = ()
    """Dimensions that hold entities (contacts, conversations): members of distinct counts, never grouped by."""

    @property
    def in_hours(self) -> bool:
        """Whether its numbers depend on the tenant's business hours; tenants without a calendar have no rows in it."""
        folded = {measure.column for measure in self.measures.values() if isinstance(measure, Distribution)}
        return bool(folded & set(self.source.spells))

    def table(self, grain: Grain) -> str:
        """Return the name of the table of a stored grain."""
        return f"rollup_{self.name}_{grain.value}"

    def columns(self) -> tuple[Column, ...]:
        """Return the stored measure columns, in order."""
        return tuple(c for name, m in self.measures.items() for c in m.columns(name))

    def distributions(self) -> Iterator[tuple[str, Distribution]]:
        """Yield the measures that have a histogram table of their own."""
        for name, measure in self.measures.items():
            if isinstance(measure, Distribution):
                yield name, measure

    def histogram_table(self, measure: str, grain: Grain) -> str:
        """Return the name of a distribution's histogram table."""
        return f"{self.table(grain)}_{measure}_histogram"

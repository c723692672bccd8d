"""A statement over one declaration's facts: the window of each, its dimensions, and which of them count.

SQL here has only names of the catalogue and numbers; values of users are always bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hubbub.metrics.catalogue import RequestedMetric, dimensions_of
from hubbub.metrics.definition import Count, Extreme, Fact, Ratio, Rollup, Stored, Sum, threads_bound, tones_bound
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window
from hubbub.precedence import step_aside
from hubbub.query.bucket import Stretch, stretches
from hubbub.query.filters import matches
from hubbub.query.result import Cell
from hubbub.storage.dialect import Dialect
from hubbub.storage.transaction import Bound, Reading

_MILLION = 1e6
Dims = tuple[str | None, ...]
"""Values of a question's dimensions, in its order."""
Key = tuple[int, Dims]
"""A window by its number, and dimension values."""
Cells = dict[str, dict[Key, Cell]]
"""Numbers by the name of their metric, window and dimension values."""


@dataclass(frozen=True)
class Context:
    """A question and where to read it. `windows`: in order; `now`: the moment of the answer, in microseconds."""

    reading: Reading
    tenant: Tenant
    question: Question
    windows: Sequence[Window]
    now: int

    @cached_property
    def bound(self) -> Bound:
        """Parameters for any statement: the tenant's number, the moment, and those of its settings that measures depend on."""
        return {
            "tenant": self.tenant.no,
            "now": self.now,
            **tones_bound(self.tenant.hotspot_tones),
            **threads_bound(self.tenant.threads),
        }

    @cached_property
    def stretches(self) -> Sequence[Stretch]:
        """The stretches of the windows."""
        return stretches(self.windows)

    @property
    def dialect(self) -> Dialect:
        """The SQL of this database where databases differ."""
        return self.reading.dialect

    def rows_of(self, fact: Fact) -> str:
        """Return the SELECT of a fact's rows."""
        if not self.dialect.correlated and fact.by_joins:
            return fact.persons_by_joins if fact.persons and self.linked else fact.by_joins
        return fact.persons if fact.persons and self.linked else fact.view

    @cached_property
    def linked(self) -> bool:
        """Whether any contacts of the tenant are linked: then persons must be resolved."""
        return self.reading.value("SELECT 1 FROM person WHERE tenant = ? LIMIT 1", (self.tenant.no,)) is not None


@dataclass(slots=True)
class Select:
    """A statement over one declaration's facts: columns beside window and dimensions, and its parameters."""

    rollup: Rollup
    context: Context
    columns: list[str] = field(default_factory=list)
    params: Bound = field(default_factory=dict)

    def column(self, sql: str) -> int:
        """Add a column, if absent; returns its place after window and dimensions."""
        if sql not in self.columns:
            self.columns.append(sql)
        return self.columns.index(sql)

    def run(
        self, *, order: str = "", group: bool = True, more: str = "TRUE"
    ) -> Iterator[tuple[int, Dims, tuple[Any, ...]]]:
        """Yield window number, dimension values and columns, stretch by stretch."""
        context, rollup = self.context, self.rollup
        by = [f"f.{dimensions_of(rollup)[name]}" for name in context.question.by]
        width = len(by)
        where = filters(context.question, rollup, self.params)
        anchor = f"f.{rollup.anchor}"
        selected = "".join(f", {column}" for column in (*by, *self.columns))
        grouped = f"GROUP BY {', '.join(str(n + 1) for n in range(width + 1))}" if group else ""
        for stretch in context.stretches:
            sql = (
                f"SELECT {stretch.number(anchor)}{selected} FROM ({context.rows_of(rollup.source)}) AS f WHERE f.tenant = :tenant "
                f"AND {anchor} >= :low AND {anchor} < :high AND ({rollup.where}) AND ({more}) AND {where} {grouped} {order}"
            )
            params = {**context.bound, "low": stretch.low, "high": stretch.high, **self.params}
            step_aside()
            for row in context.reading.each(sql, params):
                yield row[0], row[1 : width + 1], row[width + 1 :]


def filters(question: Question, rollup: Rollup, params: Bound) -> str:
    """Return the condition on facts `f` of a question's filters; their values go into `params`."""
    columns = {name: f"f.{column}" for name, column in dimensions_of(rollup).items()}
    return filters_on(question, columns, params)


def filters_on(question: Question, columns: Mapping[str, str], params: Bound) -> str:
    """Return the condition of a question's filters; `columns`: dimension -> SQL of its column."""
    where = enumerate(question.where.items())
    parts = [matches(columns[name], f"where_{number}", values, params) for number, (name, values) in where]
    return " AND ".join(["TRUE", *parts])


def counts(context: Context, metric: RequestedMetric, name: str) -> str:
    """Return the condition on `f` under which a fact counts for a measure, with the metric's own filters; empty: always."""
    measure = metric.rollup.measures[name]
    parts = [f"({measure.where})"] if isinstance(measure, Count | Sum) and measure.where else []
    declared, question = metric.declared, context.question
    if isinstance(declared, Stored) and not question.include_bots:
        for dimension, values in declared.where.items():
            if dimension not in question.where and dimension not in question.by:
                parts.append(f"f.{dimensions_of(metric.rollup)[dimension]} IN ({', '.join(repr(v) for v in values)})")
    if isinstance(declared, Ratio) and declared.receipted:
        parts.append("coalesce(f.channel, '') IN (SELECT channel FROM receipt_channel WHERE tenant = :tenant)")
    return " AND ".join(parts)


def filtered(aggregate: str, condition: str) -> str:
    """Return an aggregate over the rows of a condition; over all where it is empty."""
    return f"{aggregate} FILTER (WHERE {condition})" if condition else aggregate


def measured(context: Context, metric: RequestedMetric, name: str) -> str:
    """Return the SQL of a measure: the aggregate over the facts that count for a metric."""
    measure = metric.rollup.measures[name]
    condition = counts(context, metric, name)
    if isinstance(measure, Count):
        return filtered("count(*)", condition)
    if isinstance(measure, Sum):
        trunc = context.dialect.whole
        millions = trunc(f"f.{measure.column} / {_MILLION}")  # separately, so that no sum of integers overflows
        rest = f"(f.{measure.column} - {millions} * {_MILLION}) * {Sum.SCALE}"
        rest = trunc(f"{rest} + CASE WHEN {rest} < 0 THEN -0.5 ELSE 0.5 END")
        high, low = (filtered(context.dialect.total(part), condition) for part in (millions, rest))
        total = f"{high} * {int(_MILLION) * Sum.SCALE} + {low}"
        return total if measure.known else f"coalesce({total}, 0)"
    assert isinstance(measure, Extreme)
    return filtered(f"{'max' if measure.largest else 'min'}(f.{measure.column})", condition)

"""Make a report's data: query each section, and put its cells into rows for all formats.

The declarations of sections bound the size of a report (rows of a series, values of a ranking), however many events there are. All
queries read the state of one moment, so the sections agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import DEFINITION_VERSION, RequestedMetric, find, title_of
from hubbub.metrics.definition import WITHIN, Distinct, First, Stored
from hubbub.metrics.definition import State as Held
from hubbub.model.name import KIND_OF
from hubbub.model.question import NONE, Question
from hubbub.model.tenant import Tenant
from hubbub.query.answering import Ask
from hubbub.query.distributions import QUANTILES
from hubbub.query.gaps import sentences
from hubbub.query.queries import Queries
from hubbub.query.result import UNKNOWN, Answer, Cell, Compared, State, with_state
from hubbub.query.result import Row as AnswerRow
from hubbub.reports.dates import span
from hubbub.reports.period import Period
from hubbub.reports.sections import Ranking, Section, Series
from hubbub.reports.tables import Column, ReportData, Row, Table, named_by
from hubbub.storage.names import Names

STATES = (
    State.GONE, State.NOT_FETCHED, State.NOT_KNOWN_THEN, State.INCOMPLETE, State.LIVE, State.PROVISIONAL, State.SETTLED,
    State.NO_TARGET, State.NOT_REPORTED,
)  # fmt: skip
"""Least settled first: unknown, changeable, final; then states that say nothing about the row: no target, not reported."""


def make(
    queries: Queries,
    tenant: Tenant,
    period: Period,
    sections: Sequence[Section],
    done: Callable[[int], None],
    called: Callable[[Mapping[str, Iterable[str]]], Names],
) -> ReportData:
    """Return the data of a report: its period, and its sections as tables. `done` is called with the number of finished sections.

    `called` takes ids by kind of name and returns their names. Raises BadQuestionError.
    """
    window = period.window(tenant)
    tables: list[Table] = []
    with queries.at_once(tenant) as ask:
        for number, section in enumerate(sections):
            base = Question(section.metrics, window.start, window.end, period.whole)
            table = _table(section, ask, base, tenant, period)
            tables.append(_named(table, section.by, called) if isinstance(section, Ranking) else table)
            done(number + 1)
    return ReportData(
        tenant.id, tenant.zone, period.kind, period.start.isoformat(), period.end.isoformat(), period.step.value,
        DEFINITION_VERSION, tables,
    )  # fmt: skip


def _table(section: Section, ask: Ask, base: Question, tenant: Tenant, period: Period) -> Table:
    metrics = [find(name) for name in section.metrics]
    notes: list[str] = []
    if isinstance(section, Ranking):
        cut, columns = list(_ranking(section, ask, base, notes)), [_text("row"), _text(section.by)]
    elif isinstance(section, Series):
        cut, columns = list(_series(ask, base, tenant, period, notes)), [_text("row"), _text("window")]
    else:
        return _of(section, SUMMARY, notes, list(_summary(ask, base, metrics, notes)))
    shown = _shown(metrics)
    columns += [column for metric in shown for column in metric.columns]
    rows = [
        {**head, **{name: value for metric in shown for name, value in metric.values(row)}, "state": _state(row)}
        for head, row in cut
    ]
    return _of(section, [*columns, _text("state")], notes, rows)


def _of(section: Section, columns: Sequence[Column], notes: Sequence[str], rows: Sequence[Row]) -> Table:
    return Table(section.name, section.title, section.doc, columns, section.drawn, notes, rows)


def _named(table: Table, by: str, called: Callable[[Mapping[str, Iterable[str]]], Names]) -> Table:
    """Return a ranking with a column of names after its ids, if any id has a name; other ids stand for themselves."""
    kind, ids = KIND_OF.get(by), [row[by] for row in table.rows if row[by] is not None]
    names = called({kind: ids}) if kind else {}
    if not names:
        return table
    column = Column(named_by(by), "Name", "text", "What the id is called.")
    rows = [{**row, column.name: names.get((str(kind), row[by]), row[by]) or ""} for row in table.rows]
    place = next(n for n, shown in enumerate(table.columns) if shown.name == by) + 1
    return replace(table, columns=[*table.columns[:place], column, *table.columns[place:]], rows=rows)


def _series(
    ask: Ask, base: Question, tenant: Tenant, period: Period, notes: list[str]
) -> Iterator[tuple[Row, AnswerRow]]:
    answer, whole = ask(replace(base, grain=period.step)), ask(base)
    _note(answer, notes)
    for row in answer.rows:
        yield {"row": "window", "window": row.start.astimezone(tenant.tz).isoformat()}, row
    _note(whole, notes)
    yield {"row": "total", "window": None}, whole.rows[0]


def _ranking(section: Ranking, ask: Ask, base: Question, notes: list[str]) -> Iterator[tuple[Row, AnswerRow]]:
    """Yield rows of the first values in order, all other values, no value, and the total; each from a query."""

    def of(values: Sequence[str], by: tuple[str, ...]) -> list[AnswerRow]:
        answer = ask(replace(base, by=by, where={section.by: tuple(values)}))
        _note(answer, notes)
        return answer.rows

    def order(row: AnswerRow) -> tuple[Any, ...]:
        counts = (row.cells[name].value for name in section.rank)
        return (*(-value if isinstance(value, int | float) else 0 for value in counts), row.dims[section.by] or "")

    try:
        ranked = sorted(ask(replace(base, metrics=section.rank, by=(section.by,))).rows, key=order)
    except BadQuestionError as error:
        raise BadQuestionError(f"section '{section.name}': {error}; or make the report without this section") from None
    values_seen = {row.dims[section.by] for row in ranked}
    names = [name for row in ranked if (name := row.dims[section.by]) is not None and name != NONE]
    if NONE in values_seen:  # a question cannot filter by it
        notes.append(f"The value {NONE!r} is in the total only.")
    first, others = names[: section.most], names[section.most :]
    if first:
        rows = {row.dims[section.by]: row for row in of(first, (section.by,))}
        for name in first:
            yield {"row": "value", section.by: name}, rows[name]
    if others:
        notes.append(f"The row 'others' is {len(others)} more of {section.by}.")
        yield {"row": "others", section.by: None}, of(others, ())[0]
    if None in values_seen:
        yield {"row": "none", section.by: None}, of([NONE], ())[0]
    whole = ask(base)
    _note(whole, notes)
    yield {"row": "total", section.by: None}, whole.rows[0]


def _summary(ask: Ask, base: Question, metrics: Sequence[RequestedMetric], notes: list[str]) -> Iterator[Row]:
    answer = ask(replace(base, compare="previous"))
    _note(answer, notes)
    if answer.freshness.compared_with:
        notes.append(f"Compared with {span(*answer.freshness.compared_with)}.")
    (row,) = answer.rows
    for metric in metrics:
        cell, compared = row.cells[metric.name], (row.compare or {})[metric.name]
        yield {
            "metric": metric.name, "unit": metric.unit.value, **with_state("value", cell),
            "n": cell.n if _Shown.divides(metric) else None, **_previous(compared), **asdict(compared.change), "state": cell.state,
        }  # fmt: skip


def _previous(compared: Compared) -> Row:
    state = compared.previous_state
    return {"previous": compared.previous, **({"previous.state": state} if state else {})}


def _note(answer: Answer, notes: list[str]) -> None:
    """Add the notes of an answer: deleted windows, gaps of sources, and the method of percentiles."""
    fresh = answer.freshness
    new = [fresh.gone] if fresh.gone else []
    if fresh.gone_before:
        new.append(f"Of the period before, {fresh.gone_before}.")
    new += sentences(fresh)
    if any(find(name).statistic in (*QUANTILES, *WITHIN) for name in answer.question.metrics):
        new.append(f"Percentiles: {fresh.quantiles}.")
    notes.extend(note for note in new if note not in notes)


# --- columns


def _text(name: str, title: str | None = None, unit: str = "text") -> Column:
    return Column(name, title or name.replace("_", " ").capitalize(), unit)


SUMMARY = (
    _text("metric"), _text("unit"), _text("value", unit="row"), _text("n", "n", "count"), _text("previous", unit="row"),
    _text("absolute", "Change", "row"), _text("relative", "Change in %", "share"), _text("label"), _text("state"),
)  # fmt: skip
"""Columns of a summary. The unit `row` is the unit of the row's metric; the change of a share is in points."""


@dataclass(frozen=True)
class _Shown:
    """A metric as columns: its value and, after the last statistic of a name, the number of facts it is computed from."""

    metric: RequestedMetric
    with_n: bool

    @staticmethod
    def divides(metric: RequestedMetric) -> bool:
        """Say whether a value is shown with the number of facts it is computed from."""
        return metric.statistic != "count" and not isinstance(metric.declared, Stored | Distinct | First | Held)

    @property
    def n(self) -> str:
        """Name of the column with the number of facts."""
        return f"{self.metric.name.partition('.')[0]}.n"

    @property
    def columns(self) -> Iterator[Column]:
        """The columns with definitions."""
        unit, definition = self.metric.unit.value, self.metric.declared.doc
        yield Column(self.metric.name, title_of(self.metric.name), unit, definition)
        if self.with_n:
            meaning = f"How many {self.metric.name.partition('.')[0]} is computed from."
            yield Column(self.n, "n", "count", meaning)

    def values(self, row: AnswerRow) -> Iterator[tuple[str, Any]]:
        """The values of a row by column; `<column>.state` is the reason of an unknown value."""
        cell: Cell = row.cells[self.metric.name]
        yield from with_state(self.metric.name, cell).items()
        if self.with_n:
            yield self.n, None if cell.state in UNKNOWN else cell.n or 0


def _shown(metrics: Sequence[RequestedMetric]) -> list[_Shown]:
    last = {metric.name.partition(".")[0]: metric.name for metric in metrics if _Shown.divides(metric)}
    return [_Shown(metric, last.get(metric.name.partition(".")[0]) == metric.name) for metric in metrics]


def _state(row: AnswerRow) -> str:
    """Return the state of the least settled cell."""
    return min((cell.state for cell in row.cells.values()), key=lambda state: STATES.index(State(state)))

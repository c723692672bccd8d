"""Make a report's data: ask the planner for each section and put its cells into rows that every format shows alike.

A report holds no more than its declarations allow (rows of a series, values of a ranking), however many events are behind
it: what folds them is the store. All of a report is read at one moment, so that its sections agree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import DEFINITION_VERSION, Asked, find, title_of
from hubbub.metrics.definition import WITHIN, Distinct, First, Stored
from hubbub.metrics.definition import State as Held
from hubbub.model.name import KIND_OF
from hubbub.model.question import NONE, Question
from hubbub.model.tenant import Tenant
from hubbub.query.distributions import QUANTILES
from hubbub.query.gaps import sentences
from hubbub.query.queries import Queries
from hubbub.query.result import UNKNOWN, Answer, Cell, Compared, Row, State, with_state
from hubbub.reports.document import named_by
from hubbub.reports.period import Period
from hubbub.reports.sections import Ranking, Section, Series
from hubbub.storage.names import Names

Ask = Callable[[Question], Answer]
Table = dict[str, Any]
STATES = (
    State.GONE, State.NOT_FETCHED, State.NOT_KNOWN_THEN, State.INCOMPLETE, State.LIVE, State.PROVISIONAL, State.SETTLED,
)  # fmt: skip
"""From what is not known, over what may still grow, to what stays."""


def make(
    queries: Queries,
    tenant: Tenant,
    period: Period,
    sections: Sequence[Section],
    done: Callable[[int], None],
    called: Callable[[Mapping[str, Iterable[str]]], Names],
) -> dict[str, Any]:
    """Return the data of a report: what it is about, and its sections as tables. `done` hears how many sections are.

    `called` tells what ids are called, given by kind of name.
    """
    window = period.window(tenant)
    data: dict[str, Any] = {
        "tenant": tenant.id, "zone": tenant.zone, "kind": period.kind, "from": period.start.isoformat(),
        "to": period.end.isoformat(), "step": period.step.value, "definition_version": DEFINITION_VERSION, "sections": [],
    }  # fmt: skip
    with queries.at_once(tenant) as ask:
        for number, section in enumerate(sections):
            base = Question(section.metrics, window.start, window.end, period.whole)
            table = _table(section, ask, base, tenant, period)
            data["sections"].append(_named(table, section.by, called) if isinstance(section, Ranking) else table)
            done(number + 1)
    return data


def canonical(data: Mapping[str, Any]) -> bytes:
    """Return data as JSON in its one spelling: keys in order, no spaces, ASCII."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def data_hash(data: Mapping[str, Any]) -> str:
    """Return the SHA-256 of data in its canonical form: equal figures have equal hashes, whenever they were made."""
    return f"sha256:{hashlib.sha256(canonical(data)).hexdigest()}"


def _table(section: Section, ask: Ask, base: Question, tenant: Tenant, period: Period) -> Table:
    asked = [find(name) for name in section.metrics]
    notes: list[str] = []
    if isinstance(section, Ranking):
        found, columns = list(_ranking(section, ask, base, notes)), [_text("row"), _text(section.by)]
    elif isinstance(section, Series):
        found, columns = list(_series(ask, base, tenant, period, notes)), [_text("row"), _text("window")]
    else:
        return _head(section, SUMMARY, notes) | {"rows": list(_summary(ask, base, asked, notes))}
    columns += [c for one in _shown(asked) for c in one.columns]
    rows = [
        {**head, **{name: value for one in _shown(asked) for name, value in one.values(row)}, "state": _state(row)}
        for head, row in found
    ]
    return _head(section, [*columns, _text("state")], notes) | {"rows": rows}


def _named(table: Table, by: str, called: Callable[[Mapping[str, Iterable[str]]], Names]) -> Table:
    """Return a ranking with a column of names behind its ids, where any of them has a name; one without has its id there."""
    kind, ids = KIND_OF.get(by), [row[by] for row in table["rows"] if row[by] is not None]
    names = called({kind: ids}) if kind else {}
    if not names:
        return table
    column = {**_text(named_by(by), "Name"), "definition": "What the id is called."}
    rows = [{**row, column["name"]: names.get((str(kind), row[by]), row[by]) or ""} for row in table["rows"]]
    place = next(n for n, one in enumerate(table["columns"]) if one["name"] == by) + 1
    return {**table, "columns": [*table["columns"][:place], column, *table["columns"][place:]], "rows": rows}


def _head(section: Section, columns: Sequence[Mapping[str, Any]], notes: list[str]) -> Table:
    return {
        "name": section.name, "title": section.title, "definition": section.doc, "columns": list(columns),
        "drawn": list(section.drawn), "notes": notes,
    }  # fmt: skip


def _series(
    ask: Ask, base: Question, tenant: Tenant, period: Period, notes: list[str]
) -> Iterator[tuple[dict[str, Any], Row]]:
    answer, whole = ask(replace(base, grain=period.step)), ask(base)
    _note(answer, notes)
    for row in answer.rows:
        yield {"row": "window", "window": row.start.astimezone(tenant.tz).isoformat()}, row
    _note(whole, notes)
    yield {"row": "total", "window": None}, whole.rows[0]


def _ranking(section: Ranking, ask: Ask, base: Question, notes: list[str]) -> Iterator[tuple[dict[str, Any], Row]]:
    """Yield the first values in order, the others as one, those without a value, and all: each asked of the planner."""

    def of(values: Sequence[str], by: tuple[str, ...]) -> list[Row]:
        answer = ask(replace(base, by=by, where={section.by: tuple(values)}))
        _note(answer, notes)
        return answer.rows

    def order(row: Row) -> tuple[Any, ...]:
        counts = (row.cells[name].value for name in section.rank)
        return (*(-value if isinstance(value, int | float) else 0 for value in counts), row.dims[section.by] or "")

    try:
        ranked = sorted(ask(replace(base, metrics=section.rank, by=(section.by,))).rows, key=order)
    except BadQuestionError as error:
        raise BadQuestionError(f"section '{section.name}': {error}; or make the report without this section") from None
    found = {row.dims[section.by] for row in ranked}
    names = [name for row in ranked if (name := row.dims[section.by]) is not None and name != NONE]
    if NONE in found:  # a question has no words for it
        notes.append(f"What is named {NONE!r} itself stands in the total alone.")
    first, others = names[: section.most], names[section.most :]
    if first:
        rows = {row.dims[section.by]: row for row in of(first, (section.by,))}
        for name in first:
            yield {"row": "value", section.by: name}, rows[name]
    if others:
        notes.append(f"The row 'others' is {len(others)} more of {section.by}.")
        yield {"row": "others", section.by: None}, of(others, ())[0]
    if None in found:
        yield {"row": "none", section.by: None}, of([NONE], ())[0]
    whole = ask(base)
    _note(whole, notes)
    yield {"row": "total", section.by: None}, whole.rows[0]


def _summary(ask: Ask, base: Question, asked: Sequence[Asked], notes: list[str]) -> Iterator[dict[str, Any]]:
    answer = ask(replace(base, compare="previous"))
    _note(answer, notes)
    start, end = answer.freshness.compared_with or ("", "")
    notes.append(f"Compared with {start} to {end}.")
    (row,) = answer.rows
    for one in asked:
        cell, compared = row.cells[one.name], (row.compare or {})[one.name]
        yield {
            "metric": one.name, "unit": one.unit.value, **with_state("value", cell),
            "n": cell.n if _Shown.divides(one) else None, **_previous(compared), **asdict(compared.change), "state": cell.state,
        }  # fmt: skip


def _previous(compared: Compared) -> dict[str, Any]:
    state = compared.previous_state
    return {"previous": compared.previous, **({"previous.state": state} if state else {})}


def _note(answer: Answer, notes: list[str]) -> None:
    """Keep what an answer says of itself: windows that are left out, gaps of sources, and how percentiles were made."""
    fresh = answer.freshness
    told = [fresh.gone] if fresh.gone else []
    if fresh.gone_before:
        told.append(f"Of the period before, {fresh.gone_before}.")
    told += sentences(fresh)
    if any(find(name).statistic in (*QUANTILES, *WITHIN) for name in answer.question.metrics):
        told.append(f"Percentiles: {fresh.quantiles}.")
    notes.extend(note for note in told if note not in notes)


# --- columns


def _text(name: str, title: str | None = None) -> dict[str, Any]:
    return {"name": name, "title": title or name.replace("_", " ").capitalize(), "unit": "text", "definition": ""}


SUMMARY = (
    _text("metric"), _text("unit"), {**_text("value"), "unit": "row"}, {**_text("n", "n"), "unit": "count"},
    {**_text("previous"), "unit": "row"}, {**_text("absolute", "Change"), "unit": "row"},
    {**_text("relative", "Change in %"), "unit": "share"}, _text("label"), _text("state"),
)  # fmt: skip
"""Columns of a summary. The unit `row` is that of the row's metric; a share's change is in points of it."""


@dataclass(frozen=True)
class _Shown:
    """A metric as columns: its value, and behind the last one of the same name what it is a mean of."""

    asked: Asked
    with_n: bool

    @staticmethod
    def divides(asked: Asked) -> bool:
        """Whether a value means little without the number it is made from."""
        return asked.statistic != "count" and not isinstance(asked.metric, Stored | Distinct | First | Held)

    @property
    def n(self) -> str:
        """The column of what it is a mean of."""
        return f"{self.asked.name.partition('.')[0]}.n"

    @property
    def columns(self) -> Iterator[dict[str, Any]]:
        """The columns, with what they mean."""
        yield {
            "name": self.asked.name,
            "title": title_of(self.asked.name),
            "unit": self.asked.unit.value,
            "definition": self.asked.metric.doc,
        }
        if self.with_n:
            meaning = f"How many {self.asked.name.partition('.')[0]} is made from."
            yield {"name": self.n, "title": "n", "unit": "count", "definition": meaning}

    def values(self, row: Row) -> Iterator[tuple[str, Any]]:
        """The values of a row by column; the reason why one is not known is its `<column>.state`."""
        cell: Cell = row.cells[self.asked.name]
        yield from with_state(self.asked.name, cell).items()
        if self.with_n:
            yield self.n, None if cell.state in UNKNOWN else cell.n or 0


def _shown(asked: Sequence[Asked]) -> list[_Shown]:
    last = {one.name.partition(".")[0]: one.name for one in asked if _Shown.divides(one)}
    return [_Shown(one, last.get(one.name.partition(".")[0]) == one.name) for one in asked]


def _state(row: Row) -> str:
    """Return the state of the least settled cell."""
    return min((cell.state for cell in row.cells.values()), key=lambda state: STATES.index(State(state)))

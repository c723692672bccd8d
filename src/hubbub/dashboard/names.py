"""Names on pages: in place of ids in a table, and beside ids in its CSV.

Topics and intents are written as words; a value that events do not give is "no topic".
Widgets work with ids. Names are added at the end, by one look-up for each column; an id without a name stays, and ids that share
a name are shown with both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column, Table
from hubbub.dashboard.labelled import LABELS
from hubbub.dashboard.view import FILTERS
from hubbub.dashboard.written import STATE, written
from hubbub.model.name import KIND_OF
from hubbub.model.question import NONE
from hubbub.reports.formatting import WRITTEN, in_words


def labels(ask: Ask, dimension: str, ids: Iterable[str]) -> Mapping[str, str]:
    """Return display names of a dimension's values, with the id where several share a name."""
    kind, known = KIND_OF.get(dimension, ""), list(dict.fromkeys(ids))
    names = {(kind, id_): written(ask.wording, dimension, id_) for id_ in known} | dict(ask.called({kind: known}))
    often = Counter(names[kind, id_] for id_ in known)
    return {
        id_: name if often[name] == 1 or name == id_ else f"{name} ({id_})"
        for id_ in known
        for name in [names[kind, id_]]
    }


def named(ask: Ask, table: Table | None) -> Table | None:
    """Return a table with names in place of ids, labels as words, and titles in the tenant's words."""
    if table is None:
        return None
    table = _in_zone(ask, table)
    table = replace(table, columns=[replace(column, title=ask.in_words(column.title)) for column in table.columns])
    values = [
        column
        for column in table.columns
        if column.holds in {*KIND_OF, *FILTERS, *WRITTEN, STATE} or NONE in _ids(table, column)
    ]
    shown = {column.name: labels(ask, column.holds, _ids(table, column)) for column in values}
    if LABELS[0].name in {column.name for column in table.columns}:
        shown[LABELS[0].name] = {given: in_words("topic", given) for given in _ids(table, LABELS[0])}
    if not shown:
        return table
    rows = [
        {**row, **{name: known.get(str(row.get(name)), row.get(name)) for name, known in shown.items()}}
        for row in table.rows
    ]
    return replace(table, rows=rows)


def _in_zone(ask: Ask, table: Table) -> Table:
    """Return a table of a tenant's page with its times in UTC as times of the tenant's zone, like all others there."""
    utc = {column.name for column in table.columns if column.unit == "utc"}
    if not utc or not ask.of_tenant:
        return table
    columns = [
        replace(column, unit="instant", title=column.title.removesuffix(" (UTC)")) if column.name in utc else column
        for column in table.columns
    ]
    rows = [
        {name: _local(ask, value) if name in utc and value else value for name, value in row.items()}
        for row in table.rows
    ]
    return replace(table, columns=columns, rows=rows)


def _local(ask: Ask, at: datetime | str) -> str:
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(ask.tenant.tz).isoformat(timespec="seconds")


def with_names(ask: Ask, table: Table) -> list[Cells]:
    """Return the rows of a table, with `<column>.name` behind each id column that has names, and units where rows have them."""
    named: dict[str, Mapping[tuple[str, str], str]] = {}
    for column in _of_ids(table):
        named[column.name] = ask.called({KIND_OF[column.holds]: _ids(table, column)})
    rows: list[Cells] = []
    for row in table.rows:
        cells: dict[str, Any] = {}
        for column in table.columns:
            cells[column.name] = row.get(column.name)
            if named.get(column.name):
                cells[f"{column.name}.name"] = named[column.name].get(
                    (KIND_OF[column.holds], str(row.get(column.name)))
                )
        if any(column.unit == "row" for column in table.columns):
            cells["unit"] = row.get("unit")
        rows.append(cells)
    return rows


def _of_ids(table: Table) -> Sequence[Column]:
    return [column for column in table.columns if column.holds in KIND_OF]


def _ids(table: Table, column: Column) -> list[str]:
    return [row[column.name] for row in table.rows if isinstance(row.get(column.name), str)]

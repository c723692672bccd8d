"""Card, series, split and explanation agree for every metric and dimension of the catalogue, on the demo."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from hubbub import demo
from hubbub.app import Engine, open_engine
from hubbub.clock import fixed
from hubbub.metrics.catalogue import MEMBERS_ALLOWED, dimensions_of, find, names
from hubbub.metrics.definition import Count, Distribution, First, Quantiles, Ratio, State, Stored, Sum
from hubbub.query.dashboard import DAY, STATES
from hubbub.reports.as_csv import answer_table

NOW = datetime(2026, 8, 19, 14, 30, tzinfo=UTC)
TENANT, ZONE = next((tenant, zone) for tenant, zone, _ in demo.tenants() if zone != "UTC")
DAYS = 9
SPAN = {"start": "2026-08-11", "end": "2026-08-20"}
"""The nine local days that end with the present one, which has not ended."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The demo's liveliest tenant; events of the last hour arrive after the refresh."""
    events = list(demo.events(TENANT, NOW, days=16))
    with open_engine(tmp_path_factory.mktemp("demo"), clock=fixed(NOW)) as opened:
        opened.load(TENANT, events[:-60], None, ZONE)
        week = {day: ["08:00-12:30", "14:00-20:00"] for day in ("monday", "tuesday", "wednesday", "thursday", "friday")}
        opened.calendar.set(TENANT, {"versions": [{"valid_from": "2026-01-01", "week": week}]})
        for aim, minutes in (("first_response", 5), ("next_response", 10), ("resolution", 60)):
            opened.targets.add(TENANT, aim, minutes, valid_from="2026-01-01")
        opened.refresh()
        opened.load(TENANT, events[-60:])
        yield opened


def answered(engine: Engine, names_: Sequence[str], **question: Any) -> list[dict[str, Any]]:
    """Return the rows of a question, with all parts of each cell."""
    found: list[dict[str, Any]] = engine.query(TENANT, metrics=names_, **{**SPAN, **question}, details=True)["rows"]
    return found


def explained(engine: Engine, name: str, where: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the explanation of a number over the span."""
    return engine.explain(TENANT, name, SPAN["start"], SPAN["end"], where, limit=1)


def same(one: Any, other: Any) -> bool:
    """Whether two numbers are equal, up to the last digits of a division."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


def whole(name: str, rows: list[dict[str, Any]]) -> Any:
    """Return the total of rows: sums added up, means divided last."""
    cells = [row["details"][name] for row in rows if row["details"][name]["value"] is not None]
    if not cells:
        return None
    if all(cell["denominator"] is None for cell in cells):
        return sum(cell["value"] for cell in cells)
    over, under = (sum(cell[part] for cell in cells) for part in ("numerator", "denominator"))
    metric = find(name).declared
    factor = metric.factor if isinstance(metric, Ratio) and metric.factor != 1e-6 else 1
    return over * factor / under if under else None


def adds_up(name: str) -> bool:
    """Whether a metric is a sum or a mean of its parts."""
    metric = find(name)
    if isinstance(metric.declared, Quantiles):
        return metric.statistic in ("avg", "count", "sum")
    if isinstance(metric.declared, Ratio):
        return not metric.declared.receipted
    return isinstance(metric.declared, Stored) and isinstance(
        metric.rollup.measures[metric.declared.measure], Count | Sum
    )


def empty(value: Any) -> bool:
    """Whether nothing was counted: None or 0."""
    return value is None or value == 0


BY_ROLLUP: dict[str, list[str]] = {}
for _name in names():
    BY_ROLLUP.setdefault(find(_name).rollup.name, []).append(_name)


def agree(one: Any, other: Any) -> bool:
    """Whether two numbers are equal, or both empty."""
    return same(one, other) or (empty(one) and empty(other))


@pytest.mark.parametrize("rollup", BY_ROLLUP)
def test_a_total_is_its_series_and_its_parts(engine: Engine, rollup: str) -> None:
    """A total is the sum or mean of its hours, days, weeks, months, and dimension values; a filter gives the row of its value."""
    mine, declared = BY_ROLLUP[rollup], find(BY_ROLLUP[rollup][0]).rollup
    (total,) = answered(engine, mine)
    for grain in ("hour", "day", "week", "month"):
        series = answered(engine, mine, grain=grain)
        for name in mine:
            if adds_up(name):
                assert agree(whole(name, series), total[name]), (name, grain)
            elif isinstance(find(name).declared, State):
                begun = [row for row in series if datetime.fromisoformat(row["window"]) < NOW]
                assert begun[-1][name] == total[name], (name, grain)
                assert {row[name] for row in series[len(begun) :]} <= {None}, (name, grain)
            elif isinstance(find(name).declared, First):
                assert sum(row[name] for row in series) == total[name], (name, grain)
    hidden = {d for d, c in dimensions_of(declared).items() if c in declared.hidden and c not in MEMBERS_ALLOWED}
    for dimension in sorted(set(dimensions_of(declared)) - hidden - {"kind"}):  # a split by kind includes bots
        split = answered(engine, mine, by=[dimension])
        best = max(split, key=lambda row: sum(row["details"][n]["n"] or 0 for n in mine), default=None)
        (kept,) = answered(engine, mine, where={dimension: _named(best, dimension)}) if best else (None,)
        for name in mine:
            if adds_up(name):
                assert agree(whole(name, split), total[name]), (name, dimension)
            if best and kept and not (isinstance(find(name).declared, Ratio) and not adds_up(name)):
                assert same(kept[name], best[name]), (name, dimension)


def _named(row: dict[str, Any], dimension: str) -> str:
    return "(none)" if row[dimension] is None else str(row[dimension])


@pytest.mark.parametrize("rollup", BY_ROLLUP)
def test_a_number_equals_its_explanation(engine: Engine, rollup: str) -> None:
    """An explanation has the answer's value, whole or for one dimension value, and lists as many events as the answer counts."""
    mine = [n for n in BY_ROLLUP[rollup] if n.rpartition(".")[2] in ("avg", "p50") or "." not in n]
    (row,) = answered(engine, mine)
    dimension = sorted(dimensions_of(find(mine[0]).rollup))[0]
    allowed = dimensions_of(find(mine[0]).rollup)[dimension] not in find(mine[0]).rollup.hidden
    split = answered(engine, mine, by=[dimension]) if allowed else []
    best = max(split, key=lambda r: r["details"][mine[0]]["n"] or 0, default=None)
    for name in mine:
        metric, why = find(name), explained(engine, name)
        assert same(why["value"], row[name]), name
        if isinstance(metric.declared, Stored) and isinstance(metric.rollup.measures[metric.declared.measure], Count):
            assert why["events"]["total"] == (row["details"][name]["numerator"] or 0), name
        if isinstance(metric.declared, Quantiles):
            assert why["events"]["total"] == (row["details"][name]["n"] or 0), name
    if best is not None:
        part = explained(engine, mine[0], {dimension: _named(best, dimension)})
        assert same(part["value"], best[mine[0]]), mine[0]


@pytest.mark.parametrize("rollup", BY_ROLLUP)
def test_a_table_holds_the_numbers_of_the_answer(engine: Engine, rollup: str) -> None:
    """Every cell of the exported table is the answer's value, earlier value or difference; a null is an empty cell."""
    mine = BY_ROLLUP[rollup]
    dimension = next(d for d, c in dimensions_of(find(mine[0]).rollup).items() if c not in find(mine[0]).rollup.hidden)
    rows = answered(engine, mine, by=[dimension], grain="day", compare="previous")
    table = list(csv.DictReader(io.StringIO(answer_table(rows), newline="")))
    assert len(table) == len(rows)
    for told, row in zip(table, rows, strict=True):
        assert (told["window"], told[dimension]) == (row["window"], row[dimension] or "")
        for name in mine:
            pair = row["compare"][name]
            cells = (row[name], pair["previous"], (pair["change"] or {}).get("absolute"))
            for column, value in zip((name, f"{name} before", f"{name} difference"), cells, strict=True):
                assert told[column] == ("" if value is None else str(value)), column


def test_cards_are_the_numbers_of_the_catalogue(engine: Engine) -> None:
    """Every card of the dashboard has the answer of the same days, and compares it with that of the days before."""
    board = engine.dashboard(TENANT, days=DAYS)
    for name, card in board["today"].items():
        (row,) = answered(engine, [name], compare="previous")
        assert same(card["value"], row[name])
        assert card["previous"] == row["compare"][name]["previous"]
        assert (card["n"], card["state"]) == (row["details"][name]["n"], row["details"][name]["state"])
    for name, value in board["now"].items():
        if not name.endswith(".state"):
            assert value == answered(engine, [name])[0][name] == engine.states(TENANT)["now"][name]
    assert set(board["today"]) == set(DAY)
    assert set(board["now"]) == set(STATES)


def test_three_quarters_of_the_metrics_have_values(engine: Engine) -> None:
    """Fewer than a quarter of the metrics are empty on the demo, so that the other tests compare real numbers."""
    (row,) = answered(engine, names())
    silent = [name for name in names() if empty(row[name])]
    assert len(silent) < 0.25 * len(names()), silent
    assert any(isinstance(m, Distribution) for m in find("response_ms.avg").rollup.measures.values())

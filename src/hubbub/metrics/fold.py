"""From declarations to SQL: schemas, the fold of fact rows into windows, the merge of stored rows, dirty windows.

A fold reads three small tables beside the fact rows: `zones` (tenant, zone), `calendar` (zone, slot, window_start) and,
where only some windows are wanted, `due` (tenant, window_start). See `model/window.py` for slots.
"""

from __future__ import annotations

from collections.abc import Sequence

from hubbub.metrics.definition import Column, Fact, Link, Rollup
from hubbub.model.window import SLOT_US, Grain

TIME = '"time"'
DAY_US = 86_400_000_000
KEY_COLUMNS = (("tenant", "INTEGER"), ("window_start", "TIMESTAMP"))


def quoted(names: Sequence[str]) -> str:
    """Return column names as a quoted, comma-separated list."""
    return ", ".join(f'"{n}"' for n in names)


def types_in(types: Sequence[str], column: str = "type") -> str:
    """SQL that keeps events of `types`; an empty list keeps all."""
    return f"{column} IN ({', '.join(repr(t) for t in types)})" if types else "TRUE"


def slot(column: str) -> str:
    """SQL for the slot number of a timestamp column."""
    return f"epoch_us({column}) // {SLOT_US}"


def scope(fact: Fact, where: str = "TRUE", events: str = "events") -> str:
    """Return the subquery of events that a fact reads, narrowed by a condition on them; `events` names their table."""
    return f"(SELECT * FROM {events} WHERE {types_in(fact.reads)} AND {where})"


def fact_rows(fact: Fact, events: str) -> str:
    """Return the SELECT of a fact over a subquery of events."""
    return fact.sql.replace("{events}", events)


def with_hours(fact: Fact, rows: str, *, known: bool) -> str:
    """Return the SELECT of a fact's rows with its business milliseconds beside them; null for all unless `known`.

    `keeps_hours` (keeper, hours) numbers calendars, and `open_hours` (hours, day, start, end, length, before) holds their
    steps: until t it was open `before` and the time since `start`, no more than `length`, in microseconds. See
    `store/hours.py`. An equality on the UTC day leaves a few steps to compare; an ASOF join took ten times as long.
    """
    joins, columns = " LEFT JOIN keeps_hours AS k ON k.keeper = f.tenant" if known else "", ""
    for number, (name, moments) in enumerate(fact.spells.items()):
        if not known:
            columns += f", CAST(NULL AS BIGINT) AS {name}"
            continue
        until = []
        for end, column in zip("ab", moments, strict=True):
            step = f"{end}{number}"
            joins += (
                f" LEFT JOIN open_hours AS {step} ON {step}.hours = k.hours AND {step}.day = epoch_us(f.{column}) // {DAY_US} "
                f'AND f.{column} >= {step}.start AND f.{column} < {step}."end"'
            )
            until.append(f"{step}.before + least(epoch_us(f.{column}) - epoch_us({step}.start), {step}.length)")
        columns += f", ({until[1]} - ({until[0]}) + 500) // 1000 AS {name}"
    return f"SELECT f.*{columns} FROM ({rows}) AS f{joins}"


def schema(rollup: Rollup, grain: Grain) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return (table, [(column, type)]) for a rollup's grain: its main table, then a histogram per distribution."""
    dims = [(d, "VARCHAR") for d in rollup.dimensions]
    main = [*KEY_COLUMNS, *dims, *((c.name, c.type) for c in rollup.columns())]
    return [
        (rollup.table(grain), main),
        *(
            (rollup.histogram_table(name, grain), [*KEY_COLUMNS, *dims, ("bucket", "INTEGER"), ("n", "BIGINT")])
            for name, _ in rollup.distributions()
        ),
    ]


def _from(rollup: Rollup, source: str, due: str | None, where: str, cut: tuple[str, str] | None) -> str:
    only = f" SEMI JOIN {due} AS d ON d.tenant = f.tenant AND d.window_start = c.window_start" if due else ""
    calendar = (
        " JOIN zones AS z ON z.tenant = f.tenant "
        f"JOIN calendar AS c ON c.zone = z.zone AND c.slot = {slot('f.' + rollup.anchor)}"
    )
    return (
        f"FROM {source} AS f{calendar if cut is None else cut[0]}{only} "
        f"WHERE f.{rollup.anchor} IS NOT NULL AND ({rollup.where}) AND ({where})"
    )


def fold(
    rollup: Rollup, source: str, due: str | None = None, where: str = "TRUE", cut: tuple[str, str] | None = None
) -> str:
    """SELECT of the main table's rows: fact rows of `source` folded per tenant, window and dimensions.

    `cut` says in place of `zones` and `calendar` which window a row is in: a join (or nothing) and the window's start.
    """
    dims = "".join(f", f.{d}" for d in rollup.dimensions)
    values = "".join(f", {c.fold} AS {c.name}" for c in rollup.columns())
    start = cut[1] if cut else "c.window_start"
    return (
        f"SELECT f.tenant, {start} AS window_start{dims}{values} {_from(rollup, source, due, where, cut)} "
        f"GROUP BY f.tenant, {start}{dims}"
    )


def fold_histogram(
    rollup: Rollup,
    measure: str,
    source: str,
    due: str | None = None,
    where: str = "TRUE",
    cut: tuple[str, str] | None = None,
) -> str:
    """SELECT of a histogram table's rows: how many values of each bucket, per tenant, window and dimensions."""
    distribution = dict(rollup.distributions())[measure]
    dims = "".join(f", f.{d}" for d in rollup.dimensions)
    where = f"({where}) AND f.{distribution.column} IS NOT NULL"
    start = cut[1] if cut else "c.window_start"
    return (
        f"SELECT f.tenant, {start} AS window_start{dims}, {distribution.bucket} AS bucket, count(*) AS n "
        f"{_from(rollup, source, due, where, cut)} GROUP BY f.tenant, {start}{dims}, bucket"
    )


def merge_columns(columns: Sequence[Column]) -> str:
    """SQL that merges stored values of the relation `r`, column by column."""
    return "".join(f", {c.merge} AS {c.name}" for c in columns)


def coarser(rollup: Rollup, finer: Grain) -> str:
    """SELECT of the due weeks' or months' rows from stored days; `coarse` is (tenant, finer_start, window_start)."""
    return _coarser(rollup, rollup.table(finer), merge_columns(rollup.columns()), "")


def coarser_histogram(rollup: Rollup, measure: str, finer: Grain) -> str:
    """SELECT of the due weeks' or months' histogram rows from stored days."""
    return _coarser(rollup, rollup.histogram_table(measure, finer), ", CAST(sum(r.n) AS BIGINT) AS n", ", r.bucket")


def _coarser(rollup: Rollup, table: str, values: str, extra: str) -> str:
    dims = "".join(f", r.{d}" for d in rollup.dimensions) + extra
    return (
        f"SELECT r.tenant, c.window_start{dims}{values} FROM {table} AS r "
        f"JOIN coarse AS c ON c.tenant = r.tenant AND c.finer_start = r.window_start GROUP BY r.tenant, c.window_start{dims}"
    )


def _key(link: Link, alias: str) -> str:
    return link.key.replace("{e}", alias)


def own_slots(fact: Fact, changes: str) -> str:
    """SELECT of (tenant, slot) in which the changed events of a fact themselves lie."""
    return f"SELECT tenant, {slot(TIME)} AS slot FROM {changes} WHERE {types_in(fact.reads)} GROUP BY ALL"


def reached_slots(fact: Fact, link: Link, changes: str, where: str = "TRUE") -> str:
    """SELECT of (tenant, slot) of anchor events that changed events reach through a link. May name too many, never too few."""
    after = (
        f"""e."time" >= k.first - INTERVAL {int(link.back.total_seconds())} SECOND"""
        if link.back is not None
        else "TRUE"
    )
    before = (
        f"""e."time" <= k.last + INTERVAL {int(link.ahead.total_seconds())} SECOND"""
        if link.ahead is not None
        else "TRUE"
    )
    return f"""
        WITH k AS (
            SELECT tenant, {_key(link, changes)} AS key, min("time") AS first, max("time") AS last FROM {changes}
            WHERE {types_in(link.types)} AND {_key(link, changes)} IS NOT NULL GROUP BY ALL
        )
        SELECT e.tenant, {slot("e." + TIME)} AS slot FROM events AS e
            JOIN k ON k.tenant = e.tenant AND k.key = {_key(link, "e")}
        WHERE {types_in(fact.anchors, "e.type")} AND {after} AND {before} AND {where} GROUP BY ALL
    """

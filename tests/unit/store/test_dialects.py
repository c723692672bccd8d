"""One SQL, two engines: what differs between DuckDB and ClickHouse comes out the same, and what is said to each is kept to read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hubbub.metrics import fold
from hubbub.metrics.catalogue import FACTS, ROLLUPS
from hubbub.store.base import Store, utc_naive
from hubbub.store.clickhouse_sql import Statement
from tests.stores import KINDS, new_store


def moment(*parts: int) -> datetime:
    """Return a moment as a store keeps it: UTC without zone."""
    return utc_naive(datetime(*parts, tzinfo=UTC))  # type: ignore[misc,arg-type]


GOLDEN = Path(__file__).parent / "golden"
ROWS = pa.table(
    {
        "g": pa.array(["a", "a", None, None, "B"]),
        "n": pa.array([1, None, -7, 9, None], pa.int64()),
        "x": pa.array([0.5, 1.5, 2.5, -0.5, None], pa.float64()),
        "t": pa.array([moment(2026, 3, 29, 0, 59, 59, 999999), None, moment(1969, 12, 31, 23, 59, 59, 999999),
                        moment(2026, 1, 1), moment(2026, 1, 1)], pa.timestamp("us")),
    }
)  # fmt: skip

QUESTIONS = {
    "nulls are a group": "SELECT g, count(*), count(n), sum(n) FROM r GROUP BY g",
    "the greatest of nothing is null": "SELECT max(n), min(t), sum(n), count(*) FROM r WHERE g = 'nobody'",
    "the greatest of only nulls is null": "SELECT g, max(n) FROM r WHERE g = 'B' GROUP BY g",
    "whole numbers divide towards zero": "SELECT n, n // 2 FROM r",
    "other divisions are of doubles": "SELECT n, n / 2, 1 / nullif(n - 1, 0) FROM r WHERE n IS NOT NULL",
    "halves are rounded away from zero": "SELECT x, round(x), round(x / 10, 1), CAST(round(x * 1000000) AS HUGEINT) FROM r",
    "quantiles are interpolated": "SELECT quantile_cont(x, 0.5), quantile_cont(x, 0.9) FROM r WHERE x IS NOT NULL",
    "distinct things leave nulls out": "SELECT count(DISTINCT g), count(DISTINCT n) FROM r",
    "text is compared by its bytes": "SELECT max(g), min(g), max(lower(g)) FROM r",
    "moments before 1970 count down": "SELECT epoch_us(t), epoch_us(t) // 900000000 FROM r",
    "moments keep microseconds": "SELECT t, t + INTERVAL 24 HOUR, t - to_milliseconds(n) FROM r",
    "a partner that is missing is null": (
        "SELECT r.g, s.n FROM r LEFT JOIN (SELECT 1 AS n, 'a' AS g) AS s ON s.g = r.g AND s.n = r.n"
    ),
    "the later of a pair wins, and nulls are no values": (
        "SELECT arg_max(g, (t, n)) FILTER (WHERE g IS NOT NULL), arg_min(n, t) FROM r WHERE t IS NOT NULL AND n IS NOT NULL"
    ),
    "conditions that are null are not true": (
        "SELECT count(*) FILTER (WHERE n > 0), bool_or(n > 0), sum(n) FILTER (WHERE n > 99) FROM r"
    ),
    "a name means its column": "SELECT max(g) AS g, count(*) AS n FROM r WHERE n IS NOT NULL GROUP BY g",
    "rows are found among rows": "SELECT count(*) FROM r WHERE (g, n) IN (SELECT (g, n) FROM r) AND g || n IS NOT NULL",
    "unions keep one of equal rows": "SELECT g FROM r UNION SELECT g FROM r",
    "lists are kept, sorted and cut": (
        "SELECT list_sort(list_distinct(list_filter(list(n), lambda v: v > coalesce(min(n), 0)))), length(list(g)) FROM r "
        "WHERE g IS NOT NULL AND n IS NOT NULL"
    ),
    "elements are counted from 1": "SELECT list_sort(list(n))[CAST(floor(count(n) / 2) AS BIGINT) + 1] FROM r WHERE n IS NOT NULL",
    "windows count on": "SELECT g, n, sum(n) OVER (PARTITION BY g ORDER BY n), lag(n) OVER (ORDER BY n) FROM r WHERE n IS NOT NULL",
    "buckets of durations": (
        "SELECT n, CASE WHEN n <= 0 THEN -1 ELSE CAST(ceil(round(ln(n) / 0.01980262729617973, 9)) AS INTEGER) END FROM r "
        "WHERE n IS NOT NULL"
    ),
    "a percent sign is itself": "SELECT count(*) FROM r WHERE g NOT LIKE 'response.%' AND n % 2 = 1",
    "bound values": (
        "SELECT $text, $number, $moment, $nothing IS NULL, list_contains($words::VARCHAR[], 'it''s'), "
        "list_contains($moments::TIMESTAMP[], TIMESTAMP '2026-03-29 00:59:59.999999')"
    ),
}  # fmt: skip
BOUND: dict[str, Any] = {
    "text": "it's \\ \t {x:Int64} $number 🙂", "number": -3, "moment": moment(2026, 3, 29, 0, 59, 59, 999999), "nothing": None,
    "words": ["it's", "\\", ""], "moments": [moment(2026, 3, 29, 0, 59, 59, 999999)],
}  # fmt: skip


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Store]]:
    """One store of each kind, empty."""
    made = {kind: new_store(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}
    yield made
    for store in made.values():
        store.close()


def plain(value: Any) -> Any:
    """Return a value with truth as a number, as ClickHouse has it."""
    return int(value) if isinstance(value, bool) else value


@pytest.mark.parametrize("what", QUESTIONS)
def test_both_engines_answer_alike(stores: dict[str, Store], what: str) -> None:
    """The same statement gives the same rows, with the same values to the last digit, from both engines."""
    params = BOUND if what == "bound values" else {"r": ROWS}
    answers = {}
    for kind, store in stores.items():
        found = store.query(QUESTIONS[what], params).rows
        answers[kind] = sorted((tuple(plain(v) for v in row) for row in found), key=repr)
    assert answers["duckdb"]
    assert answers["clickhouse"] == answers["duckdb"]


TABLES = {
    "what is read twice": (
        "WITH one AS (SELECT g, n FROM r), two AS (SELECT g, n FROM one WHERE n > 0), three AS (SELECT o.g, t.n FROM one AS o "
        "JOIN two AS t ON t.g = o.g) SELECT a.n AS x, b.n AS y FROM three AS a JOIN three AS b ON a.g = b.g "
        "JOIN two AS c ON c.g = a.g"
    ),
    "a name that means one thing here and another there": (
        "SELECT n FROM (WITH k AS (SELECT 1 AS n) SELECT a.n FROM k AS a JOIN k AS b ON a.n = b.n) "
        "UNION SELECT n FROM (WITH k AS (SELECT 2 AS n) SELECT a.n FROM k AS a JOIN k AS b ON a.n = b.n)"
    ),
    "moments in what is read twice": (
        "SELECT * FROM (WITH late AS (SELECT g, t FROM r WHERE t > TIMESTAMP '2000-01-01 00:00:00') "
        "SELECT a.g, b.t FROM late AS a JOIN late AS b ON a.t = b.t) AS f"
    ),
}


@pytest.mark.parametrize("what", TABLES)
def test_tables_are_made_alike(stores: dict[str, Store], what: str) -> None:
    """A table made from a SELECT with named parts has the same rows in both engines, however often the parts are read."""
    made = {}
    for kind, store in stores.items():
        with store.work() as work:
            work.table("r", ROWS)
            count = work.make("made", TABLES[what])
            made[kind] = sorted(work.execute("SELECT * FROM made").rows, key=repr)
            assert count == len(made[kind]) > 0
    assert made["clickhouse"] == made["duckdb"]


def test_what_is_read_twice_is_made_once() -> None:
    """On ClickHouse a named part of a SELECT that is read more often is a table of its own, and one read once is not."""
    select = "WITH a AS (SELECT 1 AS n), b AS (SELECT n FROM a), c AS (SELECT n FROM b) SELECT b.n FROM b JOIN c ON c.n = b.n"
    assert [name for name, _ in Statement.tables("made", select, {})] == ["b", "made"]


def test_rows_go_that_have_their_like(stores: dict[str, Store]) -> None:
    """A deletion by another relation's rows deletes the same rows in both engines, and compares by = alone."""
    gone = pa.table({"tenant": pa.array([1, 2], pa.int32()), "name": pa.array(["a", "x"])})
    for store in stores.values():
        with store.change() as work:
            for tenant, name in ((1, "a"), (1, "b"), (2, "a"), (3, "a")):
                work.execute("INSERT INTO tenants VALUES ($no, $name, 'UTC')", {"no": tenant, "name": name})
        with store.change() as work:
            work.table("gone", gone)
            work.execute(
                "DELETE FROM tenants AS t USING gone AS g WHERE g.tenant = t.tenant AND t.name = g.name AND t.zone = 'UTC'"
            )
        found = store.query("SELECT tenant, name FROM tenants ORDER BY tenant, name").rows
        assert found == [(1, "b"), (2, "a"), (3, "a")]
    with pytest.raises(ValueError, match="by = alone"):
        Statement.of("DELETE FROM tenants AS t USING gone AS g WHERE g.tenant < t.tenant", {})


def _said(name: str) -> str:
    """SQL of a fact's rows and of the folds and merges of its rollups."""
    fact = next(fact for fact in FACTS if fact.name == name)
    parts = [f"-- {fact.name}: the rows of the fact", fold.fact_rows(fact, fold.scope(fact))]
    for rollup in (rollup for rollup in ROLLUPS if rollup.source is fact):
        parts += [f"-- {rollup.name}: folded from fact rows", fold.fold(rollup, "fact_rows", "due_day")]
        parts += [f"-- {rollup.name}: merged from stored rows",
                  f"SELECT r.tenant{fold.merge_columns(rollup.columns())} FROM {rollup.table(next(iter(rollup.keep)))} AS r "
                  "GROUP BY r.tenant"]  # fmt: skip
    return "\n".join(parts)


def _golden(name: str, dialect: str) -> str:
    lines = [" ".join(line.split()) if line.startswith("--") else line for line in _said(name).splitlines()]
    statements = [block.split("\n", 1) for block in "\n".join(lines).split("-- ")[1:]]
    shown = []
    for title, sql in statements:
        text = " ".join(sql.split())
        shown.append(f"-- {title}\n{text if dialect == 'duckdb' else Statement.of(text, {}).sql}\n")
    return "\n".join(shown)


@pytest.mark.parametrize("name", [fact.name for fact in FACTS])
@pytest.mark.parametrize("dialect", KINDS)
def test_what_is_said_to_each_engine_is_written_down(name: str, dialect: str) -> None:
    """The SQL of every fact, fold and merge is the one in golden/; HUBBUB_GOLDEN=write writes it anew, for a person to read."""
    path = GOLDEN / dialect / f"{name}.sql"
    said = _golden(name, dialect)
    if os.environ.get("HUBBUB_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(said)
    assert said == path.read_text()

"""From declarations to SQL: schemas, folds, merges and dirty windows say what they should, and run."""

from __future__ import annotations

import math
from collections.abc import Iterator

import duckdb
import pytest

from hubbub.metrics import fold
from hubbub.metrics.catalogue import BY_NAME, FACTS, ROLLUPS
from hubbub.metrics.definition import GAMMA, LOG_GAMMA, ZERO_BUCKET, Distribution, Sum, Unit, bucket_estimate
from hubbub.model.window import SLOT_SECONDS, Grain


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A bare engine."""
    opened = duckdb.connect()
    yield opened
    opened.close()


def test_a_rollup_has_a_main_table_and_one_per_distribution() -> None:
    """A table has tenant, window, dimensions and measures; a histogram's has bucket and n in their place."""
    (main, columns), (histogram, cells) = fold.schema(BY_NAME["responses"], Grain.DAY)
    keys = [("tenant", "INTEGER"), ("window_start", "TIMESTAMP")]
    dims = [(d, "VARCHAR") for d in BY_NAME["responses"].dimensions]
    assert (main, histogram) == ("rollup_responses_day", "rollup_responses_day_response_ms_histogram")
    assert columns[:7] == [*keys, *dims]
    assert [c for c, _ in columns[7:]] == ["responses"] + [f"response_ms_{s}" for s in ("count", "sum", "min", "max")]
    assert cells == [*keys, *dims, ("bucket", "INTEGER"), ("n", "BIGINT")]


@pytest.mark.parametrize("rollup", ROLLUPS, ids=lambda r: r.name)
def test_no_column_is_named_twice(rollup: object) -> None:
    """Dimensions and measures of a table never share a name."""
    for grain in Grain.DAY, Grain.WEEK:
        for _, columns in fold.schema(rollup, grain):  # type: ignore[arg-type]
            names = [name for name, _ in columns]
            assert len(set(names)) == len(names)


def test_a_slot_is_a_quarter_hour_since_1970(con: duckdb.DuckDBPyConnection) -> None:
    """SQL and Python number quarter hours alike."""
    found = con.execute(
        f"SELECT {fold.slot('t')} FROM (VALUES (TIMESTAMP '2026-08-01 00:14:59.999999'), (TIMESTAMP '2026-08-01 00:15:00')) AS x(t)"
    ).fetchall()
    base = 1785542400 // SLOT_SECONDS
    assert found == [(base,), (base + 1,)]


def test_types_are_listed_or_all(con: duckdb.DuckDBPyConnection) -> None:
    """A fact that names types reads those; one that names none reads every type."""
    assert fold.types_in(("a", "b")) == "type IN ('a', 'b')"
    assert fold.types_in(()) == "TRUE"


def test_every_fact_reads_from_its_scope_alone() -> None:
    """No fact names the table of events itself: what it sees is what it is given."""
    for fact in FACTS:
        sql = fold.fact_rows(fact, "scope")
        assert "{" not in sql
        assert " events " not in f"{sql} ".replace("\n", " ")


@pytest.mark.parametrize("value", [0, 1, 2, 3, 49, 50, 51, 1000, 86_400_000, 10**12, 3 * 10**14])
def test_a_bucket_stands_for_its_values_within_one_percent(con: duckdb.DuckDBPyConnection, value: int) -> None:
    """The estimate of the bucket of any duration is less than 1 % away from it; zero is exact."""
    bucket = Distribution("x", Unit.MS, "v").bucket
    row = con.execute(
        f"SELECT {bucket_estimate('b')} FROM (SELECT {bucket} AS b FROM (SELECT {value}::BIGINT AS v) AS f)"
    )
    estimate = (row.fetchone() or (None,))[0]
    assert abs(estimate - value) <= 0.01 * value


def test_bounds_of_buckets_belong_to_the_lower_one(con: duckdb.DuckDBPyConnection) -> None:
    """A value that is a power of gamma lies in the bucket that it bounds, and zero in its own."""
    assert math.isclose(LOG_GAMMA, math.log(GAMMA), rel_tol=1e-15)
    bucket = Distribution("x", Unit.MS, "v").bucket
    rows = con.execute(
        f"SELECT {bucket} FROM (SELECT unnest([0, 1, pow({GAMMA}, 7), pow({GAMMA}, 700)]) AS v) AS f"
    ).fetchall()
    assert [b for (b,) in rows] == [ZERO_BUCKET, 0, 7, 700]


def test_sums_do_not_depend_on_the_order(con: duckdb.DuckDBPyConnection) -> None:
    """A sum of tenths is exact, in whole millionths."""
    (column,) = Sum("x", Unit.NUMBER, "v").columns("s")
    row = con.execute(
        f"SELECT {column.fold} FROM (SELECT unnest([0.1, 0.2, 0.3, -0.6, 1e12, -1e12]) AS v) AS f"
    ).fetchone()
    assert row == (0,)


def test_merging_stored_rows_is_folding_their_facts(con: duckdb.DuckDBPyConnection) -> None:
    """Merged halves of a distribution are the distribution of the whole: count, sum, min and max."""
    columns = Distribution("x", Unit.MS, "v").columns("d")
    folds = ", ".join(f"{c.fold} AS {c.name}" for c in columns)
    merges = ", ".join(f"{c.merge} AS {c.name}" for c in columns)
    values = "SELECT v, v % 2 AS half FROM (SELECT unnest([1, 2, 30, 4, NULL, 7]::BIGINT[]) AS v)"
    whole = con.execute(f"SELECT {folds} FROM ({values}) AS f").fetchall()
    merged = con.execute(f"SELECT {merges} FROM (SELECT {folds} FROM ({values}) AS f GROUP BY half) AS r").fetchall()
    assert whole == merged == [(5, 44, 1, 30)]

"""Statements that SQLite and ClickHouse express differently mean the same; `test_dialect.py` covers PostgreSQL."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubbub.storage.clickhouse import Server, bound
from hubbub.storage.clickhouse_reading import Reading
from hubbub.storage.copied import COPIED
from hubbub.storage.dialect import Dialect
from hubbub.storage.store import Store
from hubbub.storage.transaction import Params
from hubbub.storage.transaction import Reading as AnyReading
from tests.conftest import empty_copy

PERSONS = [(1, "b", "a"), (1, "c", "a"), (2, "x", "b")]
RECEIPTS = [(1, None), (2, 3), (3, 12), (4, None)]


@pytest.fixture(scope="module")
def both(chdb_folder: Path) -> Iterator[tuple[AnyReading, AnyReading]]:
    """SQLite and ClickHouse with the same rows of `person`."""
    server = Server(empty_copy(chdb_folder))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for table in COPIED:
            server.run(table.create())
        with store.facts.write() as writing:
            writing.many("INSERT INTO person VALUES (?, ?, ?)", PERSONS)
        person = next(table for table in COPIED if table.name == "person")
        server.insert("person", person.stored, [(*row, 1, 0) for row in PERSONS])
        with store.facts.read() as reading:
            yield reading, Reading(server)
        store.close()
    server.close()


def asked(both: tuple[AnyReading, AnyReading], sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
    """Return the rows of one statement, equal on both; booleans as 1 or 0."""
    found = [
        [tuple(int(v) if isinstance(v, bool) else v for v in row) for row in reading.rows(sql, params)]
        for reading in both
    ]
    assert found[0] == found[1], sql
    return found[0]


def told(both: tuple[AnyReading, AnyReading], sql: Any, params: Params = ()) -> Any:
    """Return the value of each dialect's statement, equal on both."""
    found = [reading.value(sql(reading.dialect), params) for reading in both]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("number", [0.0, 1.5, -1.5, 0.9999999, -1e15 - 0.5, 9007199254740993.0])
def test_numbers_are_cut(both: tuple[AnyReading, AnyReading], number: float) -> None:
    """A number is truncated toward zero."""
    assert told(both, lambda d: f"SELECT {d.whole(':x')}", {"x": number}) == int(number)


def test_sums_do_not_overflow(both: tuple[AnyReading, AnyReading]) -> None:
    """A sum of whole numbers times a factor beyond 64 bits is exact in ClickHouse, as in PostgreSQL."""
    rows = "(SELECT 4000000000000000000 AS n UNION ALL SELECT 4000000000000000000 UNION ALL SELECT 4000000000000000000) AS r"
    clickhouse = both[1]
    assert clickhouse.value(f"SELECT {clickhouse.dialect.total('n')} * 1000 FROM {rows}") == 12 * 10**21


def test_rows_are_looked_up_by_key(both: tuple[AnyReading, AnyReading]) -> None:
    """A lookup gives the value of the tenant's row with the key; null without one and for another tenant."""

    def sql(dialect: Dialect) -> str:
        looked = dialect.looked_up("person", "contact_id", "root", "k.id")
        return f"SELECT count(*) FROM (SELECT :id AS id) AS k WHERE coalesce({looked}, 'none') = :root"

    for id_, root in (("b", "a"), ("c", "a"), ("a", "none"), ("x", "none"), ("ü'\\{", "none")):
        assert told(both, sql, {"tenant": 1, "id": id_, "root": root}) == 1
    assert told(both, sql, {"tenant": 3, "id": "b", "root": "none"}) == 1


SAME = {
    "(7 + 0) / 2, (-7) / 2, 7 / 2.0": (3, -3, 3.5),
    "6 & 2, 5 & 2": (2, 0),
    "'a' IN ('a', NULL), coalesce('b' IN ('a', NULL), 0)": (1, 0),
    "CASE WHEN NULL = NULL THEN 1 ELSE 0 END": (0,),
    "'it''s {0} \\n'": ("it's {0} \\n",),
    "replace('a,b', ',', '') <> 'a,b'": (1,),
    "lower('ÄB')": ("Äb",),
    "'a' LIKE '%a', 'b' NOT LIKE 'a%'": (1, 1),
    "'Z' < 'a', 'é' > 'z'": (1, 1),
}


@pytest.mark.parametrize("sql", SAME)
def test_expressions_mean_the_same(both: tuple[AnyReading, AnyReading], sql: str) -> None:
    """Integer division, bits, nulls, quoted texts, case, patterns and byte order are the same."""
    assert asked(both, f"SELECT {sql}") == [SAME[sql]]


def test_nulls_of_aggregates_and_joins(both: tuple[AnyReading, AnyReading]) -> None:
    """A sum of nothing is null, a left join without a partner gives nulls, and a null filter keeps nothing."""
    rows = "(SELECT 1 AS n, 2 AS m UNION ALL SELECT 2, NULL) AS r"
    assert asked(both, f"SELECT sum(n) FILTER (WHERE n > 5), count(*) FILTER (WHERE m > 1), count(m) FROM {rows}") == [
        (None, 1, 1)
    ]
    ids = "(SELECT 1 AS n, 'b' AS id UNION ALL SELECT 2, 'z') AS r"
    joined = f"SELECT r.n, p.root FROM {ids} LEFT JOIN person AS p ON p.contact_id = r.id"
    assert asked(both, f"{joined} ORDER BY r.n") == [(1, "a"), (2, None)]


def test_a_name_is_the_column(both: tuple[AnyReading, AnyReading]) -> None:
    """A name in a condition is the column, not the alias of that name."""
    assert asked(both, "SELECT n > 0 AS n, n + 1 AS more FROM (SELECT 5 AS n) AS r WHERE n > 4") == [(1, 6)]


def test_grouping_by_a_constant_place(both: tuple[AnyReading, AnyReading]) -> None:
    """Grouping by a constant gives no group without rows."""
    assert asked(both, "SELECT 0, count(*) FROM person WHERE tenant = 9 GROUP BY 1") == []
    assert asked(both, "SELECT 0, count(*) FROM person WHERE tenant = ? GROUP BY 1", (1,)) == [(0, 2)]


def test_values_are_bound(both: tuple[AnyReading, AnyReading]) -> None:
    """Texts, large numbers, null and booleans are bound unchanged, by name and by position."""
    for text in ("", "it's", 'a"b', "\\", "{x:String}", "ü☑", "tab\tline\n", "%s", ":name ?"):
        assert asked(both, "SELECT :t", {"t": text}) == [(text,)]
    for number in (0, -(2**63), 2**63 - 1, 0.1, -1e300):
        assert asked(both, "SELECT ?", (number,)) == [(number,)]
    assert asked(both, "SELECT :a, :b, :a", {"a": None, "b": True}) == [(None, 1, None)]
    assert bound("SELECT ':x', :x", {"x": 1})[0] == "SELECT ':x', {p_x:Int64}"


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
def test_a_value_at_a_rank_is_that_of_the_ordered_values(both: tuple[AnyReading, AnyReading], share: float) -> None:
    """The two values around a percentile are those of the sorted list in Python."""
    _, clickhouse = both
    at_rank = clickhouse.dialect.at_rank
    assert at_rank is not None
    for n in range(1, 41):
        values = [(place * 7919) % 1009 - 300 for place in range(n)]
        place = math.floor((n - 1) * share)
        expected = [*sorted(values), 0][place : place + 2]
        sql = f"SELECT {at_rank('v', share, 0)}, {at_rank('v', share, 1)} FROM (SELECT arrayJoin({values}) AS v)"
        assert [list(row) for row in clickhouse.rows(sql)] == [expected]

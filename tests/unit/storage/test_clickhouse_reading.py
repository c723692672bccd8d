"""Statements sent to ClickHouse together return the rows that each returns alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.query import QueryResult

from hubbub.storage import clickhouse_reading
from hubbub.storage.clickhouse import Server
from hubbub.storage.clickhouse_reading import Reading
from hubbub.storage.transaction import Bound, Params
from tests.conftest import empty_copy

TYPES = {
    "n": "Int64",
    "word": "Nullable(String)",
    "few": "LowCardinality(Nullable(String))",
    "share": "Nullable(Float64)",
}
STATEMENTS: list[tuple[str, Params]] = [
    ("SELECT 7", ()),
    ("SELECT n, word, n / 2 FROM words WHERE n >= ? ORDER BY n", (1,)),
    ("SELECT n, word, n / 2 FROM words WHERE n >= ? ORDER BY n", (2,)),
    ("SELECT word, count(*), NULL FROM words WHERE word = :word OR :no IS NULL GROUP BY 1", {"word": "ü'\\{", "no": None}),
    ("SELECT word FROM words WHERE n > :n", {"n": 99}),
    ("SELECT sum(toInt256(n)) * 4000000000000000000, avg(n), max(share) FROM words", {}),
    ("SELECT max(n) FROM words WHERE n > :n", {"n": 99}),
    ("SELECT few, share, 'it''s {a}: :b' FROM words ORDER BY n LIMIT :limit", {"limit": 2}),
]  # fmt: skip
"""Statements with every type of value, named and positional parameters, and some without rows."""


class Counting(Server):
    """A ClickHouse server that counts statements."""

    statements = 0

    def ask_bound(self, text: str, values: Bound, *, seconds: float = 60) -> QueryResult:
        """Count the statement and run it."""
        self.statements += 1
        return super().ask_bound(text, values, seconds=seconds)


@pytest.fixture(scope="module")
def server(chdb_folder: Any) -> Iterator[Counting]:
    """A ClickHouse server with a table of three rows."""
    made = Counting(empty_copy(chdb_folder))
    made.run(f"CREATE TABLE words ({', '.join(map(' '.join, TYPES.items()))}) ENGINE = MergeTree ORDER BY n")
    made.insert("words", TYPES, [(1, "ü'\\{", "a", 4.0), (2, None, None, None), (3, "x", "b", 0.1)])
    yield made
    made.close()


def read(reading: Reading) -> list[Any]:
    """Return the rows of all statements."""
    return [reading.rows(*statement) for statement in STATEMENTS]


def test_rows_are_the_same_as_alone(server: Counting) -> None:
    """Statements read together return the same rows and types, in one statement."""
    reading = Reading(server)
    alone = read(reading)
    assert alone[0] == [(7,)] and len(alone[1]) == 3
    before = server.statements
    assert repr(reading.together(lambda: read(reading))) == repr(alone)
    assert server.statements == before + 1


def test_a_dependent_statement_is_sent_after_its_rows(server: Counting) -> None:
    """A statement that depends on another's rows is sent after it, and none twice within a call."""
    reading = Reading(server)

    def follow() -> list[int]:
        path = [1]
        while rows := reading.rows("SELECT n + 1 FROM words WHERE n = ?", (path[-1],)):
            path.append(rows[0][0])
        return path

    for _ in range(2):
        before = server.statements
        assert reading.together(lambda: [follow(), follow()]) == [[1, 2, 3, 4]] * 2
        assert server.statements == before + 4


def test_nested_calls_of_together_share_one_statement(server: Counting) -> None:
    """Nested `together` calls share one statement."""
    reading = Reading(server)
    before = server.statements
    inner = reading.together(lambda: [reading.together(lambda: read(reading)), reading.value("SELECT 8")])
    assert inner == [read(reading), 8]
    assert server.statements == before + 1 + len(STATEMENTS)


def test_long_statements_are_several(server: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements too long for one are split, with the same rows."""
    monkeypatch.setattr(clickhouse_reading, "LONGEST", 100)
    reading = Reading(server)
    assert reading.together(lambda: read(reading)) == read(reading)
    monkeypatch.setattr(clickhouse_reading, "LONGEST", 0)
    before = server.statements
    assert reading.together(lambda: read(reading)) == read(reading)
    assert server.statements == before + 2 * len(STATEMENTS)


def test_an_error_ends_the_shared_statement(server: Counting) -> None:
    """An error of the caller or of a statement is raised, and later statements run at once again."""
    reading = Reading(server)
    with pytest.raises(ZeroDivisionError):
        reading.together(lambda: 1 // len(reading.rows("SELECT 1 FROM words WHERE n > 99")))
    with pytest.raises(Exception, match="throwIf"):
        reading.together(lambda: [reading.rows("SELECT throwIf(n > 0) FROM words"), reading.rows("SELECT 2")])
    assert reading.value("SELECT 9") == 9

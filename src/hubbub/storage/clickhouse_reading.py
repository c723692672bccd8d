"""Statements that read the copy in ClickHouse. Those that do not depend on each other's rows are sent as one.

A statement costs milliseconds of round trip, however few rows it reads, and an answer needs a dozen. So `together` calls a reading
function again and again: each time it collects the statements whose rows are not known yet, and then sends them as one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from hubbub.storage import transaction
from hubbub.storage.clickhouse import ANSWER_SECONDS, Server, bound
from hubbub.storage.dialect import CLICKHOUSE
from hubbub.storage.transaction import Bound, Params, Row

LONGEST, MOST_BOUND = 100_000, 2_000
"""The most characters of a combined statement (ClickHouse takes 262,144), and of its bound values, which are sent in the URL."""
T = TypeVar("T")
Rows = list[tuple[Any, ...]]
Statement = tuple[str, Bound]
"""A statement in ClickHouse's syntax, and the values it binds: see `bound`."""
Key = tuple[str, tuple[Any, ...]]
"""A statement and its parameters."""


class Reading(transaction.Reading):
    """Statements that read the copy of a tenant while nothing changes it: see `copy.py`.

    Those of one question take at most ANSWER_SECONDS together.
    """

    dialect = CLICKHOUSE

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known: dict[Key, Rows] = {}
        self._wanted: dict[Key, Params] | None = None
        self.begin_question()

    def begin_question(self) -> None:
        """Let the statements from now on take ANSWER_SECONDS together."""
        self._end = time.monotonic() + ANSWER_SECONDS

    def together(self, read: Callable[[], T]) -> T:
        """Call a function that reads here, until all its statements have rows; returns its last result.

        A statement has no rows at its first call. With such missing rows, `read` may only raise what it raises with all rows.
        """
        if self._wanted is not None:
            return read()
        self._known, self._wanted = {}, {}
        try:
            result = read()
            while self._wanted:
                wanted, self._wanted = self._wanted, {}
                self._ask_all(wanted)
                result = read()
            return result
        finally:
            self._wanted = None

    def rows(self, sql: str, params: Params = ()) -> Rows:
        """Run a statement and return all of its rows."""
        if self._wanted is None:
            return self._rows(*bound(sql, params))
        key = sql, tuple(params.items() if isinstance(params, Mapping) else params)
        if key not in self._known:
            self._wanted[key] = params
        return self._known.get(key, [])

    def dicts(self, sql: str, params: Params = ()) -> list[Row]:
        """Run a statement at once and return its rows by column name."""
        return list(self._server.ask_bound(*bound(sql, params), seconds=self._left()).named_results())

    def _ask_all(self, wanted: Mapping[Key, Params]) -> None:
        names: dict[tuple[str, type, Any], str] = {}

        def named(name: str, value: Any) -> str:
            return names.setdefault((name, type(value), value), f"p{len(names)}")

        statements = [bound(sql, params, named) for (sql, _), params in wanted.items()]
        keys = iter(wanted)
        for several in _groups(statements):
            if len(several) == 1:
                self._known[next(keys)] = self._rows(*several[0])
                continue
            (answers,) = self._rows(*combined(several))
            self._known |= {next(keys): rows for rows in answers}

    def _rows(self, text: str, values: Bound) -> Rows:
        return [tuple(row) for row in self._server.ask_bound(text, values, seconds=self._left()).result_rows]

    def _left(self) -> float:
        return self._end - time.monotonic()


def _groups(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    """Yield statements in groups within LONGEST and MOST_BOUND; a larger statement is a group of its own."""
    group, length, values = list[Statement](), 0, Bound()
    for statement in statements:
        length, values = length + len(statement[0]), values | statement[1]
        if group and (length > LONGEST or len(urlencode(values)) > MOST_BOUND):
            yield group
            group, length, values = [], len(statement[0]), statement[1]
        group.append(statement)
    yield group


def combined(statements: Sequence[Statement]) -> Statement:
    """Return one statement with one row: its columns hold the rows of each statement, as lists of tuples."""
    parts = (f"(SELECT groupArray(tuple(*)) FROM ({text}))" for text, _ in statements)
    return f"SELECT {', '.join(parts)}", {name: value for _, values in statements for name, value in values.items()}

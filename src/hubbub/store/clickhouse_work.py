"""A snapshot of a ClickHouse, to read and to change, on a connection of its own; and how one is made.

What counts is said by `store/positions.py`, and which rows those are by `clickhouse_schema.visible`; see `store/clickhouse.py`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from hubbub.errors import StoreDamagedError, StoreUnavailableError
from hubbub.store.base import Rows
from hubbub.store.clickhouse_schema import LAID, none_lost, type_of
from hubbub.store.clickhouse_sql import SETTINGS, Statement, bound
from hubbub.store.clickhouse_watch import watched
from hubbub.store.positions import Standing, Turn
from hubbub.store.tables import SQL_TYPES

SHORT, LONG = 20, 300
"""Seconds that ClickHouse has to answer a statement of an append, and any other: who hangs is as good as away."""

CONNECT = 2
"""Seconds to reach ClickHouse in; tried twice."""

AWAY = frozenset({60, 202, 209, 210, 236, 242, 252, 319, 372, 373, 999})
"""Errors by which ClickHouse says that the same may go well later: it ends, is too busy, or lost a session with its tables."""

_NO_TABLE, _NO_DATABASE = 60, 81
_UNKNOWN = re.compile(r"(?:identifier '|Table )`?(?:\w+`?\.`?)?(\w+)")

_pool = watched(64)
logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)  # what it warns of is told by us
T = TypeVar("T")


@dataclass(frozen=True)
class Snapshot:
    """What counts for one reader; `own` is the number of the change that it belongs to, if any."""

    standing: Standing
    own: int = 0

    def params(self) -> dict[str, Any]:
        """Return the parameters of `clickhouse_schema.visible`."""
        append, change = self.standing.append, self.standing.change
        return {
            "appended": append.done, "changed": change.done, "own": self.own,
            "lost_appends": list(append.lost), "lost_changes": list(change.lost),
        }  # fmt: skip


class ClickHouseWork:
    """A snapshot on one connection, with temporary tables that live as long as it does; with a turn, a change."""

    def __init__(self, client: Client, snapshot: Snapshot, turn: Turn | None = None) -> None:
        self._client = client
        self._snapshot = snapshot
        self._turn = turn
        self._names: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the temporary tables: they belong to the connection, which is used again unless ClickHouse is away."""
        if not isinstance(value, StoreUnavailableError):
            with suppress(ClickHouseError):
                self._drop(set(self._names))

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> Rows:
        """Run a statement and return its rows. Arrow tables among the parameters become tables of that name, the rest is bound."""
        for name, value in (params or {}).items():
            if isinstance(value, pa.Table):
                self.table(name, value)
        params = {name: value for name, value in (params or {}).items() if not isinstance(value, pa.Table)}
        statement = Statement.of(sql, params)
        if statement.answers:
            seen = self._seen(statement)
            found = answered(
                lambda: self._client.query(seen, parameters=self._bound(params, seen), query_formats={"Tuple": "tuple"})
            )
            return Rows(tuple(found.column_names), [tuple(row) for row in found.result_rows])
        if statement.changes:
            if self._turn is None:
                raise RuntimeError(f"a reader cannot change the store: {sql[:80]}")
            self._snapshot = Snapshot(self._snapshot.standing, self._turn.begin())
        seen = self._seen(statement)
        answered(lambda: self._client.command(seen, parameters=self._bound(params, seen)))
        return Rows((), [])

    def put(self, table: str, select: str, columns: str) -> None:
        """Insert the rows of a SELECT as they are."""
        told = f"INSERT INTO {table} ({columns}) {self._seen(Statement.of(select, {}))}"
        answered(lambda: self._client.command(told, parameters=self._bound({}, told)))

    def table(self, name: str, data: pa.Table) -> None:
        """Copy an Arrow table into a temporary table."""
        columns = ", ".join(f'"{field.name}" {type_of(SQL_TYPES[field.type])}' for field in data.schema)
        self._make(name, f"({columns}) ENGINE = Memory", {})
        if data.num_rows:
            answered(lambda: self._client.insert_arrow(name, data))

    def make(self, name: str, select: str, params: Mapping[str, Any] | None = None) -> int:
        """Create a temporary table from a SELECT; returns its number of rows."""
        parts = Statement.tables(name, select, params or {})
        for part, statement in parts:
            self._make(part, f"ENGINE = Memory AS {self._seen(statement)}", params or {})
        self._drop({part for part, _ in parts} - {name})
        return number(self._client, f"SELECT count() FROM {name}", {})

    def _make(self, name: str, what: str, params: Mapping[str, Any]) -> None:
        made = f"CREATE OR REPLACE TEMPORARY TABLE {name} {what}"
        answered(lambda: self._client.command(made, parameters=self._bound(params, made)))
        self._names.add(name)

    def _seen(self, statement: Statement) -> str:
        standing = self._snapshot.standing
        return statement.sql if standing.append.lost or standing.change.lost else none_lost(statement.sql)

    def _drop(self, names: set[str]) -> None:
        if names:
            self._client.command(f"DROP TEMPORARY TABLE IF EXISTS {', '.join(sorted(names))}")
            self._names -= names

    def _bound(self, params: Mapping[str, Any] | None, sql: str) -> dict[str, Any]:
        """Return what a statement binds; the client takes % for a format where values are given and none is bound."""
        given = {name: bound(value) for name, value in (params or {}).items() if value is not None}
        return {name: value for name, value in (given | self._snapshot.params()).items() if f"{{{name}:" in sql}


def connect(url: str) -> Client:
    """Return a connection of its own, by whose settings ClickHouse means what standard SQL does.

    They are sent with each statement: a session that ends, as when ClickHouse is started anew, would forget them.
    """
    if url.startswith("chdb:"):
        return clickhouse_connect.get_client(dsn=url, settings=dict(SETTINGS))
    return clickhouse_connect.get_client(
        dsn=url, session_id=f"hubbub-{uuid4()}", connect_timeout=CONNECT, send_receive_timeout=SHORT, query_retries=0,
        form_encode_query_params=True, settings={**SETTINGS, "session_timeout": 600}, pool_mgr=_pool,
    )  # fmt: skip


def number(client: Client, sql: str, params: Mapping[str, Any]) -> int:
    """Return the number that a query answers."""
    return int(answered(lambda: client.query(sql, parameters=dict(params))).result_rows[0][0])


def answered(call: Callable[[], T]) -> T:
    """Raise StoreUnavailableError where ClickHouse does not answer, or not now, StoreDamagedError where what is stored is gone."""
    try:
        return call()
    except OperationalError as error:
        raise StoreUnavailableError("ClickHouse does not answer; try again in a moment") from error
    except DatabaseError as error:
        _look_for_loss(error)
        if error.code not in AWAY:
            raise
        raise StoreUnavailableError(f"ClickHouse cannot do it now ({error.name}); try again in a moment") from error


def _look_for_loss(error: DatabaseError) -> None:
    """Raise StoreDamagedError where the database or a stored table is gone; tables of a session may go with it, and come again."""
    unknown = _UNKNOWN.search(str(error)) if error.code == _NO_TABLE else None
    if error.code == _NO_DATABASE:
        lost = "the database that 'store_url' names is"
    elif unknown is not None and unknown[1] in LAID:
        lost = f"the table {unknown[1]} of the database that 'store_url' names is"
    else:
        return
    raise StoreDamagedError(
        f"{lost} not in ClickHouse any more: see that the URL is the right one, or restore the database and the control database "
        "from backups of one moment"
    ) from error

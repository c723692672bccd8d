"""ClickHouse: the client of the database that holds a copy of the facts, statements that read it, and errors that say what to do.

A statement is the one text of all engines (docs/why/0031). What ClickHouse calls otherwise is replaced here token by token, and
settings give nulls, names and sums the meaning that they have in SQLite and PostgreSQL.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect import common
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError
from clickhouse_connect.driver.query import QueryResult

from hubbub.errors import BadSettingError, StoreBusyError, StoreDamagedError, StoreFullError, StoreUnavailableError
from hubbub.storage import transaction
from hubbub.storage.dialect import CLICKHOUSE
from hubbub.storage.transaction import Bound, Params, Row

CONNECT_SECONDS, ANSWER_SECONDS = 5, 60
PING_SECONDS, AWAY_SECONDS = 2.0, 5.0
SETTINGS: Mapping[str, int] = {
    "final": 1,  # the newest version of each row, without deleted ones
    "max_execution_time": ANSWER_SECONDS,
    "prefer_column_name_to_alias": 1,  # a name means the column, as in standard SQL
    "join_use_nulls": 1,  # a row without a partner has nulls, not zeros
    "aggregate_functions_null_for_empty": 1,  # a sum of nothing is null
    "transform_null_in": 0,  # null equals nothing
}
TIMED_OUT, NO_MEMORY, NO_SPACE, TOO_MANY = 159, 241, 243, 202
NEWER_TYPE, CORRUPT = 50, 40
_TOKENS = re.compile(r"'(?:[^']|'')*'|\?|:([A-Za-z_]\w*)|(?P<left>[\w.]+) & (?P<bit>\d+)| / (?P<by>\d+)(?![\d.])")


@lru_cache(maxsize=4096)
def translated(sql: str) -> tuple[str, tuple[str, ...]]:
    """Return a statement with a place `{0}`, `{1}`, … for each parameter, and their names; a `?` is named by its number.

    Whole numbers are divided by `DIV`, and bits compared by `bitAnd`: ClickHouse's `/` gives fractions, and it has no `&`.
    """
    names: list[str] = []

    def token(match: re.Match[str]) -> str:
        text = match[0]
        if match["by"]:
            return f" DIV {match['by']}"
        if match["bit"]:
            return f"bitAnd({match['left']}, {match['bit']})"
        if text[0] == "'":
            return text.replace("\\", "\\\\").replace("{", "{{").replace("}", "}}")
        names.append(match[1] or str(sum(name.isdigit() for name in names)))
        return f"{{{len(names) - 1}}}"

    return _TOKENS.sub(token, sql), tuple(names)


def bound(sql: str, params: Params) -> tuple[str, Bound]:
    """Return a statement in ClickHouse's syntax, and the values that the server binds in it, by name."""
    text, names = translated(sql)
    values = params if isinstance(params, Mapping) else {str(place): value for place, value in enumerate(params)}
    return text.format(*(_place(name, values[name]) for name in names)), {
        f"p_{name}": int(value) if isinstance(value, bool) else value
        for name, value in values.items()
        if value is not None
    }


def _place(name: str, value: Any) -> str:
    if value is None:
        return "NULL"
    type_ = "String" if isinstance(value, str) else "Float64" if isinstance(value, float) else "Int64"
    return f"{{p_{name}:{type_}}}"


class Server:
    """The database behind a URL, and whether it answers. May be used from any thread.

    A caller whose statement gets no answer fails at once, and so do all others for AWAY_SECONDS; then one caller tries again. A
    server that was not used for PING_SECONDS is pinged first, so that few callers wait for one that hangs.
    """

    def __init__(self, url: str) -> None:
        """Connect when first used."""
        self._url = url
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._generation = 0
        self._heard = 0.0
        self._until = 0.0
        self.away: str | None = None
        """Why it does not answer, None while it does."""

    @property
    def name(self) -> str:
        """The address without its password."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def ready(self) -> bool:
        """Whether it is worth trying: it answered last time, or that is AWAY_SECONDS ago."""
        return self.away is None or time.monotonic() >= self._until

    def connect(self) -> int:
        """Return the number of the connection, which is another one after an error. Raises StoreUnavailableError."""
        with self._lock:
            if not self.ready():
                raise StoreUnavailableError(self.away or "")
            try:
                if self._client is None:
                    self._client = connect(self._url)
                    self._generation += 1
                elif time.monotonic() > self._heard + PING_SECONDS and not self._client.ping(timeout=CONNECT_SECONDS):
                    raise OperationalError("it answers no ping")
            except ClickHouseError as error:
                raise self._failed(error) from error
            self._heard, self.away = time.monotonic(), None
            return self._generation

    def ask(self, sql: str, params: Params = ()) -> QueryResult:
        """Run a statement that reads. Raises StoreUnavailableError, StoreBusyError, StoreFullError."""
        text, values = bound(sql, params)
        with self._using() as client:
            return client.query(text, values)

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run a statement that reads and return its rows."""
        return [tuple(row) for row in self.ask(sql, params).result_rows]

    def run(self, sql: str) -> None:
        """Run a statement that changes something, however long it takes."""
        with self._using() as client:
            client.command(sql, settings={"max_execution_time": 0})

    def insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Add rows of these columns (name -> type)."""
        with self._using() as client:
            client.insert(table, rows, list(columns), column_type_names=list(columns.values()))

    def close(self) -> None:
        """Close the connections; a later statement opens them again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @contextmanager
    def _using(self) -> Iterator[Client]:
        self.connect()
        client = self._client
        if client is None:
            raise StoreUnavailableError(f"{self.name} is closed")
        try:
            yield client
        except ClickHouseError as error:
            raise self._failed(error) from error
        self._heard = time.monotonic()

    def _failed(self, error: ClickHouseError) -> Exception:
        """Return Hubbub's error; after one of the connection nobody tries for a while, and then by another connection."""
        failure = error_of(error, self.name)
        if isinstance(failure, StoreUnavailableError):
            self.away, self._until = failure.message, time.monotonic() + AWAY_SECONDS
            self.close()
        return failure


def connect(url: str) -> Client:
    """Connect to the database of a URL, and create it where it is missing. Raises ClickHouseError.

    `clickhouse://user:password@host:port/database`, `clickhouses://…` with TLS, or for tests `chdb:///folder/database`: the one
    engine of this process.
    """
    common.set_setting("autogenerate_session_id", False)  # statements of several threads run at the same time
    parts = urlsplit(url)
    place, _, database = ((parts.path.strip("/") and parts.path) or "/hubbub").rpartition("/")
    if not re.fullmatch(r"[A-Za-z]\w{0,60}", database):
        raise BadSettingError(f"store_url: the name of ClickHouse's database is a word, not {database[:60]!r}")
    if parts.scheme == "chdb":
        client = clickhouse_connect.get_client(interface="chdb", path=place, settings=dict(SETTINGS), query_limit=0)
    else:
        client = clickhouse_connect.get_client(
            host=parts.hostname or "127.0.0.1", port=parts.port or 0, secure=parts.scheme == "clickhouses",
            username=unquote(parts.username or "default"), password=unquote(parts.password or ""), settings=dict(SETTINGS),
            connect_timeout=CONNECT_SECONDS, send_receive_timeout=ANSWER_SECONDS, query_limit=0,
        )  # fmt: skip
    client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    client.database = database
    return client


class Reading(transaction.Reading):
    """Statements that read the copy of a tenant while nothing changes it: see `clickhouse_copy.py`."""

    dialect = CLICKHOUSE

    def __init__(self, server: Server) -> None:
        self._server = server

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return all of its rows."""
        return self._server.rows(sql, params)

    def dicts(self, sql: str, params: Params = ()) -> list[Row]:
        """Run a statement and return its rows by column name."""
        return list(self._server.ask(sql, params).named_results())


def error_of(error: ClickHouseError, name: str) -> Exception:
    """Return Hubbub's error for ClickHouse's, by its code; a wrong statement is a fault in Hubbub, and returned as it is."""
    detail = " ".join(str(error).split())[:200]
    code = getattr(error, "code", None)
    if code in (TIMED_OUT, TOO_MANY, NO_MEMORY):
        return StoreBusyError(f"{name} ended a statement ({detail}): ask for less, or later")
    if code == NO_SPACE:
        return StoreFullError(f"{name}: the server's disk is full; free space and try again")
    if code == CORRUPT:
        return StoreDamagedError(
            f"{name} is damaged ({detail}): drop its database, and it is filled again from PostgreSQL"
        )
    if isinstance(error, DatabaseError) and code is not None and code not in GONE:
        return error
    return StoreUnavailableError(f"{name} does not answer ({detail}): check that it is running, and try again")


GONE = (60, 81, 210, 516, 519, 194, 192, 193, 497)
"""Codes of a missing table or database, of a network error, and of a user who may not: all mend without Hubbub."""

"""ClickHouse: the client of the database that holds a copy of the facts, and errors that say what to do.

A statement has one text for all engines (docs/why/0031). Tokens that ClickHouse spells otherwise are replaced here, and settings
give nulls, names and sums the meaning that they have in SQLite and PostgreSQL.
"""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect import common
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError
from clickhouse_connect.driver.httpclient import HttpClient
from clickhouse_connect.driver.query import QueryResult
from urllib3.util.timeout import Timeout

from hubbub.errors import BadSettingError, StoreBusyError, StoreDamagedError, StoreFullError, StoreUnavailableError
from hubbub.storage.transaction import Bound, Params
from hubbub.telemetry import log

CONNECT_SECONDS, ANSWER_SECONDS = 5, 60
"""Seconds after which a server that takes no connection or answers no ping is away, and that one question may take."""
SILENT_SECONDS, PING_SECONDS, AWAY_SECONDS = 3.0, 2.0, 5.0
LONGEST_SECONDS = 24 * 3600
"""Seconds after which a connection without an answer is closed, even if the server answers pings."""
SETTINGS: Mapping[str, int] = {
    "final": 1,  # the newest version of each row, without deleted ones
    "prefer_column_name_to_alias": 1,  # a name means the column, as in standard SQL
    "join_use_nulls": 1,  # a row without a partner has nulls, not zeros
    "aggregate_functions_null_for_empty": 1,  # a sum of nothing is null
    "transform_null_in": 0,  # null equals nothing
}
TIMED_OUT, NO_MEMORY, NO_SPACE, TOO_MANY = 159, 241, 243, 202
NEWER_TYPE, CORRUPT = 50, 40
T = TypeVar("T")
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


def _named(name: str, _: Any) -> str:
    return f"p_{name}"


def bound(sql: str, params: Params, named: Callable[[str, Any], str] = _named) -> tuple[str, Bound]:
    """Return a statement in ClickHouse's syntax, and its values by parameter; `named` makes a parameter from a name and a value."""
    text, names = translated(sql)
    values = params if isinstance(params, Mapping) else {str(place): value for place, value in enumerate(params)}
    return text.format(*(_place(named(name, values[name]), values[name]) for name in names)), {
        named(name, values[name]): int(values[name]) if isinstance(values[name], bool) else values[name]
        for name in dict.fromkeys(names)
        if values[name] is not None
    }


def _place(name: str, value: Any) -> str:
    if value is None:
        return "NULL"
    type_ = "String" if isinstance(value, str) else "Float64" if isinstance(value, float) else "Int64"
    return f"{{{name}:{type_}}}"


class Server:
    """The database behind a URL, and whether it answers. May be used from any thread.

    When the server is away, all callers fail at once for AWAY_SECONDS; then one of them tries again. A server that was silent
    during a statement for SILENT_SECONDS, or unused for PING_SECONDS, is pinged. If it answers, the statement is a long one; if
    not, the server hangs, and all callers get an error.
    """

    def __init__(self, url: str) -> None:
        """Open no connection: the first use does."""
        self._url = url
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._generation = 0
        self._heard = 0.0
        self._until = 0.0
        self.away: str | None = None
        """Why it does not answer; None while it does."""

    @property
    def name(self) -> str:
        """The address without its password."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def ready(self) -> bool:
        """Whether to try it: it answered last time, or failed AWAY_SECONDS ago."""
        return self.away is None or time.monotonic() >= self._until

    def connect(self) -> int:
        """Connect or ping if due; returns the connection's number, which changes after an error. Raises StoreUnavailableError."""
        if not self._lock.acquire(blocking=self.away is None):
            raise StoreUnavailableError(self.away or "")
        try:
            if not self.ready():
                raise StoreUnavailableError(self.away or "")
            if self._client is None or time.monotonic() > self._heard + PING_SECONDS:
                self._hear()
            return self._generation
        finally:
            self._lock.release()

    def _hear(self) -> None:
        """Connect, or ping. Raises StoreUnavailableError."""
        try:
            if self._client is None:
                self._client = connect(self._url)
                self._generation += 1
            elif not self._client.ping(timeout=CONNECT_SECONDS):
                raise OperationalError(f"it hangs: it answers no ping within {CONNECT_SECONDS} s")
        except ClickHouseError as error:
            raise self._failed(error) from error
        if self.away is not None:
            log.info("ClickHouse answers again", server=self.name)
        self._heard, self.away = time.monotonic(), None

    def ask(self, sql: str, params: Params = (), *, seconds: float = ANSWER_SECONDS) -> QueryResult:
        """Run a statement that reads, in at most some seconds.

        Raises StoreUnavailableError, StoreBusyError, StoreFullError.
        """
        return self.ask_bound(*bound(sql, params), seconds=seconds)

    def ask_bound(self, text: str, values: Bound, *, seconds: float = ANSWER_SECONDS) -> QueryResult:
        """Run a statement in ClickHouse's own syntax in the same way."""
        limit = {"max_execution_time": max(math.ceil(seconds), 1)}
        return self._answer(lambda client: client.query(text, values, settings=limit), seconds)

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run a statement that reads and return its rows."""
        return [tuple(row) for row in self.ask(sql, params).result_rows]

    def run(self, sql: str) -> None:
        """Run a statement that changes something, however long it takes."""
        self._answer(lambda client: client.command(sql))

    def insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Add rows of these columns (name -> type)."""
        names, types = list(columns), list(columns.values())
        self._answer(lambda client: client.insert(table, rows, names, column_type_names=types))

    def close(self) -> None:
        """Close the connections; a later statement opens them again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _answer(self, statement: Callable[[Client], T], seconds: float = math.inf) -> T:
        """Run a statement in its own thread and return the result; the thread is abandoned when the server hangs."""
        generation, client, result = self.connect(), self._client, Future[T]()
        end = time.monotonic() + seconds
        if client is None:
            raise StoreUnavailableError(f"{self.name} is closed")
        threading.Thread(target=_run, args=(statement, client, result), name="hubbub-clickhouse", daemon=True).start()
        while not wait([result], SILENT_SECONDS).done:
            if self.connect() != generation:
                raise StoreUnavailableError(f"{self.name} was away during a statement: try again")
            if time.monotonic() > end:
                raise StoreBusyError(
                    f"{self.name} did not answer a question within {ANSWER_SECONDS} s: ask for less, or later"
                )
        try:
            answer = result.result()
        except ClickHouseError as error:
            raise self._failed(error) from error
        self._heard = time.monotonic()
        return answer

    def _failed(self, error: ClickHouseError) -> Exception:
        """Return Hubbub's error; if the server is unavailable, close the connection, and mark it as away for AWAY_SECONDS."""
        failure = error_of(error, self.name)
        if isinstance(failure, StoreUnavailableError):
            if self.away is None:
                log.warning("ClickHouse does not answer", error=failure.message)
            self.away, self._until = failure.message, time.monotonic() + AWAY_SECONDS
            self.close()
        return failure


def _run(statement: Callable[[Client], T], client: Client, result: Future[T]) -> None:
    try:
        result.set_result(statement(client))
    except BaseException as error:
        result.set_exception(error)


def connect(url: str) -> Client:
    """Connect to the database of a URL, and create it where it is missing. Raises ClickHouseError.

    `clickhouse://user:password@host:port/database`, `clickhouses://…` with TLS, or for tests `chdb:///folder/database`, the engine
    inside this process.
    """
    common.set_setting("autogenerate_session_id", False)  # statements of several threads run at the same time
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # it raises what it warns of
    parts = urlsplit(url)
    place, _, database = ((parts.path.strip("/") and parts.path) or "/hubbub").rpartition("/")
    if not re.fullmatch(r"[A-Za-z]\w{0,60}", database):
        raise BadSettingError(
            f"store_url: ClickHouse's database must be named with letters, digits and '_', unlike {database[:60]!r}"
        )
    if parts.scheme == "chdb":
        client = clickhouse_connect.get_client(interface="chdb", path=place, settings=dict(SETTINGS), query_limit=0)
    else:
        client = clickhouse_connect.get_client(
            host=parts.hostname or "127.0.0.1", port=parts.port or 0, secure=parts.scheme == "clickhouses",
            username=unquote(parts.username or "default"), password=unquote(parts.password or ""), settings=dict(SETTINGS),
            connect_timeout=CONNECT_SECONDS, send_receive_timeout=CONNECT_SECONDS, query_limit=0,
        )  # fmt: skip
    client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    client.database = database
    if isinstance(client, HttpClient):
        client.timeout = Timeout(connect=CONNECT_SECONDS, read=LONGEST_SECONDS)
    return client


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
"""Codes of a missing table or database, of a network error, and of missing rights: none is a fault in Hubbub."""

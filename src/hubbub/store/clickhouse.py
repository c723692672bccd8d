"""The distributed store: a ClickHouse that any number of processes write to and read, through clickhouse-connect.

ClickHouse has no transactions, so rows carry the number of the append or change that wrote them, a deletion is a row in
`<table>_gone`, and both count from the moment at which the number is written down (`store/positions.py`). A reader takes the
numbers of one moment and sees just what counted then; nobody sees half of a window. What counts no more is removed later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import clickhouse_connect
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError
from clickhouse_connect.driver.httpclient import HttpClient
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3 import Timeout

from hubbub.errors import NOT_NOW, StoreBusyError, StoreDamagedError, StoreUnavailableError
from hubbub.metrics import fold
from hubbub.metrics.catalogue import FACTS
from hubbub.store.appending import RESENT_WITHIN, SAME_RECORD, Appender, Incoming
from hubbub.store.base import EVENT_SCHEMA, Batch, Rows, Verdict
from hubbub.store.clickhouse_schema import APPENDED, CHANGED, ROW, STORED, create, numbers, type_of
from hubbub.store.clickhouse_sql import SETTINGS, Statement, bound
from hubbub.store.opening import SCHEMA_VERSION, fingerprint
from hubbub.store.positions import APPEND, CHANGE, LONGEST, REFRESH, Positions, Standing, Turn
from hubbub.store.tables import SQL_TYPES
from hubbub.telemetry import log

PATIENCE = 5.0
"""Seconds for which an append waits for its turn and tries its insert again before its events are refused."""

SHORT, LONG = 20, 300
"""Seconds that ClickHouse has to answer a statement of an append, and any other: who hangs is as good as away."""

SETTLED = 120.0
"""Seconds after which no reader needs what stopped counting: longer than any statement may take."""

CONNECT = 2
"""Seconds to reach ClickHouse in; tried twice."""

AWAY = frozenset({60, 202, 209, 210, 236, 242, 252, 319, 372, 373, 999})
"""Errors by which ClickHouse says that the same may go well later: it ends, is too busy, or lost a session with its tables."""

_pool = get_pool_manager(maxsize=64)
logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)  # what it warns of is told by us
_EVENT_NAMES = fold.quoted(EVENT_SCHEMA.names)
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


class ClickHouseStore:
    """A store in a ClickHouse (`clickhouse://user:password@host:8123/database`, or `chdb://` inside this process)."""

    def __init__(self, url: str, positions: Positions, *, cluster: str = "", commit_wait: float = 0.0) -> None:
        """Connect, and make the tables that are not there. Raises StoreUnavailableError."""
        self._url = url
        self._positions = positions
        self._clients: list[Client] = []
        self._clients_lock = threading.Lock()
        self._old: list[tuple[float, Standing]] = []
        self._patience = PATIENCE
        with _database(url, cluster), self._client() as client:
            if not _made(client):
                for statement in create(cluster):
                    _told(lambda statement=statement: client.command(statement))  # type: ignore[misc]
            self._recognise(client)
        self._follow_definitions()
        self._appender = Appender(self._commit, lambda error: not isinstance(error, NOT_NOW), commit_wait)

    def _recognise(self, client: Client) -> None:
        """See that this store's positions are those it was written by: with others, numbers would be given out twice."""
        name, mine = "positions", self._positions.identity
        told = f"SELECT value FROM meta WHERE key = '{name}'"
        if not _told(lambda: client.query(told)).result_rows:
            _told(lambda: client.command(f"INSERT INTO meta (key, value, {CHANGED}) VALUES ('{name}', '{mine}', 0)"))
        found = {value for (value,) in _told(lambda: client.query(told)).result_rows}
        if found != {mine}:
            raise StoreDamagedError(
                "this ClickHouse database was written with another control database than the one 'control_url' names: "
                "all processes need the same one; give another installation a database of its own"
            )
        newest = _one(client, f"SELECT coalesce(max({APPENDED}), 0) FROM events", {})
        if newest > self._positions.standing().append.begun:
            raise StoreDamagedError(
                f"the events in ClickHouse go up to append {newest}, of which the control database knows nothing: it is older "
                "than they are; restore both from backups of one moment"
            )

    def _follow_definitions(self) -> None:
        """Let go of the marks of facts that were folded by another definition: their windows are folded anew."""
        present = {f"fact {fact.name}": fingerprint(fact) for fact in FACTS} | {"schema": SCHEMA_VERSION}
        if present.items() <= dict(self.query("SELECT key, value FROM meta").rows).items():
            return
        with self._positions.alone(REFRESH), self.change() as work:
            found = dict(work.execute("SELECT key, value FROM meta").rows)
            for key, value in present.items():
                if found.get(key) != value:
                    if key in found:
                        work.execute("DELETE FROM meta WHERE key = $key", {"key": key})
                        work.execute("DELETE FROM marks WHERE fact = $fact", {"fact": key.removeprefix("fact ")})
                    work.execute("INSERT INTO meta VALUES ($key, $value)", {"key": key, "value": value})

    # --- writing

    def append(self, batch: Batch) -> list[Verdict]:
        """Store a batch in the next group commit; returns when it counts."""
        return self._appender.append(batch)

    def _commit(self, incoming: Incoming) -> None:
        until = time.monotonic() + self._patience
        self._patience = (
            0.0  # while ClickHouse is away, only the first group waits for it, not those that queue up behind
        )
        with self._positions.turn(APPEND, PATIENCE) as turn, self._client(SHORT) as client:
            with ClickHouseWork(client, Snapshot(self._positions.standing())) as work:
                replaced = self._resolve(work, incoming)
                seq = turn.position.seq
                if replaced:
                    seq = self._supersede(work, turn, seq, replaced)
                kept = incoming.kept(seq)
                if kept.num_rows:
                    rows = _numbered(kept, APPENDED, turn.begin())
                    _insert(client, "events", rows, f"{self._positions.identity} events {turn.begin()}", until)
                    seq += kept.num_rows
                if incoming.rejected:
                    self._quarantine(work, turn, incoming)
            turn.commit(seq)
        self._patience = PATIENCE

    @staticmethod
    def _resolve(work: ClickHouseWork, incoming: Incoming) -> list[int]:
        """Settle the verdicts of rows whose identity is stored; returns the numbers of stored events that are replaced."""
        replaced: list[int] = []
        for bounded in (True, False):
            keys = incoming.keys(bounded=bounded)
            if keys is None:
                continue
            work.table("incoming_keys", keys)
            near = "e.tenant IN (SELECT tenant FROM incoming_keys) AND e.id IN (SELECT id FROM incoming_keys)"
            params = {}
            if bounded:  # a corrected record may have left the first one's time far behind
                times = pc.min_max(keys["time"]).as_py()
                params = {"low": times["min"] - RESENT_WITHIN, "high": times["max"] + RESENT_WITHIN}
                near += ' AND (e."time" BETWEEN $low AND $high OR e.revision IS NOT NULL)'
            hits = work.execute(
                f"SELECT i.pos, e.revision, e.seq FROM (SELECT tenant, source, id, revision, seq FROM events AS e WHERE {near}) "
                "AS e JOIN incoming_keys AS i ON e.id = i.id AND e.tenant = i.tenant AND e.source = i.source",
                params,
            ).rows
            replaced += [seq for pos, stored, seq in hits if incoming.replaces(pos, stored)]
        return replaced

    @staticmethod
    def _supersede(work: ClickHouseWork, turn: Turn, seq: int, replaced: list[int]) -> int:
        """Keep replaced events under new numbers beside; returns the newest number."""
        numbers = pa.table(
            {
                "seq": pa.array(replaced, pa.int64()),
                "later": pa.array(range(seq + 1, seq + 1 + len(replaced)), pa.int64()),
            }
        )
        work.table("replaced", numbers)
        named = ", ".join(f'e."{name}"' for name in EVENT_SCHEMA.names)
        select = f"SELECT r.later AS seq, {named}, {turn.begin()} FROM events AS e JOIN replaced AS r ON r.seq = e.seq"
        work.put("superseded", select, f"seq, {_EVENT_NAMES}, {APPENDED}")
        work.put("events_gone", f"SELECT seq, {turn.begin()} FROM replaced", f"{ROW}, {APPENDED}")
        return seq + len(replaced)

    @staticmethod
    def _quarantine(work: ClickHouseWork, turn: Turn, incoming: Incoming) -> None:
        work.table("incoming_rejected", incoming.refused())
        same = ", ".join(SAME_RECORD)
        work.put(
            "quarantine",
            f"SELECT toInt64(generateSnowflakeID()), tenant, received_at, origin, code, field, message, raw, {turn.begin()} "
            f"FROM incoming_rejected WHERE ({same}) NOT IN (SELECT ({same}) FROM quarantine)",
            f"id, tenant, received_at, origin, code, field, message, raw, {APPENDED}",
        )

    # --- reading and changing

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> Rows:
        """Answer a SELECT on a snapshot of its own."""
        with self.work() as work:
            return work.execute(sql, params)

    @contextmanager
    def work(self) -> Iterator[ClickHouseWork]:
        """Give a snapshot to read, with tables of the reader's own."""
        with self._client() as client, ClickHouseWork(client, Snapshot(self._positions.standing())) as work:
            yield work

    @contextmanager
    def change(self) -> Iterator[ClickHouseWork]:
        """Give a snapshot to read and to change; what is changed counts when the block ends well, all at once, or never."""
        with self._positions.turn(CHANGE) as turn, self._client() as client:
            with ClickHouseWork(client, Snapshot(self._positions.standing()), turn) as work:
                yield work
            turn.commit()

    def alone(self, *, wait: bool = True) -> AbstractContextManager[None]:
        """Hold back every other process that would fold windows. Raises StoreBusyError."""
        return self._positions.alone(REFRESH, LONGEST if wait else 0)

    def version(self) -> int:
        """Return a number that is another one after every committed change."""
        return self._positions.standing().change.done

    def last_seq(self) -> int:
        """Return the sequence number of the newest acknowledged event."""
        return self._positions.standing().append.seq

    def order(self, now: datetime) -> int:
        """Remove what counts no more, now and then; ClickHouse keeps every table in its order."""
        if not self._old or time.monotonic() > self._old[-1][0] + SETTLED:
            self.checkpoint()
        return 0

    def checkpoint(self) -> None:
        """Remove rows that stopped counting so long ago that nobody reads them any more."""
        now = time.monotonic()
        self._old.append((now, self._positions.standing()))
        settled = [standing for at, standing in self._old if at < now - SETTLED]
        if settled:
            self._old = [one for one in self._old if one[0] >= now - SETTLED]
            with suppress(StoreBusyError):  # another process removes the same
                self._remove(settled[-1])

    def _remove(self, standing: Standing) -> None:
        counted = Snapshot(standing).params()
        with self._positions.alone("remove", 0), self._client() as client:
            for table in STORED.values():
                done = f"({APPENDED} <= {{appended:UInt64}} AND {CHANGED} <= {{changed:UInt64}})"
                lost = f"(has({{lost_appends:Array(UInt64)}}, {APPENDED}) OR has({{lost_changes:Array(UInt64)}}, {CHANGED}))"
                gone = f"SELECT {ROW} FROM {table.name}_gone WHERE {done} AND NOT {lost}"
                if _one(client, f"SELECT count() FROM ({gone})", counted):
                    row = f"toUInt64({table.number})" if table.number else ROW
                    client.command(f"DELETE FROM {table.name} WHERE {row} IN ({gone})", parameters=counted)
                    client.command(f"DELETE FROM {table.name}_gone WHERE {done}", parameters=counted)
                for kind, numbers_lost in ((APPENDED, standing.append.lost), (CHANGED, standing.change.lost)):
                    if numbers_lost and kind in numbers(table):
                        client.command(
                            f"DELETE FROM {table.name} WHERE has({{lost:Array(UInt64)}}, {kind})",
                            parameters={"lost": list(numbers_lost)},
                        )

    def close(self) -> None:
        """Commit what waits, then let go of all connections."""
        if self._appender.close():
            with self._clients_lock:
                for client in self._clients:
                    client.close()
                self._clients.clear()

    @contextmanager
    def _client(self, seconds: float = LONG) -> Iterator[Client]:
        """Give a connection that nobody else has meanwhile: temporary tables are its own."""
        with self._clients_lock:
            client = self._clients.pop() if self._clients else None
        if client is None:
            client = _told(lambda: connect(self._url))
        if isinstance(client, HttpClient):
            client.timeout = Timeout(connect=CONNECT, read=seconds)
        try:
            yield client
        except (StoreUnavailableError, KeyboardInterrupt):
            client.close()  # its session may be busy still
            raise
        except BaseException:
            self._keep(client)
            raise
        self._keep(client)

    def _keep(self, client: Client) -> None:
        with self._clients_lock:
            self._clients.append(client)


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
        if self._names and not isinstance(value, StoreUnavailableError):
            with suppress(ClickHouseError):
                self._client.command(f"DROP TEMPORARY TABLE IF EXISTS {', '.join(sorted(self._names))}")

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> Rows:
        """Run a statement and return its rows. Arrow tables among the parameters become tables of that name, the rest is bound."""
        for name, value in (params or {}).items():
            if isinstance(value, pa.Table):
                self.table(name, value)
        params = {name: value for name, value in (params or {}).items() if not isinstance(value, pa.Table)}
        statement = Statement.of(sql, params)
        if statement.answers:
            found = _told(
                lambda: self._client.query(
                    statement.sql, parameters=self._bound(params), query_formats={"Tuple": "tuple"}
                )
            )
            return Rows(tuple(found.column_names), [tuple(row) for row in found.result_rows])
        if statement.changes:
            if self._turn is None:
                raise RuntimeError(f"a reader cannot change the store: {sql[:80]}")
            self._snapshot = Snapshot(self._snapshot.standing, self._turn.begin())
        _told(lambda: self._client.command(statement.sql, parameters=self._bound(params)))
        return Rows((), [])

    def put(self, table: str, select: str, columns: str) -> None:
        """Insert the rows of a SELECT as they are."""
        statement = Statement.of(select, {})
        _told(
            lambda: self._client.command(f"INSERT INTO {table} ({columns}) {statement.sql}", parameters=self._bound({}))
        )

    def table(self, name: str, data: pa.Table) -> None:
        """Copy an Arrow table into a temporary table."""
        columns = ", ".join(f'"{field.name}" {type_of(SQL_TYPES[field.type])}' for field in data.schema)
        self._make(name, f"({columns}) ENGINE = Memory", {})
        if data.num_rows:
            _told(lambda: self._client.insert_arrow(name, data))

    def make(self, name: str, select: str, params: Mapping[str, Any] | None = None) -> int:
        """Create a temporary table from a SELECT; returns its number of rows."""
        statement = Statement.of(select, params or {})
        self._make(name, f"ENGINE = Memory AS {statement.sql}", params or {})
        return _one(self._client, f"SELECT count() FROM {name}", {})

    def _make(self, name: str, what: str, params: Mapping[str, Any]) -> None:
        made = f"CREATE OR REPLACE TEMPORARY TABLE {name} {what}"
        _told(lambda: self._client.command(made, parameters=self._bound(params)))
        self._names.add(name)

    def _bound(self, params: Mapping[str, Any] | None) -> dict[str, Any]:
        given = {name: bound(value) for name, value in (params or {}).items() if value is not None}
        return {**given, **self._snapshot.params()}


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


@contextmanager
def _database(url: str, cluster: str) -> Iterator[None]:
    """Make the database that a URL names, unless it is there; an engine inside this process lives as long as a connection."""
    parts = urlsplit(url)
    inside = url.startswith("chdb:")
    name = parts.path.strip("/") if parts.netloc or not inside else ""
    if not name:
        yield
        return
    client = _told(lambda: connect(urlunsplit(parts._replace(path="" if inside else "/default"))))
    try:
        on = f" ON CLUSTER '{cluster}'" if cluster else ""
        _told(lambda: client.command(f"CREATE DATABASE IF NOT EXISTS {quote_identifier(name)}{on}"))
        yield
    finally:
        client.close()


def _one(client: Client, sql: str, params: Mapping[str, Any]) -> int:
    """Return the number that a query answers."""
    return int(_told(lambda: client.query(sql, parameters=dict(params))).result_rows[0][0])


def _made(client: Client) -> bool:
    """Say whether all tables are there; asking for each takes a second."""
    names = [name for table in STORED for name in (table, f"{table}_gone")]
    told = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND has({names:Array(String)}, name)"
    return _one(client, told, {"names": names}) == len(names)


def _insert(client: Client, table: str, rows: pa.Table, token: str, until: float) -> None:
    """Insert rows under a token: a try that arrived although it seemed to fail adds nothing the second time."""
    while True:
        try:
            _told(lambda: client.insert_arrow(table, rows, settings={"insert_deduplication_token": token}))
            return
        except StoreUnavailableError as error:
            if time.monotonic() > until:
                raise
            log.warning("an insert is tried again", table=table, error=error.message)
            time.sleep(0.2)


def _numbered(rows: pa.Table, column: str, number: int) -> pa.Table:
    return rows.append_column(column, pa.array([number] * rows.num_rows, pa.uint64()))


def _told(call: Callable[[], T]) -> T:
    """Raise StoreUnavailableError where ClickHouse does not answer, or not now."""
    try:
        return call()
    except OperationalError as error:
        raise StoreUnavailableError("ClickHouse does not answer; try again in a moment") from error
    except DatabaseError as error:
        if error.code not in AWAY:
            raise
        raise StoreUnavailableError(f"ClickHouse cannot do it now ({error.name}); try again in a moment") from error

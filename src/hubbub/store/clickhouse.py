"""The distributed store: a ClickHouse that any number of processes write to and read, through clickhouse-connect.

ClickHouse has no transactions, so rows carry the number of the append or change that wrote them, a deletion is a row in
`<table>_gone`, and both count from the moment at which the number is written down (`store/positions.py`). A reader takes the
numbers of one moment and sees just what counted then; nobody sees half of a window. What counts no more is removed later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.httpclient import HttpClient
from urllib3 import Timeout

from hubbub.errors import NOT_NOW, StoreBusyError, StoreDamagedError, StoreUnavailableError
from hubbub.metrics import fold
from hubbub.metrics.catalogue import FACTS
from hubbub.store import clickhouse_relations as relations
from hubbub.store import clickhouse_removal as removal
from hubbub.store.appending import RESENT_WITHIN, SAME_RECORD, Appender, Incoming
from hubbub.store.base import EVENT_SCHEMA, Batch, Rows, Verdict
from hubbub.store.clickhouse_schema import APPENDED, CHANGED, LAID, ROW, create
from hubbub.store.clickhouse_work import CONNECT, LONG, SHORT, ClickHouseWork, Snapshot, answered, connect, number
from hubbub.store.opening import SCHEMA_VERSION, fingerprint
from hubbub.store.positions import APPEND, CHANGE, LONGEST, REFRESH, Positions, Standing, Turn
from hubbub.telemetry import log

PATIENCE = 5.0
"""Seconds for which an append waits for its turn and tries its insert again before its events are refused."""

DAILY = 86_400.0
"""Seconds after which the disk space of removed rows is released, whether or not anybody asked."""

SETTLED = 120.0
"""Seconds after which no reader needs what stopped counting: longer than any statement may take."""

_EVENT_NAMES = fold.quoted(EVENT_SCHEMA.names)


class ClickHouseStore:
    """A store in a ClickHouse (`clickhouse://user:password@host:8123/database`, or `chdb://` inside this process)."""

    def __init__(self, url: str, positions: Positions, *, cluster: str = "", commit_wait: float = 0.0) -> None:
        """Connect, and make the tables that are not there. Raises StoreUnavailableError."""
        self._url = url
        self._positions = positions
        self._cluster = cluster
        self._releasing = 0
        """The change whose deleted rows are to be taken off the disk once nobody reads them any more; 0: none."""
        self._released = time.monotonic()
        self._clients: list[Client] = []
        self._clients_lock = threading.Lock()
        self._old: list[tuple[float, Standing]] = []
        self._patience = PATIENCE
        with _database(url, cluster), self._client() as client:
            if not _made(client):
                for statement in create(cluster):
                    answered(lambda statement=statement: client.command(statement))  # type: ignore[misc]
            self._recognise(client)
        self._follow_definitions()
        self._tell()
        self._appender = Appender(self._commit, lambda error: not isinstance(error, NOT_NOW), commit_wait)

    def _recognise(self, client: Client) -> None:
        """See that this store's positions are those it was written by: with others, numbers would be given out twice."""
        name, mine = "positions", self._positions.identity
        told = f"SELECT value FROM meta WHERE key = '{name}'"
        if not answered(lambda: client.query(told)).result_rows:
            answered(lambda: client.command(f"INSERT INTO meta (key, value, {CHANGED}) VALUES ('{name}', '{mine}', 0)"))
        found = {value for (value,) in answered(lambda: client.query(told)).result_rows}
        if found != {mine}:
            raise StoreDamagedError(
                "this ClickHouse database was written with another control database than the one 'control_url' names: "
                "all processes need the same one; give another installation a database of its own"
            )
        newest = number(client, f"SELECT coalesce(max({APPENDED}), 0) FROM events", {})
        if newest > self._positions.standing().append.begun:
            raise StoreDamagedError(
                f"the events in ClickHouse go up to append {newest}, of which the control database knows nothing: it is older "
                "than they are; restore both from backups of one moment"
            )

    def _follow_definitions(self) -> None:
        """Let go of the marks of facts that were folded by another definition: their windows are folded anew."""
        present = {f"fact {fact.name}": fingerprint(fact) for fact in FACTS}
        present |= {"schema": SCHEMA_VERSION, "relations": relations.fingerprint()}
        if present.items() <= dict(self.query("SELECT key, value FROM meta").rows).items():
            return
        with self._positions.alone(REFRESH), self.change() as work:
            found = dict(work.execute("SELECT key, value FROM meta").rows)
            if found.get("relations") != present["relations"]:
                self._make_views()
            for key, value in present.items():
                if found.get(key) != value:
                    if key in found:
                        work.execute("DELETE FROM meta WHERE key = $key", {"key": key})
                        work.execute("DELETE FROM marks WHERE fact = $fact", {"fact": key.removeprefix("fact ")})
                    work.execute("INSERT INTO meta VALUES ($key, $value)", {"key": key, "value": value})

    def _make_views(self) -> None:
        with self._client() as client:
            for statement in relations.views(self._cluster):
                answered(lambda statement=statement: client.command(statement))  # type: ignore[misc]

    def _tell(self) -> None:
        """Let plain readers count what counts now; when that cannot be, the next change says it."""
        with suppress(*NOT_NOW), self._client() as client:
            answered(lambda: relations.tell(client, self._positions.standing()))

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
            if turn.number:
                turn.commit()
                self._tell()

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
            self._remove_settled()
        return 0

    def checkpoint(self) -> None:
        """Remove rows that stopped counting so long ago that nobody reads them any more, and what counts no more now later."""
        self._releasing = self._positions.standing().change.done
        self._remove_settled()

    def _remove_settled(self) -> None:
        now = time.monotonic()
        self._old.append((now, self._positions.standing()))
        settled = [standing for at, standing in self._old if at < now - SETTLED]
        if settled:
            self._old = [one for one in self._old if one[0] >= now - SETTLED]
            with suppress(StoreBusyError):  # another process removes the same
                self._remove(settled[-1])

    def _remove(self, standing: Standing) -> None:
        with self._positions.alone("remove", 0), self._client() as client:
            self._tell()  # plain readers, too, are past what is removed
            removal.remove(client, standing, self._cluster)
            self._positions.forget(standing)
            asked = 0 < self._releasing <= standing.change.done
            if asked or time.monotonic() > self._released + DAILY:  # who asked may have been another process
                removal.release(client, self._cluster)
                self._releasing, self._released = 0, time.monotonic()

    def withdraw(self, where: str, params: Mapping[str, Any]) -> int:
        """Move the events that a condition names into `superseded`, under new numbers; returns how many."""
        with self._positions.turn(APPEND) as turn, self.work() as work:
            found = [seq for (seq,) in work.execute(f"SELECT seq FROM events WHERE {where}", params).rows]
            if found:
                turn.commit(self._supersede(work, turn, turn.position.seq, found))
        return len(found)

    def scrub(self, wheres: Mapping[str, str], params: Mapping[str, Any]) -> None:
        """Take rows that do not count, and that a condition names, out of all parts: also what dead processes wrote."""
        with self._client() as client:
            with self._positions.turn(APPEND), self._positions.turn(CHANGE):  # else a row may not count yet
                rows = removal.dead(client, self._positions.standing(), wheres, params)
            removal.erase(client, self._cluster, rows)

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
            client = answered(lambda: connect(self._url))
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


@contextmanager
def _database(url: str, cluster: str) -> Iterator[None]:
    """Make the database that a URL names, unless it is there; an engine inside this process lives as long as a connection."""
    parts = urlsplit(url)
    inside = url.startswith("chdb:")
    name = parts.path.strip("/") if parts.netloc or not inside else ""
    if not name:
        yield
        return
    client = answered(lambda: connect(urlunsplit(parts._replace(path="" if inside else "/default"))))
    try:
        on = f" ON CLUSTER '{cluster}'" if cluster else ""
        answered(lambda: client.command(f"CREATE DATABASE IF NOT EXISTS {quote_identifier(name)}{on}"))
        yield
    finally:
        client.close()


def _made(client: Client) -> bool:
    """Say whether all tables are there; asking for each takes a second."""
    told = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND has({names:Array(String)}, name)"
    return number(client, told, {"names": sorted(LAID)}) == len(LAID)


def _insert(client: Client, table: str, rows: pa.Table, token: str, until: float) -> None:
    """Insert rows under a token: a try that arrived although it seemed to fail adds nothing the second time."""
    while True:
        try:
            answered(lambda: client.insert_arrow(table, rows, settings={"insert_deduplication_token": token}))
            return
        except StoreUnavailableError as error:
            if time.monotonic() > until:
                raise
            log.warning("an insert is tried again", table=table, error=error.message)
            time.sleep(0.2)


def _numbered(rows: pa.Table, column: str, number: int) -> pa.Table:
    return rows.append_column(column, pa.array([number] * rows.num_rows, pa.uint64()))

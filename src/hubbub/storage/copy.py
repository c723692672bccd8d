"""The copy of facts and published tables in ClickHouse: ships changed rows, and reads a tenant's rows while none changes.

A shipment sends the rows that changed since the last one, under the tenant's lock in PostgreSQL, and is committed there. When a
process dies in the middle, the keys stay and the shipment stays unfinished: the next one sends the same rows with a higher
version, which replace the earlier ones. Readers share the lock and read only after a finished shipment, so that all their
statements see one state. docs/why/0044 says why.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice

from hubbub.errors import NOT_NOW, StoreNewerError
from hubbub.storage import changed_keys
from hubbub.storage.changed_keys import ALL_PUBLISHED
from hubbub.storage.clickhouse import Server
from hubbub.storage.clickhouse_reading import Reading
from hubbub.storage.copied import COPIED, DIGEST, FACTS, PUBLISHED, Copied
from hubbub.storage.postgresql import Database, Transaction
from hubbub.storage.postgresql_connection import LONG

LOCKS = zlib.crc32(b"hubbub copy") - (1 << 31)
"""The first of the two numbers of the copy's advisory locks; the second is an owner's, or ALL."""
ALL = 0
AT_ONCE = 100_000
"""Rows in one insert."""
TRIES = 3
FEWEST = 150_000
"""ClickHouse answers questions over at least this many events; for fewer, PostgreSQL is faster by its index."""
_MADE = "SELECT value FROM meta WHERE key = 'copy'"
_ID = "CREATE TABLE copy (id String) ENGINE = MergeTree ORDER BY id"


class Copy:
    """The copy of a PostgreSQL store in ClickHouse. May be used from any thread, and by several processes."""

    def __init__(self, database: Database, url: str) -> None:
        """Record changes from now on. ClickHouse may be away: it is tried again when it is needed."""
        self._database = database
        self.server = Server(url)
        self.fewest = FEWEST
        self._known = 0
        self._id = ""
        self._lost: str | None = None
        changed_keys.install(database)
        with suppress(*NOT_NOW):
            self._verify()

    @property
    def away(self) -> str | None:
        """Why the copy cannot be read now; None if it can."""
        return self._lost or self.server.away

    @contextmanager
    def read(self, tenant: int) -> Iterator[Reading | None]:
        """Yield statements that see a tenant's facts as they are now; None if ClickHouse is away: then the store answers."""
        locked = self._current(tenant) if self._lost is None and self.server.ready() else None
        try:
            yield Reading(self.server) if locked is not None else None
        finally:
            if locked is not None:
                self._release(locked)

    def ship(self, owner: int) -> None:
        """Bring the rows of a tenant, or of ALL_PUBLISHED, up to date.

        Raises StoreUnavailableError, StoreBusyError, StoreFullError.
        """
        self._verify()
        con = self._lock(owner, shared=False)
        try:
            self._ship(con, owner)
        finally:
            self._release(con)

    def waiting(self) -> list[int]:
        """Return the copied tenants whose rows are not up to date; a tenant's first question over many events copies it."""
        with self._database.read() as reading:
            return [no for (no,) in reading.rows(f"{changed_keys.WAITING} ORDER BY 1")]

    def published_wait(self) -> bool:
        """Whether published tables are not up to date."""
        with self._database.read() as reading:
            return bool(reading.value(f"SELECT {changed_keys.PUBLISHED_WAIT}"))

    def ship_all(self) -> None:
        """Bring all tenants that need it, and the published tables, up to date."""
        for tenant in self.waiting():
            self.ship(tenant)
        if self.published_wait():
            self.ship(ALL_PUBLISHED)

    def rewrite(self) -> None:
        """Bring everything up to date, and merge the parts so that none holds a byte of deleted rows."""
        self.ship_all()
        for table in COPIED:
            self.server.run(f"OPTIMIZE TABLE {table.place} FINAL CLEANUP")

    def close(self) -> None:
        """Close the connections to ClickHouse."""
        self.server.close()

    def _current(self, tenant: int) -> Transaction | None:
        """Return a shared lock on a tenant whose rows are up to date; None where ClickHouse is away."""
        try:
            self._verify()
            for tries in range(TRIES):
                con = self._lock(tenant, shared=True)
                if self._is_whole(con, tenant, even_pending=tries > 0):
                    return con
                self._release(con)
                self.ship(tenant)
        except StoreNewerError as error:
            self._lost = error.message
        except NOT_NOW:
            if self.server.away is None:
                raise
        return None

    def _is_whole(self, con: Transaction, tenant: int, *, even_pending: bool) -> bool:
        """Whether a tenant's last shipment is finished, and (unless `even_pending`) nothing changed since."""
        pending = "FALSE" if even_pending else changed_keys.PENDING
        whole, mark = con.rows(
            f"SELECT (SELECT begun = done AND NOT ({pending}) FROM copy_position WHERE tenant = :tenant), ({_MADE})",
            {"tenant": tenant},
        )[0]
        if mark != self._id:
            self._known = 0
            return False
        return whole is True

    def _ship(self, con: Transaction, owner: int) -> None:
        version, done = self._begin(con, owner)
        con.run(f"BEGIN ISOLATION LEVEL REPEATABLE READ; {LONG}")
        for table in PUBLISHED if owner == ALL_PUBLISHED else FACTS:
            self._send(con, table, owner, version, whole=not done)
        con.run("UPDATE copy_position SET done = begun WHERE tenant = ?", (owner,))
        con.run("COMMIT")

    def _begin(self, con: Transaction, owner: int) -> tuple[int, int]:
        """Begin a shipment; returns its number, and that of the last one that ended (0: none).

        Triggers record the changes of owners with a number, so the first is given while nobody writes the owner's rows.
        """
        begin = "UPDATE copy_position SET begun = nextval('copy_number') WHERE tenant = ? RETURNING begun, done"
        if not (numbers := con.rows(begin, (owner,))):
            with self._database.write(None if owner == ALL_PUBLISHED else owner) as writing:
                writing.run("INSERT INTO copy_position VALUES (?, 0, 0) ON CONFLICT DO NOTHING", (owner,))
            numbers = con.rows(begin, (owner,))
        begun, done = numbers[0]
        return begun, done

    def _send(self, con: Transaction, table: Copied, owner: int, version: int, *, whole: bool) -> None:
        rows = changed_keys.taken(con, table, owner)
        if whole:  # also after a first shipment that died: its rows may have changed since
            rows = chain(rows, changed_keys.all_of(con, table, owner))
        while some := [(*row[:-1], version, row[-1]) for row in islice(rows, AT_ONCE)]:
            self.server.insert(table.place, table.stored, some)

    def _lock(self, owner: int, *, shared: bool) -> Transaction:
        """Take the lock of an owner, shared with other readers or exclusive; returns the session that holds it."""
        how = "_shared" if shared else ""
        return self._database.session(
            "SELECT pg_advisory_lock_shared(CAST(? AS INTEGER), CAST(? AS INTEGER)), "
            f"pg_advisory_lock{how}(CAST(? AS INTEGER), CAST(? AS INTEGER))", (LOCKS, ALL, LOCKS, owner),
        )  # fmt: skip

    def _release(self, con: Transaction) -> None:
        self._database.end_session(con)

    def _verify(self) -> None:
        """Check, once for each connection, that ClickHouse holds the copy of this store; make it again if not.

        Raises StoreNewerError when another process replaced the copy.
        """
        generation = self.server.connect()
        if generation == self._known:
            return
        con = self._database.session("SELECT pg_advisory_lock(CAST(? AS INTEGER), CAST(? AS INTEGER))", (LOCKS, ALL))
        try:
            mark: str | None = con.value(_MADE)
            if self._id and (mark is None or not mark.startswith(DIGEST)):
                raise StoreNewerError(
                    f"{self.server.name}: a process with another 'store_url' or another version of Hubbub ended this copy; "
                    "restart this process, and give all the same 'store_url' and version"
                )
            if mark is None or not mark.startswith(DIGEST) or self._mark() != mark or self._newest() > self._last(con):
                mark = self._make(con)
            self._id = mark
        finally:
            self._release(con)
        self._known = generation

    def _mark(self) -> str | None:
        """Return the mark of the copy in ClickHouse, which tells copies apart; None if a table is missing."""
        tables = self.server.rows("SELECT name FROM system.tables WHERE database = currentDatabase()")
        if not {"copy", *(table.place for table in COPIED), *(table.name for table in PUBLISHED)} <= {
            n for (n,) in tables
        }:
            return None
        rows = self.server.rows("SELECT id FROM copy")
        return str(rows[0][0]) if rows else None

    def _newest(self) -> int:
        """Return the highest version in ClickHouse: above PostgreSQL's last number if PostgreSQL was restored."""
        parts = " UNION ALL ".join(f"SELECT max(version) AS v FROM {table.place}" for table in COPIED)
        newest: int | None = self.server.rows(f"SELECT max(v) FROM ({parts})")[0][0]
        return newest or 0

    def _last(self, con: Transaction) -> int:
        last: int = con.value("SELECT last_value FROM copy_number")
        return last

    def _make(self, con: Transaction) -> str:
        """Create ClickHouse's tables again, empty; returns the copy's mark. Every tenant is copied whole when next needed."""
        for table in COPIED:
            self.server.run(f"DROP TABLE IF EXISTS {table.place} SYNC")
            self.server.run(table.create())
        for table in PUBLISHED:
            self.server.run(f"DROP VIEW IF EXISTS {table.name} SYNC")
            self.server.run(table.view())
        mark = f"{DIGEST} {uuid.uuid4().hex}"
        self.server.run("DROP TABLE IF EXISTS copy SYNC")
        self.server.run(_ID)
        self.server.run(f"INSERT INTO copy VALUES ('{mark}')")
        con.run("BEGIN")
        con.run("INSERT INTO meta VALUES ('copy', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (mark,))
        con.run("DELETE FROM copy_position")
        for table in COPIED:
            con.run(f"DELETE FROM changed_{table.name}")
        con.run("COMMIT")
        return mark

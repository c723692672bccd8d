"""The distributed store: numbers that count or never do, several processes on one engine, and what stops counting is removed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from hubbub.errors import StoreDamagedError, StoreUnavailableError
from hubbub.store import clickhouse
from hubbub.store.clickhouse import ClickHouseStore
from hubbub.store.clickhouse_relations import views
from hubbub.store.clickhouse_schema import STORED as TABLES
from hubbub.store.clickhouse_schema import create
from hubbub.store.clickhouse_sql import Statement
from hubbub.store.clickhouse_work import ClickHouseWork, Snapshot
from hubbub.store.database import Database
from hubbub.store.positions import APPEND, CHANGE, Positions
from tests.unit.store.batches import CORRECTED, DAY, DUPLICATE, STORED, batch, kept, told

FROZEN = "INSERT INTO frozen VALUES ($tenant, TIMESTAMP '2026-01-01')"


@pytest.fixture
def positions(tmp_path: Path) -> Positions:
    """Where the store of one test stands."""
    return Positions(Database(f"sqlite:///{tmp_path / 'control.db'}"))


@pytest.fixture
def pair(positions: Positions, request: pytest.FixtureRequest) -> Iterator[tuple[ClickHouseStore, ClickHouseStore]]:
    """Two stores on one engine, as two processes have them."""
    url = f"chdb://memory/pair_{abs(hash(request.node.name))}"
    both = ClickHouseStore(url, positions), ClickHouseStore(url, positions)
    yield both
    for store in both:
        store.close()


def leave(work: ClickHouseWork, number: int) -> None:
    """Write a row of a change that is not committed."""
    work.put("frozen", f"SELECT 9, toDateTime64('2026-01-01 00:00:00', 6, 'UTC'), {number}", "tenant, until, _change")


def rows(store: ClickHouseStore) -> list[tuple[Any, ...]]:
    """What is frozen."""
    return store.query("SELECT tenant FROM frozen ORDER BY tenant").rows


def test_what_one_process_stored_the_other_knows(pair: tuple[ClickHouseStore, ClickHouseStore]) -> None:
    """Duplicates and corrections are found across processes, and the numbers of events go on."""
    one, other = pair
    assert one.append(batch(told("a"), told("b"))) == [STORED, STORED]
    assert other.append(batch(told("a"), told("c"))) == [DUPLICATE, STORED]
    assert one.append(batch(told("b", 1, days=3))) == [CORRECTED]
    assert kept(one) == kept(other) == [("a", None, 0), ("b", 1, 3), ("c", None, 0)]
    assert one.query("SELECT seq FROM events ORDER BY seq").rows == [(1,), (3,), (5,)]
    assert other.query("SELECT seq, id FROM superseded").rows == [(4, "b")]
    assert one.last_seq() == other.last_seq() == 5


def test_what_a_process_left_undone_never_counts(
    pair: tuple[ClickHouseStore, ClickHouseStore], positions: Positions
) -> None:
    """Rows of an append or a change that was begun and not committed are not seen, not even when they arrive later."""
    one, other = pair
    with positions.turn(APPEND) as turn, one.work() as work:
        lost = turn.begin()
        late = (
            "SELECT 1 AS tenant, 'late' AS id, toDateTime64('2026-08-01 12:00:00', 6, 'UTC') AS t, 'message.received' AS y, "
            f"1 AS s, {lost} AS n"
        )
        work.put("events", late, 'tenant, id, "time", type, seq, _append')
    assert one.append(batch(told("a"))) == [STORED]
    with one.work() as work:
        work.put("events", late, 'tenant, id, "time", type, seq, _append')
    assert kept(other) == [("a", None, 0)]
    with positions.turn(CHANGE) as turn, one.work() as work:
        leave(work, turn.begin())
    with other.change() as change:
        change.execute(FROZEN, {"tenant": 1})
    assert rows(one) == rows(other) == [(1,)]


def test_a_reader_sees_one_moment(pair: tuple[ClickHouseStore, ClickHouseStore]) -> None:
    """What is changed and appended while a reader reads is not seen by it, and by everybody after."""
    one, other = pair
    with one.change() as change:
        change.execute(FROZEN, {"tenant": 1})
    with other.work() as reader:
        with one.change() as change:
            change.execute("DELETE FROM frozen")
            assert change.execute("SELECT * FROM frozen").rows == []
            change.execute(FROZEN, {"tenant": 2})
            assert change.execute("SELECT tenant FROM frozen").rows == [(2,)]
            assert rows(other) == [(1,)]
        one.append(batch(told("a")))
        assert reader.execute("SELECT tenant FROM frozen").rows == [(1,)]
        assert reader.execute("SELECT count(*) FROM events").rows == [(0,)]
    assert rows(other) == [(2,)]
    assert kept(other) == [("a", None, 0)]


def test_a_reader_cannot_change(pair: tuple[ClickHouseStore, ClickHouseStore]) -> None:
    """Only a change changes."""
    with pair[0].work() as work, pytest.raises(RuntimeError, match="cannot change"):
        work.execute(FROZEN, {"tenant": 1})
    assert rows(pair[1]) == []


def test_what_counts_no_more_is_removed(
    pair: tuple[ClickHouseStore, ClickHouseStore], positions: Positions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replaced events, deleted rows and rows of lost changes go, those that count stay, and answers are the same."""
    one, other = pair
    monkeypatch.setattr(clickhouse, "SETTLED", -1.0)
    one.append(batch(told("a"), told("b")))
    one.append(batch(told("b", 1, days=3)))
    for tenant in (1, 2):
        with one.change() as change:
            change.execute(FROZEN, {"tenant": tenant})
    with one.change() as change:
        change.execute("DELETE FROM frozen WHERE tenant = 1")
    with positions.turn(CHANGE) as turn, one.work() as work:
        leave(work, turn.begin())
    with one.change() as change:
        change.execute(FROZEN, {"tenant": 3})

    before = rows(one), kept(one)
    one.checkpoint()
    one.checkpoint()
    assert (rows(other), kept(other)) == before == ([(2,), (3,)], [("a", None, 0), ("b", 1, 3)])
    with one._client() as client:
        assert client.query("SELECT count() FROM frozen").result_rows == [(2,)]
        assert client.query("SELECT count() FROM events").result_rows == [(2,)]
        assert client.query("SELECT count() FROM events_gone").result_rows == [(0,)]
        assert client.query("SELECT count() FROM frozen_gone").result_rows == [(0,)]


def test_deleted_rows_free_their_disk(
    pair: tuple[ClickHouseStore, ClickHouseStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a checkpoint, as retention makes one, no part in use holds a deleted row, and parts are smaller by as much."""
    store = pair[0]
    monkeypatch.setattr(clickhouse, "SETTLED", -1.0)
    told_ = "SELECT sum(rows), sum(bytes_on_disk), sum(has_lightweight_delete) FROM system.parts "
    told_ += "WHERE database = currentDatabase() AND table = 'events' AND active"

    def disk() -> tuple[int, int, int]:
        with store._client() as client:
            return tuple(client.query(told_).result_rows[0])

    store.append(batch(*(told(f"{number:08}") for number in range(20_000))))
    full = disk()
    with store.change() as change:
        change.execute("DELETE FROM events WHERE id < '00019000'")
    store.order(DAY)
    assert disk()[0] == full[0] == 20_000  # marked as deleted, and there
    store.checkpoint()
    rows_, size, masked = disk()
    assert (rows_, masked) == (1_000, 0)
    assert size < full[1] / 5


def test_a_lost_number_is_forgotten_when_no_row_of_it_is_left(
    pair: tuple[ClickHouseStore, ClickHouseStore], positions: Positions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a lost change wrote and deleted is removed, and its number kept until nobody can write under it any more; then it is
    forgotten, and what it deleted still counts."""
    one, other = pair
    with one.change() as work:
        work.execute(FROZEN, {"tenant": 1})
    with positions.turn(CHANGE) as turn, one._client() as client:
        with ClickHouseWork(client, Snapshot(positions.standing()), turn) as work:
            work.execute("DELETE FROM frozen")
            work.execute(FROZEN, {"tenant": 2})
        lost = turn.number
    with other.change() as work:
        work.execute(FROZEN, {"tenant": 3})

    one._remove(positions.standing())
    assert positions.standing().change.lost == (lost,)
    with one._client() as client:
        assert client.query("SELECT count() FROM frozen").result_rows == [(2,)]
        assert client.query("SELECT count() FROM frozen_gone").result_rows == [(0,)]
    monkeypatch.setattr("hubbub.store.positions.LATE", -1.0)
    one._remove(positions.standing())
    assert positions.standing().change.lost == ()
    assert rows(one) == rows(other) == [(1,), (3,)]
    with one.change() as work:
        work.execute("DELETE FROM frozen WHERE tenant = 3")
    assert rows(other) == [(1,)]


def test_what_is_gone_from_clickhouse_is_named(pair: tuple[ClickHouseStore, ClickHouseStore]) -> None:
    """A stored table or the whole database that was dropped is no reason to try again; a lost table of a session is."""
    one, other = pair
    with one.work() as work, pytest.raises(StoreUnavailableError, match="try again"):
        work.execute("SELECT * FROM frozen AS f JOIN incoming_keys AS i ON i.tenant = f.tenant")
    with other._client() as client:
        client.command("DROP TABLE frozen")
    with pytest.raises(StoreDamagedError, match="the table frozen"):
        rows(one)
    with pytest.raises(StoreDamagedError, match="the table frozen"), one.change() as work:
        work.execute(FROZEN, {"tenant": 1})
    with other._client() as client:
        client.command("DROP TABLE frozen_gone")
        database = client.query("SELECT currentDatabase()").result_rows[0][0]
        client.command(f"DROP DATABASE {database}")
    with pytest.raises(StoreDamagedError, match="not in ClickHouse any more"):
        one.query("SELECT count(*) FROM events")


TENANT = "INSERT INTO tenants VALUES (1, $name, 'UTC')"
SNAPSHOT = """
    INSERT INTO snapshots VALUES (1, '', 'Daily', DATE '2026-01-01', TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-02', 'UTC',
        'final', 1, TIMESTAMP '2026-01-02', $document)
"""


def renamed(work: ClickHouseWork, name: str) -> None:
    """Put one tenant and its snapshot, which say the same name, in place of those there are."""
    for table in ("tenants", "snapshots"):
        work.execute(f"DELETE FROM {table} WHERE tenant = 1")
    work.execute(TENANT, {"name": name})
    work.execute(SNAPSHOT, {"document": name})


@pytest.fixture
def plain(pair: tuple[ClickHouseStore, ClickHouseStore]) -> Iterator[Client]:
    """A reader that knows nothing of Hubbub and may only read, like a BI tool."""
    client = clickhouse_connect.get_client(dsn=pair[0]._url)
    client.command("SET readonly = 1")
    yield client
    client.close()


def seen(plain: Client) -> list[tuple[Any, ...]]:
    """What the reader finds."""
    return [tuple(row) for row in plain.query("SELECT tenant, data FROM analytics_snapshots").result_rows]


def test_a_plain_reader_sees_a_change_when_it_is_committed(
    pair: tuple[ClickHouseStore, ClickHouseStore], plain: Client
) -> None:
    """In the middle of a change a view shows the state before it, and also when the change fails; events show with the next one."""
    one, other = pair
    assert seen(plain) == []
    with one.change() as work:
        renamed(work, "a")
        assert seen(plain) == []
    assert seen(plain) == [("a", "a")]
    with pytest.raises(ZeroDivisionError), other.change() as work:
        renamed(work, "b")
        raise ZeroDivisionError
    assert seen(plain) == [("a", "a")]
    with other.change() as work:
        renamed(work, "c")
        assert seen(plain) == [("a", "a")]
    assert seen(plain) == [("c", "c")]
    one.append(batch(told("e")))
    assert plain.query("SELECT id FROM analytics_events").result_rows == []
    with one.change() as work:
        renamed(work, "d")
    assert plain.query("SELECT id, tenant FROM analytics_events").result_rows == [("e", "d")]


def test_a_plain_reader_never_sees_half(pair: tuple[ClickHouseStore, ClickHouseStore], plain: Client) -> None:
    """While two tables of a view change again and again, each read finds both as one change left them."""
    over, found = threading.Event(), list[list[tuple[Any, ...]]]()

    def read() -> None:
        while not over.is_set():
            found.append(seen(plain))

    with pair[0].change() as work:
        renamed(work, "0")
    reader = threading.Thread(target=read)
    reader.start()
    for n in range(1, 25):
        with pair[n % 2].change() as work:
            renamed(work, str(n))
    over.set()
    reader.join()
    assert all(len(rows) == 1 and rows[0][0] == rows[0][1] for rows in found), found
    assert len({rows[0] for rows in found}) > 3
    assert seen(plain) == [("24", "24")]


def test_what_a_dead_process_did_not_tell_is_told(
    pair: tuple[ClickHouseStore, ClickHouseStore], plain: Client, positions: Positions
) -> None:
    """A change whose process died right after its commit shows with the next change, the next start, or before rows are removed."""
    one, other = pair

    def died(name: str) -> None:
        with positions.turn(CHANGE) as turn, one._client() as client:
            with ClickHouseWork(client, Snapshot(positions.standing()), turn) as work:
                renamed(work, name)
            turn.commit()

    died("a")
    assert seen(plain) == []
    with other.change() as work:
        work.execute(FROZEN, {"tenant": 1})
    assert seen(plain) == [("a", "a")]
    died("b")
    assert seen(plain) == [("a", "a")]
    ClickHouseStore(one._url, positions).close()
    assert seen(plain) == [("b", "b")]
    died("c")
    other._remove(positions.standing())
    assert seen(plain) == [("c", "c")]


def test_a_cluster_spreads_every_table(pair: tuple[ClickHouseStore, ClickHouseStore]) -> None:
    """With a cluster's name each table is a replicated one and a distributed one over it, in SQL that the engine can read."""
    statements = list(create("main"))
    assert len(statements) == 4 * len(TABLES) + 2
    statements += views("main")
    with pair[0]._client() as client:
        for statement in statements:
            assert "ON CLUSTER 'main'" in statement
            assert client.query(f"EXPLAIN AST {statement}").result_rows
    assert sum("ENGINE = Replicated" in one for one in statements) == sum("Distributed" in one for one in statements)


def test_statements_of_one_shape_are_said_once() -> None:
    """Moments do not make another statement: the shape is translated once, and each has its own moments, in their places."""
    first = Statement.of(
        "SELECT 1 FROM r WHERE t < TIMESTAMP '2026-01-01 00:00:00' AND t > TIMESTAMP '2025-01-01 00:00:00'", {}
    )
    again = Statement.of(
        "SELECT 1 FROM r WHERE t < TIMESTAMP '2026-02-01 00:00:00' AND t > TIMESTAMP '2025-02-01 00:00:00'", {}
    )
    assert again.sql == first.sql.replace("-01-01", "-02-01")

"""The ClickHouse that tests run is one: several processes at once, real types and errors, sessions, data that stay."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from clickhouse_connect.driver.external import ExternalData

from tests.support.clickhouse import ClickHouse, clickhouse

spawn = multiprocessing.get_context("spawn")
WHEN = datetime(2026, 3, 29, 1, 59, 59, 123456, UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """Start a ClickHouse for all tests of this file, with a database `house`."""
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as found:
        with connect(found.port, database="default") as client:
            client.command("CREATE DATABASE house")
        yield found


@pytest.fixture
def client(server: ClickHouse) -> Iterator[Client]:
    """Return a client with a session of its own and an empty table `numbers`."""
    with connect(server.port) as found:
        found.command("CREATE OR REPLACE TABLE numbers (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
        yield found


def connect(port: int, **options: Any) -> Client:
    """Return a client of the front on a port."""
    return clickhouse_connect.get_client(
        host="127.0.0.1", port=port, **{"database": "house", "tz_mode": "aware", **options}
    )


def insert_batches(port: int, first: int, batches: int) -> None:
    """Insert batches of 100 numbers, one after the other: what a child process does."""
    with connect(port) as client:
        for number in range(first, first + batches * 100, 100):
            client.insert("numbers", [[n, "x\n"] for n in range(number, number + 100)], column_names=["n", "s"])


def insert_half(port: int, sent: Event) -> None:
    """Send the first half of an insert and never the second."""

    def rows() -> Generator[bytes, None, None]:
        yield from (f"{n}\tx\n".encode() * 1000 for n in range(100))
        sent.set()
        time.sleep(600)

    with connect(port) as client:
        client.raw_insert("numbers", ["n", "s"], rows(), fmt="TSV")


def test_processes_insert_at_once(server: ClickHouse, client: Client) -> None:
    """Two processes and two threads of a third insert at the same time; every row is there once."""
    children = [spawn.Process(target=insert_batches, args=(server.port, first, 20)) for first in (0, 10_000)]
    for child in children:
        child.start()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(insert_batches, [server.port] * 2, (20_000, 30_000), (20, 20)))
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert client.query("SELECT count(), uniqExact(n) FROM numbers").result_rows == [(8000, 8000)]


@pytest.mark.parametrize("as_form", [False, True], ids=["url", "form"])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Int64", -(2**63)),
        ("UInt64", 2**64 - 1),
        ("Float64", 0.1),
        ("String", 'it\'s "q" \\ \t\n` {x} 😀 %27 ; --'),
        ("DateTime64(6, 'UTC')", WHEN),
        ("Array(String)", ["it's", '"', "\\", "", "ж,"]),
        ("Array(Int64)", [1, -2, 3]),
        ("Array(String)", []),
        ("Nullable(String)", None),
        ("Nullable(String)", "NULL"),
    ],
)
def test_parameters_arrive_as_they_are(server: ClickHouse, kind: str, value: object, as_form: bool) -> None:
    """A bound parameter of each type comes back the same, from the URL and from a form."""
    with connect(server.port, form_encode_query_params=as_form) as client:
        name = "v_64" if isinstance(value, datetime) else "v"  # clickhouse-connect: the suffix keeps microseconds
        result = client.query(f"SELECT {{v:{kind}}} AS v", parameters={name: value})
    assert result.result_rows == [(value,)]


def test_an_insert_keeps_every_type(client: Client) -> None:
    """Rows in Native and in Arrow come back as they went in, whatever bytes they hold."""
    client.command("""CREATE OR REPLACE TABLE types (
        n UInt64, s String, l LowCardinality(String), m Nullable(String), t DateTime64(6, 'UTC'),
        a Array(String), d Map(String, Int64)
    ) ENGINE = MergeTree ORDER BY n""")
    rows = [(n, "a\n;'\\\0" * n, "low", None if n else "", WHEN, ["\n", "'"], {"k;": -n}) for n in range(3)]
    client.insert("types", rows)
    assert client.query("SELECT * FROM types ORDER BY n").result_rows == rows
    table = pa.table({"n": pa.array([7], pa.uint64()), "s": ["a\n;'\\"], "t": pa.array([WHEN])})
    assert client.insert_arrow("types", table).written_rows == 1
    assert (
        client.query_arrow("SELECT n, s, t FROM types WHERE n = 7", use_strings=True).to_pylist() == table.to_pylist()
    )


@pytest.mark.parametrize("packing", ["lz4", "zstd", "gzip", False])
def test_packed_inserts(server: ClickHouse, client: Client, packing: str | bool) -> None:
    """What a client packs arrives unpacked, of many frames too."""
    with connect(server.port, compress=packing) as packer:
        packer.insert("numbers", [[n, f"{n}\n"] for n in range(300_000)], column_names=["n", "s"])
    assert client.query("SELECT count(), countIf(s = concat(n::String, '\n')) FROM numbers").result_rows == [
        (300_000, 300_000)
    ]


def test_errors_have_their_code(client: Client) -> None:
    """An error has ClickHouse's code, name and text, and the next statement works."""
    for statement, code, name in [
        ("SELECT * FROM nothing", 60, "UNKNOWN_TABLE"),
        ("SELECT none FROM numbers", 47, "UNKNOWN_IDENTIFIER"),
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 62, "SYNTAX_ERROR"),
        ("SELECT {v:String}", 456, "UNKNOWN_QUERY_PARAMETER"),
        ("SELECT throwIf(n = 0) FROM (SELECT 0 AS n)", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    ]:
        with pytest.raises(DatabaseError, match=rf"(?s)Code: {code}\..*\({name}\)") as raised:
            client.query(statement)
        assert (raised.value.code, raised.value.name) == (code, name)
    with pytest.raises(DatabaseError) as raised:
        client.insert("nothing", [[n, "x"] for n in range(300_000)], ["n", "s"], column_type_names=["UInt64", "String"])
    assert raised.value.code == 60
    with pytest.raises(DatabaseError) as raised:
        client.raw_insert("numbers", ["n", "s"], b"1\tx\nno number\tx\n", fmt="TSV")
    assert raised.value.code == 27
    assert client.command("SELECT count() FROM numbers") == 0


def test_a_session_is_its_own(server: ClickHouse) -> None:
    """Temporary tables and settings last in their session and are seen in no other; those of one statement end with it."""
    with (
        connect(server.port) as one,
        connect(server.port, database="default", session_id="two", settings={"session_timeout": 1}) as two,
    ):
        one.command("CREATE TEMPORARY TABLE mine (n UInt8)")
        one.insert("mine", [[1], [2]])
        assert one.query("SELECT sum(n) FROM mine").result_rows == [(3,)]
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            two.query("SELECT * FROM mine")
        one.command("SET max_threads = 3")
        threads = "SELECT getSetting('max_threads'), currentDatabase()"
        assert one.query(threads, settings={"max_threads": 5}).result_rows == [(5, "house")]
        assert one.query(threads).result_rows == [(3, "house")]
        assert two.query(threads, settings={"max_threads": 7}).result_rows == [(7, "default")]
        with connect(server.port, autogenerate_session_id=False) as none:
            assert none.query(threads, settings={"max_threads": 9}).result_rows == [(9, "house")]
        two.command("CREATE TEMPORARY TABLE mine (n UInt8)")
        time.sleep(1.2)
        with pytest.raises(DatabaseError, match="SESSION_NOT_FOUND"):
            two.command("SELECT 1", settings={"session_check": 1})
        two.command("CREATE TEMPORARY TABLE mine (n UInt8)")  # the session of this name is a new one


def test_a_session_serves_one_at_a_time_and_a_query_can_be_killed(server: ClickHouse) -> None:
    """While a session works, a second request of it is refused; KILL QUERY ends a query by the id that its client gave."""
    long = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"
    with connect(server.port, session_id="busy") as one, connect(server.port) as other, ThreadPoolExecutor(1) as pool:
        running = pool.submit(one.query, long, settings={"query_id": "the-long-one"})
        while not other.command(
            "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number)%' AND query NOT LIKE '%LIKE%'"
        ):
            assert not running.done()
        with pytest.raises(DatabaseError, match="SESSION_IS_LOCKED"):
            connect(server.port, session_id="busy").command("SELECT 1")
        other.command("KILL QUERY WHERE query_id = 'the-long-one' SYNC")
        with pytest.raises(DatabaseError, match="QUERY_WAS_CANCELLED"):
            running.result()
        assert one.command("SELECT 1") == 1


def test_tables_sent_along(client: Client) -> None:
    """A query can use a table that comes with it, and the next query knows nothing of it."""
    sent = ExternalData(file_name="sent.csv", data=b'1,"a\r\nb"\n2,c\n', fmt="CSV", structure="n UInt8, s String")
    found = client.query("SELECT s FROM sent WHERE n = {n:UInt8}", parameters={"n": 1}, external_data=sent)
    assert found.result_rows == [("a\r\nb",)]
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("SELECT s FROM sent")


def test_big_inserts_and_results(client: Client) -> None:
    """A million rows go in as columns and come out again, whole and as a stream."""
    numbers = list(range(1_000_000))
    words = [f"word {n}" for n in numbers]
    summary = client.insert("numbers", [numbers, words], column_names=["n", "s"], column_oriented=True)
    assert summary.written_rows == 1_000_000
    result = client.query("SELECT * FROM numbers ORDER BY n", column_oriented=True)
    assert result.result_columns == [numbers, words] or list(map(list, result.result_columns)) == [numbers, words]
    with client.query_arrow_stream("SELECT n FROM numbers") as batches:
        assert sum(batch.num_rows for batch in batches) == 1_000_000


def test_a_client_that_dies_takes_nothing_with_it(server: ClickHouse, client: Client) -> None:
    """A client killed in the middle of its insert leaves no row and a server that goes on."""
    sent = spawn.Event()
    child = spawn.Process(target=insert_half, args=(server.port, sent))
    child.start()
    assert sent.wait(60)
    child.kill()
    child.join()
    insert_batches(server.port, 0, 1)
    assert client.command("SELECT count() FROM numbers") == 100


def test_data_outlive_a_server(tmp_path: Path) -> None:
    """A server that is stopped while rows come in refuses no answer it owes, and has all it acknowledged when it starts again."""
    acknowledged = 0
    with clickhouse(tmp_path) as server:
        connect(server.port, database="default").command("CREATE DATABASE house")
        client = connect(server.port, query_retries=0)
        client.command("CREATE TABLE numbers (n UInt64) ENGINE = MergeTree ORDER BY n")
        codes: list[int] = []
        stopper = threading.Timer(0.5, lambda: codes.append(server.stop()))
        stopper.start()
        with pytest.raises(OperationalError):
            while True:
                client.insert("numbers", [[acknowledged]], column_names=["n"])
                acknowledged += 1
        stopper.join()
        assert codes == [0]
        assert not client.ping()
        server.start()
        assert connect(server.port).command("SELECT count() FROM numbers") == acknowledged > 0

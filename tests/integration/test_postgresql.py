"""A store in PostgreSQL gives the numbers of a data folder, with any number of processes, through kills and outages."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

import hubbub
from hubbub.api.app import create_app
from hubbub.control.control import SCOPES
from hubbub.demo import sample
from hubbub.errors import BadQuestionError, StoreDamagedError, StoreNewerError, StoreUnavailableError
from hubbub.facts.refresh import refresh
from hubbub.facts.verify import verify
from hubbub.ingest.intake import Intake
from hubbub.metrics import catalogue
from hubbub.model.event import Event
from hubbub.model.question import Question
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.model.window import Grain
from hubbub.query.queries import Queries
from hubbub.storage import postgresql_schema, schema
from hubbub.storage.dialect import POSTGRESQL
from hubbub.storage.log import Batch, Refused
from hubbub.storage.postgresql import CHECK_SECONDS, LOCKS, MAKING, Database
from hubbub.storage.store import Store
from hubbub.version import __version__
from tests.conftest import empty_database
from tests.extent import ALL
from tests.integration.store_child import BATCH, NOW, TENANTS
from tests.integration.test_serve import until

DAYS = 20 if ALL else 2
FACTS = ("event", "response", "episode", "survey", "state", "receipt_channel", "person")
KILLS = 20 if ALL else 2


@dataclass
class Place:
    """A database of one store, and a folder."""

    url: str
    folder: Path

    def open(self) -> Store:
        """Open the store."""
        return Store(self.folder, self.url)


@pytest.fixture
def place(postgres: Any, tmp_path: Path) -> Place:
    """An empty database."""
    return Place(empty_database(postgres), tmp_path)


def rows(store: Store, table: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table without the columns of their arrival."""
    columns = [name for name in schema.TABLES[table][0] if name not in ("received_at", "seq")]
    with store.facts.read() as reading:
        return sorted(reading.rows(f"SELECT {', '.join(columns)} FROM {table}"), key=repr)


def questions(start: datetime) -> Iterator[Question]:
    """Yield questions for every metric by every dimension and grain."""
    by_rollup: dict[str, list[str]] = {}
    for name in catalogue.names():
        by_rollup.setdefault(catalogue.find(name).rollup.name, []).append(name)
    for names in by_rollup.values():
        for by in [(), *((one,) for one in catalogue.askable(catalogue.find(names[0]).rollup))]:
            for grain in Grain if ALL else (Grain.TOTAL, Grain.DAY):
                yield Question(tuple(names), start, NOW, grain, by)


def said(queries: Queries, tenant: Tenant, question: Question) -> Any:
    """Return an answer, or the message of the error that it would have too many rows."""
    try:
        answer = queries.answer(tenant, question)
    except BadQuestionError as error:
        assert question.grain is Grain.HOUR and "are allowed" in error.message
        return error.message
    return answer.starts, answer.dims, answer.columns


@pytest.mark.timeout(2_400)
def test_every_number_is_the_same_as_in_a_folder(place: Place, tmp_path: Path) -> None:
    """Facts are equal row by row, and every metric by every dimension and grain to the last digit, over the demo's events."""
    stores = Store(tmp_path / "folder"), place.open()
    tenants = [
        Tenant(no, id_, zone, "", KEEP_EVERYTHING, hotspot_tones=("negative",))
        for no, (id_, zone, _) in enumerate(sample.tenants(), 1)
    ][: None if ALL else 1]
    for store in stores:
        intake = Intake(store, lambda: NOW, lambda _: None)
        for tenant in tenants:
            assert not intake.accept(tenant, list(sample.events(tenant.id, NOW, DAYS))).rejected
        refresh(store)
    for table in FACTS:
        assert rows(stores[0], table) == rows(stores[1], table), table
    queries = [Queries(store, lambda: NOW) for store in stores]
    for tenant in tenants:
        for question in questions(NOW - timedelta(days=DAYS)):
            here, there = (said(one, tenant, question) for one in queries)
            assert here == there, question
    assert all(verify(store, tenants).clean for store in stores)
    for store in stores:
        store.close()


def child(place: Place, journal: Path, revision: int, batches: int) -> subprocess.Popen[str]:
    """Start a process that sends all events with a revision, and wait until it is ready."""
    command = [sys.executable, "-m", "tests.integration.store_child", place.url, str(place.folder), str(journal)]
    made = subprocess.Popen([*command, str(revision), str(batches)], stdout=subprocess.PIPE, text=True)
    assert made.stdout is not None
    with made.stdout as said:
        assert said.readline() == "ready\n"
    return made


def check(place: Place, acknowledged: dict[tuple[int, int], int], sent: set[tuple[int, int]]) -> None:
    """Check that every acknowledged event is stored once with no lower revision, nothing else is stored, and verify
    finds no difference.
    """
    store = place.open()
    refresh(store)
    with store.facts.read() as reading:
        found = reading.rows("SELECT tenant, id, revision FROM event")
        assert reading.value("SELECT count(*) FROM log") == reading.value("SELECT count(*) FROM todo") == 0
    there = {(no, int(id_.rpartition("-")[2])): revision for no, id_, revision in found}
    assert len(found) == len(there)
    assert {key for key, revision in acknowledged.items() if there.get(key, -1) < revision} == set()
    assert set(there) <= sent
    assert verify(store, TENANTS).differences == {}
    store.close()


def read(journals: list[Path]) -> tuple[dict[tuple[int, int], int], int]:
    """Return the highest acknowledged revision of each event, and how many events were new."""
    known: dict[tuple[int, int], int] = {}
    new = 0
    for journal in journals:
        for line in journal.read_text().splitlines() if journal.exists() else ():
            no, first, after, revision, stored = map(int, line.split())
            new += stored
            for number in range(first, after):
                known[no, number] = max(revision, known.get((no, number), -1))
    return known, new


@pytest.mark.slow
def test_events_sent_by_three_processes_at_once_count_once(place: Place) -> None:
    """Three processes send the same events with different revisions and fold at once: each event is new once, and the
    newest revision stays.
    """
    place.open().close()
    journals = [place.folder / f"journal-{n}" for n in range(3)]
    children = [child(place, journal, n, batches=4) for n, journal in enumerate(journals)]
    assert [one.wait(120) for one in children] == [0, 0, 0]
    acknowledged, new = read(journals)
    assert new == len(acknowledged) == 4 * BATCH * len(TENANTS)
    check(place, acknowledged, set(acknowledged))
    store = place.open()
    with store.facts.read() as reading:
        assert reading.rows("SELECT DISTINCT revision FROM event") == [(2,)]
    store.close()


@pytest.mark.slow
def test_killed_processes_lose_no_acknowledged_event(place: Place) -> None:
    """Killed processes leave every acknowledged event once, and no partial fact."""
    store = place.open()
    journals = [place.folder / f"journal-{n}" for n in range(2)]
    sent = {(tenant.no, number) for tenant in TENANTS for number in range(BATCH * 200)}
    for kill in range(KILLS):
        children = [child(place, journal, kill, batches=200) for journal in journals]
        time.sleep(0.4 + 0.13 * kill)
        for one in children:
            one.kill()
            one.wait(30)
    store.close()
    check(place, read(journals)[0], sent)


def test_a_server_that_is_away_is_named_and_missed_no_longer(postgres: Any, place: Place) -> None:
    """While PostgreSQL is away nothing is acknowledged and every call raises StoreUnavailableError; afterwards the same
    store works.
    """
    store = place.open()
    intake = Intake(store, lambda: NOW, lambda _: None)
    one = Event(type="message.received", time=NOW, id="a", channel="web", conversation_id="c", contact_id="k")
    assert intake.accept(TENANTS[0], [one]).stored == 1
    postgres.stop()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                intake.accept(TENANTS[0], [Event(type="message.received", time=NOW, id="b", channel="web")])
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                refresh(store)
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                Queries(store, lambda: NOW).answer(TENANTS[0], Question(("messages",), NOW - timedelta(1), NOW))
            with pytest.raises(StoreUnavailableError):
                place.open()
    finally:
        postgres.start()
    assert intake.accept(TENANTS[0], [one]).duplicates == 1
    question = Question(("messages",), NOW - timedelta(days=1), NOW + timedelta(days=1))
    assert Queries(store, lambda: NOW).answer(TENANTS[0], question).columns["messages"].values == [1]
    store.close()


def test_readers_see_one_moment(place: Place) -> None:
    """A read transaction sees nothing written after it began; a later one does."""
    store = place.open()
    intake = Intake(store, lambda: NOW, lambda _: None)
    with store.facts.read() as before:
        assert before.value("SELECT count(*) FROM event") == 0
        intake.accept(
            TENANTS[0], [Event(type="message.received", time=NOW, id="a", channel="web", conversation_id="c")]
        )
        refresh(store)
        assert before.value("SELECT count(*) FROM event") == before.value("SELECT count(*) FROM state") == 0
    with store.facts.read() as after:
        assert after.value("SELECT count(*) FROM event") == 1
    store.close()


def test_missing_columns_are_added_and_old_processes_stop(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing column is added and rows are kept; a process with other declarations reads and writes no more; an older
    version or another layout refuses to start.
    """
    old = place.open()
    with old.facts.write() as writing:
        writing.run("ALTER TABLE survey DROP COLUMN scale")
        writing.run("INSERT INTO survey (tenant, survey, rating) VALUES (1, 's', 4.0)")
    monkeypatch.setattr(postgresql_schema, "MADE", "another")
    new = place.open()
    with new.facts.read() as reading:
        assert reading.rows("SELECT survey, rating, scale FROM survey") == [("s", 4.0, None)]
    with pytest.raises(StoreNewerError, match="changed the tables while this process ran"), old.facts.write(1):
        pass
    time.sleep(CHECK_SECONDS)
    event = Event(type="message.received", time=NOW, id="a", channel="web")
    with pytest.raises(StoreNewerError, match="changed the tables while this process ran"):
        Intake(old, lambda: NOW, lambda _: None).accept(TENANTS[0], [event])
    with pytest.raises(StoreNewerError, match="changed the tables while this process ran"), old.facts.read():
        pass
    for key, value, error, says in (
        ("version", "0.10.0", StoreNewerError, f"upgraded by Hubbub 0.10.0, this is {__version__}"),
        ("layout", "2", StoreDamagedError, "has the layout 2, this Hubbub reads 1"),
    ):
        with new.facts.write() as writing:
            writing.run("UPDATE meta SET value = ? WHERE key = ?", (value, key))
        monkeypatch.setattr(postgresql_schema, "MADE", f"for {key}")
        with closing(Database(place.url)) as database, pytest.raises(error, match=says):
            postgresql_schema.create(database)
    for one in (old, new):
        one.close()


def waiting(place: Place) -> int:
    """Return the number of sessions that wait for an advisory lock."""
    with closing(Database(place.url)) as database, database.read() as reading:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
        return int(reading.value(sql))


def test_a_tenant_that_is_new_to_the_statistics_is_read_by_its_keys(place: Place) -> None:
    """After an analysis that knew one tenant only, the rows of another tenant's keys are read by the index of the keys."""
    insert = (
        "INSERT INTO response (tenant, anchor, ident, id, conversation_id, responder, asked_at) "
        "SELECT ?, n, n, 'r', 'c' || n, 'ai', n FROM generate_series(1, 5000) AS n"
    )
    place.open().close()
    with closing(Database(place.url)) as database:
        with database.append() as writing:
            writing.run(insert, (1,))
        with psycopg.connect(place.url, autocommit=True) as con:
            con.execute("ANALYZE response")
        with database.append() as writing:
            writing.run(insert, (2,))
        sql = "SELECT ident FROM response WHERE tenant = 2 AND conversation_id " + POSTGRESQL.in_texts("?")
        with database.read() as reading:
            plan = "\n".join(row for (row,) in reading.rows(f"EXPLAIN {sql}", ('["c1", "c2", "c3", "c4"]',)))
    assert "using response_conversation" in plan, plan


@pytest.mark.slow
def test_two_processes_at_once_complete_the_tables_once(place: Place) -> None:
    """Two processes that start at once on older tables complete them once."""
    place.open().close()
    with closing(Database(place.url)) as database, database.append() as making:
        making.run("ALTER TABLE survey DROP COLUMN scale")
        making.run("UPDATE meta SET value = 'earlier' WHERE key = 'made'")
        making.run("CREATE TABLE said (what TEXT)")
        making.run(
            "CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO said VALUES (tg_tag); END $$"
        )
        making.run("CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION noted()")
    code = "import sys; from hubbub.storage.postgresql_store import connect; connect(sys.argv[1]).facts.close()"
    with closing(Database(place.url)) as other:
        with other.append() as held:
            held.run(f"SELECT pg_advisory_xact_lock({LOCKS}, {MAKING})")
            children = [subprocess.Popen([sys.executable, "-c", code, place.url]) for _ in range(2)]
            until(lambda: waiting(place) == 2, "both wait")
        assert [one.wait(120) for one in children] == [0, 0]
        with other.read() as reading:
            done = dict(reading.rows("SELECT what, count(*) FROM said GROUP BY what"))
            assert (done["ALTER TABLE"], done["CREATE VIEW"]) == (1, len(postgresql_schema.VIEWS))
            assert reading.value("SELECT value FROM meta WHERE key = 'made'") == postgresql_schema.MADE


def test_other_processes_are_followed(place: Place) -> None:
    """`others()` changes when another process accepts or changes something, not when this one does."""
    here, there = place.open(), place.open()

    def accept(store: Store) -> None:
        store.log.append(Batch(1, (), (), 0, [Refused(0, "api", "bad_json", "", "not JSON", "?")]))

    def change(store: Store) -> None:
        with store.facts.write(1) as writing:
            writing.run("UPDATE meta SET value = value")

    for act in (accept, change):
        known = here.others()
        act(here)
        assert here.others() == known
        act(there)
        assert here.others() != known
    for one in (here, there):
        one.close()


def test_a_cached_answer_counts_what_another_server_accepted(place: Place) -> None:
    """A cached answer of one server counts an event as soon as another server acknowledged it, before it is folded. The
    cache is not asked on the event loop.
    """
    flags: dict[str, Any] = {"store_url": place.url, "secret_key": "ab" * 32, "free_floor_mb": 0}
    with hubbub.open(place.folder / "here", **flags) as here, hubbub.open(place.folder / "there", **flags) as there:
        assert not here.cached.cache.inline
        here.add_tenant("acme")
        key = here.keys.add("acme", SCOPES).key
        asked = {"metrics": ["messages"], "from": "2026-08-01", "to": "2026-08-02"}
        with TestClient(create_app(here, refresh=False), headers={"Authorization": f"Bearer {key}"}) as http:
            for count in range(3):
                for _ in range(2):  # computed, then cached
                    answer = http.post("/v1/query", json=asked)
                    assert answer.json()["rows"][0]["messages"] == count, answer.text
                sent = {"type": "message.received", "time": "2026-08-01T10:00:00Z", "conversation_id": "c"}
                assert there.record("acme", {**sent, "id": f"{count}"}, history=True)["accepted"] == 1


def test_no_route_fails_on_a_text_that_postgresql_cannot_hold(place: Place) -> None:
    """A NUL in any path or query parameter gets a status below 500."""
    with hubbub.open(place.folder, store_url=place.url, free_floor_mb=0) as engine:
        engine.add_tenant("acme")
        keys = [engine.keys.add(tenant, SCOPES).key for tenant in ("acme", None)]
        with TestClient(create_app(engine, refresh=False), raise_server_exceptions=False) as http:
            for path, methods in http.get("/openapi.json").json()["paths"].items():
                asked = {
                    one["name"]: "a\0b" for one in methods.get("get", {}).get("parameters", ()) if one["in"] == "query"
                }
                for method in methods if "{" in path else ("get",):
                    for key in keys:
                        header = {"Authorization": f"Bearer {key}"}
                        url = re.sub(r"\{\w+\}", "a%00b", path)
                        for params in [{}, *({name: value} for name, value in asked.items())]:
                            answer = http.request(method, url, headers=header, params=params)
                            assert answer.status_code < 500, (method, url, params, answer.text)

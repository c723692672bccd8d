"""The copy of the facts in ClickHouse gives the same numbers as PostgreSQL, through failures of either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import OperationalError
from clickhouse_connect.driver.query import QueryResult

from hubbub.demo import sample
from hubbub.facts.refresh import refresh
from hubbub.ingest.intake import Intake
from hubbub.metrics import catalogue
from hubbub.model.event import Event
from hubbub.model.question import Question
from hubbub.model.target import Aim, Target
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.model.window import Grain
from hubbub.query.dashboard import dashboard
from hubbub.query.queries import Queries
from hubbub.storage import clickhouse
from hubbub.storage.clickhouse import ANSWER_SECONDS, Server
from hubbub.storage.copied import COPIED
from hubbub.storage.copy import Copy
from hubbub.storage.store import Store
from hubbub.storage.transaction import Bound
from tests.conftest import ask_copy, empty_copy, empty_database
from tests.integration.store_child import NOW
from tests.integration.test_postgresql import questions, said

pytestmark = pytest.mark.slow
DAYS = 20
TENANT = Tenant(1, "one", "Europe/Rome", "", KEEP_EVERYTHING)
START = NOW - timedelta(days=30)


@dataclass
class Place:
    """A PostgreSQL, a ClickHouse, and a folder."""

    url: str
    copy_url: str
    folder: Path

    def open(self) -> Store:
        """Open the store with its copy."""
        made = Store(self.folder, self.url, self.copy_url)
        ask_copy(made)
        return made


@pytest.fixture
def place(postgres: Any, chdb_folder: Path, tmp_path: Path) -> Place:
    """An empty database of each."""
    return Place(empty_database(postgres), empty_copy(chdb_folder), tmp_path)


TARGETS = tuple(Target(aim=aim, minutes=15, valid_from=date(2020, 1, 1)) for aim in Aim)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """An empty store with a copy."""
    made = place.open()
    yield made
    made.close()


def send(store: Store, *events: Event) -> None:
    """Store events of the tenant."""
    assert not Intake(store, lambda: NOW, lambda _: None).accept(TENANT, list(events)).rejected


def message(number: int, days: float = 1, revision: int | None = None) -> Event:
    """Return an inbound message of a contact of its own."""
    return Event(
        type="message.received", time=NOW - timedelta(days=days), source="test", id=f"m-{number}", revision=revision, channel="sms",
        conversation_id=f"c-{number}", contact_id=f"contact-{number}",
    )  # fmt: skip


def counted(store: Store) -> Any:
    """Return messages, open conversations and active contacts as ClickHouse answers them."""
    question = Question(("messages", "open_conversations", "active_contacts"), START, NOW)
    assert engine_of(store, question) == "clickhouse"
    return [column.values[0] for column in Queries(store, lambda: NOW).answer(TENANT, question).columns.values()]


def engine_of(store: Store, question: Question) -> str:
    """Return the dialect of the engine that answers a question now."""
    queries = Queries(store, lambda: NOW)
    with queries.asking(TENANT) as (_, reading, _), queries._copied(TENANT, question, reading) as copied:
        return (copied or reading).dialect.name


def without_copy(store: Store) -> Queries:
    """Return queries that PostgreSQL answers."""
    plain = object.__new__(Store)
    plain.__dict__ |= store.__dict__ | {"copy": None}
    return Queries(plain, lambda: NOW)


def differences(store: Store, tenant: Tenant, days: int) -> list[Question]:
    """Return the questions whose answers differ between ClickHouse and PostgreSQL."""
    here, there = Queries(store, lambda: NOW), without_copy(store)
    asked = list(questions(NOW - timedelta(days=days)))
    assert len(asked) > 200
    return [question for question in asked if said(here, tenant, question) != said(there, tenant, question)]


@pytest.mark.timeout(2_400)
def test_every_number_is_the_same_as_in_postgresql(store: Store) -> None:
    """Every metric by every dimension and grain is the same to the last digit, over the demo's events."""
    tenants = [
        Tenant(no, id_, zone, "", KEEP_EVERYTHING, hotspot_tones=("negative",), targets=TARGETS)
        for no, (id_, zone, _) in enumerate(sample.tenants(), 1)
    ]
    for tenant in tenants:
        events = list(sample.events(tenant.id, NOW, DAYS))
        assert not Intake(store, lambda: NOW, lambda _: None).accept(tenant, events).rejected
        assert differences(store, tenant, DAYS) == []


def test_metrics_with_correlated_subqueries_are_answered_by_postgresql(store: Store) -> None:
    """Metrics with correlated subqueries are answered by PostgreSQL, others by the copy; two rollups have such metrics."""
    correlated = {catalogue.find(name).rollup.name for name in catalogue.names() if catalogue.find(name).correlated}
    assert correlated == {"questions", "past_target"}
    send(store, message(1))
    asked: list[str] = []
    with Queries(store, lambda: NOW).counting(TENANT) as (ask, _, _):
        for metric in ("messages", "questions", "waiting_past_target"):
            asked += [str(ask(Question((metric,), START, NOW)).columns[metric].values[0])]
    assert asked == ["1", "0", "None"]


def test_few_events_are_counted_by_postgresql(store: Store) -> None:
    """A question over too few events goes to PostgreSQL, and such a tenant is neither copied nor has its changes recorded."""
    assert store.copy is not None
    store.copy.fewest = 3
    week, question = Question(("messages",), NOW - timedelta(days=7), NOW), Question(("messages",), START, NOW)
    send(store, message(1), message(2), message(3, days=20))
    assert (engine_of(store, week), engine_of(store, question)) == ("postgresql", "clickhouse")
    with store.facts.read() as reading:
        assert reading.value("SELECT count(*) FROM copy_position") == 1
    assert not Intake(store, lambda: NOW, lambda _: None).accept(replace(TENANT, no=2), [message(1)]).rejected
    refresh(store)
    with store.facts.read() as reading:
        assert reading.rows("SELECT DISTINCT tenant FROM changed_event") == []
    assert store.copy.waiting() == []


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Yield the list of statements sent to ClickHouse during the block; an insert is its table's name."""
    sent: list[str] = []
    ask, insert = Server.ask_bound, Server.insert

    def asked(self: Server, text: str, values: Bound, *, seconds: float = ANSWER_SECONDS) -> QueryResult:
        sent.append(text)
        return ask(self, text, values, seconds=seconds)

    def inserted(self: Server, table: str, *rest: Any) -> None:
        sent.append(table)
        insert(self, table, *rest)

    with monkeypatch.context() as noting:
        noting.setattr(Server, "ask_bound", asked)
        noting.setattr(Server, "insert", inserted)
        yield sent


def test_answers_and_refreshes_take_few_statements(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each metric by day and a dimension takes at most two statements, a dashboard one, `contact_engagement_score`
    three; changes of a few events are shipped in at most ten.
    """
    events = list(sample.events("hotel-aurora", NOW, 3))
    send(store, *events[:-40])
    assert counted(store)[0] > 20
    queries, taken = Queries(store, lambda: NOW), {}
    for name in catalogue.names():
        by = tuple(catalogue.askable(catalogue.find(name).rollup))[:1]
        question = Question((name,), NOW - timedelta(days=3), NOW, Grain.DAY, by)
        with statements(monkeypatch) as sent:
            queries.answer(TENANT, question)
        taken[name] = len(sent)
    assert {name for name, count in taken.items() if count > 2} == {"contact_engagement_score"}
    assert taken["contact_engagement_score"] == 3
    with statements(monkeypatch) as sent:
        dashboard(queries, TENANT)
    assert len(sent) == 1, sent
    send(store, *events[-40:])
    refresh(store)
    assert store.copy is not None
    with statements(monkeypatch) as sent:
        store.copy.ship(TENANT.no)
    assert 3 <= len(sent) <= 10, sent


def test_changes_count_in_the_next_query(store: Store) -> None:
    """New events, a correction that moves an event, and a link count at once; replaced rows do not count."""
    send(store, message(1), message(2))
    assert counted(store) == [2, 2, 2]
    send(store, message(3), message(1, days=40, revision=1))
    assert counted(store) == [2, 3, 2]
    send(store, Event(type="contact.linked", time=NOW, source="test", id="l", contact_id="contact-2", name="contact-3"))
    assert counted(store) == [2, 3, 1]


def test_an_interrupted_shipment_is_sent_again_before_a_read(
    store: Store, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipment that died halfway is sent again before anybody reads: no partial rows, none counted twice."""
    send(store, message(1))
    assert counted(store) == [1, 1, 1]
    send(store, message(2), message(3))
    refresh(store)
    insert, left = Server.insert, [2]

    def dying(self: Server, *args: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        insert(self, *args)

    monkeypatch.setattr(Server, "insert", dying)
    assert store.copy is not None
    with pytest.raises(KeyboardInterrupt):
        store.copy.ship(TENANT.no)
    monkeypatch.setattr(Server, "insert", insert)
    assert store.copy.waiting() == [TENANT.no]
    other = place.open()
    assert counted(other) == counted(store) == [3, 3, 3]
    other.close()


def test_a_late_insert_of_a_dead_process_counts_nothing(store: Store) -> None:
    """Rows inserted late with an older version than the newest of their key change no number."""
    send(store, message(1))
    assert counted(store) == [1, 1, 1]
    assert store.copy is not None
    event = next(table for table in COPIED if table.name == "event")
    old = [(*row, 0, 0) for row in store.copy.server.rows(f"SELECT {', '.join(event.columns)} FROM event")]
    send(store, message(1, days=40, revision=1))
    assert counted(store) == [0, 1, 0]
    store.copy.server.insert("event", event.stored, old)
    assert counted(store) == [0, 1, 0]


def test_postgresql_answers_while_clickhouse_is_away(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While ClickHouse is away PostgreSQL gives the same numbers and the reason is recorded; once it is back, it
    answers again.
    """
    send(store, message(1))
    assert counted(store) == [1, 1, 1]
    send(store, message(2))
    assert store.copy is not None

    def refused(_: str) -> None:
        raise OperationalError("refused")

    with monkeypatch.context() as away:
        away.setattr(clickhouse, "AWAY_SECONDS", 0)
        away.setattr(clickhouse, "connect", refused)
        store.copy.server.close()
        question = Question(("messages",), START, NOW)
        assert engine_of(store, question) == "postgresql"
        assert Queries(store, lambda: NOW).answer(TENANT, question).columns["messages"].values == [2]
        assert "refused" in (store.copy.away or "")
        assert Queries(store, lambda: NOW).answer(TENANT, question).columns["messages"].values == [2]
    assert counted(store) == [2, 2, 2]
    assert store.copy.away is None


def test_a_question_that_loses_clickhouse_is_answered_by_postgresql(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When ClickHouse breaks off during a question, PostgreSQL answers the whole question."""
    send(store, message(1))
    assert counted(store) == [1, 1, 1]
    asked = Server.ask_bound

    def break_off(_: object) -> QueryResult:
        raise OperationalError("connection reset")

    def broken(self: Server, text: str, values: Bound, *, seconds: float = ANSWER_SECONDS) -> QueryResult:
        return self._answer(break_off) if "FROM (" in text else asked(self, text, values, seconds=seconds)

    monkeypatch.setattr(Server, "ask_bound", broken)
    question = Question(("messages",), START, NOW)
    assert Queries(store, lambda: NOW).answer(TENANT, question).columns["messages"].values == [1]
    assert store.copy is not None and "connection reset" in (store.copy.away or "")


def test_a_clickhouse_that_was_emptied_is_filled_again(store: Store, place: Place) -> None:
    """A ClickHouse whose table was dropped, or whose rows are newer than a restored PostgreSQL, is filled again from
    PostgreSQL.
    """
    send(store, message(1), message(2))
    assert counted(store) == [2, 2, 2]
    assert store.copy is not None
    store.copy.server.run("DROP TABLE event SYNC")
    again = place.open()
    assert counted(again) == [2, 2, 2]
    with again.facts.write() as writing:
        writing.run("SELECT setval('copy_number', 1)")
    again.close()
    restored = place.open()
    with restored.facts.read() as reading:
        assert reading.value("SELECT count(*) FROM copy_position") == 0
    assert counted(restored) == [2, 2, 2]
    restored.close()


def test_without_a_copy_no_changes_are_noted(store: Store, place: Place) -> None:
    """A store opened without ClickHouse drops the triggers; a process that still has the copy reads PostgreSQL from then on."""
    send(store, message(1))
    assert counted(store) == [1, 1, 1]
    plain = Store(place.folder, place.url)
    send(plain, message(2))
    question = Question(("messages",), START, NOW)
    assert engine_of(store, question) == "postgresql"
    assert Queries(store, lambda: NOW).answer(TENANT, question).columns["messages"].values == [2]
    assert store.copy is not None and "ended this copy" in (store.copy.away or "")
    with plain.facts.read() as facts:
        assert facts.value("SELECT count(*) FROM changed_event") == 0
    plain.close()
    again = place.open()
    assert counted(again) == [2, 2, 2]
    again.close()


def test_a_rewrite_removes_every_deleted_row(store: Store, chdb_folder: Path) -> None:
    """After a rewrite no table of the copy holds a deleted row, not even an old version."""
    send(store, message(1), message(777_777))
    assert counted(store) == [2, 2, 2]
    with store.facts.write(TENANT.no) as writing:
        for name, of in {"event": "conversation_id", "episode": "conversation_id", "state": "id"}.items():
            writing.run(f"DELETE FROM {name} WHERE {of} IN ('c-777777', 'contact-777777')")
    assert isinstance(store.copy, Copy)
    store.rewrite()
    parts = store.copy.server.rows(
        "SELECT path FROM system.parts WHERE active AND database = currentDatabase() AND rows > 0"
    )
    assert parts
    files = [file for (path,) in parts for file in Path(path).rglob("*") if file.is_file()]
    assert files
    assert counted(store) == [1, 1, 1]
    assert store.copy.server.rows("SELECT count(*) FROM event SETTINGS final = 0") == [(1,)]
    for table in COPIED:
        texts = [name for name, type_ in table.columns.items() if "String" in type_]
        for name in texts:
            held = f"SELECT count(*) FROM {table.name} WHERE {name} LIKE '%777777%' SETTINGS final = 0"
            assert store.copy.server.rows(held) == [(0,)], (table.name, name)

"""Published tables: names and columns, numbers on lively data, when rows are written, and concurrent readers."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub import demo
from hubbub.errors import BadQuestionError
from hubbub.facts import refresh as refreshing
from hubbub.facts.moments import DAY, micros
from hubbub.facts.rebuild import units_of
from hubbub.ingest.intake import Intake
from hubbub.metrics.snapshots import Kind
from hubbub.model.event import Event
from hubbub.model.question import Question
from hubbub.model.tenant import Retention, Tenant
from hubbub.model.window import Grain
from hubbub.publishing import publish as publishing
from hubbub.publishing import snapshots
from hubbub.publishing.publish import Published, forget, publish
from hubbub.publishing.tables import TABLES, table_of
from hubbub.query.queries import Queries
from hubbub.storage.published import MOMENTS, ROWS
from hubbub.storage.store import Store
from hubbub.storage.tenant_tables import Owner, tables

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
COLUMNS = {
    "analytics_events": "id event_type timestamp property_id tenant channel guest_id staff_id conversation_id task_id value "
    "duration_ms metadata date_partition published_at",
    "agg_message_counts_hourly": "period_start property_id tenant channel direction count published_at",
    "agg_response_times_hourly": "period_start property_id tenant channel avg_response_ms p50_response_ms p95_response_ms count "
    "published_at",
    "agg_conversation_metrics_daily": "period_date property_id tenant channel conversations_started conversations_resolved "
    "conversations_escalated avg_first_response_ms p50_first_response_ms p95_first_response_ms avg_resolution_minutes "
    "p50_resolution_minutes p95_resolution_minutes ai_handled_count ai_escalated_count published_at",
    "agg_staff_performance_daily": "period_date property_id tenant staff_id conversations_handled tasks_completed "
    "avg_response_time_ms satisfaction_avg satisfaction_count published_at",
    "agg_intent_distribution_daily": "period_date property_id tenant intent count avg_confidence action_taken_count "
    "escalated_count published_at",
    "agg_satisfaction_weekly": "period_start property_id tenant channel surveys_sent responses_received rating_1 rating_2 rating_3 "
    "rating_4 rating_5 avg_rating nps_score published_at",
    "agg_monthly_summary": "period_month property_id tenant total_conversations total_messages total_tasks ai_resolution_rate "
    "avg_satisfaction avg_response_time_minutes top_intents channel_breakdown published_at",
    "communication_trends": "organization_id tenant trend_date trend_period topic_distribution sentiment_distribution "
    "escalation_counts channel_hotspots total_classifications avg_confidence published_at",
    "analytics_snapshots": "id team_id tenant whatsapp_account_id date snapshot_type metrics created_at published_at",
}
DAYS_KEPT = {Grain.HOUR: 30, Grain.DAY: 365, Grain.WEEK: 730, Grain.MONTH: 1095}


class Desk:
    """A store with a clock, an intake and a publisher."""

    def __init__(self, folder: Path) -> None:
        """Open a store in a folder."""
        self.now = NOW
        self.store = Store(folder)
        self.queries = Queries(self.store, lambda: self.now)
        self.intake = Intake(self.store, lambda: self.now, lambda _: None)
        self.hotel = Tenant(1, "hotel", "Europe/Rome")

    def send(self, *events: Event, tenant: Tenant | None = None) -> None:
        """Accept events; none may be rejected."""
        assert self.intake.accept(tenant or self.hotel, events, history=True).rejected == []

    def publish(self, *tenants: Tenant, **how: Any) -> Published:
        """Publish the hotel, or the given tenants; none may fail."""
        done = publish(self.store, self.queries, tenants or (self.hotel,), self.now, **how)
        assert done.errors == {}
        return done

    def rows(self, sql: str, *params: Any) -> list[dict[str, Any]]:
        """Read like another program: over a read-only connection of its own."""
        with sqlite3.connect(f"file:{self.store.folder / 'hubbub.db'}?mode=ro", uri=True) as con:
            con.row_factory = sqlite3.Row
            return [dict(row) for row in con.execute(sql, params)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Open an empty store."""
    made = Desk(tmp_path / "data")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Five days of the demo's hotel and shop, published."""
    made = Desk(tmp_path_factory.mktemp("published") / "data")
    made.hotel = replace(made.hotel, id="hotel-aurora")
    made.send(*demo.events("hotel-aurora", NOW, days=5))
    shop = Tenant(2, "brooklyn-bikes", "America/New_York")
    made.send(*demo.events("brooklyn-bikes", NOW, days=5), tenant=shop)
    snapshots.make(made.store, made.queries, [made.hotel], Kind.DAILY, None, NOW)
    made.publish(made.hotel, shop)
    yield made
    made.store.close()


def message(id_: str, time: datetime, **fields: Any) -> Event:
    """Return a message of a contact."""
    given: dict[str, Any] = {"type": "message.received", "contact_id": "k", "conversation_id": "c", "channel": "sms"}
    return Event(id=id_, time=time, **given | fields)


# --- names and columns


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_columns_are_those_of_the_contract(lively: Desk, name: str) -> None:
    """Every table has its name and columns in order, has rows on lively data, and names the tenant twice."""
    rows = lively.rows(f"SELECT * FROM {name}")
    assert rows, name
    assert list(rows[0]) == COLUMNS[name].split()
    owner = next(column for column in rows[0] if column in ("property_id", "organization_id", "team_id"))
    for row in rows:
        assert row["tenant"] == row[owner] in ("hotel-aurora", "brooklyn-bikes")
        assert datetime.fromisoformat(row["published_at"]) > datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_declaration_names_every_column(table: Any) -> None:
    """A declaration's parts are exactly the table's columns, and rows are kept as long as the grain's retention."""
    owner = {"property_id", "organization_id", "tenant"}
    named = {table.period, *table.numbers, *table.by, *table.spreads, *table.fixed}
    assert named == set(ROWS[table.name]) - owner
    assert set(table.over) <= set(table.numbers) and set(table.words) <= set(table.by)
    assert Retention().days(table.grain) == DAYS_KEPT[table.grain]
    assert table_of(table.job) is table_of(table.name) is table


def test_an_unknown_table_is_refused(desk: Desk) -> None:
    """An unknown table is refused with the nearest name."""
    with pytest.raises(BadQuestionError, match="agg_monthly_summary"):
        desk.publish(table="agg_monthly_sumary")


# --- numbers


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_are_the_answers(lively: Desk, table: Any) -> None:
    """Every number equals the API's to the last digit, percentiles too; minutes are milliseconds / 60,000."""
    start, end = datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC)
    question = Question(tuple(table.numbers.values()), start, end, table.grain, tuple(table.by.values()))
    truth = {}
    for row in lively.queries.answer(lively.hotel, question).rows:
        dims = [table.words.get(c, {}).get(str(row.dims[d]), row.dims[d]) for c, d in table.by.items()]
        truth[(table.label(row.start, lively.hotel), *dims)] = row
    found = lively.rows(f"SELECT * FROM {table.name} WHERE tenant = 'hotel-aurora'")
    for one in found:
        answer = truth[tuple(one[c] for c in (table.period, *table.by))]
        for column, metric in table.numbers.items():
            value = answer.cells[metric].value
            if column in table.over and value is not None:
                value /= 60_000
            assert one[column] == value, column


def test_the_month_adds_up(lively: Desk) -> None:
    """A month's channels and the hours add up to its messages, and its intents are the most frequent first."""
    for row in lively.rows("SELECT * FROM agg_monthly_summary"):
        assert sum(json.loads(row["channel_breakdown"]).values()) == row["total_messages"]
        counts = [one["count"] for one in json.loads(row["top_intents"])]
        assert counts == sorted(counts, reverse=True)
    hours = lively.rows("SELECT tenant, sum(count) AS n FROM agg_message_counts_hourly GROUP BY 1 ORDER BY 1")
    months = lively.rows("SELECT tenant, sum(total_messages) AS n FROM agg_monthly_summary GROUP BY 1 ORDER BY 1")
    assert hours == months


def test_hotspots_have_their_rule(desk: Desk) -> None:
    """A channel id is a hotspot from ten classified messages and above 0.30; complaints and escalations are counted
    separately.
    """

    def classified(place: str, topics: list[str]) -> list[Event]:
        return [
            Event(type="topic.classified", id=f"{place}{n}", time=NOW, channel_id=place, topic=topic)
            for n, topic in enumerate(topics)
        ]

    hot, few, mild = (
        ["complaint"] * 3 + ["escalation"] + ["billing"] * 6,
        ["complaint"] * 9,
        ["complaint"] * 3 + ["x"] * 7,
    )
    desk.send(*classified("hot", hot), *classified("few", few), *classified("mild", mild))
    desk.publish()
    (row,) = desk.rows("SELECT * FROM communication_trends")
    assert json.loads(row["channel_hotspots"]) == [
        {
            "channel_id": "hot",
            "complaint_count": 3,
            "escalation_count": 1,
            "tone_count": 0,
            "total_count": 10,
            "hotspot_ratio": 0.4,
        }
    ]
    assert (row["trend_date"], row["trend_period"], row["total_classifications"]) == ("2026-11-22", "daily", 29)
    assert json.loads(row["topic_distribution"])["complaint"] == 15 and json.loads(row["escalation_counts"]) == {}


def test_windows_are_the_tenants(desk: Desk) -> None:
    """Hours are named by their start in UTC, days by the tenant's local date: midnight in Rome divides two days."""
    desk.send(
        message("a", datetime(2026, 11, 20, 22, 59, tzinfo=UTC)),
        message("b", datetime(2026, 11, 20, 23, tzinfo=UTC), conversation_id="d"),
    )
    desk.publish()
    assert [r["period_start"] for r in desk.rows("SELECT period_start FROM agg_message_counts_hourly ORDER BY 1")] == [
        "2026-11-20T22:00:00Z", "2026-11-20T23:00:00Z",
    ]  # fmt: skip
    assert [r["period_date"] for r in desk.rows("SELECT period_date FROM agg_conversation_metrics_daily ORDER BY 1")] == [
        "2026-11-20", "2026-11-21",
    ]  # fmt: skip
    (event, _) = desk.rows("SELECT timestamp, date_partition, guest_id FROM analytics_events ORDER BY timestamp")
    assert event == {"timestamp": "2026-11-20T22:59:00.000000Z", "date_partition": "2026-11-20", "guest_id": "k"}


# --- when rows are written


def test_a_late_event_rewrites_only_its_windows(desk: Desk) -> None:
    """Only rows of the late event's windows are written again; the others keep `published_at`."""
    first, second = NOW - timedelta(days=9), NOW - timedelta(days=3)
    desk.send(message("a", first), message("b", second, conversation_id="d"))
    desk.publish()
    desk.now += timedelta(hours=1)
    desk.send(message("late", first + timedelta(minutes=1), conversation_id="e"))
    desk.publish()
    rows = desk.rows("SELECT count, published_at FROM agg_message_counts_hourly ORDER BY period_start")
    assert [(r["count"], r["published_at"]) for r in rows] == [
        (2, "2026-11-22T13:00:00.000000Z"), (1, "2026-11-22T12:00:00.000000Z"),
    ]  # fmt: skip


def test_a_resolve_that_moves_leaves_no_row_behind(desk: Desk) -> None:
    """A later resolve moves the episode's end: the former day no longer counts it."""
    day = NOW - timedelta(days=5)
    desk.send(message("a", day), message("r", day + timedelta(days=1), type="conversation.resolved", contact_id=None))
    desk.publish()
    desk.send(message("s", day + timedelta(days=1, hours=20), type="conversation.resolved", contact_id=None))
    desk.publish()
    rows = desk.rows("SELECT period_date, conversations_resolved AS n FROM agg_conversation_metrics_daily ORDER BY 1")
    assert [tuple(r.values()) for r in rows] == [("2026-11-17", 0), ("2026-11-19", 1)]


def test_a_new_zone_moves_all_days(desk: Desk) -> None:
    """After a change of zone the next publication has the new days, and no old row stays."""
    desk.send(message("a", datetime(2026, 11, 20, 23, 30, tzinfo=UTC)))
    desk.publish()
    desk.publish(replace(desk.hotel, zone="America/New_York"))
    assert [r["period_date"] for r in desk.rows("SELECT period_date FROM agg_conversation_metrics_daily")] == [
        "2026-11-20"
    ]


def test_rows_past_their_retention_are_deleted(desk: Desk) -> None:
    """Hours are deleted after 30 days and not written again by a late event; days stay 365, months 1,095."""
    desk.send(message("a", NOW - timedelta(days=1)))
    desk.publish()
    for days, left in ((32, 0), (400, 0), (1200, 0)):
        desk.now = NOW + timedelta(days=days)
        desk.send(message(f"late{days}", NOW - timedelta(days=1)))
        desk.publish()
        kept = [
            len(desk.rows(f"SELECT 1 FROM {name}"))
            for name in ("agg_message_counts_hourly", "agg_conversation_metrics_daily", "agg_monthly_summary")
        ]
        assert kept == [left, int(days < 365), int(days < 1095)]


def test_rows_outlive_their_facts(desk: Desk) -> None:
    """Windows whose facts are deleted keep their rows, also when they are published again."""
    day = datetime(2026, 11, 10, 12, tzinfo=UTC)
    desk.send(message("a", day))
    desk.publish()
    before = desk.rows("SELECT * FROM agg_message_counts_hourly")
    with desk.store.facts.write() as writing:
        writing.run("INSERT INTO kept VALUES (1, 'facts', 0, ?)", (micros(day + timedelta(days=1)),))
        writing.run("DELETE FROM event")
    desk.publish(days=(date(2026, 11, 10), date(2026, 11, 11)))
    assert desk.rows("SELECT * FROM agg_message_counts_hourly") == before
    assert desk.rows("SELECT * FROM stale") == []


def test_a_change_meanwhile_is_published_next(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that arrives while rows are read keeps its day stale, so that the next publication has it."""
    desk.send(message("a", NOW))
    real = publishing._write

    def write(*args: Any) -> int:
        monkeypatch.setattr(publishing, "_write", real)
        desk.send(message("b", NOW, conversation_id="d"))
        desk.queries.answer(desk.hotel, Question(("messages",), NOW - timedelta(days=1), NOW))
        return real(*args)

    monkeypatch.setattr(publishing, "_write", write)
    counts = []
    for _ in range(2):
        desk.publish()
        counts.append(desk.rows("SELECT sum(count) AS n FROM agg_message_counts_hourly")[0]["n"])
    assert counts == [1, 2]


def test_of_two_publishers_the_later_reader_writes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher that read before a change writes nothing after another one published it."""
    desk.send(message("a", NOW))
    real = publishing._write

    def write(*args: Any) -> int:
        monkeypatch.setattr(publishing, "_write", real)
        desk.send(message("b", NOW, conversation_id="d"))
        desk.publish()
        return real(*args)

    monkeypatch.setattr(publishing, "_write", write)
    assert desk.publish().written == 0
    assert desk.rows("SELECT sum(count) AS n FROM agg_message_counts_hourly") == [{"n": 2}]


def test_a_tenant_that_cannot_be_read_does_not_stop_the_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant that cannot be read is an error and stays stale; other tenants are published, and later it is too."""
    other = Tenant(2, "other")
    desk.send(message("a", NOW))
    desk.send(message("a", NOW), tenant=other)
    real = publishing._read

    def read(queries: Queries, tenant: Tenant, *rest: Any) -> Any:
        if tenant is desk.hotel:
            raise RuntimeError("poisoned")
        return real(queries, tenant, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(publishing, "_read", read)
        done = publish(desk.store, desk.queries, [desk.hotel, other], NOW)
    assert (done.processed, done.errors) == (2, {"hotel": "poisoned"})
    assert [r["tenant"] for r in desk.rows("SELECT tenant FROM agg_message_counts_hourly")] == ["other"]
    desk.publish()
    assert len(desk.rows("SELECT 1 FROM agg_message_counts_hourly")) == 2


def test_a_forgotten_tenant_leaves_no_row(desk: Desk) -> None:
    """Every row, stale day and snapshot of a forgotten tenant is deleted; another tenant's stay."""
    other = Tenant(2, "other")
    for tenant in (desk.hotel, other):
        desk.send(message("a", NOW), tenant=tenant)
        snapshots.make(desk.store, desk.queries, [tenant], Kind.DAILY, NOW.date(), NOW)
    desk.publish(desk.hotel, other)
    with desk.store.facts.write() as writing:
        writing.run("DELETE FROM event WHERE tenant = 1")
        forget(writing, desk.hotel)
    for name in COLUMNS:
        assert {r["tenant"] for r in desk.rows(f"SELECT tenant FROM {name}")} <= {"other"}
    assert desk.rows("SELECT * FROM stale WHERE tenant = 1") == []


# --- stale days


def test_a_tenant_that_cannot_be_written_does_not_stop_the_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tenants written together, one that fails is an error and stays stale; the others are written."""
    others = Tenant(2, "other"), Tenant(3, "third")
    for tenant in (desk.hotel, *others):
        desk.send(message("a", NOW), tenant=tenant)
    real = publishing._replace

    def replaced(writing: Any, tenant: Tenant, *rest: Any) -> int:
        if tenant is others[0]:
            raise RuntimeError("poisoned")
        return real(writing, tenant, *rest)

    monkeypatch.setattr(publishing, "_replace", replaced)
    done = publish(desk.store, desk.queries, [desk.hotel, *others], desk.now)
    assert done.errors == {"other": "poisoned"}
    assert desk.rows("SELECT DISTINCT tenant FROM stale") == [{"tenant": 2}]
    rows = desk.rows("SELECT tenant, sum(count) AS n FROM agg_message_counts_hourly GROUP BY tenant ORDER BY tenant")
    assert rows == [{"tenant": "hotel", "n": 1}, {"tenant": "third", "n": 1}]
    monkeypatch.setattr(publishing, "_replace", real)
    assert desk.publish(desk.hotel, *others).written == done.written // 2


@pytest.mark.parametrize("by_key", [True, False], ids=["by key", "whole"])
def test_folded_events_mark_their_days_as_stale(desk: Desk, monkeypatch: pytest.MonkeyPatch, by_key: bool) -> None:
    """By key or as a whole, folding marks the days of new rows, of changed rows before and after, and of new repeats as stale."""
    monkeypatch.setattr(refreshing, "MANY", 1_000_000 if by_key else 1)
    once, again = (message(id_, NOW - timedelta(days=40), message_id="m") for id_ in "ab")
    desk.send(*demo.events("hotel-aurora", NOW, days=5), once, again)
    desk.publish()
    days = {
        (column, value // DAY)
        for table, columns in MOMENTS.items()
        for row in desk.rows(f"SELECT {', '.join(columns)} FROM {table}{' WHERE repeats' if table == 'event' else ''}")
        for column, value in row.items()
        if value is not None
    }
    with desk.store.facts.write() as writing:
        for unit in units_of(writing, 1):
            writing.run("INSERT INTO todo VALUES (?, ?, ?)", unit)
        writing.run("UPDATE event SET repeats = NULL")
        writing.run("DELETE FROM response")
        writing.run(
            f"UPDATE episode SET first_reply_at = first_reply_at + {50 * DAY}, resolved_at = resolved_at + {50 * DAY}"
        )
        writing.run("UPDATE survey SET sent_at = NULL, rated_at = rated_at + 1")
        writing.run("DELETE FROM stale")
    refreshing.refresh(desk.store)
    moved = {day + 50 for column, day in days if column in ("first_reply_at", "resolved_at")}
    changed = {day for _, day in days} | moved
    assert NOW.timestamp() // 86400 - 40 in changed
    found = {row["day"] for row in desk.rows("SELECT day FROM stale")}
    anchors = {day for column, day in days if column == "anchor"}
    assert changed - anchors <= found <= changed | anchors


def test_imported_rows_mark_their_days_as_stale(desk: Desk) -> None:
    """Fact rows written by an import mark their days as stale."""
    desk.send(*demo.events("hotel-aurora", NOW, days=5))
    desk.publish()
    with desk.store.facts.write() as writing:
        for table in tables():
            if table.name in MOMENTS:
                table.add(writing, Owner(2, "other"), list(table.rows(writing, Owner(1))))
    days = "SELECT day FROM stale WHERE tenant = 2 ORDER BY day"
    moments = " UNION ".join(
        f"SELECT {one} / {DAY} AS day FROM {table} WHERE tenant = 2 AND {one} IS NOT NULL"
        for table, columns in MOMENTS.items()
        for one in columns
    )
    assert desk.rows(days) == desk.rows(f"{moments} ORDER BY day") != []


# --- concurrent readers


def test_others_read_while_it_writes(desk: Desk) -> None:
    """Another connection reads whole publications, never half of one, while events keep arriving."""
    stop = threading.Event()
    seen: list[set[tuple[str, int]]] = []
    errors: list[Exception] = []

    def look() -> None:
        try:
            while not stop.is_set():
                rows = desk.rows(
                    "SELECT 'hours' AS at, sum(count) AS n FROM agg_message_counts_hourly UNION ALL "
                    "SELECT 'months', sum(total_messages) FROM agg_monthly_summary"
                )
                seen.append({(row["at"], row["n"] or 0) for row in rows})
        except Exception as error:
            errors.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(20):
        desk.send(message(f"m{number}", NOW - timedelta(minutes=number), conversation_id=f"c{number}"))
        desk.publish()
    stop.set()
    reader.join()
    assert errors == [] and seen
    assert all(len({n for _, n in numbers}) == 1 for numbers in seen)
    assert DAY == 86_400_000_000

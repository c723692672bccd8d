"""Snapshots of an engine: their periods, their numbers, what stays unchanged, and failures of single tenants."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub import demo
from hubbub.app import Engine, open_engine
from hubbub.errors import BadQuestionError, WindowFrozenError
from hubbub.metrics.catalogue import DEFINITION_VERSION, METRICS, find
from hubbub.metrics.snapshots import SECTIONS, Kind
from hubbub.publishing import snapshots as making
from hubbub.publishing.publish import publish

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)  # a Thursday
EVER = ("2026-01-01", "2027-01-01")
NAMES = list(making.NAMES)
SHOP = "brooklyn-bikes"


class Clock:
    """A clock that the test sets."""

    def __init__(self, now: datetime) -> None:
        """Set the clock to `now`."""
        self.now = now

    def __call__(self) -> datetime:
        """Return the set time."""
        return self.now


def opened(folder: Path, clock: Clock) -> Engine:
    """Open a small engine."""
    return open_engine(folder, clock=clock, free_floor_mb=0)


@pytest.fixture
def clock() -> Clock:
    """A clock at NOW."""
    return Clock(NOW)


@pytest.fixture
def engine(tmp_path: Path, clock: Clock) -> Iterator[Engine]:
    """Open an engine with the tenant acme in Rome."""
    with opened(tmp_path / "data", clock) as made:
        made.add_tenant("acme", zone="Europe/Rome")
        yield made


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Forty days of the demo's shop, which has two accounts, campaigns and blocked contacts."""
    clock = Clock(datetime(2026, 11, 22, 12, tzinfo=UTC))
    with opened(tmp_path_factory.mktemp("shop"), clock) as made:
        made.add_tenant(SHOP, zone="America/New_York")
        made.accept(SHOP, demo.events(SHOP, clock.now, days=40), history=True)
        yield made


def message(id_: str, time: datetime | str, **fields: Any) -> dict[str, Any]:
    """Return a message of a contact."""
    when = time if isinstance(time, str) else time.isoformat()
    return {"type": "message.received", "id": id_, "time": when, "contact_id": "k", "conversation_id": "c", **fields}


def kept(engine: Engine, tenant: str = "acme", **how: Any) -> list[dict[str, Any]]:
    """Return all snapshots of a tenant."""
    rows: list[dict[str, Any]] = engine.snapshots(tenant, *EVER, **how)["rows"]
    return rows


# --- numbers


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_a_metric_of_the_catalogue(name: str) -> None:
    """Every field of a snapshot is a metric of the catalogue."""
    assert find(name).name == name
    assert name.partition(".")[0] in METRICS


@pytest.mark.parametrize("day", [None, "2026-11-21", "2026-11-03", "2026-10-31", "2026-11-22"])
@pytest.mark.parametrize("kind", list(Kind))
def test_snapshots_of_the_demo_equal_the_query(shop: Engine, kind: Kind, day: str | None) -> None:
    """On lively data every field of team and accounts equals the query; for whole, open and clock-change periods."""
    made = shop.snapshot(kind.value, day, SHOP)
    assert (made["processed"], made["created"], made["errors"]) == (1, 3, {})
    assert [row["account_id"] for row in made["rows"]] == [None, "wa-sales", "wa-support"]
    grain = {Kind.DAILY: 1, Kind.WEEKLY: 7}
    for row in made["rows"]:
        assert row["kind"] == kind
        first = datetime.fromisoformat(row["date"]).date()
        following = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        end = first + timedelta(days=grain[kind]) if kind in grain else following
        truth = shop.query(
            SHOP, metrics=NAMES, start=row["date"], end=end.isoformat(),
            where={"account_id": row["account_id"]} if row["account_id"] else {},
        )["rows"][0]  # fmt: skip
        for section, fields in SECTIONS.items():
            for field, metric in fields.items():
                mine, theirs = row[section][field], truth[metric]
                assert mine == theirs, (section, field)


def test_an_empty_tenant_has_zeros_and_null_rates(engine: Engine) -> None:
    """A tenant without events has a snapshot of zeros, and null for rates and scores."""
    (row,) = engine.snapshot("daily", tenant="acme")["rows"]
    for section, fields in SECTIONS.items():
        for field in fields:
            divided = field.endswith("_rate") or field in ("engagement_score", "response_ms")
            assert row[section][field] == (None if divided else 0), (section, field)


def test_the_view_has_one_row_for_each_snapshot(shop: Engine) -> None:
    """`analytics_snapshots` has the same documents, one row each, with the whole team as a null account."""
    shop.snapshot("daily", "2026-11-20")
    shop.snapshot("Daily", "2026-11-20", SHOP)
    publish(shop.store, shop.queries, [shop.control.tenant(SHOP)], shop.clock())
    with sqlite3.connect(f"file:{shop.store.folder / 'hubbub.db'}?mode=ro", uri=True) as con:
        found = con.execute(
            "SELECT whatsapp_account_id, json_extract(metrics, '$.messages.total'), tenant FROM analytics_snapshots "
            "WHERE date = '2026-11-20' AND snapshot_type = 'Daily' ORDER BY 1"
        ).fetchall()
    rows = shop.snapshots(SHOP, "2026-11-20", "2026-11-21", "daily")["rows"]
    assert found == [(row["account_id"], row["messages"]["total"], SHOP) for row in rows]
    assert len(rows) == 3


# --- periods


def test_without_a_date_it_is_the_last_period_over_in_the_tenants_zone(engine: Engine, clock: Clock) -> None:
    """At the same moment each tenant gets its own last whole local day, week and month."""
    engine.add_tenant("kiwi", zone="Pacific/Auckland")
    engine.add_tenant("west", zone="America/Los_Angeles")
    clock.now = datetime(2026, 8, 31, 13, tzinfo=UTC)  # Monday; September has begun in Auckland
    for kind in Kind:
        assert engine.snapshot(kind.value)["created"] == 3
    dates = {t: [row["date"] for row in kept(engine, t)] for t in ("acme", "kiwi", "west")}
    assert dates == {
        "acme": ["2026-08-30", "2026-08-24", "2026-07-01"],
        "kiwi": ["2026-08-31", "2026-08-24", "2026-08-01"],
        "west": ["2026-08-30", "2026-08-24", "2026-07-01"],
    }


def test_a_date_names_the_period_that_holds_it(engine: Engine) -> None:
    """Any day of a week or month gives that week from Monday, or that month from its first day."""
    for kind, date in (("daily", "2026-08-05"), ("weekly", "2026-08-09"), ("MONTHLY", "2026-07-31")):
        engine.snapshot(kind, date)
    assert [(r["kind"], r["date"]) for r in kept(engine)] == [
        ("Daily", "2026-08-05"), ("Weekly", "2026-08-03"), ("Monthly", "2026-07-01"),
    ]  # fmt: skip


def test_messages_at_midnight_belong_to_the_local_day(engine: Engine) -> None:
    """The last microsecond of a day in Rome belongs to it, the next one does not."""
    engine.record("acme", [message("a", "2026-08-05T21:59:59.999999Z"), message("b", "2026-08-05T22:00:00Z")])
    engine.snapshot("daily", "2026-08-05")
    engine.snapshot("daily", "2026-08-06")
    assert [(r["date"], r["messages"]["total"]) for r in kept(engine)] == [("2026-08-05", 1), ("2026-08-06", 1)]


def test_a_future_day_is_refused(engine: Engine, clock: Clock) -> None:
    """A future day is refused for one tenant, and is the error of tenants for whom it has not begun."""
    with pytest.raises(BadQuestionError, match="has not begun in Europe/Rome"):
        engine.snapshot("daily", "2026-08-21", "acme")
    engine.add_tenant("kiwi", zone="Pacific/Auckland")
    clock.now = NOW + timedelta(hours=1)
    made = engine.snapshot("daily", "2026-08-21")
    assert (made["processed"], made["created"], list(made["errors"])) == (2, 1, ["acme"])


@pytest.mark.parametrize(
    ("kind", "date"),
    [("yearly", None), ("", None), ("daily", "20260801"), ("daily", "2026-02-30"), ("daily", "0001-01-01")],
)
def test_kinds_and_dates_that_cannot_be_are_refused(engine: Engine, kind: str, date: str | None) -> None:
    """An unknown kind and an invalid date are refused."""
    with pytest.raises(BadQuestionError):
        engine.snapshot(kind, date)


# --- states


def test_the_state_follows_the_receipts(engine: Engine, clock: Clock) -> None:
    """An open day is live, provisional while receipts may come, then settled; late receipts count."""
    sent = message("s", "2026-08-20T08:00:00Z", type="message.sent", channel="sms", message_id="m")
    engine.record("acme", sent)
    told: list[tuple[str, int]] = []
    for hours, event in (
        (0, None),
        (24, {"type": "message.delivered", "id": "d", "time": "2026-08-21T09:00:00Z", "message_id": "m"}),
        (96, None),
    ):
        clock.now = NOW + timedelta(hours=hours)
        if event:
            engine.record("acme", event)
        (row,) = engine.snapshot("daily", "2026-08-20", "acme")["rows"]
        told.append((row["state"], row["messages"]["delivered"]))
    assert told == [("live", 0), ("provisional", 1), ("settled", 1)]


def test_a_snapshot_has_its_zone_version_and_time(engine: Engine) -> None:
    """A snapshot has its zone, definition version and time of making."""
    (row,) = engine.snapshot("daily", "2026-08-05", "acme")["rows"]
    assert (row["zone"], row["definition_version"], row["made_at"]) == (
        "Europe/Rome",
        DEFINITION_VERSION,
        "2026-08-20T12:00:00Z",
    )


def test_due_windows_are_refreshed_first(engine: Engine) -> None:
    """Unfolded events are in the snapshot, and a late event is in the next one of that day."""
    for number in (1, 2):
        engine.record("acme", message(f"m{number}", "2026-08-05T10:00:00Z"))
        (row,) = engine.snapshot("daily", "2026-08-05", "acme")["rows"]
        assert row["messages"]["inbound"] == number
    assert len(kept(engine)) == 1


# --- accounts


def test_accounts_are_those_known_by_then(engine: Engine) -> None:
    """An account has snapshots from its first event on, quiet days included; events without an account count for the
    team alone.
    """
    engine.record(
        "acme", [message("a", "2026-08-05T10:00:00Z", account_id="one"), message("b", "2026-08-05T11:00:00Z")]
    )
    engine.record("acme", message("c", "2026-08-07T10:00:00Z", account_id="two"))
    for day in ("2026-08-04", "2026-08-05", "2026-08-06"):
        engine.snapshot("daily", day)
    told = [(r["date"], r["account_id"], r["messages"]["total"], r["contacts"]["total"]) for r in kept(engine)]
    assert told == [
        ("2026-08-04", None, 0, 0), ("2026-08-05", None, 2, 1), ("2026-08-05", "one", 1, 1), ("2026-08-06", None, 0, 1),
        ("2026-08-06", "one", 0, 1),
    ]  # fmt: skip
    assert {r["account_id"] for r in kept(engine, account="")} == {None}
    assert {r["account_id"] for r in kept(engine, account="one")} == {"one"}
    assert kept(engine, kind="weekly") == []


# --- failures


def test_a_tenant_that_fails_affects_no_other(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant that cannot be read keeps its old snapshot and is an error; the others' are made, and a later call makes
    its own.
    """
    for name in ("one", "bad", "two"):
        engine.add_tenant(name)
        engine.record(name, message("a", "2026-08-05T10:00:00Z"))
    engine.snapshot("daily", "2026-08-05")
    for name in ("one", "bad", "two"):
        engine.record(name, message("b", "2026-08-05T11:00:00Z"))
    real = making._documents

    def documents(queries: Any, period: making.Period, now: datetime) -> Any:
        if period.tenant.id == "bad":
            raise RuntimeError("poisoned")
        return real(queries, period, now)

    with monkeypatch.context() as patched:
        patched.setattr(making, "_documents", documents)
        made = engine.snapshot("daily", "2026-08-05")
    assert (made["processed"], made["created"], made["errors"]) == (4, 3, {"bad": "poisoned"})
    assert [kept(engine, t)[0]["messages"]["total"] for t in ("one", "bad", "two")] == [2, 1, 2]
    engine.snapshot("daily", "2026-08-05", "bad")
    assert kept(engine, "bad")[0]["messages"]["total"] == 2


# --- retention and zones


def test_a_settled_snapshot_survives_its_facts(engine: Engine, clock: Clock) -> None:
    """When a period's facts are deleted its settled snapshot is kept; one not made in time is refused."""
    engine.record("acme", [message("a", "2026-06-05T10:00:00Z"), message("b", "2026-06-08T10:00:00Z")])
    (before,) = engine.snapshot("daily", "2026-06-05", "acme")["rows"]
    clock.now = NOW + timedelta(days=90)
    engine.tenants.change("acme", retention={"facts": 60})
    engine.retention()
    again = engine.snapshot("daily", "2026-06-05", "acme")
    assert (again["created"], again["kept"], again["rows"]) == (0, 1, [before])
    with pytest.raises(WindowFrozenError, match="facts of 2026-06-08 are past retention"):
        engine.snapshot("daily", "2026-06-08", "acme")
    assert kept(engine) == [before]


def test_a_new_zone_is_followed_from_then_on(engine: Engine) -> None:
    """Snapshots made before a change of zone stay; the next ones have the new days."""
    engine.record("acme", [message("a", "2026-08-05T23:00:00Z"), message("b", "2026-08-06T23:00:00Z")])
    engine.snapshot("daily", "2026-08-06")
    (old,) = kept(engine)
    engine.tenants.change("acme", zone="America/New_York")
    engine.snapshot("daily", "2026-08-05")
    rows = kept(engine)
    assert [(r["date"], r["zone"], r["messages"]["total"]) for r in rows] == [
        ("2026-08-05", "America/New_York", 1), ("2026-08-06", "Europe/Rome", 1),
    ]  # fmt: skip
    assert rows[1] == old


def test_retention_deletes_snapshots_by_their_grain(engine: Engine, clock: Clock) -> None:
    """Daily, weekly and monthly snapshots are deleted by their grain's retention; a dry run deletes none."""
    engine.tenants.change("acme", retention={"day": 30, "week": 60, "month": 120})
    for kind in Kind:
        engine.snapshot(kind.value, "2026-08-05")
    left: list[tuple[int, list[str]]] = []
    for days in (0, 40, 80, 140):
        clock.now = NOW + timedelta(days=days)
        engine.retention(dry_run=True)
        (row,) = engine.retention()["rows"]
        left.append((row["snapshots"], [r["kind"] for r in kept(engine)]))
    assert left == [
        (0, ["Daily", "Weekly", "Monthly"]), (1, ["Weekly", "Monthly"]), (1, ["Monthly"]), (1, []),
    ]  # fmt: skip


def test_snapshots_outlive_the_process(tmp_path: Path, clock: Clock) -> None:
    """Snapshots are there after the engine was closed and opened."""
    with opened(tmp_path / "data", clock) as engine:
        engine.add_tenant("acme")
        made = engine.snapshot("daily", tenant="acme")["rows"]
    with opened(tmp_path / "data", clock) as engine:
        assert kept(engine) == made

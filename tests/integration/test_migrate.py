"""A store moves into ClickHouse and back and stays the same: every row, every answer, whatever ends the move on the way."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hubbub import demo
from hubbub.app import Engine
from hubbub.errors import ConflictError, NotFoundError, StoreUnavailableError
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING
from hubbub.settings import Settings
from hubbub.settings import load as load_settings
from hubbub.store import migrate as moving
from hubbub.store.clickhouse_schema import STORED
from hubbub.store.clickhouse_work import connect
from hubbub.store.database import Database
from hubbub.store.migrate import Moved, migrate, move
from hubbub.store.opening import FILE
from hubbub.store.positions import Positions
from hubbub.store.sides import Embedded, embedded, shared
from hubbub.store.tables import Table
from tests.support.clickhouse import clickhouse

HOTEL, OTHER = "hotel-aurora", "tandem"
TODAY = datetime(2026, 4, 1, 9, tzinfo=UTC)
RANGE: dict[str, Any] = {"start": "2026-03-01", "end": "2026-04-02"}
WEEK = {day: ["09:00-17:00"] for day in ("monday", "tuesday", "wednesday", "thursday", "friday")}
ASKED = (
    "messages", "messages_received", "messages_sent", "messages_delivered", "delivery_rate", "reply_rate", "responses",
    "response_ms.avg", "response_ms.p50", "first_response_ms.p50", "first_response_ms.count", "resolution_ms.p90",
    "first_response_business_ms.p50", "conversations_started", "conversations_resolved", "escalation_rate",
    "ai_resolution_rate", "tasks_created", "classifications", "topic_confidence", "hotspot_ratio", "ratings", "rating_avg",
    "csat", "nps_score", "intents", "active_contacts", "engagement_rate", "conversion_rate", "events",
)  # fmt: skip
PROGRAM = "from hubbub.cli.main import run; run()"
Rows = dict[str, list[tuple[Any, ...]]]


def event(number: int, revision: int | None = None) -> Event:
    """Return a message of a number, or a later report of it."""
    return Event(
        type="message.received", time=TODAY - timedelta(days=3, minutes=number), id=f"told-{number}", source="test", channel="web",
        contact_id=f"contact-{revision or 0}", message_id=f"message-{number}", conversation_id="one", revision=revision,
    )  # fmt: skip


def settings(folder: Path, url: str = "") -> Settings:
    """Return the settings of a small installation."""
    return load_settings(data=folder, store_url=url or None, threads=1, memory_limit="500MB", free_floor_mb=0)


def opened(folder: Path, url: str = "") -> Engine:
    """Open an engine on one of the stores of an installation."""
    return Engine(settings(folder, url), lambda: TODAY)


def fill(folder: Path) -> None:
    """Make a store with something in each of its tables: two tenants, one of which kept its raw events for ten days."""
    kept = {"raw": 10, "hour": None, "day": None, "week": None, "month": None}
    with opened(folder) as engine:
        engine.add_tenant(HOTEL, "Europe/Rome", retention=kept)
        engine.ensure_tenant(OTHER, "America/New_York", retention=KEEP_EVERYTHING)
        engine.set_calendar(HOTEL, {"versions": [{"valid_from": "2026-01-01", "week": WEEK}]})
        engine.accept(HOTEL, demo.events(HOTEL, TODAY, days=14), history=True)
        engine.accept(OTHER, demo.events(demo.tenants()[1][0], TODAY, days=4), history=True)
        for revision in (1, 2):
            engine.accept(OTHER, [event(n, revision) for n in range(40)])
        engine.record(
            OTHER, [{"type": "massage.received", "time": "2026-03-30T10:00:00Z"}, {"type": "message.sent", "time": "?"}]
        )
        assert engine.refresh()["errors"] == {}
        for day in ("2026-03-20", "2026-03-30"):
            assert engine.snapshot("Daily", day)["errors"] == {}
        assert engine.retention()["rows"]


def every_row(engine: Engine) -> Rows:
    """Return all rows of all tables but `meta`, in a fixed order."""
    found: Rows = {}
    for name, table in STORED.items():
        if name != "meta":
            columns = ", ".join(f'"{column}"' for column, _ in table.columns)
            found[name] = sorted(engine.store.query(f"SELECT {columns} FROM {name}").rows, key=repr)
    return found


def every_answer(engine: Engine) -> dict[str, Any]:
    """Ask both tenants for dozens of metrics by day, week and month, for their dashboards and snapshots."""
    found: dict[str, Any] = {}
    for tenant in (HOTEL, OTHER):
        for grain in ("day", "week", "month"):
            found[f"{tenant} {grain}"] = engine.query(tenant, metrics=ASKED, grain=grain, **RANGE)["rows"]
        found[f"{tenant} by channel"] = engine.query(
            tenant, metrics=["messages"], by=["channel"], grain="total", **RANGE
        )["rows"]
        found[f"{tenant} snapshots"] = engine.snapshots(tenant, "2026-03-01", "2026-04-01")["rows"]
    return found


def silent(_: str) -> None:
    """Take what a move tells of its progress."""


@dataclass
class World:
    """An embedded store, the ClickHouse it moved into and the embedded one that this moved into; what each held and said."""

    folders: list[Path]
    urls: list[str]
    moved: list[Moved] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    last: list[int] = field(default_factory=list)

    def look(self, number: int) -> None:
        """Note what a store holds and says."""
        with opened(self.folders[number], self.urls[number]) as engine:
            self.rows.append(every_row(engine))
            self.answers.append(every_answer(engine))
            self.last.append(engine.store.last_seq())


@pytest.fixture(scope="module")
def engine_inside() -> Iterator[None]:
    """Keep ClickHouse's engine in this process, which forgets everything with its last connection."""
    client = connect("chdb://memory")
    yield
    client.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, engine_inside: None) -> World:
    """Move a store into ClickHouse and back, big tables in chunks."""
    first, back, url = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("back"), "chdb://memory/move_world"
    made = World([first, first, back], ["", url, ""])
    fill(first)
    made.look(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving, "MOST_ROWS", 500)
        made.moved.append(migrate(settings(first, url), back=False, step=silent))
        made.look(1)
        for file in (*first.glob("control.db*"), *first.glob("*.key")):
            shutil.copy(file, back)
        made.moved.append(migrate(settings(back, url), back=True, step=silent))
        made.look(2)
    return made


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """Return a copy of the first store, whose control database knows the ClickHouse of `world` too."""
    return shutil.copytree(world.folders[0], tmp_path / "data")


def without_store(folder: Path) -> None:
    """Make room for an embedded store, as the error of a move that finds one says."""
    for name in (FILE, "tide"):
        (folder / name).unlink()


def test_every_table_had_rows(world: World) -> None:
    """Each table that does not belong to a rollup, and most of those, has something to move."""
    rows = world.rows[0]
    for name in ("events", "superseded", "quarantine", "marks", "frozen", "tenants", "hours", "snapshots"):
        assert rows[name], name
    assert sum(bool(found) for name, found in rows.items() if name.startswith("rollup_")) > 60


@pytest.mark.parametrize("number", [1, 2])
def test_every_row_is_the_same(world: World, number: int) -> None:
    """Both moves were proved; there and back again, each table holds the rows it held, and the newest number is the same."""
    assert all(one.equal for one in world.moved)
    for name, rows in world.rows[0].items():
        assert world.rows[number][name] == rows, name
    assert world.last[number] == world.last[0] > 0


@pytest.mark.parametrize("number", [1, 2])
def test_every_answer_is_the_same(world: World, number: int) -> None:
    """30 metrics of two tenants by day, week and month, over frozen windows too, and snapshots: all three say the same."""
    assert world.answers[number] == world.answers[0]
    assert any(row.get("messages") for row in world.answers[0][f"{HOTEL} month"])


def test_the_proof_counts_what_is_there(world: World) -> None:
    """The proof's counts and sums by tenant and month are those that plain SQL finds, and both hashes are given."""
    answer = world.moved[0].answer()
    with opened(world.folders[2]) as engine:
        found = engine.store.query(
            "SELECT t.name, strftime(e.time, '%Y-%m'), count(*), sum(e.seq) FROM events AS e JOIN tenants AS t USING (tenant) "
            "GROUP BY ALL"
        ).rows
        messages = engine.store.query("SELECT count(*), sum(messages) FROM rollup_messages_day").rows[0]
    assert {(r["tenant"], r["month"], r["moved"], r["seq_sum"]) for r in answer["events"]} == set(found)
    assert all(row["same"] and len(row["hash"]) == 16 for row in (*answer["events"], *answer["tables"]))
    (told,) = (row for row in answer["tables"] if row["table"] == "rollup_messages_day")
    assert (told["moved"], told["sums"]["messages"]) == messages
    assert answer["recognised"] < sum(row["moved"] for row in answer["tables"])


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True])
def test_events_go_on_after_a_move(folder: Path, world: World, back: bool) -> None:
    """On the target, a moved event is a duplicate, a later revision corrects it, new ones are numbered on, refused ones too."""
    url = world.urls[1] if back else "chdb://memory/move_on"
    if back:
        without_store(folder)
    assert migrate(settings(folder, url), back=back, step=silent).equal
    with opened(folder, "" if back else url) as engine:
        last = engine.store.last_seq()
        assert engine.accept(OTHER, [event(7, 2), event(8, 3), event(100)]).answer() == {
            "accepted": 2, "duplicates": 1, "corrected": 1, "rejected": []
        }  # fmt: skip
        ids = [row["id"] for row in engine.quarantine(OTHER)["rows"]]
        engine.record(OTHER, {"type": "message.seen", "time": "2026-03-31T10:00:00Z"})
        assert engine.quarantine(OTHER)["rows"][0]["id"] > max(ids)
        numbers = engine.store.query("SELECT seq FROM events WHERE seq > $last ORDER BY seq", {"last": last}).rows
        assert numbers == [(last + 2,), (last + 3,)]  # the number between is that of the event that was replaced
        assert engine.store.last_seq() == last + 3
        assert engine.verify()["clean"]
    with opened(folder, "" if back else url) as engine:
        assert engine.store.last_seq() == last + 3


def test_what_is_not_empty_is_refused(folder: Path, tmp_path: Path, world: World) -> None:
    """A ClickHouse or folder that holds something is refused and stays as it is; so is an empty or absent source."""
    url = world.urls[1]
    for back in (False, True):
        with pytest.raises(ConflictError, match="not empty"):
            migrate(settings(folder, url), back=back, step=silent)
    with opened(folder, url) as engine:
        assert every_row(engine) == world.rows[0]
    stranger = shutil.copytree(folder, tmp_path / "stranger")
    for file in stranger.glob("control.db*"):
        file.unlink()
    for back in (False, True):
        with pytest.raises(ConflictError, match="knows nothing"):
            migrate(settings(stranger, url), back=back, step=silent)
    with pytest.raises(NotFoundError, match="nothing to move"):
        migrate(settings(folder, "chdb://memory/move_nothing"), back=True, step=silent)
    (folder / FILE).unlink()
    with pytest.raises(NotFoundError, match="holds no store"):
        migrate(settings(folder, "chdb://memory/move_nothing"), back=False, step=silent)


class Stopped(Exception):  # noqa: N818 - it stands for Ctrl-C
    """Ends a move."""


def stop_at(name: str) -> Callable[[str], None]:
    """Return what ends a move when a table was moved."""

    def step(told: str) -> None:
        if told.endswith(f" {name}"):
            raise Stopped

    return step


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True])
def test_a_move_goes_on_with_a_source_that_changed(folder: Path, monkeypatch: pytest.MonkeyPatch, back: bool) -> None:
    """A target that is half there cannot be opened; what changed in the source meanwhile moves again, and only that."""
    monkeypatch.setattr(moving, "MOST_ROWS", 500)
    url, outside = f"chdb://memory/move_again_{back}", ""
    if back:
        assert migrate(settings(folder, url), back=False, step=silent).equal
        without_store(folder)
        outside = url
    inside = "" if back else url
    with pytest.raises(Stopped):
        migrate(settings(folder, url), back=back, step=stop_at("frozen"))
    with pytest.raises(StoreUnavailableError, match="not finished"):
        opened(folder, inside)
    with opened(folder, outside) as engine:
        assert engine.accept(OTHER, [event(3, 9)]).corrected == 1
        engine.refresh()
        wanted, rows = every_answer(engine), every_row(engine)
    moved = migrate(settings(folder, url), back=back, step=silent)
    assert moved.equal
    # what was there is recognised, but for the months of the corrected event and of those that were replaced
    assert (
        0
        < moved.recognised
        < sum(len(found) for name, found in rows.items() if name in ("events", "superseded", "quarantine"))
    )
    with opened(folder, inside) as engine:
        assert every_row(engine) == rows
        assert every_answer(engine) == wanted


class Lossy(Embedded):
    """A store that loses a row of each table of refused records that it is given."""

    def put(self, table: Table, batches: Iterable[pa.Table]) -> None:
        """Store all rows but the first, when they are of the quarantine."""
        super().put(table, (batch.slice(1 if table.name == "quarantine" else 0) for batch in batches))


@pytest.mark.slow
def test_a_difference_is_told_and_the_target_kept_shut(folder: Path, world: World) -> None:
    """One row that is lost on the way is named by its table; the target cannot be opened until the move was done well."""
    url = world.urls[1]
    without_store(folder)
    with (
        closing(Database(f"sqlite:///{folder / 'control.db'}")) as control,
        shared(url, Positions(control), cluster="") as source,
        embedded(folder, memory_limit="500MB", threads=1, made=True) as found,
    ):
        found.__class__ = Lossy
        moved = move(source, found, step=silent)
    assert not moved.equal
    assert [row["table"] for row in moved.answer()["tables"] if not row["same"]] == ["quarantine"]
    with pytest.raises(StoreUnavailableError, match="not finished"):
        opened(folder)
    assert migrate(settings(folder, url), back=True, step=silent).equal
    opened(folder).close()


# --- as a command, over HTTP


def command(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start `hubbub migrate-store`."""
    words = [sys.executable, "-c", PROGRAM, "migrate-store", *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def changes_done(folder: Path) -> int:
    """Return how many chunks of tables that changes write to were moved."""
    with closing(sqlite3.connect(folder / "control.db", timeout=30)) as con:
        return int(con.execute("SELECT done FROM positions WHERE name = 'change'").fetchone()[0])


def kill_at(child: subprocess.Popen[str], folder: Path, done: int) -> None:
    """End a command without warning when so many chunks were moved."""
    until = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < until:
        if changes_done(folder) >= done:
            child.send_signal(signal.SIGKILL)
            break
        time.sleep(0.01)
    out, err = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, out + err


@pytest.mark.slow
def test_a_killed_command_goes_on(folder: Path, world: World, tmp_path: Path) -> None:
    """kill -9 twice, then the same command: it exits with 0, both sides are proved equal, and what was there is recognised."""
    with clickhouse(tmp_path / "clickhouse") as server:
        url = f"clickhouse://127.0.0.1:{server.port}/moved"
        for _ in range(2):
            kill_at(command(folder, url), folder, changes_done(folder) + 15)
        with pytest.raises(StoreUnavailableError, match="not finished"):
            opened(folder, url)
        third = command(folder, url, "--json")
        out, err = third.communicate(timeout=300)
        assert third.returncode == 0, err
        told = json.loads(out)
        assert told["equal"] and told["recognised"] > len(world.rows[0]["events"])
        assert told["next"] == f"set HUBBUB_STORE_URL={url}"
        with opened(folder, url) as engine:
            assert every_row(engine) == world.rows[0]
        fourth = command(folder, url)
        _, err = fourth.communicate(timeout=120)
        assert fourth.returncode == 1 and "not empty" in err and "drop this one" in err


@pytest.mark.parametrize(
    ("source", "target", "code", "says"),
    [
        ("data", "elsewhere", 2, "copy it"),
        ("clickhouse://127.0.0.1:1/a", "clickhouse://127.0.0.1:1/b", 2, "one of FROM and TO"),
        ("nowhere", "clickhouse://127.0.0.1:1/a", 1, "no folder nowhere"),
        (".", "clickhouse://127.0.0.1:1/a", 1, "there is no control.db"),
        ("data", "postgres://127.0.0.1/a", 1, "only DuckDB"),
        ("data", "clickhouse://127.0.0.1:1/a", 1, "ClickHouse"),
    ],
)
def test_what_cannot_be_moved_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, target: str, code: int, says: str
) -> None:
    """Two of a kind, folders that are none, other databases and servers that do not answer end with a line that says why."""
    monkeypatch.chdir(folder.parent)
    child = command(source, target)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (code, ""), err
    assert says in err.splitlines()[-1] and "Traceback" not in err

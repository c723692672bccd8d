"""Two stores, one number: every metric, grain and dimension, on the demo and on all real data, equal to the last digit.

The distributed store runs on the real engine inside this process. How many numbers were compared is printed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from hubbub import demo
from hubbub.app import Engine
from hubbub.metrics.catalogue import MEMBERS_ALLOWED, dimensions_of, find, names
from hubbub.query.classified import flagged
from hubbub.query.conversations import Wanted, conversations, state_of
from hubbub.query.timeline import episodes, timeline
from hubbub.settings import load as load_settings
from hubbub.store.relations import RELATIONS
from tests.acceptance.conftest import NOW, imported, needs, refreshed, tables_of
from tests.acceptance.test_everything import EVENTS, SETS, parts

DEMO_NOW = datetime(2026, 8, 19, 14, 30, tzinfo=UTC)
GRAINS = ("total", "hour", "day", "week", "month")
ONE_AND_ANOTHER = [
    name if n == 0 else pytest.param(name, marks=pytest.mark.slow) for n, (name, _, _) in enumerate(demo.tenants()[:2])
]
BY_ROLLUP: dict[str, list[str]] = {}
for _name in names():
    BY_ROLLUP.setdefault(find(_name).rollup.name, []).append(_name)

Pair = tuple[Engine, Engine]


def pair(folder: Path, database: str, now: datetime) -> Pair:
    """Return an engine on each store; both stand at `now`."""
    common: dict[str, Any] = {"threads": 2, "memory_limit": "500MB", "free_floor_mb": 0}
    duckdb = Engine(load_settings(data=folder / "duckdb", **common), lambda: now)
    shared = load_settings(data=folder / "clickhouse", store_url=f"chdb://memory/{database}", **common)
    return duckdb, Engine(shared, lambda: now)


@pytest.fixture(scope="module")
def demo_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two tenants of the demo, one with business hours, up to date but for their last events."""
    both = pair(tmp_path_factory.mktemp("demo"), "parity_demo", DEMO_NOW)
    for name, zone, _ in demo.tenants()[:2]:
        events = list(demo.events(name, DEMO_NOW, days=16))
        for engine in both:
            engine.load(name, events[:-60], None, zone)
            if zone != "UTC":
                week = {day: ["08:00-12:30", "14:00-20:00"] for day in ("monday", "tuesday", "thursday", "friday")}
                engine.set_calendar(name, {"versions": [{"valid_from": "2026-01-01", "week": week}]})
            engine.refresh()
            engine.load(name, events[-60:])
    yield both
    for engine in both:
        engine.close()


@pytest.fixture(scope="module")
def real_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """All real data in both stores, refreshed."""
    both = pair(tmp_path_factory.mktemp("real"), "parity_real", NOW)
    for engine in both:
        for tenant, zone, source in parts():
            imported(engine, source, tenant, zone)
        refreshed(engine)
    yield both
    for engine in both:
        engine.close()


def compared(both: Pair, tenant: str, span: dict[str, str], counted: Counter[str], **question: Any) -> None:
    """Ask both stores every metric of the catalogue, and count the numbers that were compared."""
    for rollup, mine in BY_ROLLUP.items():
        declared = find(mine[0]).rollup
        by = question.get("by", [])
        if (question.get("grain") == "hour" and "hour" not in declared.keep) or not set(by) <= set(
            dimensions_of(declared)
        ):
            continue
        if any(dimensions_of(declared)[d] in set(declared.hidden) - set(MEMBERS_ALLOWED) for d in by):
            continue
        one, other = (engine.query(tenant, metrics=mine, **span, **question, details=True) for engine in both)
        assert one["rows"] == other["rows"], (tenant, rollup, question)
        assert one["freshness"] == other["freshness"], (tenant, rollup, question)
        counted[question.get("grain", "total") + "".join(f" by {d}" for d in by)] += len(mine) * len(one["rows"])


@pytest.mark.parametrize("tenant", ONE_AND_ANOTHER)
def test_every_grain_and_dimension_of_the_demo(demo_pair: Pair, tenant: str) -> None:
    """The same stored rows, and the same value, parts, sample size and freshness of every metric, split by all it can be."""
    counted: Counter[str] = Counter()
    assert tables_of(demo_pair[0], tenant) == tables_of(demo_pair[1], tenant)
    span = {"start": "2026-08-09", "end": "2026-08-20"}
    for grain in GRAINS:
        compared(demo_pair, tenant, span, counted, grain=grain)
    for dimension in sorted({d for mine in BY_ROLLUP.values() for d in dimensions_of(find(mine[0]).rollup)}):
        compared(demo_pair, tenant, span, counted, by=[dimension])
    compared(demo_pair, tenant, {"start": "2026-08-18", "end": "2026-08-20"}, counted, exact=True)
    print(tenant, json.dumps(counted))
    assert sum(counted.values()) > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("tenant", [name for name, _, _ in demo.tenants()[:2]])
def test_the_rows_behind_the_numbers_of_the_demo(demo_pair: Pair, tenant: str) -> None:
    """Lists of conversations by state, filter and text, page by page, timelines, and the messages of hotspots are the same."""
    start = DEMO_NOW - timedelta(days=9)
    asked = [
        Wanted(start, DEMO_NOW), Wanted(start, DEMO_NOW, state="open"), Wanted(start, DEMO_NOW, bots=True, state="resolved"),
        Wanted(start, DEMO_NOW, {"channel": ["sms"], "staff_id": ["(none)"]}), Wanted(start, DEMO_NOW, text="GUEST%"),
    ]  # fmt: skip
    several = [_rows(engine, tenant, asked, start) for engine in demo_pair]
    assert several[0] == several[1]


def _rows(engine: Engine, tenant: str, asked: list[Wanted], start: datetime) -> list[Any]:
    one, store = engine.control.tenant(tenant), engine.store
    found: list[Any] = []
    for wanted in asked:
        page = conversations(store, one, DEMO_NOW, wanted, limit=40)
        found += [page["rows"], conversations(store, one, DEMO_NOW, wanted, limit=40, cursor=page["next"])["rows"]]
    ids = [row["conversation_id"] for row in found[0][:20]]
    timelines = [timeline(store, one, id_, limit=5) for id_ in ids]
    whole = [[{**row, "seq": 0, "received_at": None} for row in part["rows"]] for part in timelines]
    states = [(state_of(store, one, DEMO_NOW, id_), episodes(store, one, id_)) for id_ in ids]
    return [
        *found,
        whole,
        states,
        flagged(store, one, start, DEMO_NOW, {"channel": ["sms", "whatsapp", "email", "web"]}),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("tenant", [name for name, _, _ in demo.tenants()[:2]])
def test_every_other_answer_of_the_demo(demo_pair: Pair, tenant: str) -> None:
    """Dashboard, trends, hotspots, changes, explanations and snapshots are the same documents."""
    start, end = "2026-08-09", "2026-08-19"

    def told(engine: Engine) -> dict[str, Any]:
        engine.refresh()
        engine.snapshot("daily", date="2026-08-17")
        return {
            "dashboard": engine.dashboard(tenant),
            "states": engine.states(tenant),
            "then": engine.dashboard(tenant, at=(DEMO_NOW - timedelta(days=3)).isoformat()),
            "trends": engine.trends(tenant, start, end),
            "hotspots": engine.hotspots(tenant, start, end),
            "changes": engine.changes(tenant, metrics="messages", start=start, end=end),
            "snapshots": [
                {k: v for k, v in row.items() if k != "made_at"} for row in engine.snapshots(tenant, start, end)["rows"]
            ],
            "explanations": [engine.explain(tenant, mine[0], start, end, limit=20) for mine in BY_ROLLUP.values()],
            "verify": engine.verify(),
        }

    one, other = (told(engine) for engine in demo_pair)
    for part, found in one.items():
        assert other[part] == found, part
    assert one["verify"]["clean"]
    assert one["snapshots"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RELATIONS))
def test_relations_of_the_demo(demo_pair: Pair, name: str) -> None:
    """A plain reader finds the same rows of every relation in both: percentiles, estimated by each engine's own powers, to
    twelve digits, and all else to the last."""
    for engine in demo_pair:
        engine.refresh()
        engine.snapshot("daily", date="2026-08-17")
    sql = f"SELECT * FROM {name}" + (" ORDER BY id" if name == "analytics_events" else "")
    plain = clickhouse_connect.get_client(dsn="chdb://memory/parity_demo")
    one, other = demo_pair[0].store.query(sql), plain.query(sql)
    plain.close()
    assert one.columns == tuple(other.column_names)
    mine, theirs = (
        sorted((_plain(one.columns, row) for row in found), key=repr) for found in (one.rows, other.result_rows)
    )
    assert mine
    assert mine == theirs


def _plain(columns: tuple[str, ...], row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a row to compare: documents read, percentiles to twelve digits, and not the moment at which a snapshot was made."""
    return tuple(
        json.loads(value) if isinstance(value, str) and value[:1] in "[{" else
        float(f"{value:.11e}") if name.startswith("p") and isinstance(value, float) else value
        for name, value in zip(columns, row, strict=True) if name != "made_at"
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1800)
@needs(*SETS)
def test_all_real_data(real_pair: Pair) -> None:
    """Every stored row of every tenant, and every metric over its whole past by month, are the same in both stores."""
    counted: Counter[str] = Counter()
    for tenant, events in EVENTS.items():
        one, other = (tables_of(engine, tenant) for engine in real_pair)
        assert list(one) == list(other)
        for table, rows in one.items():
            assert rows == other[table], (tenant, table)
            counted["rows"] += len(rows)
        low, high = (
            real_pair[0]
            .store.query(
                'SELECT min("time"), max("time") FROM events WHERE tenant = $t',
                {"t": real_pair[0].control.tenant(tenant).no},
            )
            .rows[0]
        )
        span = {"start": low.date().replace(day=1).isoformat(), "end": (high.date() + timedelta(days=2)).isoformat()}
        for grain in ("month", "total", "week", "day"):
            compared(real_pair, tenant, span, counted, grain=grain)
        for dimension in ("channel", "channel_id", "account", "staff", "topic", "kind"):
            compared(real_pair, tenant, span, counted, by=[dimension])
        assert events
    print(json.dumps(counted))
    assert real_pair[1].verify()["clean"]

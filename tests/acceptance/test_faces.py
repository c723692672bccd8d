"""One number on every face: query, a row of several days, explanation, HTTP, command, page, snapshot, report and published table.

The values were worked out by hand: those of `faces.yaml`, each a number that was wrong once, and those of every metric's example.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.app import Engine
from hubbub.cli.main import run
from hubbub.clock import fixed
from hubbub.metrics.catalogue import find
from hubbub.metrics.examples import Example, examples, read
from hubbub.metrics.snapshots import SECTIONS
from hubbub.model.tenant import KEEP_EVERYTHING
from hubbub.model.window import Grain
from hubbub.publishing.tables import TABLES
from hubbub.reports.formatting import shown
from tests.acceptance.conftest import open_engine

NOW = datetime(2026, 5, 1, tzinfo=UTC)
STORIES = [*read((Path(__file__).parent / "faces.yaml").read_text(encoding="utf-8")), *examples()]
NUMBERS = [
    pytest.param(number, name, id=f"{one.story[:4].strip(' .')}-{name}" if one.story[0] == "N" else f"{number}-{name}")
    for number, one in enumerate(STORIES)
    for name in one.gives
]
ABSENT = object()
"""The result of a face that does not show a number."""


@dataclass
class Faces:
    """An engine with a tenant for each story, and a server over it."""

    engine: Engine
    http: TestClient
    keys: list[str]

    def tenant(self, number: int) -> str:
        """Return the tenant of a story."""
        return f"story-{number}"


@dataclass(frozen=True)
class Asked:
    """A number of a story on its faces."""

    faces: Faces
    number: int
    metric: str

    @property
    def example(self) -> Example:
        """Return the story."""
        return STORIES[self.number]

    @property
    def tenant(self) -> str:
        """Return the story's tenant."""
        return self.faces.tenant(self.number)

    @property
    def days(self) -> tuple[str, str]:
        """Return the first day and the day after the last."""
        return self.example.first.isoformat(), self.example.after.isoformat()

    @property
    def of_one_day(self) -> bool:
        """Whether the range is a single day."""
        return self.example.after - self.example.first == timedelta(days=1)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faces]:
    """Load every story into its own tenant, fold, publish, and make the snapshots of its day."""
    with open_engine(tmp_path_factory.mktemp("faces"), fixed(NOW)) as engine:
        keys = []
        for number, one in enumerate(STORIES):
            tenant, _ = engine.ensure_tenant(f"story-{number}", one.zone, retention=KEEP_EVERYTHING)
            if one.calendar:
                engine.calendar.set(tenant.id, one.calendar)
            if one.hotspot_tones:
                engine.tenants.change(tenant.id, hotspot_tones=one.hotspot_tones)
            for target in one.targets:
                engine.targets.add(
                    tenant.id, target.aim.value, target.minutes, target.channel, target.priority, business=target.business,
                    share=target.share, valid_from=target.valid_from.isoformat(),
                )  # fmt: skip
            if one.threads:
                engine.tenants.change(tenant.id, threads=one.threads)
            if one.ai_minutes_saved is not None:
                engine.tenants.change(tenant.id, ai_minutes_saved=one.ai_minutes_saved)
            assert engine.accept(tenant.id, one.happened(), history=True).rejected == []
            keys.append(engine.keys.add(tenant.id, ["read"]).key)
        assert engine.refresh()["errors"] == {}
        for day in sorted({one.first for one in STORIES}):
            assert engine.snapshot("Daily", day.isoformat())["errors"] == {}
        assert engine.published.publish().errors == {}
        with TestClient(create_app(engine, refresh=False)) as http:
            path = engine.access.sign_in_link(None, "operator").path
            site = {"Origin": "http://testserver"}
            http.post("/sign-in", data={"token": path.partition("token=")[2]}, headers=site)
            yield Faces(engine, http, keys)


# --- the faces


def _query(asked: Asked) -> Any:
    first, after = asked.days
    (row,) = asked.faces.engine.query(asked.tenant, metrics=[asked.metric], start=first, end=after)["rows"]
    return row[asked.metric]


def _day_of_several(asked: Asked) -> Any:
    if not asked.of_one_day or asked.metric == "contact_engagement_score":  # the score is of the range's end
        return ABSENT
    start, end = (
        (day + timedelta(days=more)).isoformat() for day, more in ((asked.example.first, -9), (asked.example.after, 9))
    )
    rows = asked.faces.engine.query(asked.tenant, metrics=[asked.metric], start=start, end=end, grain="day")["rows"]
    return next(row[asked.metric] for row in rows if row["window"][:10] == asked.days[0])


def _explanation(asked: Asked) -> Any:
    return asked.faces.engine.explain(asked.tenant, asked.metric, *asked.days)["value"]


def _http(asked: Asked) -> Any:
    first, after = asked.days
    answer = asked.faces.http.post(
        "/v1/query", json={"metrics": [asked.metric], "from": first, "to": after},
        headers={"Authorization": f"Bearer {asked.faces.keys[asked.number]}"},
    )  # fmt: skip
    return answer.json()["rows"][0][asked.metric]


def _dashboard(asked: Asked) -> Any:
    at = datetime.combine(asked.example.after, datetime.min.time()).isoformat()
    if not asked.of_one_day:
        return ABSENT
    board = asked.faces.engine.dashboard(asked.tenant, at=f"{at}Z")
    return (
        board["today"][asked.metric]["value"]
        if asked.metric in board["today"]
        else board["now"].get(asked.metric, ABSENT)
    )


def _snapshot(asked: Asked) -> Any:
    places = [
        (s, field) for s, fields in SECTIONS.items() for field, metric in fields.items() if metric == asked.metric
    ]
    if not asked.of_one_day or not places:
        return ABSENT
    rows = asked.faces.engine.snapshots(asked.tenant, *asked.days)["rows"]
    (made,) = [row for row in rows if row["account_id"] is None]
    ((section, field),) = places
    return made[section][field]


def _report(asked: Asked) -> Any:
    first, after = asked.days
    report = asked.faces.engine.reports.make(
        asked.tenant, "daily", start=first, end=after, formats=["json"], report=f"rep_{asked.number:024x}"
    )
    file = asked.faces.engine.reports.file(asked.tenant, report.id, "json").path
    found = [
        row[asked.metric] if asked.metric in row else row["value"]
        for section in json.loads(Path(file).read_text())["data"]["sections"]
        for row in section["rows"]
        if row.get("metric") == asked.metric or (asked.metric in row and row.get("row") == "total")
    ]
    assert len({repr(value) for value in found}) <= 1
    return found[0] if found else ABSENT


def _table(asked: Asked) -> Any:
    found = []
    for table in TABLES:
        columns = [column for column, metric in table.numbers.items() if metric == asked.metric]
        if table.grain is not Grain.DAY or not columns or not asked.of_one_day:
            continue
        with asked.faces.engine.store.facts.read() as reading:
            rows = reading.dicts(
                f"SELECT * FROM {table.name} WHERE tenant = ? AND {table.period} = ?", (asked.tenant, asked.days[0])
            )
        if len(rows) == 1:  # otherwise the table is split by channel or by staff
            found += [rows[0][column] * table.over.get(column, 1) for column in columns if rows[0][column] is not None]
    assert len(set(found)) <= 1
    return found[0] if found else ABSENT


FACES: dict[str, Callable[[Asked], Any]] = {
    "query": _query, "day of several": _day_of_several, "explanation": _explanation, "http": _http,
    "dashboard": _dashboard, "snapshot": _snapshot, "report": _report, "published table": _table,
}  # fmt: skip


@pytest.mark.parametrize(("number", "metric"), NUMBERS)
def test_a_number_is_the_same_on_every_face(faces: Faces, number: int, metric: str) -> None:
    """Every face that shows the number has the value worked out by hand, to the last digits of a division."""
    asked = Asked(faces, number, metric)
    value, why = STORIES[number].gives[metric]
    said = {name: told for name, face in FACES.items() if (told := face(asked)) is not ABSENT}
    assert {"query", "explanation", "http"} <= set(said)
    assert said == dict.fromkeys(said, pytest.approx(float(value), rel=1e-12)), why


@pytest.mark.parametrize(("number", "metric"), NUMBERS)
def test_its_page_writes_it_in_the_catalogues_unit(faces: Faces, number: int, metric: str) -> None:
    """The page of a number names the metric and formats the value by its unit: a share in percent, a duration in words."""
    first, after = Asked(faces, number, metric).days
    html = faces.http.get(
        f"/t/{faces.tenant(number)}/explain/number", params={"metric": metric, "start": first, "end": after}
    ).text
    (big,) = re.findall(r'<p class="big"[^>]*>([^<]*)<', html)
    assert unescape(big) == _written(metric, STORIES[number].gives[metric][0])
    assert f'data-metric="{metric}"' in html


def _written(metric: str, value: Fraction) -> str:
    whole = value.denominator == 1 and find(metric).unit.value == "count"
    return shown(int(value) if whole else float(value), find(metric).unit.value)


TIMED = {
    number: timed
    for number, one in enumerate(STORIES)
    if (timed := [name for name in one.gives if find(name).unit.value in ("share", "ms")])
}


@pytest.mark.parametrize("number", TIMED)
def test_a_command_writes_it_in_the_catalogues_unit(
    faces: Faces, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`hubbub query` formats shares in percent and durations in words, whatever the metric's name looks like (N13)."""
    one = STORIES[number]
    monkeypatch.setenv("HUBBUB_FREE_FLOOR_MB", "0")
    for some in (TIMED[number][start : start + 5] for start in range(0, len(TIMED[number]), 5)):
        words = ["query", *some, "--tenant", faces.tenant(number), "--from", str(one.first), "--to", str(one.after)]
        monkeypatch.setattr(sys, "argv", ["hubbub", *words, "--data", str(faces.engine.settings.data)])
        with suppress(SystemExit):
            run()
        out = " ".join(capsys.readouterr().out.split())
        for name in some:
            assert f" {_written(name, one.gives[name][0])} " in out, (name, out)


def test_a_rating_without_staff_is_credited_on_every_face(faces: Faces) -> None:
    """N14: a rating without staff belongs to the last person who answered before it, in answer, report, published table
    and page.
    """
    number = next(n for n, one in enumerate(STORIES) if one.story.startswith("N14"))
    tenant, (first, after) = faces.tenant(number), Asked(faces, number, "csat").days
    rows = faces.engine.query(tenant, metrics=["ratings", "csat"], start=first, end=after, by=["staff_id"])["rows"]
    assert {row["staff_id"]: (row["ratings"], row["csat"]) for row in rows} == {"ben": (1, 1)}
    made = faces.engine.reports.make(
        tenant, "daily", start=first, end=after, sections=["staff_performance"], formats=["json"]
    )
    data = json.loads(Path(faces.engine.reports.file(tenant, made.id, "json").path).read_text())["data"]
    assert {r["staff_id"]: r["csat"] for r in data["sections"][0]["rows"] if r["row"] == "value"} == {
        "anna": None,
        "ben": 1,
    }
    with faces.engine.store.facts.read() as reading:
        table = reading.dicts("SELECT * FROM agg_staff_performance_daily WHERE tenant = ?", (tenant,))
    assert {row["staff_id"]: row["satisfaction_count"] for row in table} == {"anna": 0, "ben": 1}
    page = faces.http.get(f"/t/{tenant}/team/agents.csv", params={"from": first, "to": after}).text
    shown = {
        row["name"]: (row["ratings"], row["csat"]) for row in csv.DictReader(io.StringIO(page.removeprefix("\ufeff")))
    }
    assert shown == {"anna": ("0", ""), "ben": ("1", "1.0")}


def test_bots_are_in_no_part_of_a_relation(faces: Faces) -> None:
    """N6: the channels of a published month add up to its messages, and its percentiles leave out bots."""
    number = next(n for n, one in enumerate(STORIES) if one.story.startswith("N6"))
    tenant = faces.tenant(number)
    with faces.engine.store.facts.read() as reading:
        (month,) = reading.dicts("SELECT * FROM agg_monthly_summary WHERE tenant = ?", (tenant,))
        (hour,) = reading.dicts("SELECT * FROM agg_response_times_hourly WHERE tenant = ?", (tenant,))
        counts = reading.rows(
            "SELECT direction, sum(count) FROM agg_message_counts_hourly WHERE tenant = ? GROUP BY 1", (tenant,)
        )
    assert (month["total_messages"], json.loads(month["channel_breakdown"])) == (2, {"slack": 2})
    assert (hour["p95_response_ms"], hour["count"]) == (300_000, 1)
    assert dict(counts) == {"inbound": 1, "outbound": 1}


def test_a_month_is_compared_with_the_month_before_on_every_face(faces: Faces) -> None:
    """N17: a question at any grain, a report, changes and the page compare March with all of February."""
    engine, tenant = faces.engine, faces.engine.ensure_tenant("months", "Europe/Rome", retention=KEEP_EVERYTHING)[0].id
    days = [date(2026, 1, 30), date(2026, 2, 1), date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 31)]
    engine.record(
        tenant, [{"type": "message.received", "time": f"{day}T12:00:00Z", "id": str(day)} for day in days], history=True
    )
    span: dict[str, Any] = {"start": "2026-03-01", "end": "2026-04-01"}
    for grain in ("total", "month", "week", "day"):
        answer = engine.query(tenant, metrics=["messages"], **span, grain=grain, compare="previous")
        before = [row["compare"]["messages"]["previous"] or 0 for row in answer["rows"]]
        assert (sum(before), [moment[:10] for moment in answer["freshness"]["compared_with"]]) == (
            2,
            ["2026-02-01", "2026-03-01"],
        )
    kinds: dict[str, dict[str, Any]] = {"monthly": {"date": "2026-03-15"}, "weekly": span, "daily": span}
    for kind, asked in kinds.items():
        made = engine.reports.make(tenant, kind, sections=["summary"], formats=["json"], **asked)
        data = json.loads(Path(engine.reports.file(tenant, made.id, "json").path).read_text())["data"]
        (row,) = [row for row in data["sections"][0]["rows"] if row["metric"] == "messages_received"]
        assert (row["value"], row["previous"]) == (2, 2), kind
    assert engine.changes(tenant, metrics=["messages"], **span)["before"] == 2
    view = {"from": span["start"], "to": span["end"], "compare": "previous"}
    cards = faces.http.get(f"/t/{tenant}/overview/cards.csv", params=view).text.splitlines()
    assert next(line for line in cards if line.startswith("Messages")) == "Messages,2,2,2,count"


def test_hours_end_with_their_day_on_every_face(faces: Faces) -> None:
    """N18: Pyongyang's 4 May 2018 ended at 23:30; hours and published rows add up to that day, and the next day starts
    at midnight.
    """
    engine = faces.engine
    tenant = engine.ensure_tenant("half-hour", "Asia/Pyongyang", retention=KEEP_EVERYTHING)[0].id
    times = ["2018-05-04T14:40:00Z", "2018-05-04T14:59:59Z", "2018-05-04T15:00:00Z", "2018-05-04T15:10:00Z"]
    engine.record(tenant, [{"type": "message.received", "time": at, "id": at} for at in times], history=True)
    span: dict[str, Any] = {"start": "2018-05-04", "end": "2018-05-06"}
    days = engine.query(tenant, metrics=["messages"], grain="day", **span)["rows"]
    hours = engine.query(tenant, metrics=["messages"], grain="hour", **span)["rows"]
    assert [(row["window"][:10], row["messages"]) for row in days] == [("2018-05-04", 2), ("2018-05-05", 2)]
    assert {row["window"]: row["messages"] for row in hours if row["messages"]} == {
        "2018-05-04T23:00:00+08:30": 2, "2018-05-05T00:00:00+09:00": 2,
    }  # fmt: skip
    assert engine.published.publish().errors == {}
    with engine.store.facts.read() as reading:
        table = reading.rows(
            "SELECT period_start, count FROM agg_message_counts_hourly WHERE tenant = ? ORDER BY 1", (tenant,)
        )
    assert table == [("2018-05-04T14:30:00Z", 2), ("2018-05-04T15:00:00Z", 2)]
    why = engine.explain(tenant, "messages", "2018-05-04", "2018-05-05")
    assert (why["value"], why["events"]["total"]) == (2, 2)


def test_a_tenants_tones_count_on_every_face_as_soon_as_they_are_set(faces: Faces) -> None:
    """N7: changed hotspot tones apply at once to answers, hotspots, trends, page and published table; API answers name
    the rule.
    """
    engine, tenant = faces.engine, faces.engine.ensure_tenant("tones", None, retention=KEEP_EVERYTHING)[0].id
    named = {"type": "topic.classified", "time": "2026-03-02T09:00:00Z", "channel_id": "gate-1", "topic": "delay"}
    engine.record(
        tenant, [{**named, "id": str(n), "sentiment": ("angry", "calm")[n % 2]} for n in range(20)], history=True
    )
    auth = {"Authorization": f"Bearer {engine.keys.add(tenant, ['read']).key}"}
    span = {"from": "2026-03-02", "to": "2026-03-03"}

    def said() -> list[Any]:
        assert engine.published.publish().errors == {}
        with engine.store.facts.read() as reading:
            (hot,) = reading.rows("SELECT channel_hotspots FROM communication_trends WHERE tenant = ?", (tenant,))
        question = {"metrics": ["hotspot_ratio"], **span}
        answer = faces.http.post("/v1/query", json=question, headers=auth).json()
        spots = faces.http.get("/v1/hotspots", params=span, headers=auth).json()
        trends = faces.http.get("/v1/trends", params=span, headers=auth).json()
        why = faces.http.get("/v1/explain", params={"metric": "hotspot_ratio", **span}, headers=auth).json()
        page = faces.http.get(f"/t/{tenant}/topics/hotspots", params=span).text
        assert answer["freshness"]["hotspot_rule"]["tones"] == spots["rule"]["tones"] == trends["rule"]["tones"]
        assert why["freshness"]["hotspot_rule"] == answer["freshness"]["hotspot_rule"]
        assert ("tones that this tenant counts: angry" in page) == bool(spots["rule"]["tones"])
        listed = faces.http.get(f"/t/{tenant}/topics/messages", params=span).text.count("/files/event/json")
        return [
            answer["rows"][0]["hotspot_ratio"], spots["rows"][0]["hotspot_ratio"], len(trends["rows"][0]["channel_hotspots"]),
            why["value"], sum(row["counts"] for row in why["events"]["rows"]), listed,
            [spot["tone_count"] for spot in json.loads(hot[0])], spots["rule"]["tones"],
        ]  # fmt: skip

    assert said() == [0, 0, 0, 0, 0, 0, [], []]
    engine.tenants.change(tenant, hotspot_tones=["Angry "])
    assert said() == [0.5, 0.5, 1, 0.5, 10, 10, [10], ["angry"]]
    engine.tenants.change(tenant, hotspot_tones=[])
    assert said() == [0, 0, 0, 0, 0, 0, [], []]

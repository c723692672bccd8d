"""Unknown numbers are null with a reason on every face, never 0: all faces of a store whose first weeks are deleted."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from hubbub.api.app import create_app
from hubbub.app import Engine
from hubbub.cli import answers as commands
from hubbub.cli.main import app
from hubbub.services.answers import AnswerService
from tests.acceptance.conftest import open_engine

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
GONE, EDGE, KEPT = ("2026-06-15", "2026-06-22"), ("2026-07-18", "2026-07-24"), ("2026-08-10", "2026-08-17")
"""A deleted week, days on both sides of the cut (21 July), and a kept week."""
WHY = "past the retention of this tenant"
SITE = {"Origin": "http://testserver"}


@dataclass(frozen=True)
class World:
    """An engine, an operator's browser, and an API key."""

    engine: Engine
    http: TestClient
    key: str

    def api(self, path: str, **params: Any) -> Any:
        """Return a document of the API."""
        answer = self.http.get(f"/v1/{path}", params=params, headers={"Authorization": f"Bearer {self.key}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def query(self, accept: str = "application/json", **question: Any) -> Any:
        """Answer a question over HTTP."""
        head = {"Authorization": f"Bearer {self.key}", "Accept": accept}
        answer = self.http.post("/v1/query", json=question, headers=head)
        assert answer.status_code == 200, answer.text
        return answer.json() if accept == "application/json" else answer.text

    def part(self, name: str, days: tuple[str, str]) -> str:
        """Return a part of a page; `days` are the first day and the day after the last."""
        last = (datetime.fromisoformat(days[1]) - timedelta(days=1)).date().isoformat()
        answer = self.http.get(f"/t/acme/{name}", params={"from": days[0], "to": last})
        assert answer.status_code == 200, answer.text
        return answer.text


def _events(at: datetime) -> Iterator[dict[str, Any]]:
    who = {"conversation_id": f"c{at:%m%d}", "contact_id": f"k{at:%m%d}", "channel": "sms", "channel_id": "r1"}
    for kind, minute in (("message.received", 0), ("message.sent", 5), ("conversation.resolved", 50)):
        yield {"type": kind, "id": f"{kind}-{at:%m%d}", "time": (at + timedelta(minutes=minute)).isoformat(), **who}
    yield {
        "type": "topic.classified", "id": f"topic-{at:%m%d}", "time": at.isoformat(), "topic": "billing", "sentiment": "neutral",
        "confidence": 0.9, **who,
    }  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Eighty days with a conversation each; the last thirty are kept."""
    now = [NOW]
    with open_engine(tmp_path_factory.mktemp("known"), lambda: now[0]) as engine:
        engine.add_tenant("acme", "UTC", retention={"raw": 30, "facts": 30})
        for days in range(80, 0, -1):
            now[0] = NOW - timedelta(days=days)
            assert engine.record("acme", list(_events(now[0] - timedelta(hours=1))))["rejected"] == []
        now[0] = NOW
        assert engine.retention()["rows"][0]["events"] > 0
        with TestClient(create_app(engine, refresh=False)) as http:
            token = engine.access.sign_in_link(None, "operator").path.partition("token=")[2]
            assert http.post("/sign-in", data={"token": token}, headers=SITE, follow_redirects=False).status_code == 303
            yield World(engine, http, engine.keys.add("acme").key)


def test_the_api_gives_null_with_a_state(world: World) -> None:
    """Every metric of a deleted window is null with `<metric>.state`; kept windows have numbers and no such field."""
    names = ["messages", "responses", "response_ms.p50", "csat", "open_conversations", "active_contacts"]
    rows = world.query(metrics=names, **{"from": EDGE[0], "to": EDGE[1]}, grain="day")["rows"]
    assert len(rows) == 6
    for row in rows[:2]:
        assert {row[name] for name in names} == {None}
        assert {row[f"{name}.state"] for name in names} == {"gone"}
    for row in rows[3:]:
        assert (row["messages"], row["open_conversations"]) == (2, 0)
        assert not any(name.endswith(".state") for name in row)
    assert rows[2]["messages"] is None or rows[2]["messages"] == 2


def test_a_comparison_with_a_deleted_number_is_null_with_a_state(world: World) -> None:
    """A deleted previous number is null with a state, and the change is null, in queries, dashboards and changes."""
    asked: dict[str, Any] = {"metrics": ["messages"], "from": "2026-07-22", "to": "2026-08-20", "compare": "previous"}
    answer = world.query(**asked)
    pair = answer["rows"][0]["compare"]["messages"]
    assert (pair["previous"], pair["previous_state"], pair["change"]["absolute"]) == (None, "gone", None)
    assert "gone_before" in answer["freshness"]
    board = world.api("dashboard", at="2026-06-18T12:00:00Z")
    assert board["today"]["messages_received"]["value"] is None
    assert board["today"]["messages_received"]["state"] == "gone"
    assert (board["now"]["open_conversations"], board["now"]["open_conversations.state"]) == (None, "gone")
    states = world.api("dashboard/now", at="2026-06-18T12:00:00Z")
    assert (states["now"]["waiting_conversations"], states["now"]["waiting_conversations.state"]) == (None, "gone")
    changes = world.engine.changes("acme", metrics="messages", start="2026-07-22", end="2026-08-20")
    assert (changes["before"], changes["before.state"], changes["difference"]) == (None, "gone", None)
    assert changes["after"] > 0


def test_trends_and_explanations_of_deleted_windows_are_null(world: World) -> None:
    """Distributions of a deleted window are null, not empty; an explained number has its state."""
    rows = world.api("trends", **{"from": GONE[0], "to": GONE[1]}, grain="total")["rows"]
    names = ("total_classifications", "topic_distribution", "sentiment_distribution", "movers", "channel_hotspots")
    assert [(rows[0][name], rows[0]["state"]) for name in names] == [(None, "gone")] * len(names)
    explained = world.engine.explain("acme", "messages", *GONE)
    assert (explained["value"], explained["state"]) == (None, "gone")
    assert "kept_from" in explained["freshness"]


def test_csv_has_an_empty_cell_and_a_column_of_states(world: World) -> None:
    """The CSV has a column of states only if a number is null, and its cell is empty."""
    for days, states in ((EDGE, True), (KEPT, False)):
        asked: dict[str, Any] = {"metrics": ["messages"], "from": days[0], "to": days[1], "grain": "day"}
        rows = list(csv.DictReader(io.StringIO(world.query("text/csv", **asked))))
        assert ("messages.state" in rows[0]) is states
        for row in rows:
            assert (row["messages"] == "") is (row.get("messages.state") == "gone")


@pytest.fixture
def command(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a query command on the engine and returns all output."""

    def ask(_data: Path | None, question: Callable[[AnswerService], object]) -> object:
        return question(world.engine.answers)

    monkeypatch.setattr(commands, "_ask", ask)

    def run(*words: str) -> str:
        capsys.readouterr()
        made = CliRunner().invoke(app, list(words), catch_exceptions=False)
        captured = capsys.readouterr()
        return made.output + captured.out + captured.err

    return run


def test_commands_print_a_dash_and_the_reason(command: Callable[..., str]) -> None:
    """Query, dashboard, changes and trends print the reason for missing numbers."""
    days = ("--tenant", "acme", "--from", GONE[0], "--to", GONE[1])
    shown = command("query", "messages", "responses", *days)
    assert WHY in shown
    assert "messages, responses" in shown
    assert "state" not in shown
    assert WHY in command(
        "query", "messages", "--tenant", "acme", "--from", "2026-07-22", "--to", "2026-08-20", "--compare", "previous"
    )
    assert WHY in command("dashboard", "--tenant", "acme", "--at", "2026-06-18T12:00:00Z")
    assert WHY in command("changes", "messages", "--tenant", "acme", "--from", "2026-07-22", "--to", "2026-08-20")
    assert "past retention" in command("trends", *days)
    assert "past retention" not in command("trends", "--tenant", "acme", "--from", KEPT[0], "--to", KEPT[1])


@pytest.fixture(scope="module")
def report(world: World, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return the files of a report on days around the cut, by format."""
    formats = ["json", "html", "pdf", "csv", "xlsx"]
    made = world.engine.reports.make("acme", "weekly", start=EDGE[0], end=EDGE[1], formats=formats)
    folder = world.engine.reports.store.folder / "acme" / made.id
    return {path.name.split(".")[1]: path for path in folder.iterdir() if path.name.startswith("report.")}


def test_reports_as_json_and_html(report: Mapping[str, Path]) -> None:
    """JSON has null with a state beside it; HTML has a dash with the reason as its title, and a note."""
    tables = {table["name"]: table for table in json.loads(report["json"].read_text())["data"]["sections"]}
    for table in tables.values():
        for row in table["rows"]:
            for name in row:
                if name.endswith(".state"):
                    assert (row[name.removesuffix(".state")], row[name]) == (None, "gone")
    assert tables["summary"]["rows"][0]["value.state"] == "gone"
    html = report["html"].read_text()
    assert f' title="{WHY}">–</td>' in html
    assert "past retention" in html


def test_reports_as_csv_and_workbook(report: Mapping[str, Path]) -> None:
    """The CSV has a column of states; the workbook has an empty cell with the reason in a comment."""
    with zipfile.ZipFile(report["csv"]) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("summary.csv"), "utf-8")))
    assert {(row["value"], row["value.state"]) for row in rows if row["value"] == ""} >= {("", "gone")}
    with zipfile.ZipFile(report["xlsx"]) as book:
        comments = [book.read(name).decode() for name in book.namelist() if re.match(r"xl/comments\d*\.xml", name)]
    texts = ["".join(ElementTree.fromstring(one).itertext()) for one in comments]
    assert any(WHY in text for text in texts)


def test_a_report_as_pdf_is_made(report: Mapping[str, Path]) -> None:
    """The PDF is made; its layout is tested elsewhere."""
    assert report["pdf"].read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    "part",
    [
        "overview/cards",
        "overview/chart",
        "overview/heat",
        "messages/funnel",
        "speed/spread",
        "topics/share",
        "team/agents",
    ],
)
def test_pages_name_the_kept_range_in_place_of_zeros(world: World, part: str) -> None:
    """For deleted days no part of a page shows a 0: it says since when data is kept."""
    shown = world.part(part, GONE)
    assert "Nothing before Tue 21 Jul 2026 is kept of this tenant" in shown
    assert ">0<" not in shown
    assert "is kept of this tenant" not in world.part(part, KEPT)


def test_cards_have_a_dash_and_charts_a_gap(world: World) -> None:
    """A card's dash has the reason as its title; a chart's points of deleted days are null."""
    cards = world.part("overview/cards", GONE)
    assert f'title="{WHY}"' in cards
    assert 'data-value=""' in cards
    chart = world.part("overview/chart", EDGE)
    assert '"v": null' in chart or "&#34;v&#34;: null" in chart or '"v":null' in chart or "&#34;v&#34;:null" in chart


def test_a_tenant_with_only_deleted_events_gets_no_first_event_page(world: World) -> None:
    """Pages of a tenant whose events are all deleted tell the kept range, and are no page for a first event."""
    engine = world.engine
    engine.add_tenant("old", "UTC", retention={"raw": 1, "facts": 1})
    engine.record(
        "old", {"type": "message.received", "id": "1", "time": (NOW - timedelta(days=9)).isoformat()}, history=True
    )
    engine.refresh("old")
    with engine.store.facts.write() as writing:  # it arrived when it happened
        writing.run("UPDATE event SET received_at = time WHERE tenant = ?", (engine.control.tenant("old").no,))
    assert engine.retention("old")["rows"][0]["events"] == 1
    shown = world.http.get("/t/old/overview", params={"from": "2026-08-10", "to": "2026-08-12"}).text
    assert "is kept of this tenant" in shown

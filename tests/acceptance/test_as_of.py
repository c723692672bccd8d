"""`as_of` on every face: command line, Python, HTTP and explanations give what was known before more arrived."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient
from typer.testing import CliRunner

from hubbub.api.app import create_app
from hubbub.cli.main import app as commands
from hubbub.ingest.sources import slack
from hubbub.model.tenant import KEEP_EVERYTHING
from tests.acceptance.conftest import DATA, needs, open_engine

FIRST = datetime.now(UTC) - timedelta(days=3)
"""The command line uses this machine's clock, so the test does too."""
ASKED: dict[str, Any] = {
    "metrics": ["messages", "responses", "response_ms.p50"],
    "start": "2020-01-01",
    "end": "2100-01-01",
}


@needs("slack-rcontributors")
def test_half_an_export_is_recalled_on_every_face(tmp_path: Path) -> None:
    """A real Slack export in two halves, a day apart: as of the first evening every face answers from the first half alone."""
    now = FIRST
    items = [record.event for record in slack.read(DATA / "slack-rcontributors").records() if hasattr(record, "event")]
    with open_engine(tmp_path, lambda: now) as engine:
        engine.ensure_tenant("acme", "UTC", retention=KEEP_EVERYTHING)
        engine.accept("acme", items[: len(items) // 2], history=True)
        (half,) = engine.query("acme", **ASKED, grain="total")["rows"]
        now = FIRST + timedelta(days=1)
        engine.accept("acme", items[len(items) // 2 :], history=True)
        (whole,) = engine.query("acme", **ASKED, grain="total")["rows"]
        assert 0 < half["messages"] < whole["messages"]

        evening = (FIRST + timedelta(hours=8)).isoformat()
        told = engine.query("acme", **ASKED, as_of=evening)
        assert told["rows"] == [half]
        assert datetime.fromisoformat(told["freshness"]["as_of"]) == datetime.fromisoformat(evening)
        explained = engine.explain("acme", "responses", ASKED["start"], ASKED["end"], as_of=evening)
        assert (explained["value"], explained["events"]["total"]) == (half["responses"],) * 2

        key = engine.keys.add("acme", ["read"]).key
        with TestClient(create_app(engine), headers={"Authorization": f"Bearer {key}"}) as client:
            body = {"metrics": ASKED["metrics"], "from": ASKED["start"], "to": ASKED["end"], "as_of": evening}
            assert client.post("/v1/query", json=body).json()["rows"] == [half]
            assert client.post("/v1/query", json=body | {"as_of": None}).json()["rows"] == [whole]
            asked = {"metric": "messages", "from": ASKED["start"], "to": ASKED["end"], "as_of": evening}
            assert client.get("/v1/explain", params=asked).json()["value"] == half["messages"]
            refused = client.post("/v1/query", json=body | {"as_of": "2100-01-01"})
            assert (refused.status_code, refused.json()["code"]) == (400, "bad_question")
    line = [*ASKED["metrics"], "--tenant", "acme", "--from", ASKED["start"], "--to", ASKED["end"], "--as-of", evening]
    done = CliRunner().invoke(commands, ["query", *line, "--data", str(tmp_path), "--json"])
    assert json.loads(done.stdout)["rows"] == [half]

"""A server and workers as processes: AI replies and a night's ingestion, from the request to the numbers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import httpx2
import pytest
from dbos import DBOS

from hubbub.app import Engine
from hubbub.model.tenant import Tenant
from hubbub.publishing import publish
from hubbub.settings import load
from tests.integration.test_serve import PROGRAM, environment, free_port, message, until
from tests.platforms import TOKEN, Graph, graph_error, post
from tests.services import Call, Reply, Service, in_turn, service

CANARY = "canary-text-51d0"
DAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)


@dataclass
class House:
    """A data folder with a server, workers and an operator's key; `engine` is this process's own on the folder."""

    folder: Path
    env: dict[str, str]
    engine: Engine
    url: str = ""
    key: str = ""
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a long-running command."""
        with (self.folder.parent / f"{words[0]}-{len(self.processes)}.log").open("w") as log:
            made = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *words, "--data", str(self.folder)],
                stdout=log, stderr=subprocess.STDOUT, text=True, env=self.env,
            )  # fmt: skip
        self.processes.append(made)
        return made

    def serve(self, *words: str) -> subprocess.Popen[str]:
        """Start the server and wait until it is ready."""
        port = free_port()
        server = self.start("serve", "--port", str(port), *words)
        self.url = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            assert server.poll() is None, self.logs()
            try:
                return httpx2.get(f"{self.url}/readyz", timeout=30).status_code == 200
            except httpx2.TransportError:
                return False

        until(ready, "the server is ready")
        return server

    def ask(self, method: str, path: str, **how: Any) -> Any:
        """Send a request as an operator, or with `key`; return the JSON of a success."""
        self.key = self.key or self.engine.keys.add(None, scopes=["admin"]).key
        header = {"Authorization": f"Bearer {how.pop('key', self.key)}"}
        answer = httpx2.request(method, f"{self.url}{path}", headers=header, timeout=60, **how)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def logs(self) -> str:
        """Return the logs of all processes."""
        return "".join(path.read_text() for path in self.folder.parent.glob("*.log"))

    def ended(self, job: str) -> Any:
        """Wait for a job to end; return it."""

        def found() -> Any:
            row = self.ask("GET", f"/v1/jobs/{job}")
            return row if row["state"] in ("completed", "failed", "parked", "cancelled") else None

        return until(found, f"{job} ended")


@contextmanager
def house(folder: Path, **more: str) -> Iterator[House]:
    """Yield an installation; its processes are ended afterwards."""
    env = environment() | {"HUBBUB_LOG_LEVEL": "debug"} | more
    with patch.dict(os.environ, env, clear=True):
        made = House(folder, env, Engine(load(data=folder)))
    try:
        yield made
    finally:
        made.engine.close()
        for one in made.processes:
            if one.poll() is None:
                one.terminate()
        for one in made.processes:
            one.wait(timeout=60)


def says(text: str) -> Reply:
    """Return a chat endpoint's answer."""
    return Reply(
        {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]}
    )


QUESTION = {
    "workspace_id": "T1", "user_id": "U1", "channel_id": "C1", "message_ts": "1.5", "triggered_by": "mention",
    "trigger_message_text": f"When do you open? {CANARY}", "context_messages": [{"user_id": "U2", "text": CANARY, "ts": "1.4"}],
}  # fmt: skip


def test_a_reply_from_the_question_to_the_suggestion(tmp_path: Path) -> None:
    """A reply request is accepted at once; its job survives a 500 and a 429 and delivers the suggestion; no text is in
    jobs, logs or files.
    """
    busy = Reply({"error": {"message": "slow"}}, 429, {"Retry-After": "1"})
    with (
        service(in_turn(Reply(b"", 500), busy, says(f"At nine. {CANARY}"))) as model,
        service(lambda _: Reply({"ok": True})) as slack,
        house(
            tmp_path / "data",
            HUBBUB_AI__URL=model.url, HUBBUB_AI__MODEL="m", HUBBUB_ALLOW_PRIVATE_HOSTS=json.dumps([model.place, slack.place]),
        ) as here,
    ):  # fmt: skip
        here.serve()
        here.engine.tenants.add("acme")
        key = here.engine.keys.add("acme").key
        asked = here.ask("POST", "/v1/ai/responses", json={**QUESTION, "response_url": f"{slack.url}/r"}, key=key)
        assert (asked["queue"], asked["state"]) == ("ai-responses", "waiting")
        done = here.ended(asked["id"])
        assert done["state"] == "completed", done
        assert done["attempts"] == 3
        assert done["result"]["suggestion"] == f"At nine. {CANARY}"
        assert set(done["payload"]) == {"reference"}
        assert len(model.calls) == 3
        assert [call.told["text"] for call in slack.calls] == [f"At nine. {CANARY}"]
        today = datetime.now(UTC).date()
        events = here.engine.explain("acme", "ai_involved", today.isoformat(), (today + timedelta(days=1)).isoformat())
        assert "ai_involved" in json.dumps(events)
        assert CANARY not in here.logs()
        for path in here.folder.iterdir():
            assert CANARY.encode() not in path.read_bytes(), f"{path.name} holds text"


@pytest.mark.slow
def test_without_an_endpoint_a_reply_fails_permanently_and_names_the_setting(tmp_path: Path) -> None:
    """Without an endpoint a reply job fails permanently at its first attempt, and its action names the setting."""
    with house(tmp_path / "data") as here:
        here.serve()
        here.engine.tenants.add("acme")
        done = here.ended(here.engine.reply_jobs.ask("acme", QUESTION).id)
        assert (done["state"], done["attempts"], done["error_class"]) == ("failed", 1, "permanent")
        assert "HUBBUB_AI__URL" in done["action"]


class Pages:
    """Forty pages on one address, three posts of the day each; page 7's token is dead, page 9 is rate-limited twice."""

    def __init__(self) -> None:
        self.posts = {
            str(n): [post(f"{n}_{k}", int(DAY.timestamp()) + k, reactions=k) for k in range(3)] for n in range(40)
        }
        self.limited = 2

    def __call__(self, call: Call) -> Reply:
        """Answer for the page in the path."""
        page = call.path.split("/")[-2]
        if page == "7":
            return graph_error(190, 401, error_subcode=463)
        if page == "9" and self.limited:
            self.limited -= 1
            return graph_error(4, 400, headers={"Retry-After": "1"})
        return Graph(self.posts[page], page=100)(call)


def connect(here: House, graph: Service, pages: int) -> None:
    """Add four tenants that share the pages."""
    for n in range(4):
        here.engine.tenants.add(f"shop-{n}")
    for n in range(pages):
        settings = {"page_id": str(n), "base_url": f"{graph.url}/v24.0"}
        here.engine.integrations.add(f"shop-{n % 4}", "facebook_page", TOKEN, f"page {n}", settings)


def published(here: House) -> int:
    """Return the number of stored posts."""
    start, end = (DAY - timedelta(days=1)).date().isoformat(), (DAY + timedelta(days=2)).date().isoformat()
    rows = [
        here.engine.query(f"shop-{n}", metrics=["events"], where={"type": "content.published"}, start=start, end=end)[
            "rows"
        ]
        for n in range(4)
    ]
    return int(sum(row[0]["events"] for row in rows))


@pytest.mark.slow
@pytest.mark.parametrize("jobs_url", ["postgres"], indirect=True)
def test_a_night_of_ingestion_shared_by_a_server_and_two_workers(tmp_path: Path, jobs_url: str) -> None:
    """Forty pages on PostgreSQL: all processes work, a dead token is tried once, rate limits are waited for, the day is
    aggregated, a second run changes nothing, and a backfill fetches again.
    """
    with service(Pages()) as graph, house(
        tmp_path / "data", HUBBUB_JOBS_URL=jobs_url, HUBBUB_ALLOW_PRIVATE_HOSTS=json.dumps([graph.place])
    ) as here:  # fmt: skip
        here.serve()
        connect(here, graph, 40)
        workers = [here.start("worker") for _ in range(2)]
        until(lambda: here.logs().count("worker started") == 3, "workers started")
        date = DAY.date().isoformat()
        done = here.ended(here.engine.schedules.trigger("analytics-ingest", date).id)
        assert done["state"] == "completed", done
        assert done["result"]["days"][date] == {"completed": 39, "failed": 1}
        assert published(here) == 39 * 3
        processes = {
            json.loads(line)["tenant"]
            for line in here.logs().splitlines()
            if '"job started"' in line and '"analytics-ingest"' in line
        }
        assert processes == {f"shop-{n}" for n in range(4)}
        assert sum('"job started"' in path.read_text() for path in here.folder.parent.glob("*.log")) == 3, (
            "all three worked"
        )
        broken = here.engine.integrations.of(state="broken").rows
        assert [(one.name, "Reconnect the page" in str(one.action)) for one in broken] == [("page 7", True)]
        dead = [call for call in graph.calls if "/7/" in call.path]
        assert len(dead) == 1
        aggregated = here.ask("GET", "/v1/jobs?queue=analytics-aggregate")["rows"]
        until(lambda: here.ended(aggregated[0]["id"])["state"] == "completed", "aggregated")
        calls = len(graph.calls)
        again = here.ended(here.engine.schedules.trigger("analytics-ingest", date).id)
        assert again["state"] == "completed"
        assert len(graph.calls) == calls, "the same job is not done twice"
        after = (DAY + timedelta(days=1)).date().isoformat()
        refetched = here.engine.schedules.backfill("analytics-ingest", date, after)
        assert here.ended(refetched.id)["result"]["days"][date] == {"completed": 39}
        assert len(graph.calls) > calls
        assert published(here) == 39 * 3
        assert len([call for call in graph.calls if "/7/" in call.path]) == 1
        for worker in workers:
            assert worker.poll() is None
        assert TOKEN not in here.logs()
        assert not any(TOKEN.encode() in path.read_bytes() for path in here.folder.iterdir())


def test_a_worker_folds_events_as_they_arrive(tmp_path: Path) -> None:
    """With only a worker running, events are folded before anybody asks."""
    with house(tmp_path / "data") as here:
        here.engine.add_tenant("acme")
        here.start("worker")
        for number in range(30):
            here.engine.record("acme", message(f"m{number}"))

        def folded() -> bool:
            with here.engine.store.facts.read() as reading:
                return bool(reading.value("SELECT (SELECT count(*) FROM event) - (SELECT count(*) FROM todo)") == 30)

        until(folded, "all events are folded")
        assert here.engine.verify("acme")["clean"]


def test_a_failing_tenant_is_reported_tried_again_and_healed(
    tmp_path: Path, jobs_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of twenty tenants cannot be published: the job retries, names the tenant and the error, and completes once it
    is mended.
    """
    settings = load(data=tmp_path / "data", jobs_url=jobs_url, free_floor_mb=0)
    with Engine(settings) as engine:
        for n in range(20):
            engine.add_tenant(f"shop-{n}")
            engine.record(f"shop-{n}", message(f"m-{n}"))
        bad = engine.control.tenant("shop-7").no
        real = publish._read

        def read(queries: Any, tenant: Tenant, *more: Any) -> Any:
            if tenant.no == bad:
                raise RuntimeError("its rows cannot be read")
            return real(queries, tenant, *more)

        monkeypatch.setattr(publish, "_read", read)
        worker = engine.worker()
        worker.start()
        try:
            job = engine.schedules.trigger("trend-aggregation").id
            row = until(lambda: r if (r := engine.jobs.get(job)).state == "retrying" else None, "tried")
            assert (row.attempts, row.error_class) == (1, "transient")
            assert row.result["tenants_processed"] == 20
            assert list(row.result["errors"]) == ["shop-7"]
            assert "its rows cannot be read" in (row.error or "")
            with engine.store.facts.read() as reading:
                stale = reading.rows("SELECT DISTINCT tenant FROM stale")
            assert stale == [(bad,)]
            monkeypatch.setattr(publish, "_read", real)
            engine.jobs.retry(job)
            row = until(lambda: r if (r := engine.jobs.get(job)).state == "completed" else None, "healed")
            assert row.result == {
                "tenants_processed": 20, "trends_created": 0, "errors": {}, "organizationsProcessed": 20, "trendsCreated": 0,
            }  # fmt: skip
            assert engine.verify()["clean"]
        finally:
            assert worker.stop() == []


def test_a_worker_starts_where_an_event_loop_runs(tmp_path: Path, jobs_url: str) -> None:
    """A worker starts inside a running event loop, does a job and stops cleanly."""

    async def application(engine: Engine) -> None:
        """Run a job in a worker."""
        worker = engine.worker()
        worker.start()
        try:
            job = engine.schedules.trigger("trend-aggregation").id
            await asyncio.to_thread(until, lambda: engine.jobs.get(job).state == "completed", "done")
        finally:
            assert worker.stop() == []

    with Engine(load(data=tmp_path / "data", jobs_url=jobs_url, free_floor_mb=0)) as engine:
        asyncio.run(application(engine))


def test_a_failed_start_leaves_no_thread(tmp_path: Path, jobs_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the jobs database at a start reaches the caller, no queue thread stays, and the next start succeeds."""
    with Engine(load(data=tmp_path / "data", jobs_url=jobs_url, free_floor_mb=0)) as engine:
        with monkeypatch.context() as away:
            away.setattr(DBOS, "register_queue", Mock(side_effect=OSError("the database went away")))
            with pytest.raises(OSError, match="went away"):
                engine.worker().start()
        assert not any(one.name.startswith("queue-worker-") for one in threading.enumerate())
        worker = engine.worker()
        worker.start()
        try:
            assert worker.alive()
        finally:
            assert worker.stop() == []

"""Cached answers over HTTP: headers, isolation of tenants, and work without a Redis."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from hubbub.api.app import create_app
from hubbub.query.dashboard import Dashboard
from hubbub.services.answers import AnswerService
from tests.conftest import RedisServer
from tests.unit.api.conftest import Face, event, open_engine

SPAN = {"from": "2026-08-01", "to": "2026-08-03"}
PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1/dashboard": ("dashboard", {}), "/v1/dashboard/now": ("states", {}),
    "/v1/changes": ("changes", {**SPAN, "metric": "messages"}),
    "/v1/trends": ("trends", SPAN), "/v1/hotspots": ("hotspots", SPAN),
    "/v1/snapshots": ("snapshots", SPAN), "/v1/usual": ("usual", {**SPAN, "metric": "messages"}),
    "/v1/news": ("news", SPAN),
}  # fmt: skip


@pytest.fixture(params=["memory", "redis"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Face]:
    """Serve an engine whose answers are cached in memory, and one in Redis."""
    url = "mem://" if request.param == "memory" else request.getfixturevalue("redis_server").url
    with open_engine(tmp_path / "data", cache_url=url) as engine:
        engine.add_tenant("acme")
        key = engine.keys.add("acme").key
        with TestClient(create_app(engine, refresh=False), raise_server_exceptions=False) as http:
            yield Face(engine, http, key)


def hits() -> float:
    """Return the number of cache hits."""
    return REGISTRY.get_sample_value("hubbub_cache_total", {"outcome": "hit"}) or 0.0


@pytest.mark.parametrize("path", PATHS)
def test_a_cached_answer_has_the_same_bytes_and_its_age(kept: Face, path: str) -> None:
    """The second answer comes from the cache with the same bytes, has headers for age and caching, and equals the operation's."""
    name, params = PATHS[path]
    kept.post([event("1", channel_id="r1"), {**event("2"), "type": "topic.classified", "topic": "complaint"}])
    kept.engine.refresh()
    first, before = kept.get(path, **params), hits()
    second = kept.get(path, **params)
    assert first.status_code == 200 and first.content == second.content
    assert hits() == before + 1
    for answer in (first, second):
        assert (answer.headers["age"], answer.headers["vary"]) == ("0", "Authorization")
        assert answer.headers["cache-control"] == "private, max-age=30"
        assert answer.headers["content-type"] == "application/json"
    asked = {"start": SPAN["from"], "end": SPAN["to"]} if params else {}
    asked |= {"metrics": "messages", "compare": "previous"} if name == "changes" else {}
    asked |= {"metrics": "messages", "grain": "day"} if name == "usual" else {}
    assert second.json() == getattr(kept.engine, name)("acme", **asked)


def test_every_rule_has_a_route(kept: Face) -> None:
    """Each method with a caching rule has a route that is tested here, or serves queries or pages."""
    declared = {name for name, method in vars(AnswerService).items() if hasattr(method, "rule")}
    assert {name for name, _ in PATHS.values()} | {"query", "judged"} == declared | {"snapshots"}


def test_a_query_counts_every_event_sent_before_it(kept: Face) -> None:
    """A query is cached until the next event, and counts that event without a refresh; callers must not cache it."""
    for count in range(3):
        kept.post(event(str(count)))
        before = hits()
        answers = [kept.ask() for _ in range(2)]
        assert [a.json()["rows"][0]["messages"] for a in answers] == [count + 1] * 2
        assert hits() == before + 1
        assert answers[1].headers["cache-control"] == "private, max-age=0"


def test_a_dashboard_follows_a_refresh(kept: Face) -> None:
    """A dashboard may be from before an event; after a refresh of its tenant it counts it."""
    today = {"type": "message.received", "time": "2026-08-20T11:00:00Z", "id": "now"}

    def received() -> int:
        return int(kept.get("/v1/dashboard").json()["today"]["messages_received"]["value"])

    assert received() == 0
    kept.post(today)
    assert received() == 0
    assert kept.http.get("/v1/dashboard", headers={**kept.auth, "Cache-Control": "no-cache"}).json() != {}
    assert received() == 1
    kept.post({**today, "id": "later"})
    kept.engine.refresh("acme")
    assert received() == 2


def test_no_cache_computes_the_answer_again(kept: Face) -> None:
    """With `Cache-Control: no-cache` no cached answer is used, and the new answer is cached."""
    kept.get("/v1/dashboard")
    before = hits()
    fresh = kept.http.get("/v1/dashboard", headers={**kept.auth, "Cache-Control": "max-age=0, No-Cache"})
    assert (fresh.status_code, hits()) == (200, before)
    kept.get("/v1/dashboard")
    assert hits() == before + 1


def test_no_tenant_gets_the_answer_of_another(kept: Face) -> None:
    """Three tenants send the same requests in turn; each answer has the tenant's own texts and no other's."""
    faces: dict[str, Face] = {}
    for name in ("canary-one", "canary-two", "canary-three"):
        kept.engine.add_tenant(name)
        faces[name] = Face(kept.engine, kept.http, kept.engine.keys.add(name).key)
        faces[name].post({**event("1"), "channel": name})
    for turn in range(3):
        for name, face in faces.items():
            told = [
                face.ask(by=["channel"]).text,
                *(face.get(path, **params).text for path, (_, params) in PATHS.items()),
            ]
            assert name in told[0], turn
            assert not [other for other in faces if other != name and other in "".join(told)]


def test_a_key_without_read_gets_no_cached_answer(kept: Face) -> None:
    """Cached answers need the same rights: no key, a key of another scope and an unknown key are refused."""
    kept.get("/v1/dashboard")
    row = kept.engine.keys.add("acme", ["ingest"])
    statuses = [
        kept.http.get("/v1/dashboard", headers=headers).status_code
        for headers in ({}, {"Authorization": f"Bearer {row.key}"}, {"Authorization": "Bearer x"})
    ]
    assert statuses == [401, 403, 401]


def test_errors_are_not_cached(kept: Face) -> None:
    """A query without an answer is a 400 each time, without headers that allow caching."""
    for _ in range(2):
        answer = kept.ask(metrics=["nonsense"])
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_question")
        assert "age" not in answer.headers and "max-age" not in answer.headers.get("cache-control", "")


def test_simultaneous_requests_share_one_computation(kept: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty simultaneous requests get the same answer from one computation."""
    worked: list[str] = []
    work = kept.engine.answers.dashboard

    @wraps(work)
    def dashboard(tenant: str, **params: Any) -> Dashboard:
        worked.append(tenant)
        return work(tenant, **params)

    monkeypatch.setattr(kept.engine.answers, "dashboard", dashboard)
    kept.ask()  # the key is cached by now
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda _: kept.get("/v1/dashboard"), range(50)))
    assert {answer.status_code for answer in found} == {200}
    assert len({answer.content for answer in found}) == 1
    assert worked == ["acme"]


def test_calls_of_the_engine_are_not_cached(kept: Face) -> None:
    """Calls of the engine itself are always computed, whatever the API has cached."""
    kept.get("/v1/dashboard")
    kept.post({"type": "message.received", "time": "2026-08-20T11:00:00Z", "id": "now"})
    assert kept.engine.dashboard("acme")["today"]["messages_received"]["value"] == 1


@pytest.mark.parametrize("way", ["stop", "hang"])
def test_answers_stay_right_without_redis(tmp_path: Path, redis_server: RedisServer, way: str) -> None:
    """While Redis is stopped or hangs, events are accepted and answers are right, and one line is logged."""
    with open_engine(tmp_path / "data", cache_url=redis_server.url) as engine:
        engine.add_tenant("acme")
        key = engine.keys.add("acme").key
        with TestClient(create_app(engine, refresh=False), raise_server_exceptions=False) as http:
            face = Face(engine, http, key)

            def right(count: int) -> bool:
                found: list[httpx2.Response] = [face.ask(), face.get("/v1/dashboard"), face.get("/v1/trends", **SPAN)]
                assert {answer.status_code for answer in found} == {200}
                return bool(found[0].json()["rows"][0]["messages"] == count)

            assert face.post(event("1")).status_code == 202
            assert right(1) and right(1)
            getattr(redis_server, way)()
            with capture_logs() as lines:
                for count in range(2, 5):
                    assert face.post(event(str(count))).status_code == 202
                    engine.refresh()
                    assert right(count) and right(count)
            assert [line["event"] for line in lines if "cache" in line["event"]] == [
                "the cache is away: answers come from the store"
            ]
            redis_server.go_on() if way == "hang" else redis_server.start()


def test_a_starting_server_uses_no_earlier_cached_answer(tmp_path: Path, redis_server: RedisServer) -> None:
    """A server that starts uses no answer that an earlier server cached in Redis, since its store may have changed."""
    for _ in range(2):
        with open_engine(tmp_path / "data", cache_url=redis_server.url) as engine:
            engine.ensure_tenant("acme", "UTC")
            key = engine.keys.add("acme").key
            with TestClient(create_app(engine, refresh=False)) as http:
                before = hits()
                Face(engine, http, key).get("/v1/dashboard")
                assert hits() == before

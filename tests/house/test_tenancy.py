"""Tenants are isolated: every route, every text field, and every place that texts reach."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from fastapi import FastAPI
from starlette.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.app import Engine
from hubbub.clock import fixed
from hubbub.control.alerts import Decision, Entry, Incident
from hubbub.control.control import SCOPES
from hubbub.control.database import new_id
from hubbub.control.topic_suggestions import Body, Mentioned
from hubbub.dashboard import unsubscribe
from hubbub.dashboard.files import files
from hubbub.dashboard.routes import routes as pages
from hubbub.metrics import catalogue
from hubbub.model.event import TEXT_FIELDS, TYPES
from hubbub.settings import load
from hubbub.telemetry import configure_logs

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
CANARY = "canary7f3a"
"""A part of every text, name and id of tenant A."""
ACCESS = {
    "GET /healthz": "anybody", "GET /readyz": "anybody", "GET /problems/{code}": "anybody",
    "POST /v1/events": "tenant ingest", "POST /v1/ai/responses": "tenant ingest",
    "GET /v1/metrics": "tenant read", "POST /v1/query": "tenant read", "GET /v1/explain": "tenant read",
    "GET /v1/dashboard": "tenant read", "GET /v1/dashboard/now": "tenant read", "GET /v1/changes": "tenant read",
    "GET /v1/usual": "tenant read", "GET /v1/news": "tenant read", "GET /v1/coverage": "both read",
    "GET /v1/trends": "tenant read", "GET /v1/hotspots": "tenant read",
    "GET /v1/conversations": "tenant read", "GET /v1/conversations/detail": "tenant read",
    "GET /v1/conversations/members": "tenant read", "GET /v1/conversations/minutes": "tenant read",
    "GET /v1/conversations/events": "tenant export", "GET /v1/conversations/event": "tenant export",
    "GET /v1/conversations/flagged": "tenant export",
    "GET /v1/snapshots": "tenant read", "POST /v1/snapshots": "tenant read",
    "GET /v1/jobs": "both read", "GET /v1/jobs/{job}": "both read",
    "POST /v1/jobs/{queue}": "both admin", "POST /v1/jobs/{job}/retry": "both admin", "POST /v1/jobs/{job}/cancel": "both admin",
    "GET /v1/schedules": "operator", "POST /v1/schedules/{name}/trigger": "operator",
    "POST /v1/schedules/{name}/backfill": "operator", "POST /v1/schedules/{name}/pause": "operator",
    "POST /v1/schedules/{name}/resume": "operator",
    "GET /v1/integrations": "tenant admin", "POST /v1/integrations": "tenant admin",
    "GET /v1/integrations/{integration_id}": "tenant admin", "DELETE /v1/integrations/{integration_id}": "tenant admin",
    "POST /v1/integrations/{integration_id}/pause": "tenant admin",
    "POST /v1/integrations/{integration_id}/resume": "tenant admin",
    "POST /v1/integrations/{integration_id}/close-gaps": "tenant admin",
    "POST /v1/integrations/{integration_id}/secret": "tenant admin",
    "PATCH /v1/integrations/{integration_id}": "tenant admin",
    "GET /v1/hooks/{provider}/{integration_id}": "service", "POST /v1/hooks/{provider}/{integration_id}": "service",
    "POST /v1/hooks/segment/{integration_id}/v1/{call}": "service",
    "GET /v1/tenants": "both read", "GET /v1/tenants/{tenant}": "both read",
    "POST /v1/tenants": "operator", "PATCH /v1/tenants/{tenant}": "operator",
    "GET /v1/keys": "both admin", "POST /v1/keys": "both admin", "GET /v1/keys/{key}": "both admin",
    "POST /v1/keys/{key}/revoke": "both admin", "POST /v1/keys/{key}/rotate": "both admin",
    "GET /v1/reports": "tenant read", "POST /v1/reports": "tenant read", "GET /v1/reports/{report}": "tenant read",
    "GET /v1/reports/{report}/download": "tenant read", "DELETE /v1/reports/{report}": "tenant admin",
    "POST /v1/exports": "tenant export", "GET /v1/exports/{export}": "tenant export",
    "GET /v1/exports/{export}/download": "tenant export",
    "GET /v1/calendar": "tenant admin", "PUT /v1/calendar": "tenant admin",
    "GET /v1/names": "tenant read", "PUT /v1/names": "tenant admin",
    "GET /v1/labels": "tenant read", "PUT /v1/labels": "tenant admin", "POST /v1/labels": "tenant admin",
    "POST /v1/labels/try": "tenant read",
    "POST /v1/labels/rename": "tenant admin", "GET /v1/labels/review": "tenant admin", "POST /v1/labels/review": "tenant admin",
    "POST /v1/labels/undo": "tenant admin", "GET /v1/labels/reviewed": "tenant admin",
    "GET /v1/labels/suggestions": "tenant admin", "POST /v1/labels/suggestions/{number}/accept": "tenant admin",
    "POST /v1/labels/suggestions/{number}/dismiss": "tenant admin",
    "POST /v1/erase": "both erase", "GET /v1/erasures": "both erase",
    "GET /v1/restatements": "tenant read",
    "GET /v1/live": "tenant read",
    "GET /v1/targets": "tenant read", "POST /v1/targets": "tenant admin", "DELETE /v1/targets/{target}": "tenant admin",
    "GET /v1/rules": "tenant read", "PUT /v1/rules": "tenant admin",
    "GET /v1/subscriptions": "tenant read", "POST /v1/subscriptions": "tenant admin",
    "POST /v1/subscriptions/{subscription}/stop": "tenant admin", "DELETE /v1/subscriptions/{subscription}": "tenant admin",
    "GET /v1/alerts": "tenant read", "POST /v1/alerts": "tenant admin", "POST /v1/alerts/try": "tenant read",
    "GET /v1/alerts/{alert}": "tenant read", "PATCH /v1/alerts/{alert}": "tenant admin",
    "DELETE /v1/alerts/{alert}": "tenant admin",
    "GET /v1/incidents": "tenant read", "GET /v1/incidents/{incident}": "tenant read",
    "POST /v1/incidents/{incident}/acknowledge": "tenant admin", "POST /v1/incidents/{incident}/snooze": "tenant admin",
    "GET /v1/destinations": "tenant read", "POST /v1/destinations": "tenant admin",
    "POST /v1/destinations/{destination}/test": "tenant admin", "DELETE /v1/destinations/{destination}": "tenant admin",
    "GET /v1/messages": "tenant read", "POST /v1/messages/{message}/retry": "tenant admin",
    "GET /metrics": "anybody", "GET /docs": "anybody", "GET /openapi.json": "anybody",
}  # fmt: skip
"""Access of every route: anybody, a tenant's key with a scope, that and operators ("both"), operators alone, or a
service with its own signature.
"""
SHARED = {"type": "message.sent", "time": "2026-08-03T10:00:00Z", "id": "shared", "source": "shared"}
"""An event of tenant A that another tenant may send unchanged."""
BODIES = {
    "/v1/integrations/{integration_id}/secret": {"secret": "x"},
    "/v1/incidents/{incident}/snooze": {"until": "2026-08-21"}, "/v1/incidents/{incident}/acknowledge": {},
    "/v1/alerts/{alert}": {"most": 3}, "/v1/integrations/{integration_id}": {"name": "x"},
    "/v1/labels/suggestions/{number}/accept": {"label": "wifi"},
}  # fmt: skip
"""Bodies of routes to an object that need a specific one."""
OPEN = ("/healthz", "/readyz", "/problems/not_found")


def told_by(tenant: str, mark: str) -> Iterator[dict[str, Any]]:
    """Yield an event of every type with a marked text in every text field."""
    for n, type_ in enumerate(sorted(TYPES)):
        texts = {name: f"{mark} {name} {n % 3}" for name in TEXT_FIELDS if name != "kind"}
        yield {
            **texts, "type": type_, "time": f"2026-08-{1 + n % 9:02}T10:00:00Z", "id": f"{mark}-{tenant}-{n}", "kind": "person",
            "attributes": {f"{mark} key": [f"{mark} value"]}, "value": 4 if type_.startswith("satisfaction") else 1.5,
            "confidence": 0.9, "duration_ms": 1000,
        }  # fmt: skip


@dataclass
class House:
    """A server with tenant A, whose every text is a canary, tenant B, and keys of all kinds."""

    engine: Engine
    http: TestClient
    keys: dict[str, str] = field(default_factory=dict)
    output: str = ""

    def ask(self, method: str, path: str, key: str, **how: Any) -> httpx2.Response:
        """Send a request with one of the keys."""
        headers = {} if key == "none" else {"Authorization": f"Bearer {self.keys[key]}"}
        return self.http.request(method, path, headers=headers, **how)

    def place(self, path: str) -> str:
        """Fill in a path with A's objects, new ones each time, so that removing one spares the others."""
        for name, make in OBJECTS.items():
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", make(self.engine))
        return path.replace("{code}", "not_found").replace("{", "").replace("}", "")

    def route(self, method: str, path: str) -> Mapping[str, Any]:
        """Return the description of a route; empty if it has none."""
        return next((route for m, p, route in self.routes() if (m, p) == (method, path)), {})

    def routes(self) -> list[tuple[str, str, Mapping[str, Any]]]:
        """Return every route of the description as (method, path, route)."""
        paths: dict[str, Any] = self.http.get("/openapi.json").json()["paths"]
        return [(m.upper(), p, r) for p, methods in paths.items() for m, r in methods.items()]


def integration(engine: Engine) -> str:
    """Connect an account of tenant A; return its id."""
    settings = {"page_id": "7", "metrics": [CANARY]}
    return str(
        engine.integrations.add("a-canary7f3a", "facebook_page", f"{CANARY}-secret", f"{CANARY} page", settings).id
    )


def job(engine: Engine) -> str:
    """Start a waiting job of tenant A; return its id."""
    payload = {"integration_id": "int_x", "date": "2026-08-01"}
    return str(engine.jobs.start("analytics-ingest", payload, "a-canary7f3a").id)


def key(engine: Engine) -> str:
    """Make a key of tenant A; return its id."""
    return str(engine.keys.add("a-canary7f3a", label=f"{CANARY} spare").id)


def report(engine: Engine) -> str:
    """Make a report of A; return its id."""
    made = engine.reports.make("a-canary7f3a", "monthly", "2026-08-01", sections=["top_intents"], formats=["json"])
    return str(made.id)


@cache
def export(engine: Engine) -> str:
    """Make one export of A, which no route removes; return its id once it is made."""
    made = str(engine.transfer.start("a-canary7f3a").id)
    for _ in range(1200):
        if engine.transfer.get("a-canary7f3a", made).state == "made":
            return made
        time.sleep(0.05)
    raise AssertionError("the export was not made")


def alert(engine: Engine) -> str:
    """Add a rule of tenant A; return its id."""
    rule = {"name": f"{CANARY} rule", "kind": "threshold", "metric": "messages", "limit": 5}
    return str(engine.alerts.add("a-canary7f3a", rule).id)


def incident(engine: Engine) -> str:
    """Open an incident of tenant A; return its id."""
    rule = engine.alert_store.rule("a-canary7f3a", alert(engine))
    id_ = new_id("inc")
    found = Incident(
        id_, "a-canary7f3a", rule.id, f"{CANARY} slice", f"{CANARY} title", NOW, NOW, 9.0, None, 9.0, NOW, 0, NOW
    )
    entry = Entry(id_, NOW, "opened", f"{CANARY} text")
    assert engine.alert_store.decide(rule, Decision(NOW, [found], [entry]))
    return id_


def destination(engine: Engine) -> str:
    """Add a destination of tenant A; return its id."""
    return str(engine.destinations.add("a-canary7f3a", "mail", f"{CANARY}@a.example", f"{CANARY} mail").id)


def message(engine: Engine) -> str:
    """Send a test message of tenant A, which fails without a mail server; return its id."""
    return str(engine.destinations.test("a-canary7f3a", destination(engine)).id)


def subscription(engine: Engine) -> str:
    """Add a digest of tenant A; return its id."""
    return str(engine.subscriptions.add("a-canary7f3a", destination(engine), "daily").id)


def target(engine: Engine) -> str:
    """Set a target of tenant A; return its id."""
    return str(engine.targets.add("a-canary7f3a", "first_response", 15, channel=f"{CANARY} live").id)


def suggestion(engine: Engine) -> str:
    """Suggest a topic to tenant A; return its number."""
    topics = engine.labels.suggestions.stored
    bodies = {topic.number: topic.body for topic in topics.of("a-canary7f3a")}
    run = topics.last_run("a-canary7f3a")
    number = run.last_number + 7_654_321
    bodies[number] = Body((f"{CANARY} word",), (), (Mentioned(f"{CANARY} key", None),), "", 20, 5, 3, None, None)
    topics.store("a-canary7f3a", run, CANARY, 20, bodies, [])
    return str(number)


OBJECTS: dict[str, Callable[[Engine], str]] = {
    "integration_id": integration, "job": job, "key": key, "tenant": lambda _: "a-canary7f3a",
    "report": report, "export": export, "alert": alert, "incident": incident, "destination": destination, "message": message,
    "subscription": subscription, "target": target, "number": suggestion,
}  # fmt: skip
"""Makers of tenant A's objects, by the name in the routes' paths."""


@pytest.fixture
def logs_again() -> Iterator[None]:
    """Restore the log configuration after the test."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Open a server whose tenant A is all canaries, folded; B has its own events."""
    folder = tmp_path_factory.mktemp("tenancy") / "data"
    settings = load(data=folder, free_floor_mb=0, limits={"reads": 0, "ingests": 0})
    with Engine(settings, fixed(NOW)) as engine:
        for tenant, mark in (("a-canary7f3a", CANARY), ("b", "plain")):
            engine.add_tenant(tenant, name=f"{mark} and company")
            assert engine.record(tenant, told_by(tenant, mark))["rejected"] == []
        engine.record("a-canary7f3a", SHARED)
        engine.record("a-canary7f3a", [{"type": f"{CANARY}.unknown", "time": "2026-08-01T10:00:00Z"}, {CANARY: CANARY}])
        assert engine.refresh()["errors"] == {}
        engine.record(
            "a-canary7f3a", {"type": "message.sent", "time": "2026-08-10T10:00:00Z", "channel": f"{CANARY} live"}
        )
        keys = {
            "none": "", "malformed": "x", "unknown": "hub_live_0123456789ab_" + "x" * 43,
            "revoked": engine.keys.add("a-canary7f3a").key,
            "expired": engine.keys.add("a-canary7f3a", expires="2020-01-01").key,
            "operator": engine.keys.add(None, scopes=["admin"]).key,
            "tenant A": engine.keys.add("a-canary7f3a", SCOPES, label=f"{CANARY} label").key,
            "tenant B": engine.keys.add("b", SCOPES).key,
        }  # fmt: skip
        engine.keys.revoke(keys["revoked"].split("_")[2])
        for scope in SCOPES:
            keys[f"only {scope}"] = engine.keys.add("a-canary7f3a", [scope]).key
        with TestClient(create_app(engine, refresh=False), raise_server_exceptions=False) as http:
            yield House(engine, http, keys)


def call(route: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return a request made from a route's description, with A's texts where texts fit."""
    span = {"from": "2026-08-01", "to": "2026-08-20"}
    query = {p["name"]: f"{CANARY}" for p in route.get("parameters", []) if p["in"] == "query" and p.get("required")}
    query |= {name: value for name, value in {**span, "metric": "messages"}.items() if name in query}
    how: dict[str, Any] = {"params": query}
    if path == "/v1/events":
        how["json"] = SHARED
    elif path.endswith(("/rotate", "/trigger")):
        how["json"] = {}
    elif "requestBody" in route:
        how["json"] = {"metrics": ["messages"], **span}
    return how


def everything(answer: httpx2.Response) -> str:
    """Return an answer's body and headers."""
    return answer.text + json.dumps(dict(answer.headers))


def test_every_route_is_in_the_table_of_rights(house: House) -> None:
    """The application's routes are exactly those of the table above, described or not; tests/unit/dashboard covers pages."""
    app: FastAPI = house.http.app  # type: ignore[assignment]
    there = {f"{method} {path}" for path, methods in served(app.routes) for method in methods if method != "HEAD"}
    there -= {
        f"{method} {path}"
        for path, methods in served([*pages.routes, *files.routes, *unsubscribe.routes.routes])
        for method in methods
    }
    assert there == set(ACCESS)


def served(routes: Iterable[Any]) -> Iterator[tuple[str, set[str]]]:
    """Yield path and methods of every route of an application, routers included."""
    for route in routes:
        if hasattr(route, "effective_candidates"):
            yield from served(route.effective_candidates())
        else:
            yield route.path, route.methods or set()


@pytest.mark.parametrize("named", ACCESS)
def test_every_route_refuses_keys_that_are_not_good_for_it(house: House, named: str) -> None:
    """Each route but the open ones is 401 for missing, malformed, unknown, revoked and expired keys, and 403 without
    its scope.
    """
    method, path = named.split()
    who, _, scope = ACCESS[named].partition(" ")
    how = call(house.route(method, path), path)

    def status(key: str) -> int:
        answer = house.ask(method, house.place(path), key, **how)
        assert CANARY not in everything(answer) or key == f"only {scope}" or (who, key) == ("both", "operator")
        return answer.status_code

    if who == "anybody":
        assert status("none") == status("unknown") == 200
        return
    if who == "service":  # no key opens it, and without the service's secret nothing is found
        assert {status(key) for key in house.keys} == {404}
        return
    assert [status(key) for key in ("none", "malformed", "unknown", "revoked", "expired")] == [401] * 5
    for one in SCOPES:
        allowed = who != "operator" and one == scope
        assert (status(f"only {one}") not in (401, 403)) == allowed, one
        assert allowed or status(f"only {one}") == 403
    assert (status("operator") == 403) == (who == "tenant")
    assert status("operator") != 401


def test_no_route_shows_texts_of_another_tenant(house: House) -> None:
    """Each route, called by B with A's ids, names and dates, answers without A's texts; A's event is new when B sends it."""
    assert house.ask("POST", "/v1/events", "tenant A", json=SHARED).json()["duplicates"] == 1
    assert house.ask("POST", "/v1/events", "tenant B", json=SHARED).json()["accepted"] == 1
    for method, path, route in house.routes():
        place = house.place(path)
        answer = house.ask(method, place, "tenant B", **call(route, path))
        assert answer.status_code < 500
        asked = [part for part in place.split("/") if CANARY in part]  # B's own input may be repeated
        said = everything(answer).replace(asked[0], "") if asked else everything(answer)
        assert CANARY not in said, (method, path)


@pytest.mark.parametrize("named", [one for one in ACCESS if any(f"{{{name}}}" in one for name in OBJECTS)])
def test_an_object_of_another_tenant_is_answered_as_unknown(house: House, named: str) -> None:
    """Each route to an object answers B's key in the same words for A's id and an unknown one; A's object is unchanged."""
    method, path = named.split()
    name = next(name for name in OBJECTS if f"{{{name}}}" in path)
    theirs, told = OBJECTS[name](house.engine), set()
    for one in (theirs, "0" * len(theirs)):
        how = call(house.route(method, path), path) | ({"json": BODIES[path]} if path in BODIES else {})
        answer = house.ask(method, path.replace(f"{{{name}}}", one), "tenant B", **how)
        body = {**answer.json(), "request_id": ""}
        told.add((answer.status_code, json.dumps(body).replace(one, "ID")))
    assert {status for status, _ in told} == {403 if ACCESS[named] == "operator" else 404}
    assert len(told) == 1
    if name == "integration_id":
        assert house.engine.integrations.get("a-canary7f3a", theirs).state == "active"
    if name == "key":
        assert house.engine.keys.get(theirs).revoked_at is house.engine.keys.get(theirs).expires_at is None
    if name == "job":
        assert house.engine.jobs.get(theirs).state == "waiting"


def test_no_metric_by_any_dimension_shows_texts_of_another_tenant(house: House) -> None:
    """B's answers and explanations of all metrics by all dimensions hold no text of A; A's answers do."""
    span = {"from": "2026-08-01", "to": "2026-08-20"}
    seen = 0
    for entry in catalogue.entries():
        metric = entry.name + (".p50" if entry.statistics else "")
        asked = {"metrics": [metric], **span, "by": list(entry.dimensions), "details": True}
        answer = house.ask("POST", "/v1/query", "tenant B", json=asked)
        assert answer.status_code == 200, answer.text
        assert CANARY not in everything(answer), metric
        seen += CANARY in house.ask("POST", "/v1/query", "tenant A", json=asked).text
        explained = house.ask("GET", "/v1/explain", "tenant B", params={"metric": metric, **span, "limit": 1000})
        assert explained.status_code == 200, explained.text
        assert CANARY not in everything(explained), metric
    assert seen > 20


def test_texts_of_a_tenant_reach_neither_errors_of_others_nor_metrics(house: House) -> None:
    """Errors of B's questions suggest no text of A; Prometheus metrics, health and readiness name no tenant."""
    for asked in (
        {"metrics": [CANARY[:6]]},
        {"metrics": ["messages"], "by": [CANARY[:6]]},
        {"metrics": ["messages"], "grain": CANARY[:6]},
    ):
        answer = house.ask("POST", "/v1/query", "tenant B", json={"from": "2026-08-01", "to": "2026-08-20", **asked})
        assert answer.status_code == 400
        assert CANARY not in everything(answer)
    for path in ("/metrics", *OPEN, "/openapi.json", "/docs"):
        assert CANARY not in everything(house.http.get(path))


def test_texts_of_a_tenant_reach_no_log(
    house: House, logs_again: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """At level debug, with rejected events, bad questions and a failing store, logs hold no text and no key."""
    configure_logs("debug", json=True)
    house.ask("POST", "/v1/events", "tenant A", json=[*told_by("x", CANARY), {"type": CANARY}, {CANARY: 1}])
    house.ask("POST", "/v1/events", "tenant A", content=CANARY.encode())
    house.ask("POST", "/v1/query", "tenant A", json={"metrics": [CANARY], "from": "2026-08-01", "to": "2026-08-20"})
    house.engine.refresh()

    def broken(*_: object) -> None:
        raise ValueError(f"no {CANARY} here")

    monkeypatch.setattr(house.engine.queries, "answer", broken)
    house.ask("POST", "/v1/query", "tenant A", json={"metrics": ["messages"], "from": "2026-08-01", "to": "2026-08-20"})
    printed = "".join(capfd.readouterr())
    assert "request failed" in printed
    assert CANARY not in printed
    assert not [name for name, key in house.keys.items() if len(key) > 30 and key[-30:] in printed]


def test_a_tenant_is_never_taken_from_the_body(house: House) -> None:
    """Naming A in an event, a parameter or a header changes nothing: B's events are B's, or refused."""
    event = {"type": "message.sent", "time": "2026-08-15T10:00:00Z", "id": "mine"}
    for name in ("tenant", "tenant_id", "tenantId"):
        told = house.ask("POST", "/v1/events", "tenant B", json={**event, name: "a-canary7f3a"}).json()
        assert told["rejected"][0]["code"] == "unknown_field"
    assert house.ask("POST", "/v1/events?tenant=a-canary7f3a", "tenant B", json=event).status_code == 400
    header = {"X-Tenant": "a-canary7f3a", "Authorization": f"Bearer {house.keys['tenant B']}"}
    assert house.http.post("/v1/events", headers=header, json=event).json()["accepted"] == 1
    house.engine.refresh()
    with house.engine.store.facts.read() as reading:
        numbers = dict(reading.rows("SELECT tenant, count(*) FROM event WHERE id = 'mine' GROUP BY tenant"))
    assert numbers == {house.engine.control.tenant("b").no: 1}


def test_keys_are_stored_as_digests_only(house: House) -> None:
    """No file of the data folder holds the secret of a key or of an integration."""
    folder: Path = house.engine.settings.data
    secrets = [
        key.rsplit("_", 1)[1].encode()
        for name, key in house.keys.items()
        if name in ("tenant A", "tenant B", "operator")
    ]
    integration(house.engine)
    secrets.append(f"{CANARY}-secret".encode())
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path.name

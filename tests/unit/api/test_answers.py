"""Queries over HTTP: the engine's own answers, and problems that say what is wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hubbub import __version__
from hubbub.api.app import create_app
from hubbub.control.control import SCOPES
from tests.unit.api.conftest import DAY, NOW, Face, event, open_engine

SPAN = {"start": DAY["from"], "end": DAY["to"]}


@pytest.fixture
def told(face: Face) -> Face:
    """Serve an engine that has a conversation with a reply, a complaint and an escalation."""
    face.post(
        [
            event("m1", contact_id="c", conversation_id="k", account_id="one"),
            event("m2", 11, type="message.sent", contact_id="c", conversation_id="k", staff_id="ada", channel="mail"),
            event(
                "t1",
                12,
                type="topic.classified",
                topic="noise",
                sentiment="negative",
                channel_id="room",
                confidence=0.9,
            ),
            event("x1", 13, type="escalation.raised", severity="high", channel_id="room"),
        ]
    ).raise_for_status()
    return face


def test_a_question_is_answered_as_the_engine_answers(told: Face) -> None:
    """POST /v1/query equals Engine.query, before and after folding, split, filtered and compared."""
    questions: list[dict[str, Any]] = [
        {}, {"grain": "hour"}, {"by": ["channel"]}, {"where": {"channel": "sms"}}, {"where": {"channel": ["sms", "mail"]}},
        {"compare": "previous"}, {"details": True}, {"include_bots": True},
        {"metrics": ["response_ms.p50", "first_response_ms.avg"]},
    ]  # fmt: skip
    for _ in range(2):
        for question in questions:
            expected = told.engine.query("acme", **{"metrics": ["messages"], **SPAN, **question})
            assert told.ask(**question).raise_for_status().json() == expected
        told.engine.refresh()


def test_the_other_answers_are_the_engines(told: Face) -> None:
    """Explain, dashboard, trends, hotspots and the catalogue equal the embedded engine's answers."""
    engine, days = told.engine, (DAY["from"], DAY["to"])
    assert told.get("/v1/metrics").json() == engine.metrics()
    assert told.get("/v1/dashboard").json() == engine.dashboard("acme")
    assert told.get("/v1/trends", **DAY, grain="day").json() == engine.trends("acme", *days)
    assert told.get("/v1/hotspots", **DAY).json() == engine.hotspots("acme", *days)
    assert told.get("/v1/hotspots", **DAY, min=1, ratio=0.5).json() == engine.hotspots("acme", *days, 1, 0.5)
    shown = told.get("/v1/explain", metric="messages", **DAY, where=["channel=sms"], limit=1).json()
    assert shown == engine.explain("acme", "messages", *days, where={"channel": "sms"}, limit=1)
    assert (shown["value"], shown["events"]["rows"][0]["id"]) == (1, "m1")
    cursor = told.get("/v1/explain", metric="messages", **DAY, limit=1).json()["events"]["next"]
    second = told.get("/v1/explain", metric="messages", **DAY, limit=1, cursor=cursor)
    assert (second.json()["events"]["total"], [r["id"] for r in second.json()["events"]["rows"]]) == (2, ["m2"])
    assert second.json()["events"]["next"] is None


@pytest.mark.parametrize(
    ("question", "hint"),
    [
        ({"metrics": ["mesages"]}, "messages"),
        ({"metrics": ["response_ms"]}, "response_ms.p50"),
        ({"metrics": ["messages.p50"]}, "not in the catalogue"),
        ({"by": ["chanel"]}, "channel"),
        ({"where": {"chanel": "x"}}, "channel"),
        ({"grain": "year"}, "month"),
        ({"from": "yesterday"}, "2026-08-01"),
        ({"from": "2026-02-30"}, "2026-08-01"),
        ({"from": "2026-08-01T10:00:00"}, "offset"),
        ({"from": "2026-08-03"}, "before"),
        ({"from": "0001-01-01T00:00:00+14:00"}, ""),
        ({"to": "9999-12-31T23:59:59-14:00"}, ""),
        ({"from": "2001-01-01", "to": "2099-01-01", "grain": "hour"}, "coarser"),
        ({"compare": "next"}, "previous"),
        ({"by": ["channel", "channel"]}, "twice"),
        ({"metrics": []}, "metrics"),
        ({"metrics": ["\ud800"]}, "metrics"),
        ({"where": {"\ud800": "x"}}, "where"),
        ({"details": "perhaps"}, "details"),
        ({"tenant": "other"}, "tenant"),
    ],
    ids=str,
)
def test_a_question_without_an_answer_is_a_400_with_a_hint(arena: Face, question: dict[str, Any], hint: str) -> None:
    """Unknown metrics, dimensions, grains and dates, and ranges without an answer, are 400 with a hint."""
    answer = arena.ask(**question)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("bad_question", "bad_request")
    assert hint in answer.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/explain?metric=mesages&from=2026-08-01&to=2026-08-02",
        "/v1/explain?metric=messages&from=2026-08-01&to=2026-08-02&where=channel",
        "/v1/explain?metric=messages&from=2026-08-01&to=2026-08-02&limit=0",
        "/v1/explain?metric=messages&from=2026-08-01&to=2026-08-02&cursor=x",
        "/v1/explain?metric=%ED%A0%80&from=2026-08-01&to=2026-08-02",
        "/v1/explain?metric=messages",
        "/v1/trends?from=2026-08-01&to=2026-08-02&grain=eon",
        "/v1/trends?from=2026-08-02&to=2026-08-01",
        "/v1/hotspots?from=9999-12-31T23:59:59-14:00&to=2026-08-02",
        "/v1/hotspots?from=today&to=2026-08-02",
    ],
)
def test_bad_parameters_are_a_400(arena: Face, path: str) -> None:
    """Parameters that cannot be parsed or answered are 400 with a detail."""
    answer = arena.get(path)
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"5", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900])
def test_a_question_that_is_no_json_object_is_a_400(arena: Face, body: bytes) -> None:
    """A query that is not a JSON object is a 400 problem."""
    answer = arena.http.post("/v1/query", content=body, headers=arena.auth | {"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("path", ["/v1/query", "/v1/snapshots", "/v1/ai/responses"])
@pytest.mark.parametrize("sent", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_json_without_its_content_type_gets_a_400_that_names_the_header(arena: Face, path: str, sent: str) -> None:
    """JSON without its Content-Type is a 400 that names the header, and not every field as missing."""
    question = json.dumps({"metrics": ["messages"], **DAY}).encode()
    headers = arena.auth | ({"Content-Type": sent} if sent else {})
    answer = arena.http.post(path, content=question, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert "'Content-Type: application/json'" in answer.json()["detail"]
    assert (sent or "no Content-Type") in answer.json()["detail"]


def test_an_unknown_parameter_is_refused(told: Face) -> None:
    """A mistyped parameter, or one of another route, is a 400: ignored, it would change the answer."""
    asked = "/v1/changes?metric=messages&from=2026-08-01&to=2026-08-02"
    assert told.get(asked).status_code == 200
    for unknown, hint in (("whree=channel=sms", "did you mean 'where'?"), ("as_of=2026-08-01", "'as_of'")):
        refused = told.get(f"{asked}&{unknown}")
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
        assert hint in refused.json()["detail"]


def test_a_repeated_parameter_is_refused(told: Face) -> None:
    """A parameter given twice is a 400, since only the last would count; a list may be repeated."""
    asked = "/v1/changes?metric=messages&from=2026-08-01&to=2026-08-02"
    refused = told.get(f"{asked}&metric=csat")
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
    assert "'metric' occurs 2 times" in refused.json()["detail"]
    assert told.get(f"{asked}&where=channel=sms&where=channel=chat").status_code == 200


def test_problems_are_rfc_9457(face: Face) -> None:
    """Every error is application/problem+json with type, title, status, detail, code and the request id of its header."""
    answers = [
        face.http.get("/v1/dashboard"), face.http.get("/nowhere"), face.http.delete("/v1/query", headers=face.auth),
        face.ask(grain="eon"), face.post(b"5"),
    ]  # fmt: skip
    for answer in answers:
        told = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(told) == {"type", "title", "status", "detail", "code", "request_id"}
        assert told["status"] == answer.status_code
        assert told["type"] == f"/problems/{told['code']}"
        assert told["request_id"] == answer.headers["request-id"]
    assert [a.json()["code"] for a in answers] == [
        "unauthenticated", "not_found", "method_not_allowed", "bad_question", "bad_request",
    ]  # fmt: skip
    assert len({a.json()["request_id"] for a in answers}) == len(answers)
    assert answers[0].headers["www-authenticate"] == "Bearer"


def test_an_unexpected_error_is_a_500_without_details(
    face: Face, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected error is a problem with a request id; the log has id and place, and neither has a key or a text."""

    def broken(*_: object) -> None:
        raise ValueError("secret text of a tenant")

    monkeypatch.setattr(face.engine.queries, "answer", broken)
    answer = face.ask()
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.json()["request_id"] == answer.headers["request-id"]
    printed = "".join(capsys.readouterr())
    assert answer.json()["request_id"] in printed
    assert "test_answers.py" in printed
    for canary in ("secret text", face.key, face.key[-40:]):
        assert canary not in printed + answer.text


def test_unknown_routes_and_paths_get_the_same_404(face: Face) -> None:
    """Unknown routes, and unknown paths below a route, give the same 404."""
    bodies = [face.get(p).json() for p in ("/nowhere", "/v1/nothing", "/v1/metrics/other")]
    assert {tuple(sorted((k, v) for k, v in b.items() if k != "request_id")) for b in bodies} == {
        tuple(sorted((k, v) for k, v in bodies[0].items() if k != "request_id"))
    }
    assert bodies[0]["status"] == 404


def test_health_readiness_and_metrics_need_no_key(told: Face) -> None:
    """/healthz, /readyz and /metrics need no key; counters have no tenant, and count by route, not by path."""
    assert told.http.get("/healthz").json() == {"status": "ok"}
    assert told.http.get("/readyz").json()["status"] == "ready"
    told.http.get("/nowhere/acme")
    text = told.http.get("/metrics").text
    assert 'hubbub_events_total{verdict="stored"}' in text
    assert 'route="/v1/events",status="2xx"' in text
    assert 'route="unmatched",status="4xx"' in text
    assert "acme" not in text


def test_readiness_gives_the_number_of_waiting_batches(tmp_path: Path) -> None:
    """Without its own refresher a server says how many batches wait, whichever process stored the last ones."""
    with open_engine(tmp_path) as engine, open_engine(tmp_path) as another:
        engine.add_tenant("acme")
        with TestClient(create_app(engine, refresh=False)) as http:
            engine.record("acme", [event("m1"), event("m2")])
            engine.record("acme", event("m3"))
            assert http.get("/readyz").json()["behind_batches"] == 2
            another.refresh()
            assert http.get("/readyz").json()["behind_batches"] == 0
            engine.record("acme", event("m4"))
            assert http.get("/readyz").json()["behind_batches"] == 1


def test_readiness_fails_with_the_refresher(tmp_path: Path) -> None:
    """When the refresher is stuck /readyz is 503, and /healthz stays 200."""
    with open_engine(tmp_path) as engine:
        app = create_app(engine, refresh=False)
        app.state.refreshing.alive = lambda: False
        with TestClient(app) as http:
            assert http.get("/readyz").status_code == 503
            assert http.get("/healthz").status_code == 200


def test_the_description_names_every_route_and_its_problems(face: Face) -> None:
    """OpenAPI has a summary of each operation, describes 4XX as problem documents, and has no 422."""
    described = face.http.get("/openapi.json").json()
    assert described["info"]["version"] == __version__
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (path, method)
            assert "application/problem+json" in operation["responses"]["4XX"]["content"]
            assert "422" not in operation["responses"]


def test_operating_needs_an_operators_key(face: Face) -> None:
    """A tenant's key with any scopes, an unknown key and no key are refused; an operator's key is accepted."""
    own = face.engine.keys.add("acme", scopes=SCOPES).key
    refused = [(own, 403), (face.key, 403), (face.operator + "x", 401)]
    for key, status in (*refused, (face.operator, 201)):
        answer = face.http.post("/v1/tenants", json={"tenant": "new"}, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status
    for value in ("Bearer ", "Bearer", "", "Bearer \x00", "Basic dGVzdA=="):
        assert face.http.post("/v1/tenants", json={}, headers={"Authorization": value}).status_code == 401
    assert face.http.post("/v1/tenants", json={}).status_code == 401


def test_an_operators_key_names_no_tenant(face: Face) -> None:
    """An operator's key cannot query, since it has no tenant."""
    operator = face.engine.keys.add(None, scopes=["admin", "read", "ingest"]).key
    answer = face.http.get("/v1/dashboard", headers={"Authorization": f"Bearer {operator}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_revoked_key_is_refused_at_once(face: Face) -> None:
    """The next request with a revoked key is refused, although the key was cached."""
    assert face.get("/v1/dashboard").status_code == 200
    assert face.engine.keys.revoke(face.key.split("_")[2]).revoked_at
    assert face.get("/v1/dashboard").status_code == 401


def test_a_key_ends_at_its_expiry(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expired key is refused, and no key is cached beyond its expiry."""
    past = face.engine.keys.add("acme", expires=(NOW - timedelta(days=365 * 20)).isoformat()).key
    assert face.http.get("/v1/dashboard", headers={"Authorization": f"Bearer {past}"}).status_code == 401
    key, text = face.engine.control.add_key("acme", ["read"], expires_at=NOW + timedelta(days=365 * 50))
    monkeypatch.setattr("hubbub.api.auth.system_clock", lambda: NOW + timedelta(days=365 * 50, seconds=-1))
    ring = face.http.app.state.keys  # type: ignore[attr-defined]
    assert ring.key(text).id == key.id
    until, _ = ring._known[text]
    monkeypatch.setattr("hubbub.api.auth.time.monotonic", lambda: until + 0.001)
    monkeypatch.setattr(face.engine.control, "authenticate", lambda _: pytest.fail("asked anew"))
    with pytest.raises(pytest.fail.Exception):
        ring.key(text)


def test_an_answer_can_be_a_table(face: Face) -> None:
    """With `Accept: text/csv` a query's rows come as CSV with formulas neutralised and the same numbers; otherwise as JSON."""
    at = {"type": "message.received", "time": "2026-08-10T10:00:00Z"}
    face.engine.record(
        "acme", [{**at, "id": "csv-1", "channel": "=1+1"}, {**at, "id": "csv-2", "channel": "sms"}], history=True
    )
    body = {"metrics": ["messages_received"], "from": "2026-08-10", "to": "2026-08-11", "by": ["channel"]}
    rows = face.http.post("/v1/query", json=body, headers=face.auth).json()["rows"]
    answer = face.http.post("/v1/query", json=body, headers={**face.auth, "Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    marked = face.http.post("/v1/query", json=body, headers={**face.auth, "Accept": "text/csv; charset=utf-8-sig"})
    assert marked.content == b"\xef\xbb\xbf" + answer.content
    assert "Age" in answer.headers
    lines = answer.text.splitlines()
    assert lines[0] == "window,channel,messages_received"
    shown = {"=1+1": "'=1+1", "sms": "sms"}
    assert lines[1:] == [f"{row['window']},{shown[row['channel']]},{row['messages_received']}" for row in rows]


@pytest.mark.parametrize(
    "moment", ["0001-01-01", "9999-12-31", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-12:00"]
)
@pytest.mark.parametrize(
    "path",
    [
        "dashboard?at={}", "dashboard?at={}&days=366", "dashboard/now?at={}", "trends?from={}&to=2026-08-02",
        "trends?from=2026-08-01&to={}&grain=hour", "hotspots?from={}&to=2026-08-02", "snapshots?from={}&to=2026-08-02",
        "snapshots?from=2026-08-01&to={}", "explain?metric=messages&from={}&to=2026-08-02",
        "changes?metric=messages&from={}&to=2026-08-02&compare=year", "changes?metric=messages&from=2026-08-01&to={}",
    ],
)  # fmt: skip
def test_the_ends_of_time_are_a_400(arena: Face, path: str, moment: str) -> None:
    """Every route refuses a date or moment at either end of the calendar with 400."""
    answer = arena.http.get(f"/v1/{path.format(moment)}", headers=arena.auth)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_question")


@pytest.mark.parametrize("moment", ["2000-01-01", "2000-01-02T00:00:00Z", "2026-08-20"])
@pytest.mark.parametrize("path", ["dashboard?at={}&days=366", "dashboard?at={}&against=week", "dashboard/now?at={}"])
def test_a_comparison_before_2000_is_never_a_500(arena: Face, path: str, moment: str) -> None:
    """A comparison that would begin before 2000 is answered or a 400, never a 500."""
    assert arena.http.get(f"/v1/{path.format(moment)}", headers=arena.auth).status_code in (200, 400)

"""Every delivery is logged with its outcome and reason before its sender is answered, without texts or secrets."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from hubbub import errors
from hubbub.api import deliveries as deliveries_
from hubbub.control.control import SCOPES
from hubbub.control.deliveries import deliveries
from hubbub.model.plain import plain
from tests.unit.api.conftest import Face, event, open_engine, serving

CANARY = "canary5d1e"
BAD = {"type": "message.lost", "time": "2026-08-01T10:00:00Z"}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Face]:
    """Serve an engine with limits of three events and one megabyte a request."""
    with serving(tmp_path / "data", max_batch=3, max_body_mb=1) as made:
        yield made


def log(face: Face, **asked: Any) -> list[dict[str, Any]]:
    """Return the delivery log, as the command and the page read it."""
    rows: list[dict[str, Any]] = plain(face.engine.monitoring.deliveries(**asked).rows)
    return rows


def told(face: Face) -> set[tuple[Any, ...]]:
    """Return (status, outcome, reason, (tenant, whether the key is known), bodies) of every row."""
    return {
        (row["status"], row["outcome"], row["reason"], (row["tenant"], row["key"] is not None), row["bodies"])
        for row in log(face)
    }


def with_key(face: Face, key: str) -> Face:
    """Return the same client with another key."""
    return Face(face.engine, face.http, key)


MINE, NOBODY = ("acme", True), (None, False)


def test_accepted_events_and_bytes_are_counted(face: Face) -> None:
    """Counts of events and the bytes of bodies add up by outcome in a row of the minute, newest first; bad filters are refused."""
    first, second = json.dumps([event("a"), event("b")]).encode(), gzip.compress(json.dumps(event("a")).encode())
    assert face.post(first).status_code == face.post(second, **{"Content-Encoding": "gzip"}).status_code == 202
    face.post([event("a", revision=2), BAD, {"type": "message.sent"}])
    half, good = log(face)
    assert good == {
        "minute": "2026-08-20T12:00:00Z", "tenant": "acme", "key": face.key.split("_")[2], "state": "accepted", "origin": "api",
        "status": 202, "outcome": "accepted", "bodies": 2, "bytes": len(first) + len(second), "accepted": 2, "duplicates": 1,
        "corrected": 0, "rejected": 0, "reason": None, "field": None,
    }  # fmt: skip
    assert (half["state"], half["accepted"], half["corrected"], half["rejected"]) == ("partly refused", 1, 1, 2)
    assert (half["reason"], half["field"]) == ("unknown_type", "type")
    face.post([BAD])
    assert log(face, state="refused")[0]["outcome"] == "refused"
    for refused, asked in (
        (errors.BadInputError, {"state": "lost"}), (errors.BadRequestError, {"cursor": "x"}),
        (errors.NotFoundError, {"tenant": "nobody"}),
    ):  # fmt: skip
        with pytest.raises(refused):
            log(face, **asked)


def test_a_delivery_without_an_accepted_event_is_a_warning(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 202 whose events were all refused is a warning with tenant, reason and count, once a minute; other answers are not."""
    with capture_logs() as logs:
        for body in ([event("a")], [BAD, event("b")], [BAD, BAD], [BAD]):
            assert face.post(body).status_code == 202
        monkeypatch.setattr(deliveries_, "WARN_EVERY", 0.0)
        face.post([{**BAD, "channel": CANARY}])
    warned = [one for one in logs if one["log_level"] == "warning"]
    assert [(one["tenant"], one["reason"], one["field"], one["events"]) for one in warned] == [
        ("acme", "unknown_type", "type", 2), ("acme", "unknown_type", "type", 1),
    ]  # fmt: skip
    assert CANARY not in str(logs)


def test_refused_bodies_are_logged_with_a_reason(small: Face) -> None:
    """Unreadable, badly packed and too large bodies are logged with the key and the most precise reason."""
    small.post(b"{")
    small.post(b"{", **{"Content-Type": "text/plain"})
    small.post(b"x", **{"Content-Encoding": "gzip"})
    small.post(gzip.compress(b"[]")[:-3], **{"Content-Encoding": "gzip"})
    small.post(b"x", **{"Content-Encoding": "br"})
    small.post([event(str(n)) for n in range(4)])
    small.post(b" " * (1 << 20) + b"[]")
    small.http.post("/v1/events", content=iter([b" " * (1 << 20), b"[]"]), headers=small.auth)
    assert told(small) == {
        (400, "bad_request", "unreadable", MINE, 2), (400, "bad_request", "bad_gzip", MINE, 2),
        (400, "bad_request", "unknown_encoding", MINE, 1), (413, "too_large", "too_many_events", MINE, 1),
        (413, "too_large", None, MINE, 2),
    }  # fmt: skip
    assert max(row["bytes"] for row in log(small)) > 1 << 20


def test_refused_keys_are_logged_with_a_reason(face: Face) -> None:
    """Missing and unknown keys are logged without a tenant; expired, revoked and insufficient keys with theirs."""
    ended = face.engine.keys.add("acme", expires="2020-01-01").key
    gone = face.engine.keys.add("acme")
    face.engine.keys.revoke(gone.id)
    wrong = face.key[:-5] + "wrong"
    answers = [with_key(face, key).post(event("a")).json() for key in ("x", wrong, ended, gone.key)]
    answers.append(face.http.post("/v1/events", json=event("a")).json())
    assert {(one["detail"], one["code"]) for one in answers} == {
        (errors.UnauthenticatedError().message, "unauthenticated")
    }
    with_key(face, face.engine.keys.add("acme", ["read"]).key).post(event("a"))
    with_key(face, face.engine.keys.add(None, SCOPES).key).post(event("a"))
    assert told(face) == {
        (401, "unauthenticated", "no_key", NOBODY, 1), (401, "unauthenticated", "unknown_key", NOBODY, 2),
        (401, "unauthenticated", "expired_key", MINE, 1), (401, "unauthenticated", "revoked_key", MINE, 1),
        (403, "forbidden", "missing_scope", MINE, 1), (403, "forbidden", "no_tenant", (None, True), 1),
    }  # fmt: skip
    assert [row["tenant"] for row in log(face, tenant="acme")] == ["acme"] * 3


def test_failures_of_the_server_are_logged(face: Face, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rate limits, a full disk, an unavailable store and unexpected errors are logged as deliveries."""
    with serving(tmp_path / "slow", limits={"ingests": 0.001, "burst": 1}) as slow:
        assert [slow.post(event(str(n))).status_code for n in range(3)] == [202, 429, 429]
        assert told(slow) == {(202, "accepted", None, MINE, 1), (429, "rate_limited", None, MINE, 2)}
    with serving(tmp_path / "full", free_floor_mb=1 << 40) as full:
        assert full.post(event("a")).status_code == 507
        assert told(full) == {(507, "store_full", None, MINE, 1)}

    def broken(error: Exception) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(face.engine.store.log, "append", fail)
        assert face.post(event("a")).status_code >= 500

    broken(errors.StoreUnavailableError())
    broken(ValueError(CANARY))
    assert told(face) == {(503, "store_unavailable", None, MINE, 1), (500, "internal", None, MINE, 1)}


def test_a_broken_connection_is_logged_as_the_senders(face: Face) -> None:
    """A connection that ends within its body is logged as the sender's, and not as an error of the server."""
    head = [(name.lower().encode(), value.encode()) for name, value in face.auth.items()]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/events", "raw_path": b"/v1/events", "query_string": b"",
        "headers": [*head, (b"content-length", b"1000")], "http_version": "1.1", "scheme": "http",
        "server": ("testserver", 80), "client": ("testclient", 1), "root_path": "", "asgi": {"version": "3.0"}, "state": {},
    }  # fmt: skip
    said = iter([{"type": "http.request", "body": b'[{"type"', "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        """Return the next message of the sender."""
        return next(said)

    async def send(_: Any) -> None:
        """Discard the response: the sender is gone."""

    async def ask() -> None:
        """Run one request."""
        await face.http.app(scope, receive, send)

    with capture_logs() as logged:
        asyncio.run(ask())
    assert told(face) == {(400, "bad_request", "sender_gone", MINE, 1)}
    assert log(face)[0]["bytes"] == 8
    assert logged == []


def test_queries_and_other_requests_are_not_logged(face: Face) -> None:
    """Queries, other operations, methods and addresses are not logged as deliveries."""
    face.get("/v1/metrics")
    face.get("/v1/events")
    face.http.post("/v1/events/", json=event("a"), headers=face.auth, follow_redirects=False)
    face.ask()
    assert log(face) == []


def test_no_text_of_a_body_or_key_is_stored(face: Face) -> None:
    """No text of a body, key, header or field name, and no key's secret, is in the log or in a file of the control data."""
    words: dict[str, Any] = {"contact_id": CANARY, "attributes": {CANARY: CANARY}}
    for body in (
        [event(CANARY, channel=CANARY, **words), {"type": CANARY, "time": CANARY}, {CANARY: CANARY}],
        {CANARY: CANARY}, {**BAD, CANARY: 1}, {**event("x"), "duration_ms": CANARY}, f"{CANARY} {{".encode(), [CANARY],
    ):  # fmt: skip
        face.post(body)
    face.post([event("a")], **{"Content-Encoding": CANARY, "X-Forwarded-For": CANARY, "User-Agent": CANARY})
    with_key(face, f"hub_live_{CANARY}_{CANARY}").post(event("a"))
    assert len(log(face)) >= 5
    assert CANARY not in json.dumps(log(face))
    face.engine.close()
    files = list(face.engine.settings.data.glob("control.db*"))
    assert files and not any(CANARY.encode() in file.read_bytes() for file in files)
    secret = face.key.rsplit("_", 1)[1].encode()
    assert not any(secret in file.read_bytes() for file in files)


def test_a_server_writes_the_delivery_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server writes the log by itself; while the database fails there is one warning, and nothing is lost."""
    monkeypatch.setattr(deliveries_, "SECONDS", 0.01)
    with capture_logs() as logged, serving(tmp_path / "data") as face:
        face.post(event("a"))
        until_written(face, 1)
        with face.engine.database.write() as con:
            con.execute(sa.text("ALTER TABLE deliveries RENAME TO hidden"))
        for n in range(20):
            face.post(event(str(n)))
        while not logged:
            time.sleep(0.01)
        with face.engine.database.write() as con:
            con.execute(sa.text("ALTER TABLE hidden RENAME TO deliveries"))
        until_written(face, 21)
    assert [one["event"] for one in logged] == ["the delivery log cannot be written"]


def until_written(face: Face, bodies: int) -> None:
    """Wait until the database holds this number of bodies."""
    while True:
        with face.engine.database.read() as con:
            if con.execute(sa.select(sa.func.sum(deliveries.c.bodies))).scalar() == bodies:
                return
        time.sleep(0.01)


def test_a_shutdown_writes_the_last_counts(tmp_path: Path) -> None:
    """An orderly shutdown writes the last counts."""
    with serving(tmp_path / "data") as face:
        face.post(event("a"))
    with open_engine(tmp_path / "data") as engine:
        assert [(row.bodies, row.accepted) for row in engine.monitoring.deliveries().rows] == [(1, 1)]

"""Routes of jobs, schedules, integrations, snapshots and replies answer hostile requests with a clear 4xx."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.api.conftest import Face

REPLY: dict[str, Any] = {
    "workspace_id": "w", "user_id": "u", "channel_id": "c", "message_ts": "1.0", "trigger_message_text": "t",
    "context_messages": [{"user_id": "u", "text": "t", "ts": "1.0"}], "triggered_by": "mention",
}  # fmt: skip
INGEST = {"tenant": "acme", "integration_id": "x", "date": "2026-08-01"}
GOOD: dict[str, dict[str, Any]] = {
    "/v1/jobs/trend-aggregation": {"payload": {"dates": ["2026-08-01"]}, "priority": 1, "delay": 0, "id": "a"},
    "/v1/jobs/analytics-ingest": {"payload": INGEST},
    "/v1/schedules/daily-snapshots/trigger": {"date": "2026-08-01"},
    "/v1/schedules/daily-snapshots/backfill": {"from": "2026-08-01", "to": "2026-08-02"},
    "/v1/integrations": {"provider": "facebook_page", "name": "P", "settings": {"page_id": "7"}, "secret": "s"},
    "/v1/snapshots": {"kind": "daily", "date": "2026-08-01"},
    "/v1/ai/responses": REPLY,
}
BODIES = [b"1", b"[]", b"{", b"\xff", b'"\\ud800"', b"[" * 100_000, b'{"payload":' + b'{"a":' * 900 + b"1" + b"}" * 901]
VALUES: list[Any] = ["\0", "\ud800", 2**63, 10**400, -1.5, [[[]]], "x" * 100_000, {"\0": 1}, {"\ud800": "\ud800"}]
SENT_ON = [
    f'"{name}": "{text}"'.encode() for name in ("trigger_message_text", "text") for text in ("\\u0000", "\\ud800")
]
"""People's texts are passed unchanged to the endpoint of replies."""
PARTS = ["%00", "a%00b", "%ED%A0%80", "%FF", "9223372036854775808", "1" + "0" * 400, "x" * 5000, "%0A", "..%2F.."]


@pytest.fixture
def admin(arena: Face) -> Face:
    """A tenant's key with the scopes admin, read and ingest."""
    return Face(arena.engine, arena.http, arena.engine.keys.add("acme", ["admin", "read", "ingest"]).key)


def spoilt(value: Any) -> Iterator[Any]:
    """Yield a value with each of its parts, at any depth, replaced by each of VALUES."""
    yield from VALUES
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        for other in spoilt(part):
            yield {**value, key: other} if isinstance(value, dict) else [*value[:key], other, *value[key + 1 :]]


@pytest.mark.parametrize("path", GOOD)
def test_a_hostile_body_is_a_4xx(admin: Face, path: str) -> None:
    """NUL, lone surrogates, huge numbers and texts, wrong types and deep nesting anywhere are refused with a detail."""
    key = admin.operator if "schedules" in path else admin.key
    bodies = [*BODIES, *(json.dumps({**GOOD[path], "odd": 1}).encode(),)]
    bodies += [
        json.dumps({**GOOD[path], name: bad}).encode() for name, good in GOOD[path].items() for bad in spoilt(good)
    ]
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for body in bodies:
        if any(text in body for text in SENT_ON):
            continue
        answer = admin.http.post(path, content=body, headers=headers)
        assert 400 <= answer.status_code < 500, (body[:200], answer.text[:200])
        assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs/{}"), ("POST", "/v1/jobs/{}/retry"), ("POST", "/v1/jobs/{}/cancel"), ("POST", "/v1/jobs/{}"),
        ("POST", "/v1/schedules/{}/trigger"), ("POST", "/v1/schedules/{}/pause"), ("POST", "/v1/schedules/{}/resume"),
        ("GET", "/v1/integrations/{}"), ("POST", "/v1/integrations/{}/pause"), ("DELETE", "/v1/integrations/{}"),
        ("GET", "/v1/jobs?queue={}"), ("GET", "/v1/jobs?state={}"), ("GET", "/v1/jobs?limit={}"), ("GET", "/v1/jobs?cursor={}"),
        ("GET", "/v1/integrations?state={}"), ("GET", "/v1/integrations?limit={}"),
        ("GET", "/v1/snapshots?from={}&to=2026-08-01"), ("GET", "/v1/snapshots?from=2026-07-01&to=2026-08-01&kind={}"),
        ("POST", "/v1/ai/responses?priority={}"), ("POST", "/v1/ai/responses?delay={}"),
    ],
)  # fmt: skip
def test_a_hostile_path_or_parameter_is_a_4xx(admin: Face, method: str, path: str) -> None:
    """Values that are not an id, name, date or number are refused or not found, in the path and in the query."""
    key = admin.operator if "schedules" in path else admin.key
    body = None if method != "POST" else json.dumps(REPLY if "/ai/" in path else {}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for part in PARTS:
        answer = admin.http.request(method, path.format(part), content=body, headers=headers)
        assert 400 <= answer.status_code < 500, (part[:40], answer.text[:200])

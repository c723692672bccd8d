"""Damaged bodies: 202 accounts for every record, any other answer is a problem with advice, and none is a 500."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from hubbub.settings import Limits
from tests.extent import FUZZ
from tests.mutations import mutated
from tests.unit.api.conftest import Face, serving

TIME = "2026-08-20T11:00:00Z"
EVENTS: list[dict[str, Any]] = [
    {"type": "message.received", "time": TIME, "id": "a", "channel": "é", "attributes": {"n": [1.5, None]}},
    {"eventType": "message.sent", "createdAt": TIME, "id": "b", "propertyId": "acme", "sentiment": {"tone": "calm"}},
    {"specversion": "1.0", "type": "hubbub.message.sent", "source": "s", "id": "c", "time": TIME, "data": {"value": 2}},
    {"type": "satisfaction.rating_received", "time": TIME, "id": "d", "survey_id": "s", "value": 4},
]
REPLY = {
    "workspaceId": "w", "user_id": "u", "channelId": "c", "message_ts": "1.0", "triggerMessageText": "t", "triggered_by": "mention",
    "contextMessages": [{"userId": "u", "text": "t", "ts": "1.0"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """Serve one engine without limits of requests."""
    with serving(
        tmp_path_factory.mktemp("fuzz") / "data", limits=dict.fromkeys(Limits.model_fields, 0) | {"burst": 2}
    ) as made:
        yield made


def lines(events: list[dict[str, Any]]) -> bytes:
    """Return events as lines of JSON."""
    return "\n".join(json.dumps(one, ensure_ascii=False) for one in events).encode()


BODIES = {
    "array": (json.dumps(EVENTS).encode(), {}),
    "one": (json.dumps(EVENTS[1]).encode(), {}),
    "lines": (lines(EVENTS), {"Content-Type": "application/x-ndjson"}),
    "members": (b"".join(gzip.compress(lines([one]) + b"\n") for one in EVENTS),
                {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}),
}  # fmt: skip


def records(body: bytes, kind: str) -> int | None:
    """Count the records of a body independently; None if they cannot be counted."""
    if kind == "lines":
        return sum(
            bool(line.removeprefix(b"\xef\xbb\xbf").strip()) for line in body.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        )
    try:
        found = json.loads(body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape"))
    except ValueError:
        return None
    return len(found) if isinstance(found, list) else 1


@pytest.mark.parametrize("kind", BODIES)
def test_a_damaged_body_is_answered_for_every_record(arena: Face, kind: str) -> None:
    """For truncated, flipped, repeated and reordered bodies, 202 counts each record once; all else is 400 or 413 with a detail."""
    body, headers = BODIES[kind]
    for seed in range(FUZZ):
        damaged = mutated(body, seed)
        answer = arena.post(damaged, **headers)
        assert answer.status_code in (202, 400, 413), (seed, answer.text)
        told = answer.json()
        if answer.status_code != 202:
            assert told["detail"], seed
            continue
        counted = told["accepted"] + told["duplicates"] + len(told["rejected"])
        there = records(damaged, kind) if kind != "members" else None
        assert there is None or counted == there, (seed, told)
        assert len({one["index"] for one in told["rejected"]}) == len(told["rejected"]), seed
        assert all(one["code"] and one["message"] for one in told["rejected"]), seed
    assert arena.engine.verify()["clean"]


def test_members_in_any_order_are_all_read(arena: Face) -> None:
    """Whole gzip members, repeated and reordered, count as their lines; a truncated member refuses the body."""
    parts = [gzip.compress(lines([one]) + b"\n") for one in EVENTS]
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    for seed in range(FUZZ // 4):
        chosen = random.Random(seed).choices(parts, k=1 + seed % 6)
        told = arena.post(b"".join(chosen), **headers).json()
        assert told["accepted"] + told["duplicates"] + len(told["rejected"]) == len(chosen), seed
        assert arena.post(b"".join(chosen)[:-1], **headers).status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/ai/responses", REPLY),
        (
            "/v1/jobs/analytics-ingest",
            {"payload": {"organizationId": "acme", "integrationId": "i", "targetDate": "2026-08-01"}},
        ),
    ],
)
def test_a_damaged_payload_is_never_a_500(arena: Face, path: str, body: dict[str, Any]) -> None:
    """A damaged payload of a job is accepted or refused with a detail, never a 500."""
    key = arena.engine.keys.add("acme", ["admin", "ingest"]).key
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for seed in range(FUZZ):
        answer = arena.http.post(path, content=mutated(json.dumps(body).encode(), seed), headers=headers)
        assert answer.status_code in (202, 400, 404, 413, 422), (seed, answer.text)
        assert answer.status_code == 202 or answer.json()["detail"], seed

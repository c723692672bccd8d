"""The law of cached answers: after any sequence of writes, a cached answer equals a fresh one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.app import Engine
from hubbub.clock import fixed
from hubbub.model.plain import plain
from hubbub.settings import load
from tests.conftest import RedisServer

NOW = datetime(2026, 8, 20, 12, 20, tzinfo=UTC)
ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe")
SPAN = {"start": "2026-08-01", "end": "2026-08-22"}
QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("dashboard", {}),
    ("states", {}),
    ("hotspots", SPAN),
    ("snapshots", SPAN),
    ("query", {**SPAN, "metrics": ["messages", "response_ms.p50", "open_conversations"], "by": ["channel"]}),
)
AGES = tuple(timedelta(minutes=m) for m in (0, 1, 25, 70, 600, 1300, 1500, 3000, 10_000, 20_000))
TYPES = ("message.received", "message.sent", "topic.classified", "message.read", "conversation.started")

tenants = st.integers(0, 2)
steps = st.one_of(
    st.tuples(st.just("send"), tenants, st.sampled_from(TYPES), st.sampled_from(AGES), st.integers(0, 3)),
    st.tuples(st.just("refresh"), tenants),
    st.tuples(st.just("refresh"), st.none()),
    st.tuples(st.just("move"), tenants, st.sampled_from(ZONES)),
    st.tuples(st.just("snapshot"), tenants),
)


@pytest.fixture(scope="module", params=["memory", "redis"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Open an engine for all examples, on memory and on Redis; each example has tenants of its own."""
    url = "mem://"
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_session")
        server.start()
        url = server.url
    options: dict[str, Any] = {"free_floor_mb": 0, "cache_url": url}
    with Engine(load(tmp_path_factory.mktemp("kept") / "data", **options), fixed(NOW)) as made:
        yield made


@settings(max_examples=min(settings().max_examples, max(3, settings().max_examples // 3)))
@given(happens=st.lists(steps, min_size=4, max_size=10))
def test_a_cached_answer_equals_a_fresh_one(engine: Engine, happens: list[tuple[Any, ...]]) -> None:
    """After each step of one of three tenants with cached answers, cached answers equal fresh ones to the byte.

    For a tenant whose events are not folded yet, only queries and snapshots are compared. No answer names another
    tenant's channel.
    """
    first = len(engine.control.tenants())
    names = [f"t{first + n}" for n in range(3)]
    for name in names:
        engine.add_tenant(name)
        compare(engine, name, names)
    behind: set[str] = set()
    for number, (what, who, *how) in enumerate([*happens, ("refresh", None)]):
        name = names[who or 0]
        if what == "send":
            engine.record(name, event(name, number, *how))
            behind.add(name)
        elif what == "refresh":
            assert engine.refresh(name if who is not None else None)["errors"] == {}
            behind -= {name} if who is not None else set(names)
        elif what == "move":
            engine.tenants.change(name, zone=how[0])
        else:
            engine.snapshot("daily", "2026-08-19", name)
            behind.discard(name)
        for one in names if who is None else (name, names[(who + 1) % 3]):
            compare(engine, one, names, only=("query", "snapshots") if one in behind else ())


def compare(engine: Engine, tenant: str, names: list[str], only: tuple[str, ...] = ()) -> None:
    """Compare cached answers with fresh ones; questions outside `only`, if it is given, may be stale. No answer names
    another tenant.
    """
    for operation, params in QUESTIONS:
        method: Any = engine.snapshot_service.of if operation == "snapshots" else getattr(engine.answers, operation)
        kept = engine.cached.answer(engine.cached.call(method, tenant, **params)).body
        if not only or operation in only:
            assert kept == msgspec.json.encode(plain(method(tenant, **params))), operation
        assert not [other for other in names if other != tenant and f"canary-{other}".encode() in kept]


def event(tenant: str, number: int, type_: str, age: timedelta, which: int) -> dict[str, Any]:
    """Return an event whose texts contain the tenant's own mark."""
    mark = f"canary-{tenant}"
    return {
        "type": type_, "time": (NOW - age).isoformat(), "id": f"{number}", "channel": mark, "channel_id": f"{mark}-{which}",
        "conversation_id": f"{mark}-{which}", "contact_id": mark, "message_id": f"{which}", "account_id": mark,
        "topic": "complaint", "sentiment": "negative",
    }  # fmt: skip

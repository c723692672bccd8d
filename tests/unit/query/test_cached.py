"""Cached answers: their keys, one computation for many callers, and invalidation."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine
from hubbub.control.cache import Cache, Memory, Redis
from hubbub.errors import BadQuestionError, NotFoundError
from hubbub.model.tenant import Retention, Tenant
from hubbub.query.cached import CachedAnswers, CachedCall, Part, cacheable, rule_of
from hubbub.services.answers import AnswerService
from hubbub.services.snapshots import SnapshotService
from hubbub.settings import CacheTiers, load
from tests.unit.api.conftest import NOW, event, open_engine

SECONDS = CacheTiers.model_construct().model_dump()
RULES = {
    name: rule_of(method)
    for service in (AnswerService, SnapshotService)
    for name, method in vars(service).items()
    if hasattr(method, "rule")
}
"""The caching rule of each cacheable method."""


class World:
    """Two tenants, a clock, and methods under each rule that count their calls and wait for a gate."""

    def __init__(self, cache: Cache) -> None:
        """Open the gate."""
        self.now = NOW
        self.tenants = {"a": Tenant(1, "a"), "b": Tenant(2, "b")}
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self.worked = 0
        self.error: Exception | None = None
        self.answers = CachedAnswers(cache, SECONDS, self.tenant, lambda: self.now)
        self.methods = {name: self._method(name) for name in RULES}

    def _method(self, name: str) -> Callable[..., dict[str, Any]]:
        rule = RULES[name]

        @cacheable(rule.tier, *rule.parts, tier_of_days=rule.tier_of_days)
        def work(tenant: str, **params: Any) -> dict[str, Any]:
            return self.work(tenant, **params)

        work.__qualname__ = name
        return work

    def call(self, name: str, tenant: str, **params: Any) -> CachedCall[dict[str, Any]]:
        """Return the cached call of a method."""
        return self.answers.call(self.methods[name], tenant, **params)

    def tenant(self, name: str) -> Tenant:
        """Return a tenant."""
        if name not in self.tenants:
            raise NotFoundError
        return self.tenants[name]

    def work(self, tenant: str, **params: Any) -> dict[str, Any]:
        """Count the call, wait for the gate, and return or raise."""
        self.worked += 1
        number = self.worked
        self.begun.release()
        assert self.gate.wait(30)
        if self.error is not None:
            raise self.error
        return {"tenant": tenant, "params": params, "number": number}

    def ask(self, tenant: str = "a", name: str = "trends", **params: Any) -> Mapping[str, Any]:
        """Return the parsed answer of a method."""
        found: dict[str, Any] = json.loads(self.answers.answer(self.call(name, tenant, **params)).body)
        return found


@pytest.fixture(params=["memory", "redis"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Make a world on memory and on Redis."""
    memory = request.param == "memory"
    cache: Cache = Memory(1 << 20) if memory else Redis(request.getfixturevalue("redis_server").url, "test")
    yield World(cache)
    cache.close()


def test_the_same_question_is_computed_once(world: World) -> None:
    """A repeated question is computed once, in any order of its parameters."""
    first = world.ask(start="2026-08-01", end="2026-08-02")
    assert world.ask(end="2026-08-02", start="2026-08-01") == first
    assert world.worked == 1


def _other_day(world: World) -> None:
    world.now = datetime(2026, 8, 21, tzinfo=UTC)


def _other_zone(world: World) -> None:
    world.tenants["a"] = Tenant(1, "a", "Europe/Rome")


def _other_retention(world: World) -> None:
    world.tenants["a"] = Tenant(1, "a", retention=Retention(raw=7))


def _other_number(world: World) -> None:
    world.tenants["a"] = Tenant(3, "a")


@pytest.mark.parametrize("change", [_other_day, _other_zone, _other_retention, _other_number])
def test_the_key_has_the_tenants_day_zone_retention_and_number(world: World, change: Callable[[World], None]) -> None:
    """A new local day, and another zone, retention or number of the tenant, change the answer's key."""
    world.ask()
    change(world)
    assert world.ask()["number"] == 2


def test_other_tenants_operations_and_parameters_have_other_answers(world: World) -> None:
    """Calls of another tenant, method or parameter value have other keys."""
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("a", "trends", {}), ("b", "trends", {}), ("a", "hotspots", {}), ("a", "trends", {"start": "1"}),
        ("a", "trends", {"end": "1"}), ("a", "trends", {"start": 1}), ("a", "trends", {"start": None}),
        ("a", "query", {"by": ["x", "y"]}), ("a", "query", {"by": ["x,y"]}), ("a", "query", {"by": ["y", "x"]}),
        ("a", "query", {"where": {"x": ["\ud800"]}}), ("a", "query", {"where": {"x": ["?"]}}),
    ]  # fmt: skip
    keys = {world.call(name, tenant, **params).key for tenant, name, params in calls}
    assert len(keys) == len(calls)
    assert [world.ask(tenant)["tenant"] for tenant in "abab"] == ["a", "b", "a", "b"]


def test_a_dashboard_of_several_days_is_cached_longer(engine: Engine) -> None:
    """A dashboard of several days is cached longer than one of a day; a missing parameter equals its default."""
    board = engine.answers.dashboard
    calls = [
        engine.cached.call(board, "a"),
        engine.cached.call(board, "a", 1),
        engine.cached.call(board, "a", days=7),
    ]
    assert [call.seconds for call in calls] == [60, 60, 300]
    assert calls[0].key == calls[1].key != calls[2].key


def test_pages_get_what_the_method_returns(engine: Engine) -> None:
    """The value of a cached answer equals the method's return value, nested dataclasses included."""
    answers, span = engine.answers, ("2026-08-01", "2026-08-03")
    board = engine.cached.value(engine.cached.call(answers.dashboard, "a"))
    assert board == answers.dashboard("a") and board.today["messages_received"].change.label
    assert engine.cached.value(engine.cached.call(answers.changes, "a", "messages", *span)) == answers.changes(
        "a", "messages", *span
    )
    news = engine.cached.value(engine.cached.call(answers.news, "a", *span))
    assert news == answers.news("a", *span) and news.from_.startswith("2026-08-01T00:00")


def test_a_method_that_declares_nothing_is_not_cached(engine: Engine) -> None:
    """A method without a rule cannot be called through the cache; the error names it."""
    with pytest.raises(LookupError, match=r"AnswerService\.explain"):
        engine.cached.call(engine.answers.explain, "a", "csat", "2026-08-01", "2026-08-03")


def test_a_tenants_day_is_that_of_its_zone(world: World) -> None:
    """At 22:30 UTC a new day has begun in Rome: the key of 21:30 has changed there, and not in UTC."""
    world.tenants["b"] = Tenant(2, "b", "Europe/Rome")
    world.now = datetime(2026, 8, 20, 21, 30, tzinfo=UTC)
    before = [world.call("dashboard", name).key for name in "ab"]
    world.now = datetime(2026, 8, 20, 22, 30, tzinfo=UTC)
    after = [world.call("dashboard", name).key for name in "ab"]
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)


@pytest.mark.parametrize("name", RULES)
def test_dropping_a_part_invalidates_the_answers_of_its_rules(world: World, name: str) -> None:
    """Dropping a part invalidates the answers of that part's rules and no others, and no other tenant's."""
    assert RULES[name].tier in SECONDS
    for part in Part:
        before, theirs = world.ask("a", name), world.ask("b", name)
        world.answers.drop([1], part)
        assert (world.ask("a", name) != before) == (part in RULES[name].parts)
        assert world.ask("b", name) == theirs
    before = world.ask("b", name)
    world.answers.drop_all()
    assert world.ask("b", name) != before


def test_fifty_concurrent_calls_share_one_computation(world: World) -> None:
    """Fifty concurrent calls get the same bytes from one computation."""
    world.gate.clear()
    call = world.call("dashboard", "a")
    waiting: list[bytes] = []
    lock = threading.Lock()

    def ask() -> None:
        body = world.answers.answer(call).body
        with lock:
            waiting.append(body)

    with ThreadPoolExecutor(50) as pool:
        for _ in range(50):
            pool.submit(ask)
        world.begun.acquire()
        world.gate.set()
    assert len(waiting) == 50 and len(set(waiting)) == 1
    assert world.worked == 1


def test_calls_after_a_drop_do_not_join_an_earlier_computation(world: World) -> None:
    """A computation begun before a drop answers earlier callers alone and is not cached."""
    world.gate.clear()
    call = world.call("dashboard", "a")
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(world.answers.answer, call)
        world.begun.acquire()
        world.answers.drop([1], Part.NUMBERS)
        late = pool.submit(world.answers.answer, call)
        world.begun.acquire()
        world.gate.set()
        numbers = [json.loads(one.result().body)["number"] for one in (early, late)]
    assert numbers == [1, 2]
    assert world.ask("a", "dashboard")["number"] == 2


def test_callers_of_a_running_computation_hold_no_thread(world: World) -> None:
    """Later callers of a running computation get its future at once, and hold no thread."""
    world.gate.clear()
    call = world.call("dashboard", "a")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(world.answers.answer, call)
        world.begun.acquire()
        joined = [world.answers.work(call) for _ in range(50)]
        assert all(isinstance(one, Future) and not one.done() for one in joined)
        world.gate.set()
        first.result()
        assert {one.result().body for one in joined if isinstance(one, Future)} == {first.result().body}


def test_an_error_reaches_all_callers_and_is_not_cached(world: World) -> None:
    """An error is raised for every waiting caller and is not cached."""
    world.gate.clear()
    world.error = BadQuestionError("no such thing")
    call = world.call("dashboard", "a")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(world.answers.answer, call)
        world.begun.acquire()
        joined = world.answers.work(call)
        world.gate.set()
        assert isinstance(joined, Future)
        for one in (first, joined):
            with pytest.raises(BadQuestionError, match="no such thing"):
                one.result()
    world.error = None
    assert world.ask("a", "dashboard")["number"] == 2


def test_a_fresh_answer_replaces_the_cached_one(world: World) -> None:
    """With `fresh` the answer is computed again, and replaces the cached one."""
    world.ask()
    call = world.call("trends", "a")
    assert json.loads(world.answers.answer(call, fresh=True).body)["number"] == 2
    assert world.ask()["number"] == 2


def test_an_answer_has_an_age(world: World) -> None:
    """An answer's age counts from the start of its computation, and is 0 if the clock was put back."""
    call = world.call("trends", "a")
    assert world.answers.answer(call).age == 0
    world.now = NOW.replace(second=25)
    assert world.answers.answer(call).age == 25
    world.now = datetime(2026, 8, 20, 11, tzinfo=UTC)
    assert world.answers.answer(call).age == 0


# --- invalidation by the engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Open an engine with the folded tenants a and b."""
    with open_engine(tmp_path / "data") as made:
        for name in "ab":
            made.add_tenant(name)
            made.record(name, [event(f"{name}{n}", hour=n) for n in range(3)])
        made.refresh()
        yield made


def kept(engine: Engine, tenant: str = "a") -> set[str]:
    """Return the rules whose answers are cached for a tenant, then cache all of them."""
    span = {"start": "2026-08-01", "end": "2026-08-03"}
    params: dict[str, dict[str, Any]] = dict.fromkeys(RULES, span) | {
        "dashboard": {},
        "states": {},
        "changes": {"metrics": "messages", "compare": "previous", **span},
        "query": {"metrics": ["messages"], **span},
        "judged": {"metrics": ["messages"], **span},
        "usual": {"metrics": "messages", "grain": "day", **span},
    }
    methods = {name: getattr(engine.snapshot_service if name == "of" else engine.answers, name) for name in RULES}
    calls = {name: engine.cached.call(method, tenant, **params[name]) for name, method in methods.items()}
    found = {name for name, call in calls.items() if engine.cached.look(call) is not None}
    for call in calls.values():
        engine.cached.answer(call)
    return found


NUMBERS = {name for name, rule in RULES.items() if Part.NUMBERS in rule.parts}


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        (lambda e: e.record("a", event("new")), {"query"}),
        (lambda e: e.record("a", event("a1", hour=1)), set()),
        (lambda e: e.record("a", {"type": "nonsense", "time": "2026-08-01T10:00:00Z"}), set()),
        (lambda e: e.refresh(), set()),
        (lambda e: (e.record("a", event("new")), e.refresh()), NUMBERS),
        (lambda e: (e.record("a", event("new")), e.refresh("a")), NUMBERS),
        (lambda e: e.backfill("2026-08-01", "2026-08-02", "a"), NUMBERS),
        (lambda e: (e.tenants.change("a", zone="Asia/Tokyo"), e.refresh()), set(RULES)),
        (lambda e: e.tenants.change("a", retention={"raw": 9}), set(RULES)),
        (lambda e: e.snapshot("daily", "2026-08-01", "a"), {"of"}),
        (lambda e: e.retention("a"), set(RULES)),
        (lambda e: e.retention("a", dry_run=True), set()),
        (lambda e: e.verify("a"), set()),
    ],
)  # fmt: skip
def test_each_change_invalidates_the_answers_that_it_affects(
    engine: Engine, change: Callable[[Engine], object], gone: set[str]
) -> None:
    """Each change invalidates the answers that it can change, and none of another tenant."""
    for tenant in "ab":
        kept(engine, tenant)
    change(engine)
    assert kept(engine, "a") == set(RULES) - gone
    assert kept(engine, "b") == set(RULES)


def test_a_failed_refresh_invalidates_answers_too(engine: Engine) -> None:
    """A refresh that fails after folding invalidates the answers too."""
    kept(engine)
    engine.record("a", event("new"))

    def die(step: str) -> None:
        if step.endswith("folded"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.refresh(step=die)
    assert kept(engine) == set(RULES) - NUMBERS


def test_a_disabled_cache_stores_nothing(tmp_path: Path) -> None:
    """With `enabled` off, or 0 seconds, nothing is cached, and every answer is still computed."""
    for number, tiers in enumerate(
        ({"enabled": False}, dict.fromkeys(("realtime", "dashboard", "period", "snapshots"), 0))
    ):
        with Engine(load(tmp_path / str(number), free_floor_mb=0, cache=tiers)) as engine:
            engine.add_tenant("a")
            assert kept(engine) == kept(engine) == set()


def test_making_snapshots_warms_the_dashboard(engine: Engine) -> None:
    """After the warmer has started, making snapshots caches the dashboard and the day's snapshots of every tenant."""
    engine.warmer.start()
    try:
        engine.snapshot("daily", "2026-08-01")
        span, snapshots = ("2026-08-01", "2026-08-02"), engine.snapshot_service.of
        wanted: list[CachedCall[Any]] = [engine.cached.call(engine.answers.dashboard, name) for name in "ab"]
        wanted += [engine.cached.call(snapshots, name, *span, kind) for name in "ab" for kind in (None, "daily")]
        for _ in range(600):
            if all(engine.cached.look(one) is not None for one in wanted):
                break
            threading.Event().wait(0.05)
        assert all(engine.cached.look(one) is not None for one in wanted)
    finally:
        engine.warmer.stop()
    engine.snapshot("daily", "2026-08-01")
    assert engine.cached.look(wanted[-1]) is None


def test_a_failing_call_does_not_stop_the_warmer(engine: Engine) -> None:
    """A failing call does not keep the warmer from later ones."""
    good = engine.cached.call(engine.answers.dashboard, "b")
    engine.warmer.start()
    try:
        engine.warmer.want([lambda: engine.cached.call(engine.answers.dashboard, "nobody"), lambda: good])
        for _ in range(600):
            if engine.cached.look(good) is not None:
                break
            threading.Event().wait(0.05)
        assert engine.cached.look(good) is not None
    finally:
        engine.warmer.stop()

"""Limits per key and tenant: buckets that fill at a rate, 429 with the seconds to wait, and no effect on other tenants."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hubbub.api import limits as limits_
from hubbub.api.admission import SLOW
from hubbub.api.limits import Limiter
from hubbub.control.control import Key
from hubbub.errors import RateLimitedError
from hubbub.settings import Limits
from tests.unit.api.conftest import Face, event, serving


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def limits(**given: float) -> Limits:
    """Return limits with the given values, and defaults for the rest."""
    return Limits.model_validate(given)


def taken(limiter: Limiter, key: str, kind: str = "reads") -> int:
    """Take until refused, and return the number of requests allowed."""
    for n in range(10_000):
        try:
            limiter.take(Key(key, "acme", ()), kind)
        except RateLimitedError:
            return n
    return 10_000


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    """A key may send a burst at once and then its rate; a pause saves up no more than the burst."""
    clock = Clock()
    limiter = Limiter(limits(reads=10, ingests=100, burst=2), clock)
    assert taken(limiter, "a") == 20
    clock.now += 0.5
    assert taken(limiter, "a") == 5
    clock.now += 3600
    assert taken(limiter, "a") == 20


def test_each_key_and_kind_has_its_own_bucket() -> None:
    """Each key, and each kind of request, has its own bucket."""
    limiter = Limiter(limits(reads=10, ingests=100, burst=2), Clock())
    assert [taken(limiter, "a"), taken(limiter, "b"), taken(limiter, "a", "ingests")] == [20, 20, 200]


def test_the_headers_give_the_remaining_requests() -> None:
    """Headers have policy, remaining requests and seconds until the bucket is full; the error has the seconds to wait."""
    limiter = Limiter(limits(reads=10, ingests=100, burst=2), Clock())
    assert limiter.take(Key("a", "acme", ()), "reads") == [
        (b"ratelimit-policy", b'"reads";q=20;w=2'),
        (b"ratelimit", b'"reads";r=19;t=1'),
    ]
    taken(limiter, "a")
    with pytest.raises(RateLimitedError) as refused:
        limiter.take(Key("a", "acme", ()), "reads")
    assert refused.value.retry_after == pytest.approx(0.1)
    assert refused.value.details["headers"] == [
        (b"ratelimit-policy", b'"reads";q=20;w=2'), (b"ratelimit", b'"reads";r=0;t=2'),
    ]  # fmt: skip


def test_without_a_limit_no_header_is_sent() -> None:
    """A rate of 0 allows everything and sends no header."""
    limiter = Limiter(limits(reads=0, ingests=0, burst=1), Clock())
    assert taken(limiter, "a") == 10_000
    assert limiter.take(Key("a", "acme", ()), "reads") == []


def test_a_rate_below_one_a_second_allows_single_requests() -> None:
    """A rate below one a second allows a first request, and the next after its interval."""
    clock = Clock()
    limiter = Limiter(limits(reads=0.1, ingests=0, burst=1), clock)
    assert taken(limiter, "a") == 1
    clock.now += 10
    assert taken(limiter, "a") == 1


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With many keys the fullest buckets are dropped, and a used one stays used."""
    monkeypatch.setattr(limits_, "MOST_BUCKETS", 100)
    clock = Clock()
    limiter = Limiter(limits(reads=1, ingests=0, burst=10), clock)
    for n in range(1000):
        clock.now += 0.02
        limiter.take(Key(f"k{n}", "acme", ()), "reads")
    assert len(limiter._buckets) <= 100
    taken(limiter, "busy")
    for n in range(50):
        limiter.take(Key(f"more{n}", "acme", ()), "reads")
    assert taken(limiter, "busy") == 0


@pytest.mark.parametrize("kind", ["events", "megabytes", "seconds"])
def test_work_is_charged_to_the_tenant(kind: str) -> None:
    """Work overdraws the tenant's bucket, whichever key caused it, and all its requests are refused until it is refilled."""
    clock, unlimited = Clock(), {"reads": 0, "ingests": 0, "events": 0, "megabytes": 0, "seconds": 0}
    limiter = Limiter(limits(**{**unlimited, kind: 2}), clock)
    one, other, neighbour = Key("a", "acme", ()), Key("b", "acme", ()), Key("c", "zoo", ())
    limiter.spend(one, {kind: 26})  # the burst is 20
    for key in (one, other):
        with pytest.raises(RateLimitedError, match="tenant acme may cause 2") as refused:
            limiter.take(key, "reads")
        assert refused.value.retry_after == pytest.approx(3)
    assert limiter.take(neighbour, "reads") == []
    clock.now += 3
    assert limiter.take(one, "ingests") == []
    limiter.spend(one, {kind: 1e9})  # the wait is capped at a burst's time
    clock.now += 10
    assert limiter.take(other, "reads") == []


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Face]:
    """Serve an engine with bursts of three reads and thirty ingests."""
    with serving(tmp_path / "data", limits={"reads": 3, "ingests": 30, "burst": 1}) as made:
        yield made


def test_a_request_beyond_the_limit_is_a_429(slow: Face) -> None:
    """The fourth read is 429 with Retry-After and limit headers; other keys, ingests and an operator are not limited by it."""
    answers = [slow.get("/v1/metrics") for _ in range(3)]
    assert [a.status_code for a in answers] == [200] * 3
    assert [a.headers["ratelimit"].split(";")[1] for a in answers] == ["r=2", "r=1", "r=0"]
    refused = slow.get("/v1/metrics")
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")
    assert refused.headers["ratelimit-policy"] == '"reads";q=3;w=1'
    assert refused.headers["ratelimit"].startswith('"reads";r=0;')
    assert slow.post(event("1")).status_code == 202
    other = Face(slow.engine, slow.http, slow.engine.keys.add("acme").key)
    assert other.get("/v1/metrics").status_code == 200
    assert slow.get("/healthz").status_code == 200
    assert slow.http.get("/v1/tenants", headers={"Authorization": f"Bearer {slow.operator}"}).status_code == 200


def mistyped(n: int, distinct: bool = False) -> list[dict[str, Any]]:
    """Return events with a mistyped type, the same in each or (`distinct`) different in each."""
    return [{**event(str(i)), "type": f"mesage.recieved{i if distinct else ''}"} for i in range(n)]


def test_events_bytes_and_time_count(tmp_path: Path) -> None:
    """Events, bytes and time count even for refused events, and lead to a 429 that names the kind; other tenants go on."""
    for kind, limit in (("events", 100), ("megabytes", 0.01), ("seconds", 0.001)):
        with serving(tmp_path / kind, limits={kind: limit}) as made:
            answers = [made.post(mistyped(500, distinct=True)) for _ in range(6)]
            assert [a.status_code for a in answers[:2]] == [202, 202 if kind == "events" else answers[1].status_code]
            refused = [a for a in answers if a.status_code != 202]  # a slow machine may accept one after a refused one
            assert {(a.status_code, a.json()["code"]) for a in refused} == {(429, "rate_limited")}
            assert all(a.headers["ratelimit"].startswith(f'"{kind}";r=0') for a in refused)
            made.engine.add_tenant("zoo")
            assert Face(made.engine, made.http, made.engine.keys.add("zoo").key).post(event("1")).status_code == 202


def test_a_mistyped_word_is_compared_once(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """3,000 equal mistyped types cost one suggestion, 3,000 different ones fifty a second, a huge name none."""
    compared: list[str] = []

    def close(word: str, *_: object, **__: object) -> list[str]:
        compared.append(word)
        return ["message.received"]

    monkeypatch.setattr("difflib.get_close_matches", close)
    monkeypatch.setattr("hubbub.model.event._hints", {})
    monkeypatch.setattr("hubbub.model.event._worked_out", deque(maxlen=50))
    told = face.post(mistyped(3000)).json()
    assert len(told["rejected"]) == 3000
    assert "did you mean 'message.received'" in told["rejected"][2999]["message"]
    face.post({"x" * 250_000: 1})
    assert compared == ["mesage.recieved"]
    begun = time.monotonic()
    assert len(face.post(mistyped(3000, distinct=True)).json()["rejected"]) == 3000
    took = time.monotonic() - begun
    assert len(compared) <= 50 * (2 + took)


def test_a_tenant_has_a_share_of_the_threads(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a tenant's requests hold its whole share, its others wait; its small bodies and other tenants are answered."""
    monkeypatch.setattr("hubbub.api.admission.HEAVY", 2)
    entered, go_on = threading.Semaphore(0), threading.Event()
    running = 0

    def held() -> dict[str, Any]:
        nonlocal running
        running += 1
        entered.release()
        assert go_on.wait(30)
        return {"metrics": []}

    monkeypatch.setattr(face.engine.answers, "metrics", held)
    face.engine.add_tenant("zoo")
    zoo = Face(face.engine, face.http, face.engine.keys.add("zoo").key)
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(face.get, "/v1/metrics") for _ in range(5)]
        assert all(entered.acquire(timeout=30) for _ in range(2))
        assert zoo.get("/v1/dashboard").status_code == 200
        assert face.post(event("small")).status_code == 202
        assert running == 2
        go_on.set()
        assert [one.result().status_code for one in waiting] == [200] * 5


def test_a_refused_tenant_counts_as_such_for_some_seconds() -> None:
    """For some seconds after a refusal all keys of the tenant count as refused lately; another tenant's do not."""
    clock = Clock()
    limiter = Limiter(limits(reads=1, burst=1), clock)
    acme, zoo = Key("b", "acme", ()), Key("z", "zoo", ())
    assert not limiter.refused_lately(acme)
    assert taken(limiter, "a") == 1
    assert (limiter.refused_lately(acme), limiter.refused_lately(zoo)) == (True, False)
    clock.now += limits_.LATELY
    assert not limiter.refused_lately(acme)


def test_refusals_of_a_flood_are_delayed(slow: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first refusal comes at once, the next is delayed while others are answered; beyond the bound none is delayed."""
    admission = "hubbub.api.admission"
    monkeypatch.setattr(f"{admission}.MOST_WAITING", 1)
    waiting, go_on = threading.Event(), threading.Event()
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        assert seconds == SLOW
        waiting.set()
        while not go_on.is_set():
            await real(0.001)

    answers = [slow.get("/v1/metrics").status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]
    monkeypatch.setattr(f"{admission}.asyncio.sleep", sleep)
    slow.engine.add_tenant("zoo")
    zoo = Face(slow.engine, slow.http, slow.engine.keys.add("zoo").key)
    with ThreadPoolExecutor(1) as threads:
        kept = threads.submit(slow.get, "/v1/metrics")
        assert waiting.wait(30)
        assert zoo.get("/v1/metrics").status_code == 200
        assert slow.get("/v1/metrics").status_code == 429
        assert not kept.done()
        go_on.set()
        assert kept.result().status_code == 429


def test_a_tenant_beyond_its_limits_goes_last(slow: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of a tenant that was just refused waits until another tenant's is answered."""
    monkeypatch.setattr("hubbub.precedence.LONGEST", 30.0)
    entered, go_on = threading.Event(), threading.Event()

    def held() -> dict[str, Any]:
        entered.set()
        assert go_on.wait(30)
        return {"metrics": []}

    monkeypatch.setattr(slow.engine.answers, "metrics", held)
    assert [slow.get("/v1/dashboard").status_code for _ in range(4)] == [200, 200, 200, 429]
    slow.engine.add_tenant("zoo")
    zoo = Face(slow.engine, slow.http, slow.engine.keys.add("zoo").key)
    with ThreadPoolExecutor(2) as threads:
        neighbour = threads.submit(zoo.get, "/v1/metrics")
        assert entered.wait(30)
        beyond = threads.submit(slow.post, event("1"))
        time.sleep(0.2)
        assert not beyond.done()
        go_on.set()
        assert neighbour.result().status_code == 200
        assert beyond.result().status_code == 202

"""Limits per key: a bucket that fills at a rate, 429 with the seconds to wait, and nobody else's business."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hubbub.errors import RateLimitedError
from hubbub.settings import Limits
from hubbub.web import limits as limits_
from hubbub.web.limits import Limiter
from tests.unit.web.conftest import Face, event, serving


class Clock:
    """A clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def taken(limiter: Limiter, key: str, kind: str = "reads") -> int:
    """Take until refused; returns how many were given."""
    for n in range(10_000):
        try:
            limiter.take(key, kind)
        except RateLimitedError:
            return n
    return 10_000


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    """A key may send a burst at once and its rate from then on; a pause never saves up more than the burst."""
    clock = Clock()
    limiter = Limiter(Limits(reads=10, ingests=100, burst=2), clock)
    assert taken(limiter, "a") == 20
    clock.now += 0.5
    assert taken(limiter, "a") == 5
    clock.now += 3600
    assert taken(limiter, "a") == 20


def test_keys_and_kinds_have_their_own() -> None:
    """What one key has used up is there for another, and for the same key's other kind of request."""
    limiter = Limiter(Limits(reads=10, ingests=100, burst=2), Clock())
    assert [taken(limiter, "a"), taken(limiter, "b"), taken(limiter, "a", "ingests")] == [20, 20, 200]


def test_the_headers_say_what_is_left() -> None:
    """Policy, remaining requests and seconds until all are back stand in the headers, and when to come back in the error."""
    limiter = Limiter(Limits(reads=10, ingests=100, burst=2), Clock())
    assert limiter.take("a", "reads") == [
        (b"ratelimit-policy", b'"reads";q=20;w=2'),
        (b"ratelimit", b'"reads";r=19;t=1'),
    ]
    taken(limiter, "a")
    with pytest.raises(RateLimitedError) as refused:
        limiter.take("a", "reads")
    assert refused.value.retry_after == pytest.approx(0.1)
    assert refused.value.details["headers"] == [
        (b"ratelimit-policy", b'"reads";q=20;w=2'), (b"ratelimit", b'"reads";r=0;t=2'),
    ]  # fmt: skip


def test_no_limit_is_no_header() -> None:
    """A rate of 0 lets everything through and says nothing."""
    limiter = Limiter(Limits(reads=0, ingests=0, burst=1), Clock())
    assert taken(limiter, "a") == 10_000
    assert limiter.take("a", "reads") == []


def test_slow_rates_let_one_through_at_a_time() -> None:
    """A rate below one a second still gives a first request, and the next when its time has come."""
    clock = Clock()
    limiter = Limiter(Limits(reads=0.1, ingests=0, burst=1), clock)
    assert taken(limiter, "a") == 1
    clock.now += 10
    assert taken(limiter, "a") == 1


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many keys there are, the fullest buckets are forgotten, and a used one stays used."""
    monkeypatch.setattr(limits_, "MOST_BUCKETS", 100)
    clock = Clock()
    limiter = Limiter(Limits(reads=1, ingests=0, burst=10), clock)
    for n in range(1000):
        clock.now += 0.02
        limiter.take(f"k{n}", "reads")
    assert len(limiter._buckets) <= 100
    taken(limiter, "busy")
    for n in range(50):
        limiter.take(f"more{n}", "reads")
    assert taken(limiter, "busy") == 0


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Face]:
    """Serve an engine whose keys may ask three times at once, and store thirty."""
    with serving(tmp_path / "data", limits={"reads": 3, "ingests": 30, "burst": 1}) as made:
        yield made


def test_one_beyond_the_limit_is_a_429(slow: Face) -> None:
    """The fourth request is a problem with Retry-After and the limit headers; other keys, storing and an operator go on."""
    answers = [slow.get("/v1/metrics") for _ in range(3)]
    assert [a.status_code for a in answers] == [200] * 3
    assert [a.headers["ratelimit"].split(";")[1] for a in answers] == ["r=2", "r=1", "r=0"]
    refused = slow.get("/v1/metrics")
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")
    assert refused.headers["ratelimit-policy"] == '"reads";q=3;w=1'
    assert refused.headers["ratelimit"].startswith('"reads";r=0;')
    assert slow.post(event("1")).status_code == 202
    other = Face(slow.engine, slow.http, slow.engine.add_key("acme")["key"])
    assert other.get("/v1/metrics").status_code == 200
    assert slow.get("/healthz").status_code == 200
    assert slow.http.get("/v1/tenants", headers={"Authorization": f"Bearer {slow.operator}"}).status_code == 200

"""The ledger on SQLite and PostgreSQL: each tick is claimed once, by whichever process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hubbub.jobs.ledger import Ledger

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(jobs_url: str) -> Iterator[Ledger]:
    """Open an empty ledger."""
    one = Ledger(jobs_url)
    yield one
    one.close()


def test_a_schedule_begins_when_it_is_first_seen(ledger: Ledger) -> None:
    """A schedule begins when it is first seen; later calls do not move it."""
    assert ledger.progress({"nightly": NOW})["nightly"].done_to == NOW
    assert ledger.progress({"nightly": NOW + HOUR})["nightly"].done_to == NOW


def test_concurrent_claims_take_each_tick_once(ledger: Ledger) -> None:
    """Ten threads claim the same tick of ten schedules: each tick is claimed once, and its job is noted."""
    names = [f"s{n}" for n in range(10)]
    ledger.progress(dict.fromkeys(names, NOW))
    won: list[tuple[str, int]] = []

    def claim(who: int) -> None:
        won.extend((name, who) for name in names if ledger.claim(name, NOW, NOW + HOUR, {"job": f"{name}:{who}"}))

    threads = [threading.Thread(target=claim, args=(who,)) for who in range(10)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(name for name, _ in won) == names
    for name, who in won:
        progress = ledger.progress({name: NOW})[name]
        assert progress.pending == {"job": f"{name}:{who}"}
        assert progress.done_to == NOW + HOUR


def test_a_noted_job_blocks_the_next_claim(ledger: Ledger) -> None:
    """A job that was claimed and not started stays noted, and blocks the next claim until it is started."""
    ledger.progress({"s": NOW})
    assert ledger.claim("s", NOW, NOW + HOUR, {"job": "one"})
    assert not ledger.claim("s", NOW + HOUR, NOW + 2 * HOUR, {"job": "two"})
    ledger.started("s", {"job": "one"})
    assert ledger.claim("s", NOW + HOUR, NOW + 2 * HOUR, {"job": "two"})


def test_a_paused_schedule_claims_nothing_and_goes_on_after_its_pause(ledger: Ledger) -> None:
    """A paused schedule claims nothing, and skips what fell into the pause; resuming a running schedule changes nothing."""
    ledger.progress({"s": NOW})
    ledger.resume("s", NOW + 9 * HOUR)
    assert ledger.progress({"s": NOW})["s"].done_to == NOW
    ledger.pause("s")
    assert not ledger.claim("s", NOW, NOW + HOUR, {"job": "one"})
    ledger.resume("s", NOW + 5 * HOUR)
    progress = ledger.progress({"s": NOW})["s"]
    assert (progress.done_to, progress.paused) == (NOW + 5 * HOUR, False)


def test_retries_come_due_in_order(ledger: Ledger) -> None:
    """A retry is due from its time on, listed by prefix (without wildcards), and gone when cancelled."""
    ledger.retry_at("ingest:1", NOW + HOUR)
    ledger.retry_at("ingest:2", NOW)
    ledger.retry_at("other%:1", NOW)
    ledger.retry_at("ingest:2", NOW + 2 * HOUR)
    assert ledger.retrying(until=NOW) == ["other%:1"]
    assert ledger.retrying("ingest:") == ["ingest:1", "ingest:2"]
    assert ledger.retrying("other%") == ["other%:1"]
    assert ledger.retrying("%") == []
    ledger.no_retry("ingest:1")
    assert ledger.retrying("ingest:") == ["ingest:2"]


@pytest.mark.parametrize("hours", [23, 1])
def test_a_step_back_of_the_clock_lengthens_no_pause(ledger: Ledger, hours: int) -> None:
    """After a step back a retry keeps its pause, a rhythm begins again, other schedules stay, and only the first of two processes
    does it. A clock behind by a minute or less is no step."""
    back, minute = timedelta(hours=hours), timedelta(minutes=1)
    ledger.progress({"rhythm": NOW, "nightly": NOW})
    ledger.retry_at("soon", NOW + minute)
    ledger.retry_at("due", NOW - back)
    assert ledger.behind(NOW) == ledger.behind(NOW - minute) == timedelta()
    now = NOW - back
    assert ledger.behind(now) == back
    assert [ledger.move_back(now, back, ["rhythm"]) for _ in range(2)] == [True, False]
    assert ledger.behind(now) == timedelta()
    assert ledger.retrying(until=now) == ["due"]
    assert ledger.retrying(until=now + minute) == ["due", "soon"]
    progress = ledger.progress({"rhythm": NOW, "nightly": NOW})
    assert {name: (one.done_to, one.again) for name, one in progress.items()} == {
        "rhythm": (now, 1),
        "nightly": (NOW, 0),
    }


def test_the_latest_heartbeat_counts_until_a_process_leaves(ledger: Ledger) -> None:
    """The latest heartbeat of a process counts; a process that left has none."""
    ledger.heartbeat("a", NOW)
    ledger.heartbeat("b", NOW)
    ledger.heartbeat("a", NOW + HOUR)
    assert ledger.beats() == {"a": (NOW + HOUR).replace(tzinfo=None), "b": NOW.replace(tzinfo=None)}
    ledger.leave("a")
    assert set(ledger.beats()) == {"b"}

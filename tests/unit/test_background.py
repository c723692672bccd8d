"""A background thread calls its work until it is stopped, and ends cleanly."""

from __future__ import annotations

import threading

from hubbub.background import Background


def test_a_loop_runs_until_it_is_stopped_and_can_start_again() -> None:
    """Work is called repeatedly until the stop, and the end function once per start."""
    calls, ended = threading.Semaphore(0), []

    def work() -> float:
        calls.release()
        return 0.001

    loop = Background("test", work, lambda: ended.append(1))

    def state() -> tuple[bool, bool, bool]:
        return loop.started, loop.stopped, loop.is_alive

    assert state() == (False, False, False)
    for times in (1, 2):
        loop.start()
        assert state() == (True, False, True)
        assert all(calls.acquire(timeout=30) for _ in range(3))
        loop.stop()
        assert state() == (False, True, False)
        assert len(ended) == times
        while calls.acquire(blocking=False):
            pass
        assert not calls.acquire(timeout=0.05)


def test_a_stop_interrupts_a_rest() -> None:
    """A stop interrupts a rest at once, within work and between two calls."""
    resting, heard = threading.Event(), []

    def work() -> float:
        resting.set()
        heard.append(loop.rest(600))
        return 600

    loop = Background("test", work)
    loop.start()
    assert resting.wait(30)
    loop.stop(30)
    assert heard == [True]
    assert not loop.is_alive


def test_a_wait_inside_of_work_ends_by_its_own_means() -> None:
    """Work that waits for something else is woken after the stop is set, so that it does not wait again."""
    waiting, come, calls = threading.Event(), threading.Event(), []

    def work() -> float:
        calls.append(loop.stopped)
        waiting.set()
        come.wait()
        return 0.0

    loop = Background("test", work, wake=come.set)
    loop.start()
    assert waiting.wait(30)
    loop.stop(30)
    assert not loop.is_alive and calls == [False]


def test_a_loop_that_never_started_can_be_stopped() -> None:
    """A stop before a start only marks the loop as stopped."""
    loop = Background("test", lambda: 0.0)
    loop.stop()
    assert (loop.stopped, loop.started) == (True, False)


def test_a_second_start_of_a_running_loop_starts_nothing() -> None:
    """Two starts of a shared loop, as by two applications over one engine, run one thread, and one stop ends it."""
    ended: list[int] = []
    loop = Background("test-twice", lambda: 600.0, lambda: ended.append(1))
    loop.start()
    loop.start()
    assert [thread.name for thread in threading.enumerate()].count("hubbub-test-twice") == 1
    loop.stop(30)
    assert not loop.is_alive and ended == [1]

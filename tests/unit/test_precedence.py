"""Requests of low precedence wait for those of high precedence, in every thread of theirs, with a limit."""

from __future__ import annotations

import contextvars
import threading

import pytest

from hubbub.precedence import Precedence, step_aside


def stepping(precedence: Precedence) -> tuple[threading.Thread, threading.Event]:
    """Start a thread that works for a request of low precedence; the event is set once it has stepped aside."""
    done = threading.Event()

    def work() -> None:
        step_aside()
        done.set()

    with precedence.last():
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
    thread.start()
    return thread, done


def test_a_thread_of_low_precedence_waits_for_requests() -> None:
    """The thread continues once no request of high precedence is left."""
    precedence = Precedence()
    precedence.first = 2
    thread, done = stepping(precedence)
    assert not done.wait(0.05)
    precedence.first = 1
    assert not done.wait(0.05)
    precedence.first = 0
    assert done.wait(30)
    thread.join()
    thread, done = stepping(precedence)
    assert done.wait(30)
    thread.join()


def test_a_wait_for_requests_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside an endless request it continues after the longest wait."""
    monkeypatch.setattr("hubbub.precedence.LONGEST", 0.02)
    precedence = Precedence()
    precedence.first = 1
    thread, done = stepping(precedence)
    assert done.wait(30)
    thread.join()


def test_other_threads_do_not_wait() -> None:
    """Work for another request, and after one of low precedence, returns at once."""
    precedence = Precedence()
    precedence.first = 1
    step_aside()
    with precedence.last():
        pass
    step_aside()

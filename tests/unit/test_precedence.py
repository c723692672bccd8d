"""Requests that go last wait for those that go first, in every thread that works for them, and not for ever."""

from __future__ import annotations

import contextvars
import threading

import pytest

from hubbub.precedence import Precedence, step_aside


def stepping(precedence: Precedence) -> tuple[threading.Thread, threading.Event]:
    """Start a thread that works for a request that goes last; the event is set once it stepped aside."""
    done = threading.Event()

    def work() -> None:
        step_aside()
        done.set()

    with precedence.last():
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
    thread.start()
    return thread, done


def test_one_that_goes_last_waits_for_those_that_go_first() -> None:
    """Its thread goes on when the last of the first ones has ended, and at once where there are none."""
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


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside requests that never end it goes on after its longest wait."""
    monkeypatch.setattr("hubbub.precedence.LONGEST", 0.02)
    precedence = Precedence()
    precedence.first = 1
    thread, done = stepping(precedence)
    assert done.wait(30)
    thread.join()


def test_others_do_not_step_aside() -> None:
    """Work for a request that goes first, or for none, and work after one that went last, returns at once."""
    precedence = Precedence()
    precedence.first = 1
    step_aside()
    with precedence.last():
        pass
    step_aside()

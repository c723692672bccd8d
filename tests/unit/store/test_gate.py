"""A gate: many at a time, or one alone, and never for ever."""

from __future__ import annotations

import threading

import pytest

from hubbub.errors import StoreBusyError
from hubbub.store.gate import Gate


def test_who_shuts_it_is_alone() -> None:
    """It waits for who is inside, whoever comes waits for it, and a thread that is inside may pass again meanwhile."""
    gate, seen = Gate(), []
    inside, leave, again = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with gate.passing():
            inside.set()
            leave.wait(30)
            with gate.passing():
                seen.append("again")
            again.set()

    def alone() -> None:
        with gate.shut(30):
            seen.append("alone")

    def late() -> None:
        with gate.passing():
            seen.append("late")

    threads = [threading.Thread(target=first), threading.Thread(target=alone), threading.Thread(target=late)]
    threads[0].start()
    assert inside.wait(30)
    threads[1].start()
    while not gate._shut:
        pass
    threads[2].start()
    leave.set()
    for thread in threads:
        thread.join(30)
    assert again.is_set()
    assert seen == ["again", "alone", "late"]


def test_who_waits_too_long_gives_up() -> None:
    """Somebody who stays inside, or keeps it shut, makes the next StoreBusyError, and the gate is open again after it."""
    gate = Gate()
    told: list[type[BaseException]] = []

    def try_() -> None:
        try:
            with gate.shut(0.05):
                pass
        except StoreBusyError as error:
            told.append(type(error))

    for holding in (gate.passing(), gate.shut(1)):
        with holding:
            thread = threading.Thread(target=try_)
            thread.start()
            thread.join(30)
    assert told == [StoreBusyError] * 2
    with gate.passing():
        pass


def test_an_error_inside_leaves_it_open() -> None:
    """Who raises has left, and the next one comes in."""
    gate = Gate()
    with pytest.raises(ValueError, match="x"), gate.passing():
        raise ValueError("x")
    with pytest.raises(ValueError, match="x"), gate.shut(1):
        raise ValueError("x")
    with gate.shut(1):
        pass

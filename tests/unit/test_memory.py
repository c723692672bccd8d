"""Garbage collection pauses during work on many rows, and resumes afterwards."""

from __future__ import annotations

import gc

import pytest

from hubbub.memory import keep_what_is_loaded, uncollected


def test_the_collector_pauses_inside_nested_blocks() -> None:
    """It is off inside nested blocks, and on after the outer one, also after an error."""
    assert gc.isenabled()
    with pytest.raises(ValueError, match="stop"), uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ValueError("stop")
    assert gc.isenabled()


def test_a_disabled_collector_stays_disabled() -> None:
    """If the program has disabled the collector, it stays disabled."""
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_objects_that_exist_at_a_start_are_frozen() -> None:
    """Objects that exist when a server starts are frozen, and later garbage is still collected."""
    try:
        keep_what_is_loaded()
        assert gc.get_freeze_count() > 10_000
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() >= 1
    finally:
        gc.unfreeze()

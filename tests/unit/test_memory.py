"""Garbage is not looked for in the middle of work on many rows, and is afterwards."""

from __future__ import annotations

import gc

import pytest

from hubbub.memory import keep_what_is_loaded, uncollected


def test_the_collector_pauses_and_goes_on() -> None:
    """It is off inside, also of a block in a block, and on after the outer one, even when that fails."""
    assert gc.isenabled()
    with pytest.raises(ValueError, match="stop"), uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ValueError("stop")
    assert gc.isenabled()


def test_who_has_turned_it_off_finds_it_off() -> None:
    """A program that runs without the collector keeps running without it."""
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_is_loaded_is_looked_through_no_more() -> None:
    """What is there when a server begins is not looked at again; garbage of later is still found."""
    try:
        keep_what_is_loaded()
        assert gc.get_freeze_count() > 10_000
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() >= 1
    finally:
        gc.unfreeze()

"""How sizes of files and memory are written for people, everywhere the same way."""

from __future__ import annotations

_STEPS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


def size(number: float) -> str:
    """Write a number of bytes in the largest unit of which it has at least one: with one decimal below 10, else whole.

    512 bytes, 1.5 KiB, 75 MiB, 23 GiB.
    """
    unit = 0
    while number >= _STEP and unit < len(_STEPS) - 1:
        number, unit = number / _STEP, unit + 1
    return f"{number:,.1f} {_STEPS[unit]}" if unit and number < 10 else f"{int(number):,} {_STEPS[unit]}"

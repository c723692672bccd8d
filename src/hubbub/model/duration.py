"""How durations are written for people, everywhere the same way."""

from __future__ import annotations

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
"""In ms."""
_LONGEST_WITH_HOURS = 10 * DAY
_STEPS = (
    (HOUR, MINUTE, "min", SECOND, "s"), (DAY, HOUR, "h", MINUTE, "min"), (_LONGEST_WITH_HOURS, DAY, "d", HOUR, "h"),
)  # fmt: skip
"""Below which duration which two units are written."""


def duration(ms: float) -> str:
    """Write milliseconds rounded down, in at most two units and without zeros; a negative duration has a minus sign.

    250 ms, 4.2 s, 3 min 20 s, 23 h 5 min, 1 d 1 h, 94 d. From 24 hours on, days.
    """
    if ms < 0:
        return f"−{duration(-ms)}"
    if ms < SECOND:
        return f"{int(ms)} ms"
    if ms < MINUTE:
        return f"{int(ms / 100) / 10:g} s"
    for below, size, large, part, small in _STEPS:
        if ms < below:
            whole, rest = int(ms // size), int(ms % size // part)
            return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"
    return f"{int(ms // DAY):,} d"

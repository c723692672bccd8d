"""Windows in SQL: the number of a moment's window, for any zone, grain and clock change.

Neighbouring windows of one length need one division: the days of a quarter need two or three, and the half-hour clock change of
Lord Howe is no special case. Moments are whole microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hubbub.facts.moments import micros
from hubbub.model.window import Window


@dataclass(frozen=True, slots=True)
class Stretch:
    """Windows without gaps between them: their range `[low, high)` in microseconds, and the SQL of a moment's window number."""

    low: int
    high: int
    _runs: tuple[tuple[int, int, int, int], ...]

    def number(self, column: str) -> str:
        """Return SQL for the number of the window of a moment in `[low, high)`."""
        return _number(column, self._runs)


def stretches(windows: Sequence[Window]) -> list[Stretch]:
    """Return the gapless stretches of ordered windows; a window's number is its place in `windows`."""
    groups: list[list[tuple[int, int]]] = []
    end = None
    for window in windows:
        low, high = micros(window.start), micros(window.end)
        if low != end:
            groups.append([])
        groups[-1].append((low, high))
        end = high
    result, first = [], 0
    for spans in groups:
        result.append(Stretch(spans[0][0], spans[-1][1], tuple(_runs(spans, first))))
        first += len(spans)
    return result


def _runs(spans: Sequence[tuple[int, int]], first: int) -> list[tuple[int, int, int, int]]:
    """Return (start, end, length of a window, number of the first) for each run of windows of one length."""
    runs: list[tuple[int, int, int, int]] = []
    for number, (low, high) in enumerate(spans, first):
        if runs and runs[-1][2] == high - low:
            start, _, length, number = runs[-1]
            runs[-1] = start, high, length, number
        else:
            runs.append((low, high, high - low, number))
    return runs


def _number(column: str, runs: Sequence[tuple[int, int, int, int]]) -> str:
    """Return a division for one run, and nested CASEs (a binary search) for several."""
    if len(runs) == 1:
        start, end, length, number = runs[0]
        if end - start == length:
            return str(number)
        return f"({number} + ({column} - {start}) / {length})"
    middle = len(runs) // 2
    return (
        f"CASE WHEN {column} < {runs[middle][0]} THEN {_number(column, runs[:middle])} "
        f"ELSE {_number(column, runs[middle:])} END"
    )

"""A run: the windows of one incident, from the first that fired until enough quiet ones followed.

Only several quiet windows in a row close a run, so a number that swings around its limit notifies once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from hubbub.alerts.judge import Judged, Verdict
from hubbub.model.alert import Direction


@dataclass(frozen=True, slots=True)
class Run:
    """From the start of its first window to the end of the last that fired; `quiet` windows followed.

    `value` and `usual` are of the first window; `peak` is the farthest value, in the window that begins at `peak_at`.
    """

    slice: str
    start: datetime
    fired_to: datetime
    value: float
    usual: float | None
    peak: float
    peak_at: datetime
    quiet: int = 0
    closed_at: datetime | None = None


def step(run: Run | None, judged: Judged, close_after: int, direction: Direction) -> Run | None:
    """Return a slice's run (None: no run) after the verdict on its next window; unknown changes nothing."""
    if judged.verdict is Verdict.UNKNOWN:
        return run
    if judged.verdict is Verdict.QUIET or judged.value is None:
        if run is None:
            return None
        quiet = run.quiet + 1
        return replace(run, quiet=quiet, closed_at=judged.end if quiet >= close_after else None)
    middle = judged.usual.median if judged.usual else None
    if run is None:
        return Run(judged.slice, judged.start, judged.end, judged.value, middle, judged.value, judged.start)
    farther = _farther(judged.value, run, direction)
    return replace(
        run, fired_to=max(run.fired_to, judged.end), quiet=0,
        peak=judged.value if farther else run.peak, peak_at=judged.start if farther else run.peak_at,
    )  # fmt: skip


def _farther(value: float, run: Run, direction: Direction) -> bool:
    if direction is Direction.EITHER and run.usual is not None:
        return abs(value - run.usual) > abs(run.peak - run.usual)
    return value < run.peak if direction is Direction.BELOW else value > run.peak


def runs(judged: Iterable[Judged], close_after: int, direction: Direction) -> list[Run]:
    """Return the runs of windows given slice by slice in order of time; the last run of a slice may be open."""
    closed: list[Run] = []
    open_: dict[str, Run] = {}
    for verdict in judged:
        run = step(open_.pop(verdict.slice, None), verdict, close_after, direction)
        if run is not None and run.closed_at is not None:
            closed.append(run)
        elif run is not None:
            open_[verdict.slice] = run
    return sorted([*closed, *open_.values()], key=lambda run: (run.start, run.slice))

"""The daily cycle: 22,000 new events of all tenants are folded, published tables written, and all daily snapshots made."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

from bench import lab, late
from hubbub.model.plain import plain

NEW, SINCE = 22_000, "2026-03-30"


def _call(step: Callable[[], dict[str, Any]], answers: list[dict[str, Any]]) -> None:
    answers.append(step())


def measure(size: lab.Size) -> lab.Findings:
    """Run the cycle once on a copy of a folder whose older events are folded and published."""
    folder = lab.copy(lab.folded(size), "-cycle")
    events = late.hot(size, NEW, SINCE)
    with lab.engine(folder) as hub:
        late.accept(hub, events)
        answers: list[dict[str, Any]] = []
        steps: dict[str, Callable[[], dict[str, Any]]] = {
            "fold": hub.refresh, "publish": lambda: plain(hub.published.publish()), "snapshots": partial(hub.snapshot, "daily"),
        }  # fmt: skip
        spent = {name: lab.cost(_call, step, answers) for name, step in steps.items()}
        assert not any(answer["errors"] for answer in answers)
    shutil.rmtree(folder)
    parts = ", ".join(f"{name} {one.wall:.1f} s ({one.cpu:.1f} s CPU)" for name, one in spent.items())
    made = (
        f"{answers[1]['rows']:,} rows looked at, {answers[1]['written']:,} written, {answers[2]['created']:,} snapshots"
    )
    note = f"{len(events):,} new events of the last day; {parts}; {made}"
    return {"cycle": lab.found([sum(one.wall for one in spent.values())], (), note)}

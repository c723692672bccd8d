"""The parts of the bench, each run in a process of its own so that its memory can be told: `python -m bench.phases <part>`.

Every part prints one JSON object as its last line. Stores live in bench/work: `<events>-loaded` holds the events unfolded,
`<events>-folded` is left behind by the fold and read by what comes after it.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import baselines, stores

Result = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How large a run is, and where its stores and files are."""

    events: int
    tenants: int = 1000
    zones: int = 12

    def path(self, what: str) -> Path:
        """Return the path of a store or file of this size in bench/work."""
        return stores.WORK / f"{self.events}{what}"


def rss_mb() -> float:
    """Return the peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fold(size: Size) -> Result:
    """Fold everything from scratch, all rollups, with the default limits."""
    folder = stores.copy(size.path("-loaded"), size.path("-folding"))
    steps: dict[str, float] = {}
    with stores.engine(folder) as hub:
        last = began = time.perf_counter()

        def step(name: str) -> None:
            nonlocal last
            now = time.perf_counter()
            steps[name] = round(steps.get(name, 0.0) + now - last, 3)
            last = now

        report = hub.refresh(step=step)
        hub.store.checkpoint()
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        hub.refresh()
        again = time.perf_counter() - began
    folded = size.path("-folded")
    stores.move(folder, folded)
    return {
        "seconds": seconds, "nothing_due_seconds": again, "windows": report["windows"], "errors": report["errors"],
        "rss_mb": rss_mb(), "file_mb": (folded / "hubbub.duckdb").stat().st_size / 1e6,
        "slowest_steps": dict(sorted(steps.items(), key=lambda kv: -kv[1])[:12]),
    }  # fmt: skip


def hand_fold(size: Size) -> Result:
    """Make the same tables with the hand-written SQL; totals are compared with those of the folded store."""
    folder = stores.copy(size.path("-loaded"), size.path("-hand"))
    connection = stores.connect(folder)
    connection.execute("SET preserve_insertion_order = false")
    slowest: dict[str, float] = {}
    began = time.perf_counter()
    baselines.zones_table(connection, size.tenants, size.zones)
    for statement in baselines.fold_statements(stores.NOW):
        start = time.perf_counter()
        connection.execute(statement)
        slowest[" ".join(statement.split())[:60]] = round(time.perf_counter() - start, 3)
    connection.execute("CHECKPOINT")
    seconds = time.perf_counter() - began
    found = baselines.totals(connection, "hand")
    connection.close()
    differences: dict[str, list[int]] = {}
    if size.path("-folded").exists():
        connection = stores.connect(size.path("-folded"))
        ours = baselines.totals(connection, "rollup")
        connection.close()
        differences = {n: [v, ours[n]] for n, v in found.items() if v != ours[n] and "_hour" not in n}
    stores.remove(folder)
    return {
        "seconds": seconds, "rss_mb": rss_mb(), "totals_compared": len(found), "totals_that_differ": differences,
        "slowest_steps": dict(sorted(slowest.items(), key=lambda kv: -kv[1])[:12]),
    }  # fmt: skip


PARTS: dict[str, Callable[[Size], Result]] = {"fold": fold, "hand_fold": hand_fold}


def main() -> None:
    """Run one part and print what it found."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("part", choices=sorted(PARTS))
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--zones", type=int, default=12)
    options = parser.parse_args()
    print(json.dumps(PARTS[options.part](Size(options.events, options.tenants, options.zones))))


if __name__ == "__main__":
    main()

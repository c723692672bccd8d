"""The bench: `python -m bench.run --events 2000000`. Writes bench/results/<events>.json and .md after every part.

Each part runs in a separate process; compared measurements run in turns within a part. A part that fails is written as not run,
with its error. `--parts` runs some parts and keeps the stored results of the others.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import lab, report

RESULTS = Path(__file__).parent / "results"
PARTS = {
    "ingest": ("ingest_", "resent"), "fold": ("fold",), "late": ("late_1", "seen"),
    "answers": ("dashboard_", "series_", "explain_", "team_"),
    "cycle": ("cycle",), "http": ("http_", "cached", "memory", "idle_", "help", "ready"), "disk": ("disk",),
    "tenants": ("tenants_",), "jobs": ("jobs",), "noisy": ("noisy_",),
}  # fmt: skip
"""Module -> prefixes of the rows that it measures."""


def run_part(part: str, size: lab.Size, beside: str) -> tuple[lab.Findings, str]:
    """Run one part in its own process; return its rows, and the error if it failed."""
    given = {"part": part, "events": size.events, "tenants": size.tenants, "rounds": size.rounds, "beside": beside}
    flags = [f"--{name}={value}" for name, value in given.items()]
    done = subprocess.run([sys.executable, "-m", "bench.run", *flags], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return {}, f"the part '{part}' died with {done.returncode}"
    rows: lab.Findings = json.loads(done.stdout.strip().splitlines()[-1])
    return rows, ""


def growth(result: dict[str, Any]) -> lab.Findings:
    """Return the rows that compare this size with a tenth of it, if that was measured."""
    smaller = RESULTS / f"{result['events'] // 10}.json"
    if not smaller.exists():
        return {}
    rows, before = result["rows"], json.loads(smaller.read_text())["rows"]
    pairs = {"growth_fold": "fold", "growth_late": "late_100", "growth_dashboard": "dashboard_p50"}
    return {
        name: lab.found(rows[of]["ours"], before[of]["ours"])
        for name, of in pairs.items()
        if of in rows and of in before
    }


def save(result: dict[str, Any]) -> None:
    """Write the current results."""
    RESULTS.mkdir(exist_ok=True)
    result["rows"] |= growth(result)
    path = RESULTS / f"{result['events']}.json"
    path.write_text(json.dumps(result, ensure_ascii=False) + "\n")
    path.with_suffix(".md").write_text(report.table(result))


def main() -> None:
    """Run the bench, or with `--part` one part of it in this process."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--beside", default="", help="other queues: PYTHON,REDIS_URL (see bench/jobs.py)")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    size = lab.Size(given.events, given.tenants, given.rounds)
    if given.part:
        more = [given.beside] if given.part == "jobs" else []
        print(json.dumps(importlib.import_module(f"bench.{given.part}").measure(size, *more)))
        return
    path = RESULTS / f"{size.events}.json"
    empty: dict[str, Any] = {"rows": {}, "failed": {}, "machines": {}}
    result = json.loads(path.read_text()) if path.exists() else empty
    result |= {"events": size.events, "tenants": size.tenants}
    for part in given.parts:
        mine = [name for name in report.GOALS if name.startswith(PARTS[part])]
        before, begun = [round(x, 1) for x in os.getloadavg()], time.perf_counter()
        rows, died = run_part(part, size, given.beside)
        took = round(time.perf_counter() - begun)
        for name in mine:
            result["rows"].pop(name, None)
            result["failed"].pop(name, None)
        result["rows"] |= rows
        result["failed"] |= dict.fromkeys(mine, died) if died else {}
        result["machines"][part] = report.machine() | {"load_before": before, "seconds": took}
        save(result)
        print(f"{part}: {took} s {died}", flush=True)
    print(path.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()

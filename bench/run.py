"""The bench: `python -m bench.run --events 2000000`. Writes bench/results/<events>.json and .md after every part.

Each part runs in a process of its own (`bench.phases`); what is compared is run turn and turn about in the same run. A part
that fails is written down as not measured. `--parts` runs some parts and keeps what the results already say of the others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import report, stores, workload
from bench.phases import Size

RESULTS = Path(__file__).parent / "results"
ORDER = ("ingest", "http", "fold", "hand_fold", "repair", "answers", "memory", "start")


def prepare(size: Size) -> None:
    """Make the workload and the store that holds its events, unless they are there."""
    stores.WORK.mkdir(exist_ok=True)
    parquet = size.path(".parquet")
    if not parquet.exists():
        workload.write(parquet, size.events, size.tenants, zones=size.zones)
    if not size.path("-loaded").exists():
        stores.fill(size.path("-loading"), parquet, size.tenants, size.zones)
        stores.move(size.path("-loading"), size.path("-loaded"))


def run_part(part: str, size: Size, module: str = "bench.phases", limit: float | None = None) -> dict[str, Any]:
    """Run one part in its own process; raises RuntimeError with the last line of what it said, or after `limit` seconds."""
    command = [sys.executable, "-m", module, part, "--events", str(size.events), "--tenants", str(size.tenants),
               "--zones", str(size.zones), "--budget", str(size.budget)]  # fmt: skip
    began = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not done within {limit:,.0f} s") from None
    print(f"{part}: {time.perf_counter() - began:.1f} s", flush=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"died with {done.returncode}"])[-1][:300])
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def save(found: dict[str, Any]) -> None:
    """Write the results as they stand."""
    RESULTS.mkdir(exist_ok=True)
    found["machine"] = report.machine()
    (RESULTS / f"{found['events']}.json").write_text(json.dumps(found, indent=2) + "\n")
    (RESULTS / f"{found['events']}.md").write_text(report.table(found))


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--zones", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=1, help="how often both folds run, turn and turn about")
    parser.add_argument("--budget", type=float, default=40.0, help="seconds for the raw questions")
    parser.add_argument("--parts", nargs="*", choices=ORDER, default=ORDER)
    options = parser.parse_args()
    size = Size(options.events, options.tenants, options.zones, options.budget)
    prepare(size)
    path = RESULTS / f"{size.events}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    found |= {"events": size.events, "tenants": size.tenants, "zones": size.zones}
    found.setdefault("failed", {})
    found["files"] = {
        "parquet_mb": size.path(".parquet").stat().st_size / 1e6,
        "loaded_mb": (size.path("-loaded") / "hubbub.duckdb").stat().st_size / 1e6,
    }
    turns = [p for p in ORDER if p in options.parts]
    folds = [p for p in turns if p.endswith("fold")]
    at = turns.index(folds[0]) if folds else 0
    turns = (
        [p for p in turns[:at] if p not in folds] + folds * options.rounds + [p for p in turns[at:] if p not in folds]
    )
    for part in dict.fromkeys(turns):
        found[part] = []
    for part in turns:
        try:
            found[part].append(run_part(part, size))
            found["failed"].pop(part, None)
        except RuntimeError as error:
            found["failed"][part] = str(error)
        save(found)
    print((RESULTS / f"{size.events}.md").read_text())


if __name__ == "__main__":
    main()

"""The bench on both engines: `python -m bench.clickhouse --events 2000000`. Writes bench/results/clickhouse-<events>.{json,md}.

Every part runs on DuckDB and then on ClickHouse, each in a process of its own, beside hand-written SQL of the same engine over the
same events. A part that fails or takes too long is written down as not measured. `--parts` runs some and keeps the others' results.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
from typing import Any

from bench import report, run
from bench.clickhouse_phases import path
from bench.phases import Size

Result = dict[str, Any]

ENGINES = {"DuckDB": "bench.phases", "ClickHouse": "bench.clickhouse_phases"}
PARTS = ("ingest", "fold", "hand_fold", "repair", "answers")
LIMIT = 1800.0
"""Seconds that a part may take."""


def measure(found: Result, engine: str, part: str, size: Size) -> None:
    """Run a part on an engine, and write down what it found or why it found nothing."""
    mine = found["engines"].setdefault(engine, {"failed": {}})
    mine.pop(part, None)
    before = [round(x, 1) for x in os.getloadavg()]
    try:
        answer = run.run_part(part, size, ENGINES[engine], LIMIT)
        mine["failed"].pop(part, None)
        mine[part] = [answer | {"load": [before, [round(x, 1) for x in os.getloadavg()]]}]
    except RuntimeError as error:
        mine["failed"][part] = str(error)
    save(found)


def save(found: Result) -> None:
    """Write the results as they stand."""
    found["machine"] = report.machine()
    found["machine"]["versions"] |= {n: importlib.metadata.version(n) for n in ("chdb", "clickhouse-connect")}
    target = run.RESULTS / f"clickhouse-{found['events']}"
    target.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
    target.with_suffix(".md").write_text(table(found))


def table(found: Result) -> str:
    """Return the Markdown page of a run's results."""
    where, engines = found["machine"], found["engines"]
    versions = ", ".join(f"{n} {v}" for n, v in where["versions"].items())
    lines = [
        f"# Both engines: {found['events']:,} events, {found['tenants']:,} tenants, {found['zones']} zones, 90 days", "",
        f"{where['date']}; {where['cores']} cores, {where['memory_gb']} GB, {where['system']}; Python {where['python']}, "
        f"{versions}. "
        "ClickHouse is the one out of chdb, inside the process that is measured: no network, no server beside it, and its memory "
        "is the process's. Each engine is compared with hand-written SQL of its own. Made by `python -m bench.clickhouse`.", "",
        "| what | engine | Hubbub | beside it | ratio | spread | load before, after |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for section in (report.ingests, report.folds, report.answers, _memory):
        rows = {engine: section(mine) for engine, mine in engines.items()}
        for what in dict.fromkeys(row.what for mine in rows.values() for row in mine):
            for engine, mine in rows.items():
                for row in mine:
                    if row.what == what:
                        load = _load(engines[engine], section, what)
                        lines.append(
                            f"| {what} | {engine} | {row.ours} | {row.theirs} | {row.ratio} | {row.spread} | {load} |"
                        )
    lines += ["", *_totals(engines), *_tables(found)]
    for engine, mine in engines.items():
        if mine["failed"]:
            told = "; ".join(f"{part}: {why}" for part, why in mine["failed"].items())
            lines += [f"Not measured on {engine}: {told}", ""]
    lines += [f"- {note}" for note in found.get("notes", [])]
    return "\n".join(lines).rstrip() + "\n"


def _load(mine: Result, section: Any, what: str) -> str:
    """Say how busy the machine was before and after the part that a row is of."""
    part = {report.ingests: "ingest", report.folds: "fold", report.answers: "answers"}.get(section)
    part = "repair" if what.startswith("repair") else part
    return ", ".join(str(load[0]) for load in mine[part][0]["load"]) if part in mine else ""


def _memory(mine: Result) -> list[report.Row]:
    """Peak memory of every part's process."""
    names = {
        "ingest": "ingesting", "fold": "folding from scratch", "hand_fold": "the hand-written fold", "repair": "repairing",
        "answers": "answering",
    }  # fmt: skip
    return [
        report.Row(f"peak RSS, {name}", f"{mine[part][0]['rss_mb']:,.0f} MB", "", "", "", "")
        for part, name in names.items()
        if part in mine
    ]


def _totals(engines: Result) -> list[str]:
    lines = [
        f"{engine}: totals compared between Hubbub and the hand-written fold: {hand['totals_compared']}, differing: "
        f"{hand['totals_that_differ'] or 'none'} (hours are left out: the two cut the retention's edge differently)."
        for engine, mine in engines.items()
        for hand in mine.get("hand_fold", [])
    ]
    found = [mine["hand_fold"][0]["totals"] for mine in engines.values() if mine.get("hand_fold")]
    if len(found) > 1:
        differ = [name for name, value in found[0].items() if value != found[1][name]]
        lines.append(
            f"Between the engines' hand-written folds: {len(found[0])} compared, differing: {differ or 'none'}."
        )
    return [line + "\n" for line in lines]


def _tables(found: Result) -> list[str]:
    """Rows and bytes by table on ClickHouse, the largest first."""
    sizes = found["engines"].get("ClickHouse", {}).get("sizes")
    if not sizes:
        return []
    tables = {name: one for name, one in sizes[0]["tables"].items() if one["rows"]}
    rollups = [one for name, one in tables.items() if name.startswith("rollup_") and not name.endswith("_gone")]
    events = tables["events"]
    rows, size = sum(one["rows"] for one in rollups), sum(one["bytes"] for one in rollups)
    lines = [
        f"ClickHouse {sizes[0]['version']} on disk (`system.parts`): {events['bytes'] / events['rows']:.1f} bytes per event "
        f"({events['uncompressed'] / events['rows']:.0f} uncompressed); {rows / events['rows']:.2f} rollup rows per event, "
        f"{size / rows:.1f} bytes each; {(events['bytes'] + size) / events['rows']:.1f} bytes per event with all its rollups.", "",
        "| table | rows | rows per event | bytes per row | MB |", "|---|---|---|---|---|",
    ]  # fmt: skip
    largest = sorted(tables.items(), key=lambda item: -item[1]["bytes"])[:24]
    for name, one in largest:
        lines.append(
            f"| {name} | {one['rows']:,} | {one['rows'] / events['rows']:.3f} | {one['bytes'] / one['rows']:.1f} | "
            f"{one['bytes'] / 1e6:,.1f} |"
        )
    left = sum(one["bytes"] for name, one in tables.items() if name not in dict(largest))
    return [*lines, f"| {len(tables) - len(largest)} smaller ones | | | | {left / 1e6:,.1f} |", ""]


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--zones", type=int, default=12)
    parser.add_argument("--budget", type=float, default=30.0, help="seconds for the raw questions")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--engines", nargs="*", choices=tuple(ENGINES), default=tuple(ENGINES))
    options = parser.parse_args()
    size = Size(options.events, options.tenants, options.zones, options.budget)
    run.RESULTS.mkdir(exist_ok=True)
    file = run.RESULTS / f"clickhouse-{size.events}.json"
    found: Result = json.loads(file.read_text()) if file.exists() else {"engines": {}}
    found |= {"events": size.events, "tenants": size.tenants, "zones": size.zones}
    run.prepare(size)
    if "ClickHouse" in options.engines and not path(size, "loaded").exists():
        measure(found, "ClickHouse", "prepare", size)
    for part in options.parts:
        for engine in options.engines:
            measure(found, engine, part, size)
            if part == "fold" and engine == "ClickHouse":
                measure(found, engine, "sizes", size)
    print(table(found))


if __name__ == "__main__":
    main()

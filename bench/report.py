"""The bench's table: what was measured, beside what, the ratio, and what `quality.md` wants of it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Result = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One line of the table; everything is text already."""

    what: str
    ours: str
    theirs: str
    ratio: str
    reach: str
    spread: str


def machine() -> Result:
    """Return what a reader must know about where this ran."""
    load = os.getloadavg()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "python": platform.python_version(),
        "cores": os.cpu_count(), "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system() + " " + platform.release(), "load": [round(x, 1) for x in load],
        "versions": {n: importlib.metadata.version(n) for n in ("hubbub", "duckdb", "pyarrow", "msgspec", "uvicorn")},
    }  # fmt: skip


def _s(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds >= 1 else f"{1000 * seconds:,.0f} ms"


def _ms(milliseconds: float) -> str:
    return _s(milliseconds / 1000)


def _span(values: Sequence[float], unit: str = "s") -> str:
    low, high = min(values), max(values)
    shown = f"{_s(low)} to {_s(high)}" if unit == "s" else f"{low:,.0f} to {high:,.0f} /s"
    return f"{len(values)} x, {shown}" if len(values) > 1 else "1 run"


def folds(found: Result) -> list[Row]:
    """Return the rows of folds and repairs."""
    rows: list[Row] = []
    fold, hand = found.get("fold"), found.get("hand_fold")
    if fold:
        ours = [r["seconds"] for r in fold]
        theirs = [r["seconds"] for r in hand] if hand else []
        median, other = statistics.median(ours), statistics.median(theirs) if theirs else None
        spread = _span(ours) + (f"; hand: {_span(theirs)}" if theirs else "")
        rows.append(Row(
            "fold from scratch, all rollups, against hand-written SQL", _s(median), _s(other) if other else "not run",
            f"{median / other:.2f}x" if other else "", "at most 2x", spread,
        ))  # fmt: skip
        cpu = [statistics.median(r.get("cpu_seconds", 0.0) for r in runs or [{}]) for runs in (fold, hand)]
        if all(cpu):
            rows.append(Row("the same, CPU time of the process (steadier on a busy machine)", _s(cpu[0]), _s(cpu[1]),
                            f"{cpu[0] / cpu[1]:.2f}x", "at most 2x", ""))  # fmt: skip
        idle = [r["nothing_due_seconds"] for r in fold]
        rows.append(Row("refresh with nothing due", _s(statistics.median(idle)), "", "", "", _span(idle)))
        names = {"late_30_days": "10,000 late events over 30 days", "late_1_day": "10,000 events of the last day",
                 "late_100": "100 late events over 30 days"}  # fmt: skip
        for key, name in names.items():
            for repair in found.get("repair", [])[-1:]:
                one = repair[key]
                mine = statistics.median(one["seconds"])
                share = f"{100 * mine / median:.1f} % of the fold"
                reach = "under 3 %" if key == "late_30_days" else ""
                what = f"repair after {name} ({one['windows']:,} windows)"
                rows.append(Row(what, _s(mine), _s(median), share, reach, _span(one["seconds"])))
    return rows


def _times(mine: float, theirs: float) -> str:
    return f"{theirs / mine:.1f}x faster" if theirs > mine else f"{mine / theirs:.1f}x slower"


def answers(found: Result) -> list[Row]:
    """Return the rows of questions."""
    rows: list[Row] = []
    for result in found.get("answers", [])[-1:]:
        for state, told in (("refreshed", "all refreshed"), ("unrefreshed", "today not refreshed")):
            for question, name in (("dashboard", "dashboard"), ("series", "90-day series by day and channel"),
                                   ("hotspots", "hotspots of 90 days")):  # fmt: skip
                if question not in result[state]:
                    continue
                ours, raw = result[state][question], result[state][f"raw_{question}"]
                for point in ("p50", "p99"):
                    mine, theirs = ours[f"{point}_ms"], raw[f"{point}_ms"]
                    rows.append(Row(
                        f"{name}, {told}, {point}, against raw events", _ms(mine), _ms(theirs),
                        _times(mine, theirs), "10x, p99 under 50 ms" if point == "p99" else "",
                        f"{ours['n']} tenants, {_ms(ours['min_ms'])} to {_ms(ours['max_ms'])}; raw: {raw['n']}",
                    ))  # fmt: skip
    return rows


def ingests(found: Result) -> list[Row]:
    """Return the rows of taking events in."""
    rows: list[Row] = []
    names = {"embedded": "ingest embedded, bodies of 1,000, one caller", "embedded_4_threads": "the same, four callers",
             "http": "ingest over HTTP, bodies of 1,000, acknowledged"}  # fmt: skip
    for part in ("ingest", "http"):
        for result in found.get(part, [])[-1:]:
            rates = result.get("events_per_second", {})
            for key, name in names.items():
                if rates.get(key):
                    mine, bare = statistics.median(rates[key]), statistics.median(rates["bare"])
                    spread = f"{_span(rates[key], 'r')}; bare: {_span(rates['bare'], 'r')}"
                    rows.append(Row(name, f"{mine:,.0f} /s", f"{bare:,.0f} /s", f"{mine / bare:.2f} of it", "at least 0.5",
                                    spread))  # fmt: skip
    return rows


def _sizes(found: Result) -> list[Row]:
    rows: list[Row] = []
    for result in found.get("memory", [])[-1:]:
        what = f"peak RSS, serving ({result['dashboards_meanwhile']} dashboards) while refreshing late events"
        rows.append(
            Row(what, f"{result['rss_mb']:,.0f} MB", "", "", "under 1,500 MB", f"open: {result['rss_mb_open']:,.0f} MB")
        )
    for result in found.get("fold", [])[-1:]:
        rows.append(Row("peak RSS, folding from scratch", f"{result['rss_mb']:,.0f} MB", "", "", "under 1,500 MB", ""))
        files = found["files"]
        for name, size in (("events alone", files["loaded_mb"]), ("events and all rollups", result["file_mb"])):
            rows.append(Row(
                f"file, {name}, against zstd Parquet of the events", f"{size:,.0f} MB", f"{files['parquet_mb']:,.0f} MB",
                f"{size / files['parquet_mb']:.1f}x", "at most 2x", "",
            ))  # fmt: skip
    for result in found.get("start", [])[-1:]:
        for key, name, reach in (("help", "`hubbub --help`", "under 0.5 s"), ("open", "open the store", "under 3 s")):
            one = result[key]
            spread = f"{one['n']} x, {_ms(one['min_ms'])} to {_ms(one['max_ms'])}"
            rows.append(Row(name, _ms(one["p50_ms"]), "", "", reach, spread))
    return rows


def table(found: Result) -> str:
    """Return the Markdown page of a run's results."""
    where = found["machine"]
    versions = ", ".join(f"{n} {v}" for n, v in where["versions"].items())
    rows = [*ingests(found), *folds(found), *answers(found), *_sizes(found)]
    lines = [
        f"# {found['events']:,} events, {found['tenants']:,} tenants, {found['zones']} zones, 90 days", "",
        f"{where['date']}; {where['cores']} cores, {where['memory_gb']} GB, {where['system']}, load {where['load']}; "
        f"Python {where['python']}, {versions}. Default settings (memory_limit 1GB). Made by `python -m bench.run`.", "",
        "| what | Hubbub (median) | beside it (median) | ratio | reach | spread |", "|---|---|---|---|---|---|",
        *(f"| {r.what} | {r.ours} | {r.theirs} | {r.ratio} | {r.reach} | {r.spread} |" for r in rows), "",
    ]  # fmt: skip
    for hand in found.get("hand_fold", [])[-1:]:
        differ = hand["totals_that_differ"]
        lines += [f"Totals compared between Hubbub and the hand-written fold: {hand['totals_compared']}, differing: "
                  f"{differ or 'none'} (hours are left out: the two cut the retention's edge differently).", ""]  # fmt: skip
    if found.get("failed"):
        lines += ["Not measured: " + "; ".join(f"{k}: {v}" for k, v in found["failed"].items()), ""]
    lines += [f"- {note}" for note in found.get("notes", [])]
    return "\n".join(lines).rstrip() + "\n"

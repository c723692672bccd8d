"""The bench's table: each goal with the measurement, the reference, and whether the goal was reached.

Missed goals are red and listed again below the table; rows that were not run have the reason.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bench import lab


@dataclass(frozen=True)
class Goal:
    """A row: what is measured, its unit, its reference (`beside`), and the goal.

    `judged`: "ours" the figure itself, "share" ours / theirs, "faster" theirs / ours; it must be at `least` or at `most`.
    `of`: the median of all samples, or their p99. `why_not`: the reason if it is not run.
    """

    what: str
    unit: str
    beside: str = ""
    judged: str = "ours"
    least: float | None = None
    most: float | None = None
    of: str = "median"
    why_not: str = "this part was not run"


_BARE = "DuckDB reading the same lines"
_EMPTY = "an empty handler of the same server"
_HAND, _PG = "SQL on ordered events in DuckDB", "SQL in PostgreSQL, one index"
_OWN = "a tenth of it"


def _answers() -> dict[str, Goal]:
    goals: dict[str, Goal] = {}
    for name, what in (
        ("dashboard", "dashboard, not cached"), ("series", "90-day series by day and channel"),
        ("explain", "explanation of a median over 31 days"), ("team", "team page by staff"),
    ):  # fmt: skip
        first = name == "dashboard"
        goals[f"{name}_p50"] = Goal(f"{what}, p50", "ms CPU", _HAND, "faster", 1)
        goals[f"{name}_p99"] = Goal(f"{what}, p99", "ms CPU", _HAND, "faster", 10 if first else 3, of="p99")
        goals[f"{name}_pg"] = Goal(f"{what}, p99", "ms CPU", _PG, "faster", 3, of="p99")
        goals[f"{name}_cpu"] = Goal(f"{what}, p99", "ms CPU", most=10 if first else 30, of="p99")
    return goals


GOALS: Mapping[str, Goal] = {
    "ingest_cpu": Goal("ingest in bodies of 1,000, one caller", "µs CPU an event", _BARE, "faster", 0.5),
    "ingest_wall": Goal("ingest in bodies of 1,000, one caller", "µs an event", _BARE, "faster", 0.5),
    "ingest_wall_4": Goal("ingest in bodies of 1,000, four callers", "µs an event", _BARE, "faster", 0.5),
    "http_cpu": Goal("ingest over HTTP in bodies of 1,000, four callers", "µs CPU an event", _BARE, "faster", 0.5),
    "http_wall": Goal("ingest over HTTP in bodies of 1,000, four callers", "µs an event", _BARE, "faster", 0.5),
    "http_single": Goal("ingest over HTTP, one event a request, 64 connections", "requests/s", _EMPTY, "share", 0.5),
    "http_single_cpu": Goal("ingest over HTTP, one event a request, 64 connections", "µs CPU a request", _EMPTY, "faster", 0.5),
    "resent": Goal("events sent again", "µs CPU an event", most=10),
    "fold_beside": Goal("store and fold from scratch", "µs CPU an event", "hand-written SQL, same facts", "share", most=2),
    "fold": Goal("store and fold from scratch", "µs CPU an event", most=6),
    "late_1": Goal("repair of one late event into hot days", "ms CPU", most=10),
    "late_100": Goal("repair of 100 late events into hot days", "µs CPU an event", most=450),
    "late_10000": Goal("repair of 10,000 late events into hot days", "µs CPU an event", most=450),
    "late_sealed": Goal("late events into sealed days", "ms CPU", most=30, why_not="no day is sealed: facts stay in one file"),
    "seen": Goal("one new event, until it is seen in an answer", "ms", most=50),
    "cycle": Goal("daily cycle of all tenants, 22,000 new events: folded, published, snapshots", "s", most=10),
    **_answers(),
    "clickhouse": Goal("answers on ClickHouse", "ms CPU", why_not="measured apart, by `python -m bench.clickhouse`"),
    "cached": Goal("cached dashboard, p99", "ms", _EMPTY, "share", most=2, of="p99"),
    "growth_fold": Goal("growth of the fold, from a tenth of the events", "µs CPU an event", _OWN, "share", most=1.5),
    "growth_late": Goal("growth of a late event's cost", "µs CPU", _OWN, "share", most=1.5),
    "growth_dashboard": Goal("growth of the dashboard", "ms CPU", _OWN, "share", most=1.5),
    "tenants_fold": Goal("the fold with 10,000 tenants", "µs CPU an event", "10 tenants, as many events", "share", most=1.5),
    "tenants_late": Goal("100 late events with 10,000 tenants", "µs CPU an event", "10 tenants", "share", most=1.5),
    "tenants_dashboard": Goal("dashboard with 10,000 tenants", "ms CPU", "10 tenants", "share", most=1.5),
    "tenants_add": Goal("adding a tenant to 10,000", "ms CPU", "adding one to 10", "share", most=1.5),
    **{
        f"noisy_{kind}{end}": Goal(f"p95 of a neighbour beside a tenant that sends 20 times its limit of {what}", "ms", beside,
                                   "share", most=1.5)
        for kind, what in (("good", "events"), ("bad", "events, all mistyped"), ("questions", "questions"))
        for end, beside in (("", "without it"), ("_excess", "the same at just its limit"))
    },
    "memory": Goal("memory, most, serving dashboards while refreshing", "MB", most=1000),
    "idle_memory": Goal("memory of an idle server", "MB", most=250),
    "idle_cpu": Goal("CPU of an idle server", "% of a core", most=1),
    "disk": Goal("the whole folder", "MB", "zstd Parquet of the events, ordered", "share", most=3.5),
    "disk_year": Goal("the whole folder after a year", "MB", "", most=2.8, why_not="the workload has 90 days"),
    "help": Goal("`hubbub --help`", "s", most=0.3),
    "ready": Goal("`hubbub serve` until it is ready", "s", most=2),
    "jobs": Goal("small jobs on PostgreSQL", "jobs/s", "Dramatiq on Redis", "share", 0.5,
                 why_not="no other queue was given (`--beside`); otherwise a job is a batch, and the daily cycle above must hold"),
    "tests": Goal("`make test`, `make test-all`", "minutes", why_not="timed by hand, not by the bench"),
}  # fmt: skip


def machine() -> dict[str, Any]:
    """Return facts about this machine: date, cores, memory, system, load, versions."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "python": platform.python_version(), "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}", "load": [round(x, 1) for x in os.getloadavg()],
        "versions": {n: importlib.metadata.version(n) for n in ("hubbub", "duckdb", "pyarrow", "msgspec", "uvicorn")},
    }  # fmt: skip


def judged(goal: Goal, row: Mapping[str, Any]) -> tuple[float | None, bool | None]:
    """Return the figure of a goal and whether it is reached; None if unknown."""
    of = lab.p99 if goal.of == "p99" else lab.median
    ours = of(row["ours"])
    if goal.judged != "ours" and not row["theirs"]:
        return None, None
    figure = ours
    if goal.judged == "share":
        figure = ours / of(row["theirs"])
    elif goal.judged == "faster":
        figure = of(row["theirs"]) / ours
    if goal.least is None and goal.most is None:
        return figure, None
    return figure, (goal.least is None or figure >= goal.least) and (goal.most is None or figure <= goal.most)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _samples(values: Sequence[float], of: str) -> str:
    if not values:
        return ""
    middle = lab.p99(values) if of == "p99" else lab.median(values)
    spread = f" ({_figure(min(values))} to {_figure(max(values))}, {len(values)} x)" if len(values) > 1 else ""
    return _figure(middle) + spread


def _reach(goal: Goal) -> str:
    times = {"ours": "", "share": "x", "faster": "x as fast"}[goal.judged]
    if goal.least is not None:
        return f"at least {goal.least:g}{times}"
    return f"at most {goal.most:g}{times}" if goal.most is not None else ""


def table(result: Mapping[str, Any]) -> str:
    """Return a run's results as a Markdown page."""
    rows: Mapping[str, Any] = result["rows"]
    lines = [
        f"# {result['events']:,} events, {result['tenants']:,} tenants", "",
        "Made by `python -m bench.run`, in 90 days, 12 zones and 5 channels, 5 % late and 1 % sent again. Medians, or the p99 "
        "where a row says so, with least and most; what is compared ran in turns, in the same part of the same run. The goals are "
        "those of 20,000,000 events on two cores that do nothing else: the load average of each part stands below.", "",
        "| what | unit | Hubbub | beside it | | is | goal | |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    missed, unmeasured = [], []
    for name, goal in GOALS.items():
        row = rows.get(name)
        reach = _reach(goal)
        if row is None:
            why = result["failed"].get(name) or goal.why_not
            lines.append(f"| {goal.what} | {goal.unit} | not run | {goal.beside} | | | {reach} | ⬜ |")
            unmeasured.append(f"- {goal.what} ({goal.unit}): {why}.")
            continue
        figure, reached = judged(goal, row)
        mark = {True: "🟩", False: "🟥 missed", None: "⬜ nothing beside it"}[reached]
        if reached is None:
            unmeasured.append(f"- {goal.what} ({goal.unit}), beside {goal.beside}: {goal.why_not}.")
        shown = (
            "" if figure is None else _figure(figure) + {"ours": "", "share": "x", "faster": "x as fast"}[goal.judged]
        )
        lines.append(
            f"| {goal.what} | {goal.unit} | {_samples(row['ours'], goal.of)} | {goal.beside} | "
            f"{_samples(row['theirs'], goal.of)} | {shown} | {reach} | {mark} |"
        )
        if reached is False:
            missed.append(
                f"- {goal.what} ({goal.unit}){f', beside {goal.beside}' if goal.beside else ''}: {shown}, {reach}."
            )
    notes = [f"- {GOALS[name].what} ({GOALS[name].unit}): {row['note']}" for name, row in rows.items() if row["note"]]
    parts = [f"- {name}: {_where(one)}" for name, one in result["machines"].items()]
    for title, some in (("Missed", missed), ("Not run", unmeasured), ("Notes", notes), ("Machine, by part", parts)):
        lines += ["", f"## {title}", "", *(some or ["None."])]
    return "\n".join(lines) + "\n"


def _where(one: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in one["versions"].items())
    return (
        f"{one['date']}, {one['cores']} cores, {one['memory_gb']} GB, {one['system']}, load average {one['load_before']} before "
        f"and {one['load']} after, {one['seconds']} s; Python {one['python']}, {versions}"
    )

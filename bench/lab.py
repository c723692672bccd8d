"""Tools of the bench: the workload as requests, stores filled with it, and the measurement of costs.

A cost is CPU time of this process, all its threads together, or wall time if somebody waits. `Findings` are samples by the name of
a row of `bench.report.GOALS`: Hubbub's, and those of the reference in the same run.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, ParamSpec

import duckdb

from bench import workload
from hubbub.app import Engine
from hubbub.control import control
from hubbub.control.changes import count_change, tenant_changes
from hubbub.control.database import now
from hubbub.model.event import read_events
from hubbub.model.tenant import KEEP_EVERYTHING
from hubbub.settings import load

WORK = Path(__file__).parent / "work"
NOW = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
"""The fixed time of the bench's clock: the end of the workload's 90 days."""
BODY = 1000
THREADS = os.cpu_count() or 1
ORDERING = (
    f"SET memory_limit = '10GB'; SET temp_directory = '{WORK / 'spill'}'; SET TimeZone = 'UTC'; "
    "SET enable_progress_bar = false"
)
"""DuckDB's settings for sorting 20 million events: less memory is not enough, even with temporary files."""
Params = ParamSpec("Params")
Findings = dict[str, dict[str, Any]]
"""Row -> `ours` and `theirs` (samples), and `note`."""


@dataclass(frozen=True)
class Size:
    """The size of a run."""

    events: int
    tenants: int = 1000
    rounds: int = 3

    @property
    def name(self) -> str:
        """Prefix of its files."""
        return str(self.events) if self.tenants == 1000 else f"{self.events}-of-{self.tenants}"

    def path(self, end: str) -> Path:
        """Return a file or folder of this size."""
        return WORK / f"{self.name}{end}"

    @property
    def parquet(self) -> Path:
        """The workload's file; it is made if it does not exist."""
        path = self.path(".parquet")
        if not path.exists():
            WORK.mkdir(exist_ok=True)
            workload.write(path, self.events, self.tenants)
        return path


@dataclass
class Cost:
    """The cost of a call: CPU seconds and wall seconds."""

    cpu: float
    wall: float


def cost(call: Callable[Params, object], *given: Params.args, **named: Params.kwargs) -> Cost:
    """Call a function and return its cost."""
    cpu, wall = time.process_time(), time.perf_counter()
    call(*given, **named)
    return Cost(time.process_time() - cpu, time.perf_counter() - wall)


def found(ours: Sequence[float], theirs: Sequence[float] = (), note: str = "") -> dict[str, Any]:
    """Return samples of one row, rounded to five digits."""
    return {"ours": [float(f"{v:.5g}") for v in ours], "theirs": [float(f"{v:.5g}") for v in theirs], "note": note}


def p99(samples: Sequence[float]) -> float:
    """Return the 99th percentile: of 100 samples, the second largest; of up to 50, the largest."""
    ordered = sorted(samples)
    return ordered[max(0, int(0.99 * len(ordered)) - 1)] if len(ordered) > 50 else ordered[-1]


def p95(samples: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(samples, n=20)[-1]


def median(samples: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(samples)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of all threads of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int, what: str = "VmRSS") -> float:
    """Return the memory of a process in MB: resident now, or with `VmHWM` the most it ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{what}:")).split()[1]) / 1024


def name_of(tenant: int) -> str:
    """Return the id of tenant number `tenant`."""
    return f"tenant-{tenant}"


def some_tenants(size: Size, count: int = 100) -> list[int]:
    """Return numbers of tenants, evenly spaced from the largest tenant to the smallest."""
    return list(range(1, size.tenants + 1, max(1, size.tenants // count)))[:count]


def engine(folder: Path, **flags: Any) -> Engine:
    """Open a folder with the bench's clock."""
    return Engine(load(folder, **flags), lambda: NOW)


def lines(size: Size, order: str = "file_row_number") -> Iterator[tuple[int, bytes]]:
    """Yield tenant and JSON of each event, by default in the order of arrival."""
    row = workload.row_as_json(workload.COLUMNS[1:])
    with duckdb.connect() as con:
        con.execute(ORDERING)
        read = f"read_parquet('{size.parquet}', file_row_number = true)"
        cursor = con.execute(f"SELECT tenant, {row} FROM {read} ORDER BY {order}")
        while some := cursor.fetchmany(20_000):
            yield from ((tenant, line.encode()) for tenant, line in some)


def bodies(size: Size, most: int) -> list[bytes]:
    """Return the first `most` events to arrive as NDJSON bodies of a thousand, without their tenants: the sender chooses them."""
    given = islice((line for _, line in lines(size)), most)
    found: list[bytes] = []
    while some := list(islice(given, BODY)):
        found.append(b"\n".join(some))
    return found


def accept(hub: Engine, tenant: str, body: bytes) -> int:
    """Store a body as a route does, and return the number of new events."""
    return hub.intake.accept(hub.control.tenant(tenant), read_events(body, lines=True)).accepted


def add_tenants(hub: Engine, count: int) -> None:
    """Create tenants 1 to `count` at once: one by one, the cost of each grows with their number (row `tenants_add`)."""
    same = {"name": "", "retention": json.dumps(asdict(KEEP_EVERYTHING)), "created_at": now()}
    rows = [{"no": no, "id": name_of(no), "zone": workload.zone_of(no), **same} for no in range(1, count + 1)]
    with hub.control.database.write() as con:
        con.execute(control.tenants.insert(), rows)
        count_change(con, tenant_changes)


def waiting(size: Size) -> Path:
    """Return a folder in which all events are accepted and none folded; make it if it does not exist."""
    folder = size.path("-waiting")
    if folder.exists():
        return folder
    making = size.path("-making")
    shutil.rmtree(making, ignore_errors=True)
    with engine(making) as hub:
        add_tenants(hub, size.tenants)
        whose = 0
        body: list[bytes] = []
        for tenant, line in lines(size, "tenant, file_row_number"):
            if tenant != whose or len(body) == BODY:
                if body:
                    accept(hub, name_of(whose), b"\n".join(body))
                whose, body = tenant, []
            body.append(line)
        accept(hub, name_of(whose), b"\n".join(body))
    making.rename(folder)
    return folder


def copy(source: Path, end: str) -> Path:
    """Copy a closed folder, so that the copy can be changed; return the copy."""
    target = source.with_name(source.name + end)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


def folded(size: Size) -> Path:
    """Return a folder in which all events are folded and published; make it if it does not exist."""
    folder = size.path("-folded")
    if not folder.exists():
        making = copy(waiting(size), "-folding")
        with engine(making) as hub:
            hub.refresh()
            hub.published.publish()
        making.rename(folder)
    return folder

"""Late events, and the time until a new event is in answers: the cost of new events in recent days, whatever is stored.

A late event is a copy of an event of the last 14 days with new ids, so that it falls among the events of its conversation.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import duckdb

from bench import lab
from bench.workload import COLUMNS, row_as_json
from hubbub.app import Engine

HOT = "2026-03-17"
COUNTS = {1: 20, 100: 5, 10_000: 1}
"""Number of late events at once -> number of repetitions."""
SEEN = 50


def hot(size: lab.Size, count: int, since: str = HOT) -> list[tuple[int, bytes]]:
    """Return tenant and JSON of `count` events since a day, with new ids, in random order; events may be copied repeatedly."""
    named = {"id": "'late-' || copy || '-' || id", "message_id": "message_id || '-late' || copy"}
    columns = ", ".join(f"{named[name]} AS {name}" if name in named else f'"{name}"' for name in COLUMNS)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        con.execute(
            f"CREATE TABLE once AS SELECT * FROM '{size.parquet}' WHERE \"time\" >= '{since}' "
            f"AND \"time\" < '{lab.NOW:%Y-%m-%d}' QUALIFY row_number() OVER (PARTITION BY tenant, id) = 1"
        )
        rows = con.execute(
            f"SELECT tenant, {row_as_json(COLUMNS[1:])} FROM (SELECT {columns} FROM once, range({count}) AS r(copy) "
            f"WHERE copy <= {count} // (SELECT count(*) FROM once) ORDER BY copy, hash(id) LIMIT {count})"
        ).fetchall()
    found = [(tenant, line.encode()) for tenant, line in rows]
    Random(1).shuffle(found)
    return found


def accept(hub: Engine, events: Sequence[tuple[int, bytes]]) -> None:
    """Accept events, one body for each tenant."""
    of: dict[int, list[bytes]] = {}
    for tenant, line in events:
        of.setdefault(tenant, []).append(line)
    for tenant, lines in of.items():
        lab.accept(hub, lab.name_of(tenant), b"\n".join(lines))


def late(hub: Engine, size: lab.Size, counts: Mapping[int, int]) -> dict[int, list[tuple[float, float]]]:
    """Accept and fold late events (number at once -> repetitions); return CPU seconds of their repair, and of accepting them."""
    events = hot(size, 1 + sum(count * times for count, times in counts.items()))
    accept(hub, [events.pop()])
    hub.refresh()
    spent: dict[int, list[tuple[float, float]]] = {}
    for count, times in counts.items():
        for _ in range(times):
            some, events = events[:count], events[count:]
            if len(some) == count:
                before = lab.cost(accept, hub, some).cpu
                spent.setdefault(count, []).append((lab.cost(hub.refresh).cpu, before))
    return spent


def seen(hub: Engine, number: int) -> float:
    """Record a message and ask until it is counted; return the seconds."""
    name = lab.name_of(number * 7 + 1)
    asked: dict[str, Any] = {"metrics": ["messages_received"], "start": "2026-03-31", "end": "2026-04-02"}
    before = hub.query(name, **asked)["rows"][0]["messages_received"]
    begun = time.perf_counter()
    hub.record(
        name, {"type": "message.received", "time": lab.NOW, "id": f"seen-{number}", "conversation_id": f"seen-{number}"}
    )
    while hub.query(name, **asked)["rows"][0]["messages_received"] == before:
        pass
    return time.perf_counter() - begun


def measure(size: lab.Size) -> lab.Findings:
    """Measure late and new events on a copy of the folded folder."""
    folder = lab.copy(lab.folded(size), "-late")
    with lab.engine(folder) as hub:
        spent = late(hub, size, COUNTS)
        times = [seen(hub, number) for number in range(min(SEEN, size.tenants // 7))]
    shutil.rmtree(folder)
    found = {}
    for count, some in spent.items():
        note = f"stored and folded; before that accepted, {1e6 * lab.median([s for _, s in some]) / count:,.0f} µs CPU an event"
        found[f"late_{count}"] = lab.found([(1000 if count == 1 else 1e6 / count) * s for s, _ in some], (), note)
    return found | {"seen": lab.found([1000 * s for s in times], (), f"p99 {1000 * lab.p99(times):.3g} ms")}

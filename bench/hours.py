"""What business hours cost: `python -m bench.hours --events 200000`. Folds the same store without calendars, with one for all
tenants, and with one of its own for each, turn and turn about; then one new conversation; then a change of all calendars.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from bench import run, stores
from bench.phases import Size
from hubbub.app import Engine
from hubbub.metrics import fold
from hubbub.metrics.catalogue import ROLLUPS
from hubbub.model.calendar import WEEKDAYS, read
from hubbub.store.control import calendars
from hubbub.store.database import now

WAYS = ("none", "one", "each")


def hours(way: str, number: int, closes: int = 17) -> dict[str, Any]:
    """Return a calendar document: 9 to 17 o'clock, or beginning at a minute of the tenant's own."""
    begin = f"09:{number % 60:02}" if way == "each" else "09:00"
    week = {day: [f"{begin}-12:30", f"13:{number // 60 % 60:02}-{closes}:00"] for day in WEEKDAYS[:5]}
    return {"versions": [{"valid_from": "2025-01-01", "week": week}]}


def folded(size: Size, way: str) -> dict[str, Any]:
    """Fold everything; returns seconds, rows in business hours and the file's size."""
    folder = stores.copy(size.path("-loaded"), size.path(f"-hours-{way}"))
    with stores.engine(folder) as hub:
        if way != "none":
            _set(hub, {number: hours(way, number) for number in range(1, size.tenants + 1)})
        seconds = [_timed(hub.refresh)]
        hub.store.checkpoint()
        for number, kind in enumerate(("message.received", "message.sent")):
            told = {
                "type": kind,
                "time": f"2026-03-31T1{number}:00:00Z",
                "conversation_id": "new",
                "id": f"new-{number}",
            }
            hub.record(stores.name_of(1), told)
            seconds.append(_timed(hub.refresh))
        tables = [t for r in ROLLUPS if r.in_hours for g in r.keep for t, _ in fold.schema(r, g)]
        rows = sum(hub.store.query(f"SELECT count(*) FROM {table}").rows[0][0] for table in tables)
        if way != "none":
            later = {"valid_from": "2026-03-01"}
            _set(hub, {
                number: {"versions": [hours(way, number)["versions"][0], hours(way, number, 18)["versions"][0] | later]}
                for number in range(1, size.tenants + 1)
            })  # fmt: skip
            seconds.append(_timed(hub.refresh))
    size_mb = (folder / "hubbub.duckdb").stat().st_size / 1e6
    stores.remove(folder)
    return {"seconds": seconds, "rows": rows, "file_mb": size_mb}


def _set(hub: Engine, documents: dict[int, dict[str, Any]]) -> None:
    """Give all tenants their calendars at once."""
    rows = [
        {"tenant": stores.name_of(number), "document": json.dumps(told), "changed_at": now()}
        for number, told in documents.items()
    ]
    with hub.control.database.write() as con:
        con.execute(calendars.delete())
        con.execute(calendars.insert(), rows)
    hub.control.set_calendar(stores.name_of(next(iter(documents))), read(documents[1]))


def _timed(act: Any) -> float:
    began = time.perf_counter()
    assert act()["errors"] == {}
    return time.perf_counter() - began


def main() -> None:
    """Run all ways."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    size = Size(options.events, options.tenants, 12, 40.0)
    run.prepare(size)
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            found[way].append(folded(size, way))
    for way, several in found.items():
        steps = [list(times) for times in zip(*(one["seconds"] for one in several), strict=True)]
        print(json.dumps({
            "calendars": way, "rows": several[0]["rows"], "file_mb": round(several[0]["file_mb"], 1),
            **{name: round(statistics.median(times), 3) for name, times in
               zip(("fold", "one_question", "one_answer", "changed_calendars"), steps, strict=False)},
        }))  # fmt: skip


if __name__ == "__main__":
    main()

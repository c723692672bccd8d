"""Alerts on real series: how often change rules fire in a year, and the share of tripled days that they find.

    python -m bench.alerts <data folder> [--metric messages] [--grain day]

Each tenant of the folder is judged year by year, by the replay that tries a rule before it is saved. Earlier years are printed
first: tune the rule on these and confirm it on the later ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hubbub.app import Engine
from hubbub.settings import load

YEAR = timedelta(days=365)


def years(engine: Engine, tenant: str) -> Iterator[datetime]:
    """Yield the ends of the years of a tenant's events, latest first."""
    rows = engine.answers.query(tenant, ["events"], "2005-01-01", "2030-01-01", grain="month").rows
    filled = [datetime.fromisoformat(row["window"]) for row in rows if row["events"]]
    end = filled[-1] + timedelta(days=31) if filled else None
    while end is not None and end > filled[0]:
        yield end
        end -= YEAR


def main() -> None:
    """Print a line for each tenant, year and pair of floors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--metric", default="messages")
    parser.add_argument("--grain", default="day")
    parser.add_argument("--by", default=None)
    given = parser.parse_args()
    now = [datetime.now(UTC)]
    rule = {"name": "bench", "kind": "change", "metric": given.metric, "grain": given.grain, "by": given.by}
    with Engine(load(given.folder, free_floor_mb=0), lambda: now[0]) as engine:
        for tenant in engine.tenants.of().rows:
            for end in reversed(list(years(engine, tenant.tenant))):
                now[0] = end + timedelta(days=1)
                tried = engine.alerts.try_(tenant.tenant, rule)
                floors = "  ".join(
                    f"{'chance' if v.at_least is None else f'{v.at_least:g}'}/{v.times:g}: {v.incidents}, "
                    f"{'–' if v.tripled is None else f'{v.tripled:.0%}'}"
                    for v in tried.variants
                )
                print(f"{tenant.tenant:10} to {end:%Y-%m}  {tried.judged:6} judged  {floors}", flush=True)


if __name__ == "__main__":
    main()

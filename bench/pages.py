"""Pages, timed: each page of the dashboard with its later parts, for many tenants, beside an empty handler; weight; first number.

`python -m bench.pages --events 20000000` fills a store with the workload and writes bench/results/pages-<events>.{json,md}.
Every tenant's page is asked for the first time ("anew": nothing of it is kept) and once more ("kept"). In a browser, an empty page
and the overview are opened in turns: until the first number is painted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from bench import stores
from bench.cached import RESULTS, Connection, child, events_in, free_port, request
from bench.machine import machine
from hubbub.app import open_engine
from hubbub.pages.every import OPERATOR, TENANT
from hubbub.pages.people import COOKIE

NEEDS = {"explain": "?metric=first_response_ms.p50"}
"""What a page must be told."""
LEFT_OUT = ("conversation", "job")
PART = re.compile(rb'data-part="([^"]+)"')
ROUNDS = 15
OPERATORS = 20
"""How often an operator's page is asked for: it is the same each time, and its p99 is the slowest."""


def sign_in(folder: Path) -> tuple[str, int]:
    """Sign an operator in; returns the session's token, and how many events there are."""
    with open_engine(folder, clock=lambda: stores.NOW) as engine:
        _, link = engine.access.invite("operator", None)
        count = events_in(engine)
        return engine.access.enter(link)[1], count


def ask(line: Connection, path: str, token: str) -> tuple[float, bytes]:
    """Return seconds and body of a page."""
    seconds, _, body = line.ask(request(path, headers={"Cookie": f"{COOKIE}={token}"}))
    return seconds, body


def times(taken: list[float]) -> dict[str, float]:
    """Return p50 and p99 in milliseconds."""
    there = sorted(taken)
    return {
        "p50_ms": round(1000 * statistics.median(there), 2),
        "p99_ms": round(1000 * there[int(0.99 * len(there))], 2),
    }


def measure(line: Connection, token: str, tenants: int, asked: int) -> dict[str, Any]:
    """Ask for each page of `asked` tenants, and for its later parts."""
    found: dict[str, Any] = {"empty": times([line.ask(request("/empty"))[0] for _ in range(asked)])}
    step = max(1, tenants // asked)
    for place, pages in (("t", TENANT), ("operate", OPERATOR)):
        for name in pages:
            if name in LEFT_OUT:
                continue
            bases = (
                [f"/t/{stores.name_of(1 + n * step)}" for n in range(asked)]
                if place == "t"
                else ["/operate"] * min(asked, OPERATORS)
            )
            seconds: dict[str, list[float]] = {"anew": [], "kept": [], "parts_anew": []}
            size = 0
            for base in bases:
                path = f"{base}/{name}{NEEDS.get(name, '')}"
                took, body = ask(line, path, token)
                seconds["anew"].append(took)
                parts = [one.decode().replace("&amp;", "&") for one in PART.findall(body)]
                seconds["parts_anew"] += [ask(line, part, token)[0] for part in parts]
                seconds["kept"].append(ask(line, path, token)[0])
                size = max(size, len(body))
            found[f"{place}/{name}"] = {kind: times(taken) for kind, taken in seconds.items() if taken} | {
                "bytes": size
            }
            print(f"{place}/{name}: {found[f'{place}/{name}']}", flush=True)
    return found


def painted(port: int, token: str, tenants: int) -> dict[str, Any]:
    """Open an empty page and two overviews in turns: one that was kept, one asked for the first time.

    Returns milliseconds from the click to the first paint; an overview's cards are part of its first paint.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        return {"failed": "no chromium on this machine"}
    base = f"http://127.0.0.1:{port}"
    found: dict[str, list[float]] = {"empty": [], "overview, kept": [], "overview, anew": []}
    weight: dict[str, int] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for turn in range(ROUNDS):
            paths = ("/sign-in", f"/t/{stores.name_of(1)}/overview", f"/t/{stores.name_of(tenants - turn)}/overview")
            for name, path in zip(found, paths, strict=True):
                context = browser.new_context()  # nothing is kept from one visit to the next
                context.add_cookies([{"name": COOKIE, "value": token, "url": base}])
                page = context.new_page()
                page.goto(base + path)
                page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
                found[name].append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
                page.wait_for_load_state("networkidle")
                weight[name] = page.evaluate(
                    "performance.getEntries().reduce((sum, one) => sum + (one.transferSize || 0), 0)"
                )
                context.close()
        browser.close()
    return {
        name: {"first_paint_p50_ms": round(statistics.median(taken), 1), "bytes": weight[name]}
        for name, taken in found.items()
    }


def table(found: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = [
        f"# Pages over {found['events']:,} events of {found['tenants']:,} tenants", "",
        ", ".join(f"{name} {value}" for name, value in found["machine"].items()), "",
        "| page | anew p50 / p99 ms | later parts anew p50 / p99 | kept p50 / p99 | bytes |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, one in found["pages"].items():
        if name == "empty":
            lines.append(f"| an empty handler | {one['p50_ms']} / {one['p99_ms']} | | | |")
            continue
        cells = [f"{one[k]['p50_ms']} / {one[k]['p99_ms']}" if k in one else "" for k in ("anew", "parts_anew", "kept")]
        lines.append(f"| {name} | {' | '.join(cells)} | {one['bytes']:,} |")
    lines += ["", "| in a browser | first paint p50 ms | bytes over the wire |", "|---|---|---|"]
    for name, one in found["painted"].items():
        lines.append(
            f"| {name} | {one['first_paint_p50_ms']} | {one['bytes']:,} |"
            if isinstance(one, dict)
            else f"| {name} | {one} | |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--asked", type=int, default=100, help="tenants whose pages are asked for")
    parser.add_argument("--folded", type=Path, help="a folded store elsewhere")
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": machine()}
    stores.WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=stores.WORK) as place:
        folder = Path(place) / "data"
        stores.copy(options.folded or stores.folded(options.events), folder)
        token, found["events"] = sign_in(folder)
        with open_engine(folder, clock=lambda: stores.NOW) as engine:
            found["tenants"] = len(engine.control.tenants())
        port = free_port()
        me = [
            sys.executable,
            "-m",
            "bench.cached",
            "--serve",
            str(folder),
            "--events",
            str(options.events),
            "--port",
            str(port),
        ]
        with child(*me, "--cache", "mem://"):
            line = Connection(port)
            time.sleep(1)
            ask(line, f"/t/{stores.name_of(1)}/overview", token)
            found["pages"] = measure(line, token, found["tenants"], options.asked)
            found["painted"] = painted(port, token, found["tenants"])
    found["machine"]["load_after"] = [round(x, 1) for x in os.getloadavg()]
    (RESULTS / f"pages-{options.events}.json").write_text(json.dumps(found, indent=2) + "\n")
    (RESULTS / f"pages-{options.events}.md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()

"""How long a reader waits for each page: `python -m bench.pages --events 20000000`.

The server runs in a separate process on the bench's store, at the end of its days. Each page is asked for once for each of many
tenants, from the largest to the smallest, so that no answer is cached: its frame, then its parts one after the other. A browser
opens each page of the largest tenant, for the times of the first paint and of the last part. Prints a table, in milliseconds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import httpx2
from playwright.sync_api import sync_playwright
from tests.served import served

from bench import lab
from hubbub.dashboard.registry import TENANT

TENANTS = 50
DAYS = "from=2026-03-04&to=2026-04-01"
ABOUT = {"explain": "&metric=response_ms.p50"}
"""Parameters that pages need besides the days."""
LEFT_OUT = {"conversation", "incident"}
"""Pages whose address needs an id."""
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


def _serve(size: lab.Size, end: Connection) -> None:
    with lab.engine(lab.folded(size)) as hub, served(hub) as port:
        end.send((port, [hub.access.sign_in_link(None, "operator").path for _ in range(2)]))
        end.recv()


@contextmanager
def server(size: lab.Size) -> Iterator[tuple[str, list[str]]]:
    """Serve the bench's store; yield the address, and two sign-in links."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(size, theirs))
    process.start()
    try:
        port, links = ours.recv()
        yield f"http://127.0.0.1:{port}", links
    finally:
        ours.send("stop")
        process.join(60)


def pages() -> dict[str, str]:
    """Return the address of each page, relative to the tenant's, by the page's name."""
    return {name: f"{name}?{DAYS}{ABOUT.get(name, '')}" for name in TENANT if name not in LEFT_OUT}


def asked(http: httpx2.Client, tenant: str, name: str, address: str) -> tuple[float, float, str]:
    """Ask for a page and its parts; return the milliseconds of all, those of the slowest part, and its name.

    Raises RuntimeError for any status but 200.
    """
    query = address.partition("?")[2]
    taken = {}
    for part in ("", *(widget.name for widget in TENANT[name].widgets if widget.lazy)):
        begun = perf_counter()
        answer = http.get(f"/t/{tenant}/{name}/{part}?{query}" if part else f"/t/{tenant}/{address}")
        taken[part] = 1000 * (perf_counter() - begun)
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.url} answered {answer.status_code}")
    slowest = max(taken, key=lambda part: taken[part])
    return sum(taken.values()), taken[slowest], slowest or "frame"


def painted(url: str, link: str) -> dict[str, tuple[float, float]]:
    """Open each page of a large tenant; return milliseconds to the first paint and to the last part, by page."""
    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(url + link)
        page.click("form button")
        page.wait_for_load_state()
        for name, address in pages().items():
            begun = perf_counter()
            page.goto(f"{url}/t/{lab.name_of(2)}/{address}", wait_until="networkidle")
            all_in = 1000 * (perf_counter() - begun) - 500
            found[name] = (page.evaluate(PAINTED), all_in)
        browser.close()
    return found


def measured(url: str, link: str, size: lab.Size) -> dict[str, list[tuple[float, float, str]]]:
    """Ask for each page of many tenants; return the results of `asked` by page."""
    taken: dict[str, list[tuple[float, float, str]]] = {name: [] for name in pages()}
    with httpx2.Client(base_url=url, timeout=120, headers={"Origin": url}, follow_redirects=True) as http:
        http.post("/sign-in", data={"token": link.partition("token=")[2]}).raise_for_status()
        for tenant in lab.some_tenants(size, TENANTS):
            for name, address in pages().items():
                taken[name].append(asked(http, lab.name_of(tenant), name, address))
    return taken


def main(size: lab.Size) -> None:
    """Print the table."""
    with server(size) as (url, links):
        opened = painted(url, links[0])
        taken = measured(url, links[1], size)
    print(f"{size.events:,} events, {size.tenants:,} tenants; {TENANTS} of them ask for each page once, 28 days\n")
    print(
        "| page | all parts p50 | p99 | slowest part p99 | which | first paint | last part |\n|---|---|---|---|---|---|---|"
    )
    for name, samples in taken.items():
        whole, part = [one[0] for one in samples], [one[1] for one in samples]
        which = max(samples, key=lambda one: one[1])[2]
        figures: list[Any] = [lab.median(whole), lab.p99(whole), lab.p99(part), which, *opened[name]]
        print(f"| {name} | " + " | ".join(one if isinstance(one, str) else f"{one:.0f}" for one in figures) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--tenants", type=int, default=1000)
    given_ = parser.parse_args()
    main(lab.Size(given_.events, given_.tenants))

"""Take the pictures of the documents, and of every page in both themes at three widths.

`python docs/make_pictures.py DATA` serves the folder DATA and renews docs/pictures; with `--all FOLDER` it takes every page into
FOLDER instead. DATA holds the demo (`hubbub demo`); pictures of tenants that it lacks stay as they are, and are named. Debian's
chromium takes the pictures. Mails and messages come from `received.py`, which makes its own data.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from received import received

from hubbub.dashboard.registry import OPERATOR, TENANT

PICTURES = Path(__file__).parent / "pictures"
HUBBUB = [sys.executable, "-m", "hubbub"]
WIDTHS = (1440, 1024, 390)
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
DRAWN = (
    "() => !document.querySelector('[aria-busy]') && "
    "[...document.querySelectorAll('[data-chart]')].every(plot => plot.dataset.done)"
)


@dataclass(frozen=True)
class Picture:
    """A picture of the documents: its name, the tenant and page, and the theme. Viewers see no words of people."""

    name: str
    tenant: str
    page: str
    theme: Theme = "light"


DOCUMENTS = (
    Picture("dashboard", "brooklyn-bikes", "overview"),
    Picture("dashboard-dark", "brooklyn-bikes", "overview", "dark"),
    Picture("team-demo", "hotel-aurora", "team"),
    Picture("messages-demo", "hotel-aurora", "messages"),
    Picture("overview-slack", "rcontributors", "overview?from=2022-01-01&to=2022-07-01"),
    Picture("speed-slack", "rcontributors", "speed?from=2022-01-01&to=2022-07-01"),
    Picture("topics-airline", "united", "topics?from=2015-02-17&to=2015-02-25"),
)
"""The last three are of public data that is not part of the project: `rcontributors` is imported from a Slack export, `united` by
examples/twitter-airlines.yaml."""


@contextmanager
def served(data: Path) -> Iterator[str]:
    """Serve a folder on a free port; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    command = [*HUBBUB, "serve", "--data", str(data), "--port", url.rpartition(":")[2]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urlopen(f"{url}/healthz", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


def window(browser: Browser, data: Path, url: str, theme: Theme, width: int, tenant: str = "") -> Page:
    """Open a window, signed in as a viewer of a tenant, or without one as operator."""
    size: ViewportSize = {"width": width, "height": 900}
    page = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce").new_page()
    asked = ["--tenant", tenant, "--role", "viewer"] if tenant else []
    command = [*HUBBUB, "sign-in", "--data", str(data), "--url", url, *asked]
    page.goto(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    page.click("form button")
    page.wait_for_load_state("networkidle")
    return page


def take(page: Page, address: str, path: Path) -> None:
    """Open an address, wait until all its parts and charts are there, and take a picture of the whole page."""
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.wait_for_function(DRAWN)
    page.screenshot(path=path, full_page=True)


def documents(browser: Browser, data: Path, url: str) -> None:
    """Renew the pictures of the documents."""
    for picture in DOCUMENTS:
        try:
            page = window(browser, data, url, picture.theme, 1440, picture.tenant)
        except subprocess.CalledProcessError:
            sys.stderr.write(f"{picture.name}: stays as it is, since the folder has no tenant {picture.tenant}\n")
            continue
        take(page, f"{url}/t/{picture.tenant}/{picture.page}", PICTURES / f"{picture.name}.png")
        page.context.close()


def every_page(browser: Browser, data: Path, url: str, tenant: str, folder: Path) -> None:
    """Take every page of a tenant and of operators, in both themes, at three widths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: f"/t/{tenant}/{name}" for name in TENANT if name not in ("conversation", "incident", "explain")}
    paths |= {"explain": f"/t/{tenant}/explain?metric=csat"}
    paths |= {f"operate-{name}": f"/operate/{name}" for name in OPERATOR if name != "job"}
    for theme in THEMES:
        for width in WIDTHS:
            page = window(browser, data, url, theme, width)
            for name, path in paths.items():
                take(page, url + path, folder / f"{name}-{width}-{theme}.png")
            page.context.close()


def main() -> None:
    """Read the arguments and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    parser.add_argument("--tenant", default="hotel-aurora")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with served(given.data) as url, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        if given.all:
            every_page(browser, given.data, url, given.tenant, given.all)
        else:
            documents(browser, given.data, url)
            received(browser, served, PICTURES)
        browser.close()


if __name__ == "__main__":
    main()

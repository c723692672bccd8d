"""A real server over real folders, and a real browser that watches each page's console, requests and their hosts.

Debian's chromium is used; without it these tests are skipped. Screenshots go to `build/screenshots`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

import hubbub
from hubbub import demo
from hubbub.control.alerts import Decision, Entry, Incident
from hubbub.control.database import new_id
from hubbub.model.event import TEXT_FIELDS, TYPES
from tests.extent import ALL

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "build" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
HUBBUB = [sys.executable, "-c", "from hubbub.cli.main import run; run()"]
HOTEL = "hotel-aurora"
EVIL = "evil"
CORPUS = (
    "<script>window.pwned=1</script>", "<img src=x onerror=window.pwned=1>", "\"><svg onload=window.pwned=1>",
    "' onmouseover='window.pwned=1", "javascript:window.pwned=1", "{{7*7}}", "${window.pwned=1}", "</script><script>window.pwned=1",
    "<a href=javascript:window.pwned=1>x</a>", "\u202eevil\u2066", "<iframe srcdoc='<script>parent.pwned=1</script>'>",
)  # fmt: skip
"""Texts from outside that would run if they were taken for HTML or a script; used as names of everything."""


@dataclass
class Server:
    """A running server: its address, its folder, and keys by tenant."""

    url: str
    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    samples: dict[str, str] = field(default_factory=dict)
    """Query strings of pages that need one, by page name."""

    def link(self, tenant: str | None = None, role: str = "operator") -> str:
        """Return a sign-in link, made as `hubbub sign-in` does."""
        asked = ["--tenant", tenant, "--role", role] if tenant else []
        command = [*HUBBUB, "sign-in", "--data", str(self.folder), *asked]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    def query(self, tenant: str, **question: Any) -> dict[str, Any]:
        """Return the API's answer to a question."""
        answer = httpx2.post(
            f"{self.url}/v1/query", json=question, headers={"Authorization": f"Bearer {self.keys[tenant]}"}, timeout=60
        )
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def send(self, tenant: str, **event: Any) -> None:
        """Send an event."""
        headers = {"Authorization": f"Bearer {self.keys[tenant]}"}
        httpx2.post(f"{self.url}/v1/events", json=event, headers=headers, timeout=60).raise_for_status()

    def deliver(self) -> None:
        """Send accepted, partly rejected, rejected and unauthorized requests, so that the delivery log has each outcome."""
        now = datetime.now(UTC).isoformat()
        good = {"type": "message.received", "time": now, "id": "sent", "channel": "web"}
        keys = {**self.keys, CORPUS[0]: f"hub_live_{quote(CORPUS[0])}"}
        for tenant, body in (
            (EVIL, [good]), (EVIL, [good, {CORPUS[0]: 1}]), (HOTEL, [{CORPUS[1]: 1}]), (HOTEL, CORPUS[2]), (CORPUS[0], [good]),
        ):  # fmt: skip
            headers = {"Authorization": f"Bearer {keys[tenant]}"}
            assert httpx2.post(f"{self.url}/v1/events", json=body, headers=headers, timeout=60).status_code in (
                202,
                400,
                401,
            )


def fill(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Fill a folder with a tenant of the demo, one whose names are all attacks, and two without events.

    Returns keys by tenant, and query strings of pages that need one.
    """
    now = datetime.now(UTC)
    with hubbub.open(folder) as engine:
        _, zone, name = demo.tenants()[0]
        engine.add_tenant(HOTEL, zone=zone, name=name)
        engine.accept(HOTEL, demo.events(HOTEL, now, days=40), history=True)
        engine.add_tenant(EVIL, zone="UTC", name=CORPUS[0])
        engine.record(EVIL, list(attacks(now)))
        for tenant in ("empty", "first"):
            engine.add_tenant(tenant, zone="Asia/Tokyo", name="Nothing yet")
        engine.refresh()
        engine.snapshot("daily")
        job = engine.reports.start(HOTEL, "weekly", formats=["json", "html"]).job
        with engine.store.facts.read() as reading:
            conversation = reading.value(
                "SELECT max(conversation_id) FROM event WHERE type = 'conversation.started' AND source = 'demo'"
            )
        samples = {
            "explain": "metric=csat", "job": f"job={quote(job)}",
            "conversation": f"id={quote(conversation)}", "incident": f"id={incident(engine, now)}",
        }  # fmt: skip
        return {tenant: engine.keys.add(tenant).key for tenant in (HOTEL, EVIL, "empty", "first")}, samples


def incident(engine: hubbub.Engine, now: datetime) -> str:
    """Open an incident of yesterday; return its id."""
    rule = {"name": "Many messages", "kind": "threshold", "metric": "messages", "limit": 5}
    stored = engine.alert_store.rule(HOTEL, engine.alerts.add(HOTEL, rule).id)
    id_, day = new_id("inc"), now.replace(hour=0, minute=0, second=0, microsecond=0)
    span = day - timedelta(days=1), day
    found = Incident(id_, HOTEL, stored.id, "", "Many messages", *span, 99, None, 99, day, 0, now)
    assert engine.alert_store.decide(stored, Decision(now, [found], [Entry(id_, now, "opened", "Messages: 99.")]))
    return id_


def attacks(now: datetime) -> Iterator[dict[str, Any]]:
    """Yield an event of every type, at several hours, with an attack in every text field."""
    for hours in range(1, 40, 3):
        for n, type_ in enumerate(sorted(TYPES)):
            text = CORPUS[(n + hours) % len(CORPUS)]
            yield {
                **{name: text for name in TEXT_FIELDS if name != "kind"}, "type": type_, "kind": "person", "source": text,
                "time": (now - timedelta(hours=hours, minutes=n)).isoformat(), "id": f"{hours}-{n}",
                "attributes": {"text": text, text: text}, "value": 4 if type_.startswith("satisfaction") else 1.5,
                "confidence": 0.9, "duration_ms": 1000,
            }  # fmt: skip


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve such a folder with `hubbub serve`, in a process of its own."""
    folder = tmp_path_factory.mktemp("browser") / "data"
    keys, samples = fill(folder)
    with served(folder) as url:
        made = Server(url, folder, keys, samples)
        made.deliver()
        yield made


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Run `hubbub serve` over a folder on a free port; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*HUBBUB, "serve", "--data", str(folder), "--port", str(port)]
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"HUBBUB_REFRESH_SECONDS": "2"}
        )
    url, until = f"http://127.0.0.1:{port}", time.monotonic() + 60
    try:
        while True:
            try:
                httpx2.get(f"{url}/healthz", timeout=5)
                break
            except httpx2.HTTPError:
                assert process.poll() is None and time.monotonic() < until, (folder / "serve.log").read_text()
                time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, (folder / "serve.log").read_text()


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Start playwright; its event loop runs in this thread, which other tests must not meet."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: install Debian's package 'chromium'")
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Start the browser without a screen."""
    started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield started
    started.close()


class Visitor:
    """A window with a size and theme; `faults` lists errors of its pages."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        page.on("console", lambda message: self._told(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("response", lambda answer: self._answered(answer.status, answer.url))

    def _told(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.faults.append(f"console {kind}: {text[:300]}")

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob", "about") and not url.startswith(self.url):
            self.faults.append(f"request to another host: {url}")

    def _answered(self, status: int, url: str) -> None:
        if status >= 400:
            self.faults.append(f"{status}: {url}")

    def sign_in(self, link: str) -> None:
        """Follow a sign-in link and press its button."""
        self.page.goto(self.url + urlsplit(link).path + "?" + urlsplit(link).query)
        self.page.click("button")
        self.page.wait_for_load_state("networkidle")

    def visit(self, path: str) -> None:
        """Open a page and wait for all its parts and charts."""
        self.page.goto(self.url + path)
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_function(
            "() => !document.querySelector('[aria-busy]') && "
            "[...document.querySelectorAll('[data-chart]')].every(plot => plot.dataset.done)"
        )

    def shot(self, name: str) -> None:
        """Take a screenshot if all tests run, since one of a long page takes as long as opening it."""
        if not ALL:
            return
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


@contextmanager
def visiting(
    browser: Browser, server: Server, tenant: str | None = None, role: str = "operator", *, width: int = 1200, theme: Any = "light",
    signed_in: bool = True, touch: bool = False,
) -> Iterator[Visitor]:  # fmt: skip
    """Open a new window, signed in."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, timezone_id="Pacific/Auckland", locale="en-GB",
        reduced_motion="reduce", has_touch=touch,
    )  # fmt: skip
    context.set_default_timeout(30_000)
    try:
        visitor = Visitor(context.new_page(), server.url)
        if signed_in:
            visitor.sign_in(server.link(tenant, role))
            visitor.faults.clear()  # the first page is left before its parts arrive
        yield visitor
    finally:
        context.close()

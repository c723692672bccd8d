"""Servers of small folders, and signed-in browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.app import Engine
from hubbub.settings import load
from tests.unit.dashboard.busy import events
from tests.unit.dashboard.visiting import Visitor, visiting

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
ORIGIN = "http://testserver"


@dataclass
class Pages:
    """The engine, and a function that opens a browser."""

    engine: Engine
    window: Callable[[], TestClient]

    def sign_in(self, role: str = "operator", tenant: str | None = None) -> TestClient:
        """Open a browser and sign in with a link."""
        http = self.window()
        path = self.engine.access.sign_in_link(tenant, role).path
        answer = http.post("/sign-in", data={"token": path.partition("token=")[2]}, headers={"Origin": ORIGIN})
        assert answer.status_code == 303, answer.text
        return http


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """Serve tenants `a` and `b`, with one event each, at a fixed moment."""
    with Engine(load(tmp_path / "data"), lambda: NOW) as engine:
        for tenant in ("a", "b"):
            engine.add_tenant(tenant, zone="Europe/Rome", name=f"Tenant {tenant}")
            engine.record(
                tenant,
                {
                    "type": "message.received", "time": "2026-08-19T10:00:00Z", "channel": f"only-{tenant}", "contact_id": "c1",
                    "conversation_id": "k1", "id": "1",
                },
            )  # fmt: skip
        engine.refresh()
        app = create_app(engine, refresh=False)
        yield Pages(
            engine, lambda: TestClient(app, base_url=ORIGIN, follow_redirects=False, raise_server_exceptions=False)
        )


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    """Serve a test's own engine to an operator."""
    with visiting(tmp_path / "data") as one:
        yield one


@pytest.fixture
def busy(pages: Pages) -> Pages:
    """Give tenant `a` data for every page; all but the last two events are folded."""
    made = events(NOW)
    assert not pages.engine.record("a", made[:-2])["rejected"]
    pages.engine.refresh()
    pages.engine.record("a", made[-2:])
    return pages


@pytest.fixture
def chat(pages: Pages) -> Pages:
    """Add a tenant whose messages all came by Slack: six threads in two channels."""
    pages.engine.add_tenant("chat", zone="Europe/Rome")
    sent = [
        {"type": "message.received", "time": f"2026-08-1{day}T09:00:00Z", "id": f"k{day}", "conversation_id": f"k{day}",
         "channel": "slack", "channel_id": f"C{day % 2}", "contact_id": f"U{day}", "kind": "person"}
        for day in range(6)
    ]  # fmt: skip
    pages.engine.record("chat", sent, history=True)
    return pages

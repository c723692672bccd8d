"""The HTTP API over an embedded engine whose clock stands still."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.app import Engine
from hubbub.clock import fixed
from hubbub.settings import load

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
DAY = {"from": "2026-08-01", "to": "2026-08-02"}


def open_engine(folder: Path, **flags: Any) -> Engine:
    """Open a small engine whose clock stands at NOW."""
    options = {"free_floor_mb": 0, **flags}
    return Engine(load(data=folder, **options), fixed(NOW))


def event(id_: str, hour: int = 10, **fields: Any) -> dict[str, Any]:
    """Return a message of 1 August 2026."""
    return {"type": "message.received", "time": f"2026-08-01T{hour:02}:00:00Z", "id": id_, "channel": "sms", **fields}


@dataclass
class Face:
    """A client of the app, with a tenant's key."""

    engine: Engine
    http: TestClient
    key: str

    @property
    def auth(self) -> dict[str, str]:
        """Return the header with the tenant's key."""
        return {"Authorization": f"Bearer {self.key}"}

    def post(self, body: Any, **headers: str) -> httpx2.Response:
        """Post events: bytes unchanged, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post("/v1/events", content=content, headers={**self.auth, **headers})

    def get(self, path: str, **params: Any) -> httpx2.Response:
        """Send a GET request with the tenant's key."""
        return self.http.get(
            path, params=params or None, headers=self.auth
        )  # an empty dict would remove the query in the path

    def ask(self, **question: Any) -> httpx2.Response:
        """Post a query, by default for messages of the day."""
        content = json.dumps({"metrics": ["messages"], **DAY, **question})
        return self.http.post("/v1/query", content=content, headers=self.auth | {"Content-Type": "application/json"})

    @cached_property
    def operator(self) -> str:
        """An operator's key: scope admin, no tenant."""
        return str(self.engine.keys.add(None, ["admin"]).key)

    def stored(self) -> list[dict[str, Any]]:
        """Refresh, and return the stored events by id."""
        self.engine.refresh()
        with self.engine.store.facts.read() as reading:
            return reading.dicts("SELECT * FROM event ORDER BY id")


@contextmanager
def serving(folder: Path, **flags: Any) -> Iterator[Face]:
    """Serve an engine with the tenant acme; its errors become responses, as they do for callers."""
    with open_engine(folder, **flags) as engine:
        engine.add_tenant("acme", zone="Europe/Rome")
        key = engine.keys.add("acme").key
        with TestClient(create_app(engine, refresh=False), raise_server_exceptions=False) as http:
            yield Face(engine, http, key)


@pytest.fixture
def face(tmp_path: Path) -> Iterator[Face]:
    """Serve an engine to one test."""
    with serving(tmp_path / "data") as made:
        yield made


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """Serve one engine to all tests of a module, so that what a request leaves behind shows in the next."""
    with serving(tmp_path_factory.mktemp("arena") / "data") as made:
        yield made

"""A signed-in visitor of pages, for tests of what pages show and what their forms do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
from starlette.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.app import Engine
from tests.unit.api.conftest import open_engine

SITE = {"Origin": "http://testserver"}
XSS = '<img src=x onerror="alert(1)">'


class Visitor:
    """A browser's session at an engine's pages."""

    def __init__(self, engine: Engine, http: TestClient) -> None:
        self.engine = engine
        self.http = http

    def enter(self, tenant: str | None = None, role: str = "operator") -> None:
        """Sign in again, with a role."""
        self.http.cookies.clear()
        token = self.engine.access.sign_in_link(tenant, role).path.partition("token=")[2]
        answer = self.http.post("/sign-in", data={"token": token}, headers=SITE, follow_redirects=False)
        assert answer.status_code == 303

    def see(self, path: str, status: int = 200) -> str:
        """Return a page's text as a browser shows it: without tags, entities decoded."""
        answer = self.http.get(path, follow_redirects=False)
        assert answer.status_code == status, plain(answer.text)[:600]
        return plain(answer.text)

    def page(self, path: str) -> str:
        """Return a page's HTML."""
        return self.http.get(path).text

    def act(self, path: str, on: str, status: int = 200, **form: str) -> httpx2.Response:
        """Post a form of the page `on`."""
        token = re.findall(r'name="form" value="([^"]+)"', self.page(on))[0]
        answer = self.http.post(path, data={"form": token, **form}, headers=SITE, follow_redirects=False)
        assert answer.status_code == status, plain(answer.text)[:600]
        return answer


def plain(html: str) -> str:
    """Return the text of a page, with single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def secret(html: str) -> str:
    """Return the secret that a page shows once."""
    return unescape(re.findall(r'class="secret"[^>]*>([^<]+)<', html)[0])


@contextmanager
def visiting(folder: Path, **flags: Any) -> Iterator[Visitor]:
    """Serve an engine with the tenant acme to an operator."""
    with open_engine(folder, **flags) as engine:
        engine.add_tenant("acme", zone="Europe/Rome", name="Acme & Co")
        with TestClient(create_app(engine, refresh=False)) as http:
            visitor = Visitor(engine, http)
            visitor.enter()
            yield visitor

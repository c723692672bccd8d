"""Behind https://host/stats/: every address begins with the path, whether or not the proxy removes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.dashboard.registry import OPERATOR, TENANT
from hubbub.errors import BadSettingError
from hubbub.settings import load
from tests.unit.api.conftest import NOW, open_engine
from tests.unit.dashboard.busy import events
from tests.unit.dashboard.visiting import SITE

ADDRESS = re.compile(r'(?:href|src|action|data-[a-z]+)="(/[^"]*)"')


@pytest.mark.parametrize("prefix", ["/stats", pytest.param("", marks=pytest.mark.slow)])
def test_every_address_begins_with_the_path(tmp_path: Path, prefix: str) -> None:
    """Links of pages and parts, files, redirects, problems and OpenAPI all stay below the path."""
    with open_engine(tmp_path / "data", base_path="/stats/") as engine:
        engine.add_tenant("acme")
        engine.record("acme", events(NOW))
        engine.refresh()
        with TestClient(create_app(engine, refresh=False), follow_redirects=False) as http:
            assert http.get(f"{prefix}/").headers["location"].startswith("/stats/sign-in?next=%2F")
            token = engine.access.sign_in_link(None, "operator").path.partition("token=")[2]
            answer = http.post(f"{prefix}/sign-in", data={"token": token, "next": "/t/acme/overview"}, headers=SITE)
            assert (answer.status_code, answer.headers["location"]) == (303, "/stats/t/acme/overview")
            assert http.get(f"{prefix}/").headers["location"] == "/stats/t/acme/overview"
            shared = engine.access.share_link("acme", "range=7d").path
            assert http.get(f"{prefix}{shared}").headers["location"].startswith(f"/stats{shared}/overview")
            seen: set[str] = set()
            paths = [f"/t/acme/{name}" for name in TENANT] + [f"/operate/{name}" for name in OPERATOR]
            for path in [*paths, "/sign-in", "/docs", "/nowhere", f"{shared}/overview"]:
                page = http.get(f"{prefix}{path}").text
                addresses = ADDRESS.findall(page)
                assert all(one.startswith("/stats/") for one in addresses), (path, addresses)
                seen |= set(addresses)
            files = [one for one in seen if one.startswith("/stats/static/")]
            assert files and all(
                http.get(one.removeprefix("/stats") if not prefix else one).status_code == 200 for one in files
            )
            key = engine.keys.add("acme").key
            problem = http.get(f"{prefix}/v1/dashboard?at=soon", headers={"Authorization": f"Bearer {key}"})
            assert (problem.status_code, problem.json()["type"]) == (400, "/stats/problems/bad_question")
            assert http.get(f"{prefix}/openapi.json").json()["servers"] == [{"url": "/stats"}]
            assert http.get(f"{prefix}/healthz").status_code == 200
            assert http.get("/statsx/healthz").status_code == 404


@pytest.mark.parametrize(
    "path", ["stats", "/a b", "/a//b", "https://host/stats", "/t", "/v1/stats", "/docs", "/../x?y"]
)
def test_other_texts_are_no_path(tmp_path: Path, path: str) -> None:
    """A text that is not a path, or that is one of our own addresses, is refused with the setting's name."""
    with pytest.raises(BadSettingError, match="base_path"):
        load(tmp_path, base_path=path)

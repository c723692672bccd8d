"""A tenant's settings are the same whoever sets them: over HTTP, by a command, on the page."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from hubbub.cli.main import run
from hubbub.errors import BadInputError
from tests.unit.dashboard.conftest import visitor as visitor
from tests.unit.dashboard.visiting import Visitor

PAGE = "/operate/tenants?tenant=acme"


def _by_http(visitor: Visitor, tones: list[str]) -> None:
    key = visitor.engine.keys.add(None, ["admin"]).key
    answer = visitor.http.patch(
        "/v1/tenants/acme", json={"hotspot_tones": tones}, headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 200, answer.text


def _by_command(visitor: Visitor, tones: list[str]) -> None:
    words = ["tenants", "set", "acme", "--hotspot-tones", ",".join(tones), "--data", str(visitor.engine.settings.data)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["hubbub", *words])
        patched.setenv("HUBBUB_FREE_FLOOR_MB", "0")
        with suppress(SystemExit):
            run()
    visitor.engine.control.follow()


def _by_page(visitor: Visitor, tones: list[str]) -> None:
    visitor.act("/operate/tenants/change?tenant=acme", PAGE, tenant="acme", tones=", ".join(tones))


@pytest.mark.parametrize("change", [_by_http, _by_command, _by_page])
def test_tones_of_hotspots_can_be_set_and_taken_back(visitor: Visitor, change: Any) -> None:
    """Each face sets them in any case, once each, keeps what it does not name, and takes them back by naming none."""
    before = visitor.engine.tenants.get("acme")
    change(visitor, ["Negative", "angry", "negative"])
    assert visitor.engine.tenants.get("acme") == replace(before, hotspot_tones=("angry", "negative"))
    assert "angry, negative" in visitor.see("/operate/tenants")
    change(visitor, [])
    assert visitor.engine.tenants.get("acme") == before


@pytest.mark.parametrize("tones", [[""], ["x" * 65], [f"t{n}" for n in range(21)]])
def test_tones_are_bounded(visitor: Visitor, tones: list[str]) -> None:
    """An empty or long name, and more than twenty, are refused with the name of the setting."""
    with pytest.raises(BadInputError, match="hotspot_tones"):
        visitor.engine.tenants.change("acme", hotspot_tones=tones)

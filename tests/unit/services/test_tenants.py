"""A tenant's settings are the same set over HTTP, by a command, or on the page."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from hubbub.cli.main import run
from hubbub.errors import BadInputError
from hubbub.model.threads import CHECK_MARKS, Threads
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
    _command(visitor, "--hotspot-tones", ",".join(tones))


def _command(visitor: Visitor, *options: str) -> None:
    words = ["tenants", "set", "acme", *options, "--data", str(visitor.engine.settings.data)]
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
    """Each face sets tones in any case without repeats, keeps other settings, and clears tones with an empty list."""
    before = visitor.engine.tenants.get("acme")
    change(visitor, ["Negative", "angry", "negative"])
    assert visitor.engine.tenants.get("acme") == replace(before, hotspot_tones=("angry", "negative"))
    assert "angry, negative" in visitor.see("/operate/tenants")
    change(visitor, [])
    assert visitor.engine.tenants.get("acme") == before


def test_settings_of_threads_are_the_same_on_every_face(visitor: Visitor) -> None:
    """HTTP, command and page each change the thread settings they name, and keep the rest."""
    key = visitor.engine.keys.add(None, ["admin"]).key
    body = {"threads": {"help_channels": ["C2", "C1"]}}
    answer = visitor.http.patch("/v1/tenants/acme", json=body, headers={"Authorization": f"Bearer {key}"})
    assert answer.json()["threads"] == {
        "help_channels": ["C1", "C2"], "answer_signs": list(CHECK_MARKS), "silence_days": 0,
    }  # fmt: skip
    _command(visitor, "--answer-signs", ":done:,eyes", "--silence-days", "14")
    assert visitor.engine.tenants.get("acme").threads == Threads(("C1", "C2"), ("done", "eyes"), 14)
    assert "C1, C2" in visitor.see("/operate/tenants")
    visitor.act("/operate/tenants/change?tenant=acme", PAGE, tenant="acme", help_channels="", silence_days="30")
    assert visitor.engine.tenants.get("acme").threads == Threads((), ("done", "eyes"), 30)


@pytest.mark.parametrize("tones", [[""], ["x" * 65], [f"t{n}" for n in range(21)]])
def test_tones_are_bounded(visitor: Visitor, tones: list[str]) -> None:
    """An empty or long tone, or more than twenty, are refused with the name of the setting."""
    with pytest.raises(BadInputError, match="hotspot_tones"):
        visitor.engine.tenants.change("acme", hotspot_tones=tones)

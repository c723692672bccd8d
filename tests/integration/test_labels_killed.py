"""kill -9 while messages are labelled: each has one label all the same, and it is the one of a run that nobody disturbed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hubbub.app import open_engine
from hubbub.clock import fixed
from hubbub.model.event import record_from
from tests.extent import KILLS_REFRESHING

NOW = fixed(datetime(2026, 8, 20, 12, tzinfo=UTC))
RULES = {"topic": {"wifi": {"words": ["wifi"]}, "food": {"words": ["food"]}}}
MESSAGES = 4_000
SEED = 20261201


def said(n: int) -> dict[str, Any]:
    """Return an incoming message."""
    text = ("the wifi is slow", "great food, thanks", "hello", "I want to speak to a manager about the wifi")[n % 4]
    return {
        "type": "message.received", "time": f"2026-08-19T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z", "id": f"m{n}",
        "channel": "web", "attributes": {"text": text},
    }  # fmt: skip


def labels(folder: Path) -> list[tuple[Any, ...]]:
    """Label what is left, and return all label events of a clean store."""
    with open_engine(folder, clock=NOW) as engine:
        engine.labels.run("acme")
        assert engine.verify()["clean"]
        with engine.store.facts.read() as reading:
            return reading.rows(
                "SELECT id, type, topic, sentiment, severity FROM event WHERE source = 'labels' ORDER BY id"
            )


def filled(folder: Path) -> Path:
    """Make a store of messages that wait to be labelled."""
    with open_engine(folder, clock=NOW) as engine:
        engine.add_tenant("acme")
        engine.labels.replace("acme", RULES)
        engine.accept("acme", [record_from(said(n)) for n in range(MESSAGES)], history=True)
        engine.refresh()
    return folder


def test_killed_while_labelling(tmp_path: Path) -> None:
    """Runs that are killed at random moments label no message twice, and the last one gives what one alone would have given."""
    draw = random.Random(SEED)
    folder = filled(tmp_path / "killed")
    for _ in range(KILLS_REFRESHING):
        child = subprocess.Popen(
            [sys.executable, "-m", "hubbub", "labels", "run", "--tenant", "acme", "--data", str(folder)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(draw.uniform(0.6, 2.0))
        child.kill()
        child.wait()
    found = labels(folder)
    assert len({row[0] for row in found}) == len(found) == MESSAGES + MESSAGES // 4
    assert found == labels(filled(tmp_path / "alone"))

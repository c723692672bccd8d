"""kill -9 while messages are labelled and relabelled: no message has two labels of a set, and none is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hubbub.app import open_engine
from hubbub.model.event import record_from
from tests.extent import KILLS_LABELLING
from tests.integration.label_child import NOW

RULES = {"topic": {"wifi": {"words": ["wifi"]}, "food": {"words": ["food"]}}}
OTHER_RULES = {"topic": {"net": {"words": ["wifi"]}, "greeting": {"words": ["hello"]}}}
MESSAGES = 4_000
LABELS = MESSAGES + MESSAGES // 4
"""Each message has a topic or is unlabelled; a quarter are escalations as well."""
SEED = 20261201
Row = tuple[Any, ...]


def said(n: int) -> dict[str, Any]:
    """Return an inbound message."""
    text = ("the wifi is slow", "great food, thanks", "hello", "I want to speak to a manager about the wifi")[n % 4]
    return {
        "type": "message.received", "time": f"2026-08-19T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z", "id": f"m{n}",
        "channel": "web", "attributes": {"text": text},
    }  # fmt: skip


def filled(folder: Path) -> Path:
    """Make a store with messages to label."""
    with open_engine(folder, clock=NOW) as engine:
        engine.add_tenant("acme")
        engine.labels.replace("acme", RULES)
        engine.accept("acme", [record_from(said(n)) for n in range(MESSAGES)], history=True)
        engine.refresh()
    return folder


def change_rules(folder: Path) -> None:
    """Give the tenant other rules, which change every label."""
    with open_engine(folder, clock=NOW) as engine:
        engine.labels.replace("acme", OTHER_RULES)


def kill_while_labelling(folder: Path, journal: Path, draw: random.Random) -> None:
    """Start labelling, and kill it up to 150 ms after a label was acknowledged; the last run may have nothing to do."""
    before = journal.stat().st_size if journal.exists() else 0
    command = [sys.executable, "-m", "tests.integration.label_child", str(folder), str(journal)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None and not (journal.exists() and journal.stat().st_size > before):
        time.sleep(0.005)
    time.sleep(draw.uniform(0, 0.15))
    child.kill()
    child.wait()


def stored(folder: Path) -> list[Row]:
    """Return all label events of a store that verifies clean."""
    with open_engine(folder, clock=NOW) as engine:
        engine.refresh()
        assert engine.verify()["clean"]
        with engine.store.facts.read() as reading:
            return reading.rows(
                "SELECT id, revision, type, topic, sentiment, severity FROM event WHERE source = 'labels' ORDER BY id"
            )


def finished(folder: Path) -> list[Row]:
    """Label the rest; return the labels, one for each message and kind. Another run changes nothing."""
    with open_engine(folder, clock=NOW) as engine:
        engine.labels.run("acme")
        assert engine.labels.run("acme").changed == 0
    rows = stored(folder)
    assert len({row[0] for row in rows}) == len(rows) == LABELS
    return rows


def check_journal(folder: Path, journal: Path) -> None:
    """Every acknowledged label is stored unchanged, or has a higher revision."""
    there = {row[0]: row[1:4] for row in stored(folder)}
    lines = [line for line in journal.read_text(encoding="utf-8").splitlines() if line.endswith("]")]
    assert lines
    for id_, *label in map(json.loads, lines):
        assert there[id_] == tuple(label) or there[id_][0] > label[0]


def test_killed_while_labelling_and_relabelling(tmp_path: Path) -> None:
    """Killed labelling runs keep what they acknowledged, label no message twice, and end with the labels of an
    undisturbed run.
    """
    draw = random.Random(SEED)
    folder, journal = filled(tmp_path / "killed"), tmp_path / "journal"
    alone = filled(tmp_path / "alone")
    for step in (lambda _: None, change_rules):
        step(folder)
        step(alone)
        for _ in range(KILLS_LABELLING):
            kill_while_labelling(folder, journal, draw)
            check_journal(folder, journal)
        assert finished(folder) == finished(alone)

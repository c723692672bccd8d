"""Alerts through kills: however often a process dies while it judges and delivers, one incident opens and tells each once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hubbub.app import Engine
from hubbub.settings import load
from tests.acceptance.conftest import ROOT
from tests.extent import KILLS_DELIVERING
from tests.services import Call, Reply, service

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MESSAGES = 3


def test_each_message_arrives_once_through_kills(tmp_path: Path) -> None:
    """Killed at random steps, with a receiver that is away at first: one incident, and each of its messages has one id that the
    receiver takes; none is lost, and none is there under a second id."""
    folder, chance = tmp_path / "data", random.Random(7)
    took: list[str] = []
    away = [True]

    def answer(call: Call) -> Reply:
        if away[0]:
            return Reply(status=503)
        took.append(call.headers["webhook-id"])
        return Reply()

    with service(answer) as receiver:
        now = NOW
        with closing(_engine(folder, receiver.place, lambda: now)) as engine:
            engine.add_tenant("hotel")
            to = [engine.destinations.add("hotel", "webhook", f"{receiver.url}/{n}").id for n in range(MESSAGES)]
            rule = {
                "name": "Many",
                "kind": "threshold",
                "metric": "messages",
                "limit": 2,
                "grain": "hour",
                "destinations": to,
            }
            engine.alerts.add("hotel", rule)
            now = NOW + timedelta(minutes=5)
            engine.record("hotel", [{"type": "message.received", "time": now, "id": f"m{n}"} for n in range(5)])
        now = NOW + timedelta(hours=1, minutes=16)
        killed = 0
        for number in range(KILLS_DELIVERING):
            away[0] = number < KILLS_DELIVERING // 3
            killed += (
                _child(folder, receiver.place, now, 1 + number if number < 4 else chance.randint(1, 16))
                == -signal.SIGKILL
            )
            now += timedelta(minutes=4)
        away[0] = False
        assert _child(folder, receiver.place, now + timedelta(minutes=35), 0) == 0
        with closing(_engine(folder, receiver.place, lambda: now)) as engine:
            rows = engine.messages.of("hotel").rows
            incidents = engine.incidents.of("hotel").rows
    assert killed > KILLS_DELIVERING // 2
    assert len(incidents) == 1
    assert {row.state for row in rows} == {"sent"}
    assert len(rows) == len({row.destination for row in rows}) == MESSAGES
    assert set(took) == {row.id for row in rows}


def _engine(folder: Path, place: str, clock: Any) -> Engine:
    return Engine(load(folder, free_floor_mb=0, allow_private_hosts=[place]), clock)


def _child(folder: Path, place: str, now: datetime, step: int) -> int:
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "tests.integration.outbox_child", str(folder), place, now.isoformat(), str(step)]
    return subprocess.run(command, cwd=ROOT, env=env, check=False, timeout=120).returncode

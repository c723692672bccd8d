"""Processes die while they evaluate alerts and deliver: there is one incident, and each of its messages arrives."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

from hubbub.app import Engine
from hubbub.control.outbox import LEASE, PATIENCE
from tests.acceptance.conftest import ROOT
from tests.extent import KILLS_DELIVERING
from tests.integration.outbox_child import settings_of
from tests.mail_server import free_port, mail_server
from tests.services import Call, Reply, Service, service

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
OPENED = NOW + timedelta(hours=1, minutes=16)
OF_EACH_KIND = 3
"""Destinations of each kind: webhook, mail, Slack."""
MESSAGES = 2 * OF_EACH_KIND
"""Messages to each kind: the incident opened, and closed after three quiet hours."""
KILLS_WHILE_AWAY = KILLS_DELIVERING * 2 // 3
RULE = {"name": "Many", "kind": "threshold", "metric": "messages", "limit": 2, "grain": "hour"}


def test_each_message_arrives_once_through_kills(tmp_path: Path) -> None:
    """Processes are killed at random steps while receivers are away for hours: one incident opens, and each message
    arrives.

    A webhook or mail arrives under one id, however often it is sent. Slack has no ids: a message arrives again after a
    kill between sending and recording it.
    """
    folder, chance, mail_port = tmp_path / "data", random.Random(7), free_port()
    with ExitStack() as stack:
        receiver = stack.enter_context(service(lambda _: Reply(status=503)))
        process = _Process(folder, receiver.place, mail_port)
        _incident(process, receiver)
        killed = [process.dies(OPENED, step) for step in (1, 2)]  # before and after the incident is written
        while_away = [OPENED + PATIENCE * number / KILLS_WHILE_AWAY for number in range(KILLS_WHILE_AWAY)]
        killed += [process.dies(moment, chance.randint(1, 9)) for moment in while_away]
        came = stack.enter_context(mail_server(port=mail_port))[1]
        receiver.answer, before = lambda _: Reply(b"ok"), len(receiver.calls)
        now = OPENED + PATIENCE
        while sum(killed) < KILLS_DELIVERING and process.waiting():
            killed.append(process.dies(now, chance.randint(1, 8)))
            now += LEASE + timedelta(minutes=1)
        assert not process.dies(now, 0)
        calls = receiver.calls[before:]
    assert sum(killed) >= KILLS_DELIVERING
    _arrived_once(process, calls, came, sum(killed))


def _arrived_once(process: _Process, calls: list[Call], came: list[EmailMessage], kills: int) -> None:
    """Check that there is one incident, and that each of its messages arrived under its own id."""
    with closing(process.engine(OPENED)) as engine:
        rows = engine.messages.of("hotel").rows
        incidents = engine.incidents.of("hotel").rows
        kinds = {row.id: row.kind for row in engine.destinations.of("hotel").rows}
    assert len(incidents) == 1
    assert {row.state for row in rows} == {"sent"}
    assert Counter(kinds[row.destination] for row in rows) == dict.fromkeys(("mail", "slack", "webhook"), MESSAGES)
    assert len({(row.destination, row.type) for row in rows}) == len(rows)
    ids = {kind: {row.id for row in rows if kinds[row.destination] == kind} for kind in ("mail", "webhook")}
    assert {call.headers["webhook-id"] for call in calls if "webhook-id" in call.headers} == ids["webhook"]
    assert {str(mail["Message-ID"]).strip("<>").split("@")[0] for mail in came} == ids["mail"]
    in_slack = Counter(call.path for call in calls if "webhook-id" not in call.headers)
    assert len(in_slack) == OF_EACH_KIND
    assert MESSAGES <= in_slack.total() <= MESSAGES + kills


def _incident(process: _Process, receiver: Service) -> None:
    """Add a rule that notifies destinations of all kinds, and events that fire it."""
    moments = [NOW]
    with closing(process.engine_by(moments)) as engine:
        engine.add_tenant("hotel")
        to = []
        for number in range(OF_EACH_KIND):
            to.append(engine.destinations.add("hotel", "webhook", f"{receiver.url}/hook/{number}").id)
            to.append(engine.destinations.add("hotel", "mail", f"marta{number}@aurora.example").id)
            to.append(engine.destinations.add("hotel", "slack", f"{receiver.url}/slack/{number}").id)
        engine.alerts.add("hotel", {**RULE, "destinations": to})
        moments[0] = NOW + timedelta(minutes=5)
        engine.record("hotel", [{"type": "message.received", "time": moments[0], "id": f"m{n}"} for n in range(5)])


class _Process:
    """A data folder, and processes that work on it and die."""

    def __init__(self, folder: Path, place: str, mail_port: int) -> None:
        """`place`: host:port of the receiver."""
        self._folder, self._place, self._mail_port = folder, place, mail_port

    def engine(self, now: datetime) -> Engine:
        """Open the folder at a time."""
        return self.engine_by([now])

    def engine_by(self, moments: list[datetime]) -> Engine:
        """Open the folder with a clock that shows `moments[0]`."""
        return Engine(settings_of(self._folder, self._place, self._mail_port), lambda: moments[0])

    def waiting(self) -> bool:
        """Whether a message waits for delivery."""
        with closing(self.engine(OPENED)) as engine:
            return any(row.state == "waiting" for row in engine.messages.of("hotel").rows)

    def dies(self, now: datetime, step: int) -> bool:
        """Run a process that dies at a step (0: never); returns whether it died, and fails if it ended otherwise."""
        env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        words = (str(self._folder), self._place, str(self._mail_port), now.isoformat(), str(step))
        command = [sys.executable, "-m", "tests.integration.outbox_child", *words]
        code = subprocess.run(command, cwd=ROOT, env=env, check=False, timeout=120).returncode
        assert code in (0, -signal.SIGKILL)
        return code == -signal.SIGKILL

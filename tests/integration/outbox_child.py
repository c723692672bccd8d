"""A process to be killed: `python -m tests.integration.outbox_child FOLDER PLACE MAIL_PORT NOW STEP`.

It evaluates alerts and delivers messages at the time NOW, and dies by SIGKILL at a step: before or after a decision is
written, or a message is taken, handed over, or marked as sent.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hubbub.alerts import deliver
from hubbub.app import Engine
from hubbub.control.alerts import Alerts
from hubbub.control.outbox import Outbox
from hubbub.services import messages
from hubbub.settings import Settings, load


def settings_of(folder: Path, place: str, mail_port: int) -> Settings:
    """Return the settings of a folder; calls to a receiver and a mail server on loopback are allowed."""
    mail = {"host": "127.0.0.1", "port": mail_port, "security": "none", "sender": "hubbub@aurora.example"}
    return load(folder, free_floor_mb=0, allow_private_hosts=[place], mail=mail)


def main(folder: str, place: str, mail_port: str, now: str, step: str) -> None:
    """Work until the step, or to the end if `step` is 0."""
    left = int(step)

    def dying(work: Callable[..., Any]) -> Callable[..., Any]:
        def around(*args: Any, **named: Any) -> Any:
            count()
            answer = work(*args, **named)
            count()
            return answer

        return around

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    moment = datetime.fromisoformat(now)
    settings = settings_of(Path(folder), place, int(mail_port))
    with (
        patch.object(Alerts, "decide", dying(Alerts.decide)), patch.object(Outbox, "take", dying(Outbox.take)),
        patch.object(Outbox, "sent", dying(Outbox.sent)), patch.object(messages, "deliver", dying(deliver.deliver)),
        patch.object(messages, "AT_ONCE", 1), Engine(settings, lambda: moment) as engine,
    ):  # fmt: skip
        engine.judging.judge()
        engine.messages.deliver()


if __name__ == "__main__":
    main(*sys.argv[1:])

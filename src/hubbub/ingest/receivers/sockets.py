"""Keep a connection open for each integration whose service sends over one, and follow changes of integrations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol

from hubbub.background import Background
from hubbub.control.integrations import Integration, Integrations
from hubbub.errors import HubbubError
from hubbub.ingest.receivers.catalogue import RECEIVERS
from hubbub.telemetry import log, seldom

PAUSE = 5.0
"""Seconds between checks of the integrations."""


class Socket(Protocol):
    """A connection."""

    def connect(self) -> None:
        """Open it. Raises HubbubError."""

    def close(self) -> None:
        """Close it."""


class Sockets:
    """The connections of a process. Several processes may connect for the same integration: events count once."""

    def __init__(
        self, integrations: Integrations, opened: Callable[[Integration], Socket], pause: float = PAUSE
    ) -> None:
        self._integrations, self._opened, self._pause = integrations, opened, pause
        self._open: dict[tuple[str, datetime], Socket] = {}
        self._loop = Background("sockets", self._run, self._close)
        self.start, self.stop = self._loop.start, self._loop.stop

    @property
    def connected(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def _run(self) -> float:
        try:
            self._follow()
        except HubbubError as error:  # control data may be available the next time
            if seldom(("sockets", type(error))):
                log.error("socket connections could not be checked", error=error.message)
        return self._pause

    def _close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _follow(self) -> None:
        """Open missing connections, and close those that are not needed any more. A changed integration gets a new one."""
        listening = {(integration.id, integration.changed_at): integration for integration in self._listening()}
        for gone in self._open.keys() - listening.keys():
            self._open.pop(gone).close()
        for name in listening.keys() - self._open.keys():
            socket = self._opened(listening[name])
            try:
                socket.connect()
            except HubbubError as error:
                socket.close()
                if seldom(("socket", name)):
                    log.warning(
                        "socket could not connect",
                        integration=name[0],
                        tenant=listening[name].tenant,
                        reason=error.message,
                    )
                continue
            self._open[name] = socket
            log.info("connected", integration=name[0], tenant=listening[name].tenant)

    def _listening(self) -> Iterator[Integration]:
        for integration in self._integrations.all(state="active"):
            receiver = RECEIVERS.get(integration.provider)
            if receiver is not None and receiver.setup.listens(integration.secret_names):
                yield self._integrations.get(integration.tenant, integration.id)

"""Keeps a connection open for each integration whose service sends over one, and follows integrations as they change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol

from hubbub.background import Background
from hubbub.control.integrations import Integration, Integrations
from hubbub.errors import HubbubError
from hubbub.ingest.providers import PROVIDERS
from hubbub.telemetry import log, seldom

PAUSE = 5.0
"""Seconds between looks at which integrations there are."""


class Socket(Protocol):
    """A connection."""

    def connect(self) -> None:
        """Open it. Raises HubbubError."""

    def close(self) -> None:
        """Close it."""


class Sockets:
    """The connections of one process. Several processes may have one each for an integration: events count once."""

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
            self._look()
        except HubbubError as error:  # control data may be back the next time
            if seldom(("sockets", type(error))):
                log.error("connections were not looked at", error=error.message)
        return self._pause

    def _close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _look(self) -> None:
        """Open what is wanted and not open, and close what is not wanted any more. One that was changed is another one."""
        wanted = {(one.id, one.changed_at): one for one in self._listening()}
        for gone in self._open.keys() - wanted.keys():
            self._open.pop(gone).close()
        for name in wanted.keys() - self._open.keys():
            socket = self._opened(wanted[name])
            try:
                socket.connect()
            except HubbubError as error:
                socket.close()
                if seldom(("socket", name)):
                    log.warning("no connection", integration=name[0], tenant=wanted[name].tenant, reason=error.message)
                continue
            self._open[name] = socket
            log.info("connected", integration=name[0], tenant=wanted[name].tenant)

    def _listening(self) -> Iterator[Integration]:
        after = ""
        while some := self._integrations.page(state="active", after=after):
            after = some[-1].id
            for one in some:
                if PROVIDERS[one.provider].listens(one.secret_names):
                    yield self._integrations.get(one.tenant, one.id)

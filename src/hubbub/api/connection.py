"""Connections: where the server listens, and how long it waits for a request's head."""

from __future__ import annotations

import asyncio
import socket

from uvicorn.protocols.http.h11_impl import H11Protocol

from hubbub.errors import HubbubError

HEAD_SECONDS = 15.0
"""Within which all of a request's head has to come in; bodies have their own bounds, see `body.Bounded`."""


def listener(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, so that an address that is taken is known before anything is opened.

    Raises HubbubError.
    """
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen()  # two that are bound at the same moment find out here
    except OSError as error:
        made.close()
        reason = error.strerror or str(error)
        raise HubbubError(
            f"could not listen on {host}:{port} ({reason}): is another server using it? Choose another with --port"
        ) from None
    return made


class Patient(H11Protocol):
    """Ends a connection on which a request was begun and its head does not come in, or the rest of a refused body."""

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on while what came makes no whole head."""
        super().data_received(data)
        if self._is_answering():
            self._wait_no_more()
        elif self._end is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._end = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _wait_no_more(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None

    def _too_late(self) -> None:
        self._end = None
        if not self._is_answering():
            self.transport.close()

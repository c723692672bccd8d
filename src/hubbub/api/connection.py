"""Connections: the listening socket, and the time limit of a request's head."""

from __future__ import annotations

import asyncio
import socket

from uvicorn.protocols.http.h11_impl import H11Protocol

from hubbub.errors import HubbubError

HEAD_SECONDS = 15.0
"""Longest time for a request's head; bodies have their own bounds, see `body.Bounded`."""


def listener(host: str, port: int) -> socket.socket:
    """Return a listening socket. It is made first, so that an address in use is reported before anything is opened.

    Raises HubbubError if the address cannot be used.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # of two processes bound at the same moment one fails here
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        raise HubbubError(
            f"could not listen on {host}:{port} ({reason}): is another server using it? Choose another with --port"
        ) from None
    return listening


class Patient(H11Protocol):
    """Closes a connection when a request's head, or the rest of a refused body, takes more than HEAD_SECONDS."""

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit of the first head."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Stop the time limit once the head is complete."""
        super().data_received(data)
        if self._is_answering():
            self._stop_timer()
        elif self._end is None:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limit."""
        self._stop_timer()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_timer(self) -> None:
        self._end = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _stop_timer(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None

    def _too_late(self) -> None:
        self._end = None
        if not self._is_answering():
            self.transport.close()

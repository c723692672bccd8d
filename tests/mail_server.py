"""A real SMTP server on the loopback interface, for everything that sends mail."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def mail_server(refuse: str = "", port: int = 0) -> Iterator[tuple[int, list[EmailMessage]]]:
    """Run an SMTP server on a port (0: a free one); gives its port and what came.

    Recipients that begin with `refuse` are refused.
    """
    came: list[EmailMessage] = []

    class Handler:
        """A handler that stores mails and refuses some recipients."""

        async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
            """Accept or refuse a recipient."""
            if refuse and address.startswith(refuse):
                return "550 no such user"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            """Store a mail."""
            came.append(message_from_bytes(envelope.content, policy=policy.default))
            return "250 OK"

    port = port or free_port()
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port, came
    finally:
        controller.stop()

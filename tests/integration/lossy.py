"""A lossy proxy on loopback in front of a server: it drops, doubles, cuts and corrupts request bodies."""

from __future__ import annotations

import http.client
import random
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

DROPPED, DOUBLED, FLIPPED, CUT = 0.01, 0.02, 0.005, 0.005
"""Shares of bodies with each fault. Half of the dropped ones reach the server, but their answer is lost."""
LONGEST = 1 << 20


@dataclass
class Line:
    """A lossy connection to a server: `done` counts bodies by fault, `answers` counts the server's statuses for
    corrupted ones.
    """

    port: int
    chance: random.Random
    server: int
    done: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> int | None:
        """Send a body through the proxy; return the status, or None without an answer."""
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            asked.request("POST", path, body, headers)
            return asked.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            asked.close()

    def carry(self, request: bytes, body_at: int) -> bytes | None:
        """Forward a request to the server; return the answer, or None if it is lost."""
        fate = self._fate()
        self.done[fate] += 1
        if fate == "dropped":
            if self.chance.random() < 0.5:
                self._send(request)
            return None
        if fate == "cut":
            with socket.create_connection(("127.0.0.1", self.server), 60) as there:
                there.sendall(request[: body_at + (len(request) - body_at) // 2])
            return None
        if fate == "flipped":
            place = self.chance.randrange(body_at, len(request))
            flipped = bytes([request[place] ^ 1 << self.chance.randrange(8)])
            answer = self._send(request[:place] + flipped + request[place + 1 :])
            self.answers[int(answer.split(b" ", 2)[1])] += 1
            return answer
        if fate == "doubled":
            self._send(request)
        return self._send(request)

    def _fate(self) -> str:
        drawn = self.chance.random()
        for name, share in (("dropped", DROPPED), ("doubled", DOUBLED), ("flipped", FLIPPED), ("cut", CUT)):
            if drawn < share:
                return name
            drawn -= share
        return "carried"

    def _send(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.server), 60) as there:
            there.sendall(request)
            answer = b""
            while piece := there.recv(65536):
                answer += piece
        return answer


@contextmanager
def lossy(server: int, seed: int) -> Iterator[Line]:
    """Run a proxy in front of the server at a port; its faults depend only on `seed` and the order of bodies."""
    line: list[Line] = []

    class Handler(socketserver.StreamRequestHandler):
        """Handles one request per connection."""

        def handle(self) -> None:
            """Read the whole request and forward it."""
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += self.rfile.readline(LONGEST)
            length = next(
                int(one.split(b":")[1]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length:")
            )
            request = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + self.rfile.read(length)
            answer = line[0].carry(request, len(request) - length)
            if answer is not None:
                with suppress(OSError):
                    self.wfile.write(answer)

    class Server(socketserver.ThreadingTCPServer):
        """Accepts connections."""

        allow_reuse_address, daemon_threads = True, True

    with Server(("127.0.0.1", 0), Handler) as listening:
        line.append(Line(listening.server_address[1], random.Random(seed), server))
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield line[0]
        finally:
            listening.shutdown()
            thread.join()

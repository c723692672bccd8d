"""Services on the loopback interface with answers that a test gives."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Call:
    """A received request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        """Return the body, parsed as JSON or as a form."""
        if self.headers.get("content-type", "").startswith("application/json"):
            found: dict[str, Any] = json.loads(self.body)
            return found
        return dict(parse_qsl(self.body.decode()))


@dataclass(frozen=True)
class Reply:
    """An answer: bytes as they are, anything else as JSON; `packed` with gzip; `hang` gives no answer."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    packed: bool = False
    hang: bool = False


@dataclass
class Service:
    """A running service: its address, and its received calls."""

    url: str
    answer: Callable[[Call], Reply]
    calls: list[Call] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    @property
    def place(self) -> str:
        """Return host:port."""
        return urlsplit(self.url).netloc


@contextmanager
def service(answer: Callable[[Call], Reply], certificate: tuple[Path, Path] | None = None) -> Iterator[Service]:
    """Run a service that answers every call with `answer`, over TLS if a certificate and its key are given."""
    made: list[Service] = []

    class Handler(BaseHTTPRequestHandler):
        """A handler that records and answers calls."""

        protocol_version = "HTTP/1.1"

        def work(self) -> None:
            """Record a call and answer it."""
            length = int(self.headers.get("Content-Length") or 0)
            parts = urlsplit(self.path)
            headers = {key.lower(): value for key, value in self.headers.items()}
            call = Call(self.command, parts.path, dict(parse_qsl(parts.query)), headers, self.rfile.read(length))
            made[0].calls.append(call)
            reply = made[0].answer(call)
            if reply.hang:
                made[0].ending.wait(60)
                self.close_connection = True
                return
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            body = gzip.compress(body) if reply.packed else body
            with suppress(OSError):  # the caller may have closed the connection
                self.send_response(reply.status)
                for name, value in {
                    "Content-Length": str(len(body)), **({"Content-Encoding": "gzip"} if reply.packed else {}), **reply.headers,
                }.items():  # fmt: skip
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        do_GET = do_POST = work  # noqa: N815 - the names of the standard library

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # a caller that does not trust us
    made.append(Service(f"http://127.0.0.1:{server.server_port}", answer))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made[0]
    finally:
        made[0].ending.set()
        server.shutdown()
        thread.join()
        server.server_close()


def in_turn(*replies: Reply) -> Callable[[Call], Reply]:
    """Return an answer that gives one reply after the other, then the last one forever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """Make a self-signed certificate for a host; return its file and the key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority of a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return files

"""A ClickHouse that tests reach over HTTP: `python -m tests.clickhouse.front --port N --path FOLDER`.

The engine is ClickHouse's own, in this process (chdb): parsing, types, MergeTree tables on disk, settings, bound parameters and
error codes are the real ones. The HTTP interface in front of it is ours, with what clickhouse-connect sends: settings, a database
and parameters in the URL, packed and streamed inserts.

So a test that passes here says nothing about: replication, Keeper and ON CLUSTER; users, passwords, roles, quotas and the limits
of a server's configuration; merges and memory under a real server's load; asynchronous inserts; the query log and other system
tables that a server writes; TLS; packed answers, and errors in the middle of an answer (it is made whole before it is sent).
A query goes on when its client is gone.
The database `default` has another engine than on a server (Overlay): tests make databases of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from clickhouse_connect.driver.compression import _lz4_decompressor, _zstd_decompressor

from tests.clickhouse.engine import ClickHouseError, Engine, Request

PIECE = 1 << 20
SECONDS_TO_END = 5.0
"""How long requests may still take when the server is told to stop, as on a server."""

STATUS = (
    dict.fromkeys((6, 25, 26, 27, 36, 38, 41, 53, 62, 72, 117), 400)  # cannot be parsed
    | dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 336), 404)  # unknown table, column, function, setting ...
    | {48: 501, 159: 408}  # not implemented; took too long
)
"""The HTTP status of an error code; all others are 500."""

UNPACK: dict[str, Callable[[], Any]] = {
    "lz4": _lz4_decompressor,
    "zstd": _zstd_decompressor,
    "gzip": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
    "deflate": zlib.decompressobj,
}


def unpacked(chunks: Iterator[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
    """Unpack a stream of one packed frame after the other."""
    one = make()
    for chunk in chunks:
        left = chunk
        while left:
            yield one.decompress(left)
            left = one.unused_data if one.eof else b""
            one = make() if one.eof else one


class Handler(BaseHTTPRequestHandler):
    """Takes what ClickHouse's HTTP interface takes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def work(self) -> None:
        """Answer one request; a client that goes away ends its connection and nothing else."""
        parts = urlsplit(self.path)
        params = dict(parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape"))
        try:
            with self.server.working():
                if parts.path == "/ping":
                    self._send(200, b"Ok.\n", {})
                    return
                self._answer(params)
        except OSError:
            self.close_connection = True

    do_GET = do_POST = work  # noqa: N815 - the names of the standard library

    def _answer(self, params: dict[str, str]) -> None:
        engine = self.server.engine
        headers = {
            "X-ClickHouse-Query-Id": params.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": engine.zone,
        }
        incoming = self._body()
        status = 200
        try:
            answer = engine.answer(self._request(params, incoming))
            body = answer.body
            headers["X-ClickHouse-Summary"] = json.dumps({k: str(v) for k, v in answer.summary.items()})
            if answer.format:
                headers["X-ClickHouse-Format"] = answer.format
        except OSError:
            raise
        except Exception as thrown:  # a front that dies of one request would end the tests of all
            error = (
                thrown if isinstance(thrown, ClickHouseError) else ClickHouseError(f"{type(thrown).__name__}: {thrown}")
            )
            body = f"{error} (version {engine.version} (official build))\n".encode()
            headers["X-ClickHouse-Exception-Code"] = str(error.code)
            status = STATUS.get(error.code, 500)
        for _ in incoming:  # what a failed statement did not read stands before the next request
            pass
        self._send(status, body, headers)

    def _request(self, params: dict[str, str], incoming: Iterator[bytes]) -> Request:
        packing = self.headers.get("Content-Encoding", "")
        data = unpacked(incoming, UNPACK[packing]) if packing else incoming
        if query := params.get("query"):
            data = chain([query.encode(errors="surrogateescape") + b"\n"], data)
        return Request(params, data)

    def _body(self) -> Iterator[bytes]:
        """Yield the body of a request as it comes. Raises ConnectionError when the client is gone before its end."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield from self._exactly(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self._line() or b"0", 16):
            yield from self._exactly(size)
            self._line()
        self._line()

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read(min(size, PIECE))
            if not piece:
                raise ConnectionResetError("the client went away")
            size -= len(piece)
            yield piece

    def _line(self) -> bytes:
        line = self.rfile.readline(PIECE)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the client went away")
        return line.strip()

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """The front: a thread for each connection, which all share the engine."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, engine: Engine) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.engine = engine
        self._changed = threading.Condition()
        self._running = 0
        self._ending = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count a request that is worked on. Raises ConnectionError when the server ends."""
        with self._changed:
            if self._ending:
                raise ConnectionAbortedError("the server ends")
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def drain(self) -> bool:
        """Begin no request any more and wait for those that run; returns whether they ended in time."""
        with self._changed:
            self._ending = True
            return self._changed.wait_for(lambda: not self._running, SECONDS_TO_END)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away between two requests is none of our business."""


def main() -> None:
    """Serve until SIGTERM; what was acknowledged is on disk then."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", type=Path, required=True)
    options = parser.parse_args()
    engine = Engine(options.path.resolve())
    server = Server(options.port, engine)
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    told.wait()
    server.shutdown()
    if not server.drain():
        os._exit(0)  # as on a server, what still runs is not waited for; closing the engine would wait
    server.server_close()
    engine.close()


if __name__ == "__main__":
    main()

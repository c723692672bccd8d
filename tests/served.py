"""An engine's server in this process, on a real socket: like `hubbub serve`, without the seconds of its start."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from hubbub.api import app as app_
from hubbub.api.connection import listener
from hubbub.app import Engine


@contextmanager
def served(engine: Engine) -> Iterator[int]:
    """Serve an engine without its background work on a free port of the loopback interface; yield the port."""
    listening = listener("127.0.0.1", 0)
    server = uvicorn.Server(app_.configured(app_.create_app(engine, refresh=False)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(60)

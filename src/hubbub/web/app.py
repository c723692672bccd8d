"""The web application and the server process: routes, request ids, the refresh that runs beside them, and its end.

While it runs, `server.json` in the data folder tells commands on this machine its address and local token.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pyarrow.dataset  # noqa: F401 - DuckDB loads it at the first batch, in the middle of somebody's request
import structlog
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubbub import __version__
from hubbub.app import Engine
from hubbub.errors import HubbubError, StoreBusyError
from hubbub.jobs.worker import Worker, end
from hubbub.pages.files import files as page_files
from hubbub.pages.routes import House
from hubbub.pages.routes import routes as pages
from hubbub.telemetry import REQUEST_SECONDS, log
from hubbub.web import problems
from hubbub.web.auth import KeyRing
from hubbub.web.body import Bounded
from hubbub.web.calendar import router as calendar
from hubbub.web.deliveries import Noted, keep_writing
from hubbub.web.described import ABOUT, Described
from hubbub.web.erasing import router as erasing
from hubbub.web.gate import Gate
from hubbub.web.integrations import router as integrations
from hubbub.web.jobs import jobs_routes
from hubbub.web.keys import router as keys
from hubbub.web.limits import Limiter
from hubbub.web.reports import router as reports
from hubbub.web.routes import api, open_routes
from hubbub.web.tenants import router as tenants

SERVER_FILE = "server.json"
STUCK_AFTER = 300.0
REST = 3.0
"""How many times as long as it took a refresh is followed by rest: the processor is there for requests and jobs first."""
LONGEST_REST = 30.0


class Heart:
    """Refreshes due windows again and again on a thread of its own, until stopped.

    A beat in which another process refreshes, or before which one did since the last, is left out: of several servers on one
    store one refreshes, and when it is gone the next beat of another does.
    """

    def __init__(self, engine: Engine, pause: float) -> None:
        self._engine = engine
        self._pause = pause
        self._stop = threading.Event()
        self._beat = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="hubbub-refresh", daemon=True)
        self._changes = 0
        """How often tenants had been changed when the last refresh began: zones and calendars are folded by."""
        self._settled: int | None = None
        """Where the marks stood at the last beat."""
        self.up_to = 0
        self.error: str | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the refresh that runs."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def alive(self) -> bool:
        """Say whether a refresh ended lately, or none has to run."""
        return self._stop.is_set() or (self._thread.is_alive() and time.monotonic() - self._beat < STUCK_AFTER)

    def _run(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                self.beat()
            except Exception as error:  # the next round may go well: a full disk is emptied, a lock let go
                self.error = f"{type(error).__name__}: {error}"[:300]
                log.error("refresh failed", error=self.error)
            took, self._beat = time.monotonic() - begun, time.monotonic()
            if self._stop.wait(min(max(self._pause, REST * took), LONGEST_REST)):
                return

    def beat(self) -> None:
        """Refresh, when something may be due and no other process saw to it since the last beat."""
        self._engine.control.follow()
        changes = self._engine.control.changes
        if self._engine.store.last_seq() != self.up_to or changes != self._changes or self.error:
            self._refresh(changes)

    def _refresh(self, changes: int) -> None:
        before, self._settled = self._settled, self._engine.settled_to()
        if before is not None and self._settled != before:
            self.up_to, self.error = self._settled, None
            return
        try:
            report = self._engine.refresh(wait=False)
        except StoreBusyError:
            return
        self.up_to, self._changes = int(str(report["up_to"])), changes
        self._settled = self._engine.settled_to()
        self.error = "some tenants could not be folded, see 'hubbub doctor'" if report["errors"] else None


class Observe:
    """Gives every request an id, on its problem, its log lines and its answer, and counts how long it took.

    Plain ASGI: Starlette's own middleware helper costs more than storing an event.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an HTTP request on, observed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{uuid.uuid4().hex[:20]}"
        scope.setdefault("state", {})["request_id"] = request_id
        begun, status, begun_answer = time.perf_counter(), 500, False

        async def observed(message: Message) -> None:
            nonlocal status, begun_answer
            if message["type"] == "http.response.start":
                status, begun_answer = message["status"], True
                told = scope["state"].get("limit_headers", ())
                message["headers"] = [*message.get("headers", ()), (b"request-id", request_id.encode()), *told]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, observed)
            except Exception as error:
                if begun_answer:
                    raise
                await problems.unexpected(Request(scope), error)(scope, receive, observed)
        route = getattr(scope.get("route"), "path", "unmatched")
        REQUEST_SECONDS.labels(route, f"{status // 100}xx").observe(time.perf_counter() - begun)


def create_app(engine: Engine, *, token: str = "", refresh: bool = True, worker: Worker | None = None) -> FastAPI:
    """Build the application over an engine. `token` lets commands of this machine in; `refresh` False leaves rollups alone.

    `worker`: takes jobs while the application runs.
    """
    heart = Heart(engine, engine.settings.refresh_seconds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if refresh:
            heart.start()
        else:
            heart.stop()
        await run_in_threadpool(engine.cached.drop_all)
        engine.warmer.start()
        if worker is not None:
            await run_in_threadpool(worker.start)
        writing = asyncio.create_task(keep_writing(engine.delivered))
        yield
        writing.cancel()
        if worker is not None:
            app.state.handed_back = await run_in_threadpool(worker.stop)
        await run_in_threadpool(engine.warmer.stop)
        heart.stop()

    app = Described(
        title="Hubbub", version=__version__, description=ABOUT, lifespan=lifespan, docs_url=None, redoc_url=None,
        responses=problems.RESPONSES,
    )  # fmt: skip
    app.state.engine, app.state.token, app.state.keys, app.state.heart = engine, token, KeyRing(engine), heart
    app.state.limiter = Limiter(engine.settings.limits)
    app.state.worker, app.state.handed_back = worker, []
    app.state.house = House(engine, engine.settings.refresh_seconds if refresh else 0)
    problems.install(app)

    app.add_middleware(Bounded, limit=engine.settings.max_body_mb << 20)
    app.add_middleware(Gate, ring=app.state.keys, limiter=app.state.limiter)
    app.add_middleware(Observe)
    app.add_middleware(Noted, log=engine.delivered)
    app.include_router(api)
    app.include_router(jobs_routes)
    app.include_router(integrations)
    app.include_router(reports)
    app.include_router(calendar)
    app.include_router(tenants)
    app.include_router(keys)
    app.include_router(erasing)
    app.include_router(open_routes)
    app.include_router(problems.problem_routes)
    app.include_router(pages)
    app.include_router(page_files)
    return app


def serve(engine: Engine, *, jobs: bool = True, ready: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish requests and close. `ready` hears the address once it listens."""
    # Requests share this process with jobs and refreshes; Python would hand the turn on every 5 ms only
    sys.setswitchinterval(0.0005)
    file, token = engine.settings.data / SERVER_FILE, secrets.token_urlsafe(32)
    app = create_app(engine, token=token, refresh=jobs, worker=engine.worker() if jobs else None)
    host, port = engine.settings.host, engine.settings.port
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=10, server_header=False
    )
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
    ):  # uvicorn raises it again when it is done: there is still a store to close
        signal.signal(number, lambda *_: None)
    server = _Server(config, file, f"http://{_reachable(host)}:{port}", token, ready)
    try:
        with suppress(SystemExit):  # uvicorn's way to say that it cannot listen; what it is to say stands below
            server.run()
    finally:
        server.forget()
        engine.close()
    if not server.started:
        raise HubbubError(f"could not listen on {host}:{port}: is another server using it?")
    end(app.state.handed_back)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host


class _Server(uvicorn.Server):
    """A uvicorn server that leaves its address in a file while it listens."""

    def __init__(self, config: uvicorn.Config, file: Path, url: str, token: str, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._file, self._url, self._token, self._ready = file, url, token, ready

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Listen, then say so."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            fd = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "w") as file:
                json.dump({"url": self._url, "token": self._token, "pid": os.getpid()}, file)
            self._ready(self._url)

    def forget(self) -> None:
        """Take the address away."""
        with suppress(OSError):
            self._file.unlink()

"""The web application and the server process: routes, request ids, and shutdown."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubbub.api import problems
from hubbub.api.admission import Admission
from hubbub.api.alerts import router as alerts
from hubbub.api.api_page import api_page
from hubbub.api.auth import KeyRing
from hubbub.api.based import Based
from hubbub.api.body import Bounded
from hubbub.api.calendar import router as calendar
from hubbub.api.connection import Patient
from hubbub.api.conversations import router as conversations
from hubbub.api.coverage import router as coverage
from hubbub.api.deliveries import Noted, keep_present, keep_writing
from hubbub.api.described import ABOUT, Described
from hubbub.api.erasing import router as erasing
from hubbub.api.exports import router as exports
from hubbub.api.hooks import router as hooks
from hubbub.api.integrations import router as integrations
from hubbub.api.jobs import jobs_routes
from hubbub.api.keys import router as keys
from hubbub.api.labels import router as labels
from hubbub.api.limits import Limiter
from hubbub.api.live import router as live
from hubbub.api.names import router as names
from hubbub.api.refreshing import RefreshLoop
from hubbub.api.reports import router as reports
from hubbub.api.restatements import router as restatements
from hubbub.api.routes import api, open_routes
from hubbub.api.rules import router as rules
from hubbub.api.subscriptions import router as subscriptions
from hubbub.api.targets import router as targets
from hubbub.api.tenants import router as tenants
from hubbub.app import Engine
from hubbub.background import end
from hubbub.dashboard.files import files as page_files
from hubbub.dashboard.routes import House
from hubbub.dashboard.routes import routes as pages
from hubbub.dashboard.unsubscribe import routes as unsubscribe
from hubbub.errors import HubbubError
from hubbub.memory import keep_what_is_loaded
from hubbub.precedence import Precedence
from hubbub.telemetry import REQUEST_SECONDS, log, seldom
from hubbub.version import __version__

if TYPE_CHECKING:
    from hubbub.jobs.worker import Worker


class Observe:
    """Gives every request an id, in its problem, log lines and answer, and measures its duration.

    Plain ASGI: Starlette's own middleware helper costs more than storing an event.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an HTTP request on, observed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # the server leaves the body out
            scope = {**scope, "method": "GET"}
        request_id = f"req_{uuid.uuid4().hex[:20]}"
        scope.setdefault("state", {})["request_id"] = request_id
        begun, status, begun_answer = time.perf_counter(), 500, False

        async def observed(message: Message) -> None:
            nonlocal status, begun_answer
            if message["type"] == "http.response.start":
                status, begun_answer = message["status"], True
                limit_headers = scope["state"].get("limit_headers", ())
                message["headers"] = [*message.get("headers", ()), (b"request-id", request_id.encode()), *limit_headers]
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


ROUTERS = (
    api, jobs_routes, integrations, hooks, reports, alerts, subscriptions, restatements, calendar, targets, rules, live, tenants,
    keys, conversations, names, erasing, coverage, labels, exports, open_routes, problems.problem_routes, api_page,
    unsubscribe, pages, page_files,
)  # fmt: skip
"""The routes of the API by subject, then the pages'."""


def create_app(engine: Engine, *, refresh: bool = True, worker: Worker | None = None) -> FastAPI:
    """Build the application over an engine; without `refresh`, other processes and queries fold the events.

    `worker` runs jobs while the application runs.
    """
    refreshing = RefreshLoop(engine, engine.settings.refresh_seconds)
    precedence = Precedence()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(_noted)
        engine.store.settling.requests = lambda: precedence.first > 0
        if refresh:
            refreshing.start()
        else:
            refreshing.stop()
        await run_in_threadpool(engine.cached.drop_all)
        engine.warmer.start()
        if worker is not None:
            engine.sockets.start()
            await run_in_threadpool(worker.start)
        beside = [
            asyncio.create_task(keep_writing(engine.delivered)),
            asyncio.create_task(keep_present(engine.coverage.here)),
        ]
        yield
        for task in beside:
            task.cancel()
        if worker is not None:
            app.state.handed_back = await run_in_threadpool(worker.stop)
        await run_in_threadpool(engine.sockets.stop)
        await run_in_threadpool(engine.warmer.stop)
        refreshing.stop()

    app = Described(
        title="Hubbub", version=__version__, description=ABOUT, lifespan=lifespan, docs_url=None, redoc_url=None,
        servers=[{"url": engine.settings.base_path}] if engine.settings.base_path else None,
    )  # fmt: skip
    app.state.engine, app.state.keys, app.state.refreshing = engine, KeyRing(engine), refreshing
    app.state.limiter = Limiter(engine.settings.limits)
    app.state.worker, app.state.handed_back = worker, []
    app.state.house = House(engine, engine.settings.refresh_seconds if refresh else 0)
    problems.install(app)

    app.add_middleware(Bounded, limit=engine.settings.max_body_mb << 20)
    app.add_middleware(
        Admission, ring=app.state.keys, limiter=app.state.limiter, find=engine.receiving.find, precedence=precedence
    )
    app.add_middleware(Observe)
    app.add_middleware(Noted, log=engine.delivered)
    app.add_middleware(Based, base=engine.settings.base_path)
    # include_router would build every route again, at the first request
    app.router.routes.extend(route for router in ROUTERS for route in router.routes)
    return app


def _noted(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log errors outside of requests at a limited rate: without free file handles asyncio reports thousands."""
    if seldom(("server", context["message"])):
        log.error("server", note=context["message"], error=repr(context.get("exception"))[:300])


def configured(app: FastAPI) -> uvicorn.Config:
    """Return the server's configuration of connections."""
    return uvicorn.Config(
        app, http=Patient, log_config=None, access_log=False, timeout_graceful_shutdown=10, server_header=False
    )


def serve(
    engine: Engine, listening: socket.socket, *, jobs: bool = True, ready: Callable[[str], None] = lambda _: None
) -> None:
    """Serve on a bound socket until SIGTERM or Ctrl-C, then finish requests and close. `ready` is called with the address."""
    # Requests share this process with jobs and refreshes; by default Python switches threads only every 5 ms
    sys.setswitchinterval(0.0005)
    app = create_app(engine, refresh=jobs, worker=engine.worker() if jobs else None)
    keep_what_is_loaded()
    host, port = engine.settings.host, engine.settings.port
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
    ):  # uvicorn raises it again at its end, but the store must be closed first
        signal.signal(number, lambda *_: None)
    server = _Server(configured(app), f"http://{_reachable(host)}:{port}", ready)
    try:
        with suppress(SystemExit):  # uvicorn could not start
            server.run(sockets=[listening])
    finally:
        engine.close()
    if not server.started:
        raise HubbubError(f"the server could not start on {host}:{port}: the log has the reason")
    end(app.state.handed_back)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host


class _Server(uvicorn.Server):
    """A uvicorn server that reports when it listens."""

    def __init__(self, config: uvicorn.Config, url: str, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._url, self._ready = url, ready

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Listen, then report the address."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            self._ready(self._url)

"""`hubbub serve` with one more route, which does nothing: `python -m bench.server serve --data …`."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

from hubbub.api import app as web
from hubbub.app import Engine
from hubbub.cli.main import app as commands

_create_app = web.create_app


def with_empty(engine: Engine, **given: Any) -> FastAPI:
    """Return the application with the empty handler."""
    app = _create_app(engine, **given)

    @app.api_route("/empty", methods=["GET", "POST"])
    async def empty(request: Request) -> Response:
        await request.body()
        return Response(b"{}", media_type="application/json")

    return app


if __name__ == "__main__":
    web.create_app = with_empty
    commands()

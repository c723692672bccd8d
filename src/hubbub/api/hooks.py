"""Where other services send what happens: the address of an integration. The service's own signature is the key.

The gate has found the integration before the body is read; here the raw bytes go to the receiver, and what it says is the answer.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import Field

from hubbub.api import shapes
from hubbub.api.auth import EngineOf
from hubbub.api.body import read_raw
from hubbub.api.work import Open, counted
from hubbub.app import Engine
from hubbub.control.integrations import Integration
from hubbub.ingest.providers import PROVIDERS
from hubbub.ingest.receivers.base import Delivery
from hubbub.ingest.receivers.receive import Taken

router = APIRouter(prefix="/v1/hooks", route_class=Open)

Service = Annotated[str, Path(max_length=40, description="The service, as the integration names it.")]
Id = Annotated[str, Path(max_length=100, description="Id of the integration.")]
Call = Annotated[str, Path(max_length=40, description="The call: track, identify, alias, batch or another.")]
BODY = {
    "requestBody": {
        "required": True,
        "description": "What the service sends, signed as it signs.",
        "content": {"application/json": {"schema": {}}, "application/x-www-form-urlencoded": {"schema": {}}},
    }
}


class TakenAnswer(shapes.VerdictAnswer):
    """What became of the events of a body."""

    ignored: dict[str, int] = Field(description="What is not about conversations, by name and count.")


@router.post(
    "/{provider}/{integration_id}", summary="Take what a service sends", openapi_extra=BODY,
    responses={200: {"model": TakenAnswer}},
)  # fmt: skip
async def take(request: Request, engine: EngineOf, provider: Service, integration_id: Id) -> Response:
    """Verify the body, store what it means, and answer once that is on disk; a challenge gets its answer."""
    body = await read_raw(request, engine.settings.max_body_mb << 20)
    return await _answer(request, engine, body)


@router.post(
    "/segment/{integration_id}/v1/{call}", summary="Take what a library of Segment sends", openapi_extra=BODY,
    responses={200: {"model": TakenAnswer}},
)  # fmt: skip
async def take_call(request: Request, engine: EngineOf, integration_id: Id, call: Call) -> Response:
    """Take a body as above, where libraries that speak Segment's protocol put their path behind the address."""
    body = await read_raw(request, engine.settings.max_body_mb << 20)
    return await _answer(request, engine, body)


@router.get("/{provider}/{integration_id}", summary="Answer a service's challenge", response_class=PlainTextResponse)
async def challenge(request: Request, engine: EngineOf, provider: Service, integration_id: Id) -> Response:
    """Answer what a service asks before it sends anything."""
    return await _answer(request, engine, b"")


async def _answer(request: Request, engine: Engine, body: bytes) -> Response:
    integration: Integration = request.state.integration
    taken = await run_in_threadpool(_taken, request, engine, integration, body)
    if taken.reply is not None:
        return Response(taken.reply.body, taken.reply.status, media_type=taken.reply.content_type)
    receiver = PROVIDERS[integration.provider].receiver
    if receiver is not None and receiver.setup.quiet:
        return Response(status_code=204)
    return JSONResponse(taken.answer())


@counted
def _taken(request: Request, engine: Engine, integration: Integration, body: bytes) -> Taken:
    query = request.url.query
    path = f"/v1/hooks/{integration.provider}/{integration.id}" + (f"?{query}" if query else "")
    url = engine.settings.address(path) if engine.settings.public_url else str(request.url)
    headers = {name.lower(): value for name, value in request.headers.items()}
    delivery = Delivery(request.method, url, dict(request.query_params), headers, body, engine.clock())
    taken = engine.receiving.take(integration, delivery)
    request.state.outcome = taken.outcome
    return taken

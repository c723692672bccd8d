"""The webhook addresses of integrations. The service's own signature authenticates a delivery, in place of an API key.

Admission finds the integration before the body is read; its receiver verifies the raw bytes and answers.
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

Service = Annotated[str, Path(max_length=40, description="The integration's provider.")]
Id = Annotated[str, Path(max_length=100, description="Id of the integration.")]
Call = Annotated[str, Path(max_length=40, description="The call: track, identify, alias, batch or another.")]
BODY = {
    "requestBody": {
        "required": True,
        "description": "The service's body, with the service's signature.",
        "content": {"application/json": {"schema": {}}, "application/x-www-form-urlencoded": {"schema": {}}},
    }
}


class TakenAnswer(shapes.VerdictAnswer):
    """The outcome of a body's events."""

    ignored: dict[str, int] = Field(description="Parts that are not about conversations, by name and count.")


@router.post(
    "/{provider}/{integration_id}", summary="Receive a service's delivery", openapi_extra=BODY,
    responses={200: {"model": TakenAnswer}},
)  # fmt: skip
async def take(request: Request, engine: EngineOf, provider: Service, integration_id: Id) -> Response:
    """Verify the body, store its events, and answer once they are on disk; a challenge gets its answer."""
    body = await read_raw(request, engine.settings.max_body_mb << 20)
    return await _answer(request, engine, body)


@router.post(
    "/segment/{integration_id}/v1/{call}", summary="Receive a call of a Segment library", openapi_extra=BODY,
    responses={200: {"model": TakenAnswer}},
)  # fmt: skip
async def take_call(request: Request, engine: EngineOf, integration_id: Id, call: Call) -> Response:
    """Receive a delivery like the route above, at the path that Segment's libraries append to the address."""
    body = await read_raw(request, engine.settings.max_body_mb << 20)
    return await _answer(request, engine, body)


@router.get("/{provider}/{integration_id}", summary="Answer a service's challenge", response_class=PlainTextResponse)
async def challenge(request: Request, engine: EngineOf, provider: Service, integration_id: Id) -> Response:
    """Answer the challenge that a service sends before its deliveries."""
    return await _answer(request, engine, b"")


async def _answer(request: Request, engine: Engine, body: bytes) -> Response:
    integration: Integration = request.state.integration
    outcome = await run_in_threadpool(_take, request, engine, integration, body)
    if outcome.reply is not None:
        return Response(outcome.reply.body, outcome.reply.status, media_type=outcome.reply.content_type)
    receiver = PROVIDERS[integration.provider].receiver
    if receiver is not None and receiver.setup.quiet:
        return Response(status_code=204)
    return JSONResponse(outcome.answer())


@counted
def _take(request: Request, engine: Engine, integration: Integration, body: bytes) -> Taken:
    query = request.url.query
    path = f"/v1/hooks/{integration.provider}/{integration.id}" + (f"?{query}" if query else "")
    url = engine.settings.address(path) if engine.settings.public_url else str(request.url)
    headers = {name.lower(): value for name, value in request.headers.items()}
    delivery = Delivery(request.method, url, dict(request.query_params), headers, body, engine.clock())
    outcome = engine.receiving.take(integration, delivery)
    request.state.outcome = outcome.outcome
    return outcome

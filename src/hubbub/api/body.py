"""Request bodies: read within bounds, also after decompression, before anything parses them."""

from __future__ import annotations

import asyncio

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubbub.errors import BadRequestError, TooLargeError
from hubbub.gunzip import BadGzipError, TooMuchError, gunzip

BODY_PAUSE, BODY_SECONDS = 30.0, 300.0
"""Longest time in seconds between two parts of a body, and for the whole body."""
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


async def read_raw(request: Request, limit: int) -> bytes:
    """Return the body unchanged. Raises TooLargeError beyond `limit` bytes, BadRequestError when the sender disconnects."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLargeError(f"the body has {declared} bytes, {limit} are allowed; send smaller batches")
    parts: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise TooLargeError(f"the body has more than the {limit} bytes allowed; send smaller batches")
            parts.append(chunk)
    except ClientDisconnect:
        raise BadRequestError("the sender disconnected before the end of its body", reason="sender_gone") from None
    return b"".join(parts)


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body, decompressed when gzip.

    Raises TooLargeError beyond `limit` bytes, BadRequestError for bad gzip or a disconnect.
    """
    body = await read_raw(request, limit)
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise BadRequestError(
            f"content-encoding {encoding[:40]!r} is not supported; send gzip or plain", reason="unknown_encoding"
        )
    return _unzip(body, limit)


def _unzip(body: bytes, limit: int) -> bytes:
    try:
        return gunzip(body, limit)
    except BadGzipError as error:
        raise BadRequestError(f"the body is not valid gzip: {error}", reason="bad_gzip") from None
    except TooMuchError:
        raise TooLargeError(
            f"the body has more than the {limit} bytes allowed after decompression; send smaller batches"
        ) from None


def is_lines(request: Request) -> bool:
    """Say whether the content type is newline-delimited JSON."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower() in NDJSON


class Bounded:
    """Bounds a request's body in bytes and time while it arrives, whichever route reads it.

    The number of received bytes is in the request's state, as `received`.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. Reading its body raises HTTPException: 408 when it is too slow, 413 when it is too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size, more = 0, True
        last = asyncio.get_running_loop().time() + BODY_SECONDS

        async def counted() -> Message:
            nonlocal size, more
            if not more:  # the next message is the end of the connection, which may take as long as the answer
                return await receive()
            now = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout_at(min(now + BODY_PAUSE, last)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408,
                    f"the body did not arrive: nothing for {BODY_PAUSE:g} s, or not all of it within {BODY_SECONDS:g} s",
                    {"Retry-After": "5", "Connection": "close"},
                ) from None
            more = message.get("more_body", False)
            size += len(message.get("body", b""))
            scope["state"]["received"] = size
            if size > self._limit:
                raise HTTPException(413, f"the body has more than the {self._limit} bytes allowed; send less at a time")
            return message

        await self._app(scope, counted, send)

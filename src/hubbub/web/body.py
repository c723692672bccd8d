"""Read a request body within bounds, also after decompression, before anything looks at it."""

from __future__ import annotations

import zlib

from fastapi import Request

from hubbub.errors import BadRequestError, TooLargeError

NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body, decompressed when gzip. Raises TooLargeError beyond `limit` bytes, BadRequestError for bad gzip."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLargeError(f"the body has {declared} bytes, {limit} are allowed; send smaller batches")
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLargeError(f"the body has more than the {limit} bytes allowed; send smaller batches")
        parts.append(chunk)
    body = b"".join(parts)
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise BadRequestError(f"content-encoding {encoding[:40]!r} is not supported; send gzip or plain")
    return _unzip(body, limit)


def _unzip(body: bytes, limit: int) -> bytes:
    unzip = zlib.decompressobj(wbits=31)
    try:
        plain = unzip.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequestError(f"the body is not valid gzip: {error}") from None
    if len(plain) > limit or unzip.unconsumed_tail:
        raise TooLargeError(
            f"the body has more than the {limit} bytes allowed after decompression; send smaller batches"
        )
    if not unzip.eof:
        raise BadRequestError("the gzip body ends too early")
    return plain


def is_lines(request: Request) -> bool:
    """Say whether the content type names newline-delimited JSON."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower() in NDJSON

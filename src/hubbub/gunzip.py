"""Unpacks gzip within bounds, piece by piece: all members of a stream, without other bytes after the last."""

from __future__ import annotations

import zlib

PIECE = 1 << 16
MAX_MEMBERS = 10_000
"""Most members of a stream: even an empty member takes time."""


class BadGzipError(ValueError):
    """The bytes are not gzip, end too early, or continue after the end."""


class TooMuchError(ValueError):
    """The unpacked bytes exceed the limit."""


class Gunzip:
    """One stream: `feed` its parts, then `end` it. At most `limit` bytes are unpacked in total."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._members = 0
        self._member = zlib.decompressobj(wbits=31)
        self._begun = False

    def feed(self, packed: bytes) -> bytes:
        """Return the next bytes, unpacked. Raises BadGzipError and TooMuchError."""
        parts: list[bytes] = []
        for start in range(0, len(packed), PIECE):
            piece = packed[start : start + PIECE]
            while piece:
                piece = self._step(piece, parts)
        return b"".join(parts)

    def _step(self, piece: bytes, parts: list[bytes]) -> bytes:
        """Unpack up to the end of a member; return the bytes after it."""
        if self._member.eof:
            self._members += 1
            if self._members >= MAX_MEMBERS:
                raise BadGzipError(f"more than {MAX_MEMBERS} members")
            self._member = zlib.decompressobj(wbits=31)
        try:
            part = self._member.decompress(piece, self._left + 1)
        except zlib.error as error:
            raise BadGzipError("bytes after the end that are not gzip" if self._members else str(error)) from None
        self._begun = True
        self._left -= len(part)
        if self._left < 0:
            raise TooMuchError
        parts.append(part)
        return self._member.unused_data

    def end(self) -> None:
        """Raise BadGzipError unless the last member is complete."""
        if self._begun and not self._member.eof:
            raise BadGzipError("the stream ends too early")


def gunzip(packed: bytes, limit: int) -> bytes:
    """Unpack a whole stream of at most `limit` bytes. Raises BadGzipError (also for no bytes) and TooMuchError."""
    stream = Gunzip(limit)
    plain = stream.feed(packed)
    stream.end()
    if not packed:
        raise BadGzipError("the stream is empty")
    return plain

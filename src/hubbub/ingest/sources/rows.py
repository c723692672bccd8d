"""What readers of files yield: rows, or faults; and lines of bounded length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

CUT = "unreadable_file"
"""The code of the rejection of a whole file, or of everything after a truncation."""
MAX_CELL = 16 * 2**20
"""Longest cell in characters, and longest line in bytes: a longer one is refused and reading continues."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """A record that cannot be read as a row."""

    code: str
    message: str
    raw: str = ""


def broken_off(fault: Fault) -> Fault:
    """Return the fault of a file's truncated last line."""
    return replace(fault, code=CUT, message=f"{fault.message}; the file is truncated in this line")


Numbered = tuple[str, Row | bytes | Fault]
"""A record and its place, like `Tweets.csv line 12`."""


def too_long(part: str, size: int) -> str:
    """Return the message about a part that is too long; `size` is the limit in bytes or characters."""
    return f"{part} is longer than {size >> 20} MB, the most allowed"


def lines(stream: BinaryIO, longest: int = MAX_CELL) -> Iterator[bytes | None]:
    """Yield the lines of a stream; None for one that is too long, which is skipped and never held whole."""
    while line := stream.readline(longest + 1):
        if len(line) <= longest:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(longest)
        yield None

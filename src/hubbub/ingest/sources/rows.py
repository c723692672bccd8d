"""What readers of files give: rows, or what is wrong with one; and lines within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

CUT = "unreadable_file"
"""The code of a refusal that stands for a whole file, or for all that is behind the place where it breaks off."""
MAX_CELL = 16 * 2**20
"""Characters of a cell, and bytes of a line: a longer one is refused and the rest is read on."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """A record that cannot even be read as a row."""

    code: str
    message: str
    raw: str = ""


def broken_off(fault: Fault) -> Fault:
    """Return what is wrong with the last line of a file that ends in the middle of it."""
    return replace(fault, code=CUT, message=f"{fault.message}; the file breaks off in this line")


Numbered = tuple[str, Row | bytes | Fault]
"""A record and where it stood, like `Tweets.csv line 12`."""


def too_long(what: str, size: int) -> str:
    """Say that something has more than may be read; `size` in bytes or characters."""
    return f"{what} is longer than the {size >> 20} MB that are read"


def lines(stream: BinaryIO, longest: int = MAX_CELL) -> Iterator[bytes | None]:
    """Yield the lines of a stream; None stands for one that is too long, which is passed over and never kept whole."""
    while line := stream.readline(longest + 1):
        if len(line) <= longest:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(longest)
        yield None

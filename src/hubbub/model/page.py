"""Pages of long lists: a cursor names the end of the previous page, so that rows added or deleted meanwhile shift nothing.

Callers pass `next` back unchanged; its content is internal and may change.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from hubbub.errors import BadRequestError

LARGEST_PAGE = 1000
MAX_CURSOR = 600
"""Characters; every real cursor is shorter."""

Row = TypeVar("Row")
Shown = TypeVar("Shown", covariant=True)
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Page(Generic[Shown]):
    """A page of a list."""

    rows: Sequence[Shown]
    next: str | None = None
    """Cursor of the next page; null: this is the last."""


def all_rows(ask: Callable[[str | None], Page[Shown]]) -> Iterator[Shown]:
    """Yield the rows of a list from all its pages; `ask` returns the page of a cursor (None: the first)."""
    page = ask(None)
    yield from page.rows
    while page.next is not None:
        page = ask(page.next)
        yield from page.rows


def cursor_of(place: Place) -> str:
    """Return the cursor of a place: the sort values of the last row shown."""
    return urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def place_of(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """Return the place of a cursor, with values of these kinds; None for no cursor. Raises BadRequestError."""
    if cursor is None:
        return None
    try:
        place = json.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        place = None
    if not isinstance(place, list) or [type(value) for value in place] != list(kinds) or not _small(place):
        raise BadRequestError(f"cursor {cursor[:40]!r} is not the 'next' of an earlier page")
    return tuple(place)


def moment_of(text: str) -> datetime:
    """Return the moment (UTC without zone) that a cursor holds as text. Raises BadRequestError."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise BadRequestError("this cursor is not the 'next' of an earlier page") from None


def _small(place: Sequence[Any]) -> bool:
    """Whether a database accepts the values: no NUL or lone surrogate, no number beyond 63 bits."""
    return all(
        abs(value) < 2**63 if isinstance(value, int) else "\0" not in value and value.isprintable() for value in place
    )


def check_limit(limit: int) -> int:
    """Return `limit` if it is a valid page size. Raises BadRequestError."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise BadRequestError(f"limit: {limit} is not from 1 to {LARGEST_PAGE}")
    return limit


def cut(rows: Sequence[Row], limit: int | None, place: Callable[[Row], Place]) -> tuple[list[Row], str | None]:
    """Return a page of rows (one more than `limit` if more follow; None: all), and the cursor after it."""
    if limit is None or len(rows) <= limit:
        return list(rows), None
    return list(rows[:limit]), cursor_of(place(rows[limit - 1]))


def paged(
    rows: Sequence[Row], limit: int | None, place: Callable[[Row], Place], shown: Callable[[Row], Shown]
) -> Page[Shown]:
    """Return what `cut` returns as a `Page`, each row converted by `shown`."""
    some, after = cut(rows, limit, place)
    return Page([shown(row) for row in some], after)

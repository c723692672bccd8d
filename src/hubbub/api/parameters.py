"""Query parameters that several routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from hubbub.errors import BadRequestError
from hubbub.model.page import LARGEST_PAGE, MAX_CURSOR

From = Annotated[str, Query(alias="from", max_length=60, description="Date in the tenant's zone, or RFC 3339 time.")]
To = Annotated[
    str, Query(alias="to", max_length=60, description="Date in the tenant's zone, or RFC 3339 time; exclusive.")
]
Where = Annotated[list[str] | None, Query(description="DIMENSION=VALUE, may be repeated.")]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Most on this page.")]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR, description="`next` of the previous page.")]


def where_of(pairs: list[str] | None) -> dict[str, list[str]]:
    """Read filters like DIMENSION=VALUE; a repeated name means either value. Raises BadRequestError."""
    filters: dict[str, list[str]] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadRequestError(f"where {pair[:80]!r} is not DIMENSION=VALUE")
        filters.setdefault(name, []).append(value)
    return filters

"""Answers that operations of several subjects share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True, slots=True)
class Removed:
    """The answer to a removal."""

    removed: str
    """The id of the removed item."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """The answer to a deletion, with the id of the deleted item."""

    id: str
    deleted: bool = True


class ShownOnce:
    """Marks a secret that only the first answer holds: a repeated answer has null there, and OpenAPI says so."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "null"}]}


Secret = Annotated[str, ShownOnce()]

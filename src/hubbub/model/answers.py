"""Answers that several subjects give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed."""

    removed: str
    """Its id."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted."""

    id: str
    deleted: bool = True


class ShownOnce:
    """Marks a secret that only the first answer holds: a repeated answer has null there, and OpenAPI says so."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "null"}]}


Secret = Annotated[str, ShownOnce()]

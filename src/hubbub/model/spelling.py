"""Spelling of names: Hubbub's have underscores, those of the systems that it replaces are camelCase (`propertyId`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def snake(name: str) -> str:
    """Return a name with underscores: `propertyId` is `property_id`."""
    return _HUMP.sub(lambda hump: f"_{hump[1].lower()}", name)


def snake_keys(value: Any, depth: int = 3) -> Any:
    """Return a value whose mappings, to `depth` levels, have keys with underscores.

    Raises ValueError for a key that occurs in two spellings.
    """
    if depth == 0 or not isinstance(value, Mapping | list):
        return value
    if isinstance(value, list):
        return [snake_keys(item, depth - 1) for item in value]
    mapping = {snake(str(name)): snake_keys(item, depth - 1) for name, item in value.items()}
    if len(mapping) < len(value):
        twice = next(name for name in value if snake(str(name)) != name and snake(str(name)) in value)
        raise ValueError(f"{str(twice)[:80]!r} occurs twice, in two spellings")
    return mapping

"""How names are spelled: ours have underscores, and those of the systems that Hubbub replaces humps (`propertyId`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def snake(name: str) -> str:
    """Return a name with underscores: `propertyId` is `property_id`."""
    return _HUMP.sub(lambda hump: f"_{hump[1].lower()}", name)


def snake_keys(value: Any, depth: int = 3) -> Any:
    """Return a value with the keys of its mappings, `depth` deep, spelled with underscores.

    Raises ValueError for a key that is there twice, in two spellings.
    """
    if depth == 0 or not isinstance(value, Mapping | list):
        return value
    if isinstance(value, list):
        return [snake_keys(one, depth - 1) for one in value]
    found = {snake(str(name)): snake_keys(one, depth - 1) for name, one in value.items()}
    if len(found) < len(value):
        twice = next(name for name in value if snake(str(name)) != name and snake(str(name)) in value)
        raise ValueError(f"{str(twice)[:80]!r} is there twice, in two spellings")
    return found

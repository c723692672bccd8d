"""How names are spelled: ours have underscores, and those of the systems that Hubbub replaces humps (`propertyId`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def snake(name: str) -> str:
    """Return a name with underscores: `propertyId` is `property_id`."""
    return _HUMP.sub(lambda hump: f"_{hump[1].lower()}", name)


def snake_keys(value: Any) -> Any:
    """Return a value with the keys of all its mappings spelled with underscores. Raises ValueError for one that is there twice."""
    if isinstance(value, list):
        return [snake_keys(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    found = {snake(str(name)): snake_keys(one) for name, one in value.items()}
    if len(found) < len(value):
        raise ValueError(f"a name is there twice, in two spellings: {', '.join(map(str, value))}"[:200])
    return found

"""What a fold carries from one event to the next, as plain values that a boundary stores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Carried = dict[str, Any]
"""The state of a fold at a moment: part -> plain values."""


def dump(part: object, names: Iterable[str]) -> Carried:
    """Return the attributes of a part, without empty ones."""
    return {name: value for name in names if (value := getattr(part, name))}


def load(part: object, values: Carried) -> None:
    """Set the attributes of a part to dumped values."""
    for name, value in values.items():
        setattr(part, name, value)

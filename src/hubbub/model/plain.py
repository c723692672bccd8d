"""Typed values as JSON has them: the one place where the wire format of an answer is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Any

_AS_IT_IS = {str, int, float, bool, type(None)}


def wire_name(field: str) -> str:
    """Return what a field is called in JSON: one that Python keeps the word of for itself ends in an underscore (`from_`)."""
    return field.removesuffix("_")


def plain(value: Any) -> Any:
    """Return a value as JSON has it: dataclasses as objects, moments as RFC 3339, dates as in ISO 8601.

    A moment without a zone is in UTC, as control data keeps it, and ends in `Z`.
    """
    kind: Any = type(value)
    if kind in _AS_IT_IS:
        return value
    if names := _names(kind):
        return {name: plain(getattr(value, field)) for field, name in names}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is not None else f"{value.isoformat()}Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    return value.value if isinstance(value, Enum) else value


@cache
def _names(kind: Any) -> tuple[tuple[str, str], ...]:
    """Return the fields of a dataclass and what they are called in JSON; of any other class none."""
    return tuple((one.name, wire_name(one.name)) for one in fields(kind)) if is_dataclass(kind) else ()

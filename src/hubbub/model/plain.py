"""Typed values as JSON has them, and back: the one place where the wire format of an answer is decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_AS_IT_IS = {str, int, float, bool, type(None)}
ABSENT: Mapping[str, bool] = MappingProxyType({"absent": True})
"""Metadata of a field that JSON leaves out while it is None."""
AS_JSON: Mapping[str, bool] = MappingProxyType({"as_json": True})
"""Metadata of a field that holds what JSON has already, and may be long: rows whose fields are named by a question."""


def wire_name(field: str) -> str:
    """Return what a field is called in JSON.

    One that Python keeps the word of for itself ends in an underscore (`from_`); two underscores are a dot (`before__state`).
    """
    return field.removesuffix("_").replace("__", ".")


def plain(value: Any) -> Any:
    """Return a value as JSON has it: dataclasses as objects, moments as RFC 3339, dates as in ISO 8601.

    A moment without a zone is in UTC, as control data keeps it, and ends in `Z`.
    """
    kind: Any = type(value)
    if kind in _AS_IT_IS:
        return value
    if names := _names(kind):
        return {
            name: held if as_json else plain(held)
            for own, name, may_be_absent, as_json in names
            if (held := getattr(value, own)) is not None or not may_be_absent
        }
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
def _names(kind: Any) -> tuple[tuple[str, str, bool, bool], ...]:
    """Return the fields of a dataclass, their names in JSON, and whether they may be absent and are JSON; of other classes none."""
    if not is_dataclass(kind):
        return ()
    return tuple(
        (one.name, wire_name(one.name), "absent" in one.metadata, "as_json" in one.metadata) for one in fields(kind)
    )


def typed(kind: type[T], value: Any) -> T:
    """Return the value of a type of which `plain` made this: dataclasses and what they hold, but no moments.

    Raises TypeError for a type that it cannot tell, KeyError where a field is not there.
    """
    read: Any = _reader(kind) or _same  # type: ignore[arg-type]  # mypy does not take a type for hashable
    found: T = read(value)
    return found


def _same(value: Any) -> Any:
    return value


Read = Callable[[Any], Any]


@cache
def _reader(kind: Any) -> Read | None:
    """Return what reads a value of a type; None where it is as it stands in JSON."""
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _object(kind)
    if origin in (Union, UnionType):
        (read, *others) = {_reader(one) for one in args if one is not NoneType}
        if others:
            raise TypeError(f"{kind}: a value does not say which of these it is")
        return _optional(read) if read is not None else None
    if origin is Sequence:
        read = _reader(args[0])
        return _each(read) if read is not None else None
    if origin is Mapping:
        read = _reader(args[1])
        return _by_name(read) if read is not None else None
    if kind in _AS_IT_IS or kind is Any or origin is Literal:
        return None
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    raise TypeError(f"{kind} is not read from JSON")


def _optional(read: Read) -> Read:
    return lambda value: None if value is None else read(value)


def _each(read: Read) -> Read:
    return lambda value: [read(one) for one in value]


def _by_name(read: Read) -> Read:
    return lambda value: {name: read(one) for name, one in value.items()}


def _object(kind: Any) -> Read:
    hints = get_type_hints(kind)
    parts = [(own, name, absent, _reader(hints[own]) or _same) for own, name, absent, _ in _names(kind)]

    def read(value: Mapping[str, Any]) -> Any:
        return kind(**{own: part(value[name]) for own, name, absent, part in parts if not absent or name in value})

    return read

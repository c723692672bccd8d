"""Typed values as JSON, and back: the only place that decides the wire format of an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, ClassVar, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints, overload

T = TypeVar("T")
JsonObject = Mapping[str, Any]
"""A JSON object from outside that is not checked yet, or one on its way out. Between rooms, values have classes."""
JsonRow = Mapping[str, Any]
"""A row of an answer as JSON: a question names its fields, metrics and dimensions, so no class can have them."""

_AS_IT_IS = {str, int, float, bool, type(None)}
ABSENT: Mapping[str, bool] = MappingProxyType({"absent": True})
"""Metadata of a field that JSON leaves out while it is None."""
AS_JSON: Mapping[str, bool] = MappingProxyType({"as_json": True})
"""Metadata of a field that holds plain JSON values already, like rows whose fields a question names."""


def wire_name(field: str) -> str:
    """Return a field's name in JSON: without the underscore after a Python keyword (`from_`), a dot for two (`before__state`)."""
    return field.removesuffix("_").replace("__", ".")


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


@overload
def plain(value: _Dataclass) -> dict[str, Any]: ...
@overload
def plain(value: object) -> Any: ...
def plain(value: Any) -> Any:
    """Return a value as plain JSON values: dataclasses as objects, times as RFC 3339, dates as in ISO 8601.

    A time without a zone is in UTC, as in control data, and ends in `Z`.
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
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is not None else f"{value.isoformat()}Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    return value.value if isinstance(value, Enum) else value


@cache
def _names(kind: Any) -> tuple[tuple[str, str, bool, bool], ...]:
    """Return (field, name in JSON, may be absent, is plain JSON) of a dataclass; empty for any other class."""
    if not is_dataclass(kind):
        return ()
    return tuple(
        (own.name, wire_name(own.name), "absent" in own.metadata, "as_json" in own.metadata) for own in fields(kind)
    )


def typed(kind: type[T], value: Any) -> T:
    """Return a value of a type from the output of `plain`: dataclasses and their content, but no times.

    Raises TypeError for an ambiguous or unknown type, KeyError for a missing field.
    """
    read: Any = _reader(kind) or _same  # type: ignore[arg-type]  # mypy does not take a type for hashable
    result: T = read(value)
    return result


def _same(value: Any) -> Any:
    return value


Read = Callable[[Any], Any]


@cache
def _reader(kind: Any) -> Read | None:
    """Return the function that reads a value of a type; None where its JSON form is the value."""
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _object(kind)
    if origin in (Union, UnionType):
        (read, *others) = {_reader(arg) for arg in args if arg is not NoneType}
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
    return lambda value: [read(item) for item in value]


def _by_name(read: Read) -> Read:
    return lambda value: {name: read(item) for name, item in value.items()}


def _object(kind: Any) -> Read:
    hints = get_type_hints(kind)
    parts = [(own, name, absent, _reader(hints[own]) or _same) for own, name, absent, _ in _names(kind)]

    def read(value: Mapping[str, Any]) -> Any:
        return kind(**{own: part(value[name]) for own, name, absent, part in parts if not absent or name in value})

    return read

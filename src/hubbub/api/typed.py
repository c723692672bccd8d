"""Typed answers of routes: an endpoint's return type determines OpenAPI and the JSON answer.

The strings below fields describe them. Nothing is checked or left out at run time: a test calls every route and compares.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from types import GenericAlias, UnionType
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from fastapi import Response
from pydantic import ConfigDict, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from hubbub.model.plain import plain, wire_name

T = TypeVar("T")
_CONFIG = ConfigDict(use_attribute_docstrings=True, alias_generator=wire_name, extra="allow")


class Shaped:
    """Declares in OpenAPI that a value has a dataclass's shape."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        listed: Any = GenericAlias(list, self._kind)  # pydantic takes no configuration for a single dataclass
        shape: JsonSchemaValue = handler(TypeAdapter(listed, config=_CONFIG).core_schema)["items"]
        return shape


def shaped(kind: Any) -> Any:
    """Return a response model for a dataclass."""
    return Annotated[Any, Shaped(kind)]


class Sent(Response, Generic[T]):
    """An answer of prepared bytes."""


def answer_of(endpoint: Callable[..., Any]) -> Any:
    """Return the dataclass that an endpoint returns or sends, or a union of such; None for any other endpoint."""
    kind = get_type_hints(endpoint, include_extras=True).get("return")
    if get_origin(kind) is Sent:
        (kind,) = get_args(kind)
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return kind if all(is_dataclass(get_origin(part) or part) for part in kinds) else None


def in_plain_values(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return an endpoint whose answer is converted to JSON values."""
    if inspect.iscoroutinefunction(endpoint):

        @wraps(endpoint)
        async def waited(*args: Any, **kwargs: Any) -> Any:
            return plain(await endpoint(*args, **kwargs))

        return waited

    @wraps(endpoint)
    def direct(*args: Any, **kwargs: Any) -> Any:
        return plain(endpoint(*args, **kwargs))

    return direct

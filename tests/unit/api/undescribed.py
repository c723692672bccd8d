"""Finds fields of an answer that the OpenAPI document does not name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def undescribed(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Yield the path of each field in an answer that its schema does not name.

    A schema without named fields allows any: their names are metrics, dimensions or chosen by people.
    """
    schemas = [_resolved(one, document) for one in _ways(_resolved(schema, document))]
    if isinstance(value, list):
        items: Mapping[str, Any] = next((one["items"] for one in schemas if "items" in one), {})
        for one in value[:50]:
            yield from undescribed(one, items, document, f"{at}[]")
    if not isinstance(value, Mapping):
        return
    named: dict[str, Any] = {name: one for way in schemas for name, one in way.get("properties", {}).items()}
    others = next(
        (one["additionalProperties"] for one in schemas if isinstance(one.get("additionalProperties"), dict)), None
    )
    for name, one in value.items():
        if name in named:
            yield from undescribed(one, named[name], document, f"{at}.{name}")
        elif others is not None:
            yield from undescribed(one, others, document, f"{at}.*")
        elif named:
            yield f"{at}.{name}"


def _ways(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [schema, *schema.get("anyOf", []), *schema.get("allOf", []), *schema.get("oneOf", [])]


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found

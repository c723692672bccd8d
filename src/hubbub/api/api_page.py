"""The API page: the OpenAPI description of every route, as a page without scripts or other hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response

from hubbub.dashboard import render
from hubbub.model.plain import JsonObject

api_page = APIRouter(include_in_schema=False)


@api_page.get("/docs")
def docs(request: Request) -> Response:
    """Return the page."""
    document = request.app.openapi()
    return render.page("api.html", about=document["info"], groups=list(groups(document)))


def groups(document: JsonObject) -> Iterator[dict[str, Any]]:
    """Yield the tags of an OpenAPI document with their operations, for the template."""
    schemas = document.get("components", {}).get("schemas", {})
    by_tag: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(path, method, operation, schemas))
    for tag in document["tags"]:
        yield {"name": tag["name"], "about": tag["description"], "operations": by_tag.get(tag["name"], [])}


def _operation(path: str, method: str, operation: JsonObject, schemas: JsonObject) -> dict[str, Any]:
    body = operation.get("requestBody", {})
    return {
        "method": method.upper(), "path": path, "summary": operation.get("summary", ""), "id": operation.get("operationId", path),
        "about": operation.get("description", ""),
        "scopes": [scope for part in operation.get("security", []) for scopes in part.values() for scope in scopes],
        "parameters": [
            {
                "name": part["name"], "where": part["in"], "kind": kind(part["schema"], schemas),
                "needed": part.get("required", False), "about": part.get("description", ""),
            }
            for part in operation.get("parameters", [])
        ],
        "body": {"about": body.get("description", ""), "forms": _forms(body, schemas)} if body else None,
        "answers": [
            {"status": status, "about": part.get("description", ""), "forms": _forms(part, schemas)}
            for status, part in operation.get("responses", {}).items()
        ],
    }  # fmt: skip


def _forms(holder: JsonObject, schemas: JsonObject) -> list[dict[str, Any]]:
    """Return each media type of a body or answer with its fields."""
    return [
        {
            "media": media,
            "kind": kind(form.get("schema", {}), schemas),
            "fields": _fields(form.get("schema", {}), schemas),
        }
        for media, form in holder.get("content", {}).items()
    ]


def _fields(schema: JsonObject, schemas: JsonObject) -> list[dict[str, Any]]:
    resolved = _resolved(schema, schemas)
    needed = resolved.get("required", [])
    return [
        {
            "name": name,
            "kind": kind(field, schemas),
            "needed": name in needed,
            "about": _resolved(field, schemas).get("description", ""),
        }
        for name, field in resolved.get("properties", {}).items()
    ]


def kind(schema: JsonObject, schemas: JsonObject) -> str:
    """Return a schema's type in words, like `list of text, or null`."""
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return ", or ".join(dict.fromkeys(kind(choice, schemas) for choice in choices))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "$ref" in schema:
        return _name(schema["$ref"])
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}), schemas)}"
    words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    plain = str(schema.get("type", "anything"))
    return words.get(plain, plain)


def _resolved(schema: JsonObject, schemas: JsonObject) -> JsonObject:
    return schemas.get(_name(schema["$ref"]), {}) if "$ref" in schema else schema


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]

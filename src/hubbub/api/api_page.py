"""The API page: the OpenAPI description of every route, as a page without scripts or other hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from hubbub.dashboard import render
from hubbub.model.plain import JsonObject

api_page = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of a body or an answer. `where`: path, query or header; empty for a field."""

    name: str
    kind: str
    needed: bool
    about: str
    where: str = ""


@dataclass(frozen=True)
class Form:
    """A media type of a body or answer, with its fields."""

    media: str
    kind: str
    fields: Sequence[Field]


@dataclass(frozen=True)
class Content:
    """A body, or an answer with its HTTP status."""

    about: str
    forms: Sequence[Form]
    status: str = ""


@dataclass(frozen=True)
class Operation:
    """A route; `scopes` are those that its key needs."""

    method: str
    path: str
    summary: str
    id: str
    about: str
    scopes: Sequence[str]
    parameters: Sequence[Field]
    body: Content | None
    answers: Sequence[Content]


@dataclass(frozen=True)
class Subject:
    """A tag, with its operations."""

    name: str
    about: str
    operations: Sequence[Operation]


@api_page.get("/docs")
def docs(request: Request) -> Response:
    """Return the page."""
    document = request.app.openapi()
    return render.page("api.html", about=document["info"], subjects=subjects(document))


def subjects(document: JsonObject) -> list[Subject]:
    """Return the tags of an OpenAPI document with their operations."""
    schemas = document.get("components", {}).get("schemas", {})
    by_tag: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(path, method, operation, schemas))
    return [Subject(tag["name"], tag["description"], by_tag.get(tag["name"], [])) for tag in document["tags"]]


def _operation(path: str, method: str, operation: JsonObject, schemas: JsonObject) -> Operation:
    body = operation.get("requestBody")
    return Operation(
        method.upper(), path, operation.get("summary", ""), operation.get("operationId", path), operation.get("description", ""),
        [scope for part in operation.get("security", []) for scopes in part.values() for scope in scopes],
        [_parameter(part, schemas) for part in operation.get("parameters", [])],
        _content(body, schemas) if body else None,
        [_content(part, schemas, status) for status, part in operation.get("responses", {}).items()],
    )  # fmt: skip


def _parameter(part: JsonObject, schemas: JsonObject) -> Field:
    needed, about = part.get("required", False), part.get("description", "")
    return Field(part["name"], kind(part["schema"], schemas), needed, about, part["in"])


def _content(holder: JsonObject, schemas: JsonObject, status: str = "") -> Content:
    forms = [
        Form(media, kind(form.get("schema", {}), schemas), _fields(form.get("schema", {}), schemas))
        for media, form in holder.get("content", {}).items()
    ]
    return Content(holder.get("description", ""), forms, status)


def _fields(schema: JsonObject, schemas: JsonObject) -> list[Field]:
    resolved = _resolved(schema, schemas)
    needed = resolved.get("required", [])
    return [
        Field(name, kind(field, schemas), name in needed, _resolved(field, schemas).get("description", ""))
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

"""The API page: the whole OpenAPI document, readable without scripts and other hosts."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from hubbub.api import api_page
from tests.unit.api.conftest import Face


def test_every_operation_is_on_the_page(face: Face) -> None:
    """Each operation is on the page with its parameters and statuses, and a body with its fields and scopes."""
    page = face.http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    document = face.http.get("/openapi.json").json()
    shown = {one.path + one.method: one for subject in api_page.subjects(document) for one in subject.operations}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert f"<code>{method.upper()} {path}</code>" in page.text
            one = shown[path + method.upper()]
            assert [p.name for p in one.parameters] == [p["name"] for p in operation.get("parameters", [])]
            assert [a.status for a in one.answers] == list(operation["responses"])
    start = shown["/v1/jobs/{queue}POST"]
    assert start.body is not None
    (form,) = start.body.forms
    assert [(f.name, f.kind, f.needed) for f in form.fields] == [
        ("payload", "object", False), ("priority", "whole number, or null", False), ("delay", "number, or null", False),
        ("id", "text, or null", False),
    ]  # fmt: skip
    assert start.scopes == ["admin"]


def test_the_page_needs_no_other_host_and_no_script(face: Face) -> None:
    """The page loads from this server only, and its policy forbids all else."""
    page = face.http.get("/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    addresses = re.findall(r'(?:href|src)="([^"]*)"', page.text)
    assert addresses
    for address in {one for one in addresses if not one.startswith("#")}:
        assert "//" not in address
        assert face.http.get(urljoin("/docs", address)).status_code == 200, address


def test_types_are_written_in_words() -> None:
    """Choices, lists, references and constants are written in words; a schema without a type is "anything"."""
    for schema, words in (
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text, or null"), ({"type": "array", "items": {}}, "list of anything"),
        ({"$ref": "#/components/schemas/Job"}, "Job"), ({"enum": ["a", "b"]}, "a | b"), ({"const": 1}, "1"),
        ({"type": "boolean"}, "true or false"),
    ):  # fmt: skip
        assert api_page.kind(schema, {}) == words

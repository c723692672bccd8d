"""The OpenAPI document is complete: every route has a subject, described answers and problems, and the key it needs."""

from __future__ import annotations

import re
from typing import Any

from hubbub import errors
from hubbub.api.described import TAGS
from hubbub.api.problems import KINDS
from tests.unit.api.conftest import Face

OPEN = {"/healthz", "/readyz", "/problems/{code}"}


def operations(face: Face) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (path, method, operation) of every route."""
    paths: dict[str, Any] = face.http.get("/openapi.json").json()["paths"]
    return [(path, method, operation) for path, methods in paths.items() for method, operation in methods.items()]


def test_every_route_describes_its_answer(face: Face) -> None:
    """Each JSON answer has a schema with properties, and each route describes its problems as problem+json."""
    for path, method, operation in operations(face):
        for status, answer in operation["responses"].items():
            for kind, content in answer["content"].items():
                schema = content["schema"]
                if kind == "application/json":
                    for one in schema.get("anyOf", [schema]):
                        assert "$ref" in one or one.get("properties"), (method, path, status)
        problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        assert operation["responses"]["4XX"]["content"] == operation["responses"]["5XX"]["content"] == problem


def test_every_route_has_a_tag_and_names_its_key(face: Face) -> None:
    """Every tag has a text; each route names the bearer key, except open routes and those that services sign."""
    document = face.http.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert [tag["name"] for tag in document["tags"] if not tag["description"]] == [], "subjects without a text in TAGS"
    for path, method, operation in operations(face):
        assert set(operation["tags"]) <= set(TAGS), path
        assert ("security" in operation) == (path not in OPEN and not path.startswith("/v1/hooks/")), (method, path)


def test_posts_that_create_take_an_idempotency_key(face: Face) -> None:
    """Each POST that creates something documents the header Idempotency-Key."""
    made = ("/v1/tenants", "/v1/keys", "/v1/keys/{key}/rotate", "/v1/jobs/{queue}", "/v1/snapshots", "/v1/integrations",
            "/v1/ai/responses")  # fmt: skip
    for path, method, operation in operations(face):
        headers = {p["name"] for p in operation.get("parameters", []) if p["in"] == "header"}
        if method == "post" and (path in made or "Idempotency-Key" in headers):
            assert headers == {"Idempotency-Key"}, path


def test_the_type_of_a_problem_is_a_page_about_it(face: Face) -> None:
    """A problem's `type` is a page without a key, with code, status and meaning; an unknown code is 404."""
    told = face.http.get("/v1/metrics").json()
    page = face.http.get(told["type"])
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert told["title"] in page.text and "unauthenticated" in page.text and "401" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.HubbubError):
            assert error.code in face.http.get(f"/problems/{error.code}").text
    missing = face.http.get("/problems/%3Cscript%3E")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_problems_of_http_itself_have_pages_too(face: Face) -> None:
    """Problems of HTTP itself, like an unknown route or method, have codes with pages too."""
    answers = [
        face.http.put("/v1/metrics", headers=face.auth),
        face.http.get("/nowhere"),
        face.http.post("/v1/query", content=b"{"),
    ]
    codes = [answer.json()["code"] for answer in answers]
    assert codes[0] == "method_not_allowed"
    assert set(codes) <= set(KINDS)
    assert all(re.fullmatch(r"req_[0-9a-f]{20}", answer.json()["request_id"]) for answer in answers)

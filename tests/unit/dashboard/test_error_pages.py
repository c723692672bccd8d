"""Errors in a browser are pages, also where no handler of pages is reached."""

from __future__ import annotations

import pytest

from hubbub.dashboard import names, routes
from hubbub.errors import RateLimitedError
from tests.unit.dashboard.conftest import Pages

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def break_pages(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Make every page of a tenant fail."""

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(routes, "_frame", broken)


def test_an_unexpected_error_is_a_page_for_browsers(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser gets a page with the request's number and no text of the error; a program gets a problem document."""
    break_pages(monkeypatch, RuntimeError("a secret"))
    http = pages.sign_in()
    answer = http.get("/t/a/overview", headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert (
        "<h1>This did not work</h1>" in answer.text
        and "Something went wrong inside" in answer.text
        and "Its number is req_" in answer.text
    )
    assert "a secret" not in answer.text and "default-src 'none'" in answer.headers["content-security-policy"]
    assert http.get("/t/a/overview").json()["code"] == "internal"


def test_too_many_requests_are_a_page(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate limit is a page in a browser."""
    break_pages(monkeypatch, RateLimitedError("too many requests: wait 5 seconds"))
    answer = pages.sign_in().get("/t/a/overview", headers=BROWSER)
    assert answer.status_code == 429 and "<h1>Too many requests</h1>" in answer.text


def test_an_unknown_address_is_a_page_and_the_api_stays_json(pages: Pages) -> None:
    """An unknown address is a page in a browser, except under /v1, which answers programs."""
    http = pages.window()
    nowhere = http.get("/nowhere", headers=BROWSER)
    assert (nowhere.status_code, "<h1>Not found</h1>" in nowhere.text) == (404, True)
    assert http.get("/nowhere").json()["code"] == "not_found"
    assert http.get("/v1/nowhere", headers=BROWSER).headers["content-type"] == "application/problem+json"


def test_a_failing_part_does_not_affect_the_others(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while drawing a part is shown in its place, and other parts are drawn."""
    real = names.named

    def broken(ask: object, table: object) -> object:
        if table is not None and any(column.name == "verdict" for column in table.columns):  # type: ignore[attr-defined]
            raise KeyError("a secret")
        return real(ask, table)  # type: ignore[arg-type]

    monkeypatch.setattr(routes, "named", broken)
    answer = pages.sign_in().get("/t/a/overview", headers=BROWSER)
    assert answer.status_code == 200
    assert (
        "This part could not be computed" in answer.text
        and "a secret" not in answer.text
        and 'data-number="messages"' in answer.text
    )

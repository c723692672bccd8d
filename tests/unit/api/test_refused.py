"""Queries, rules and addresses that cannot work are refused the same way everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.errors import BadInputError
from tests.unit.api.conftest import Face

DAYS = "from=2026-08-01&to=2026-08-08"


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/news?{DAYS}&where=nope=x", f"/v1/news?{DAYS}&by=nope", "/v1/news?from=2026-08-08&to=2026-08-01",
        "/v1/news?from=1999-01-01&to=1999-01-08", "/v1/usual?metric=messages&from=2026-08-08&to=2026-08-01",
        "/v1/usual?metric=messages&from=2026-08-01&to=2026-08-01", "/v1/coverage?from=banana",
        "/v1/coverage?from=2026-08-08&to=2026-08-01",
    ],
)  # fmt: skip
def test_queries_without_an_answer_are_refused(face: Face, path: str) -> None:
    """Unknown dimensions, empty ranges and ranges before all events are 400, also without any data."""
    answer = face.get(path)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_question"), answer.text


def test_future_days_have_no_news(face: Face) -> None:
    """News of future days say that the days have not begun, with the given range."""
    told = face.get("/v1/news?from=2026-09-01&to=2026-09-08").json()
    assert (told["lead"], told["to"][:10]) == ("These days have not begun.", "2026-09-08")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"limit": float("nan")}, "limit: must be a finite number"), ({"limit": float("inf")}, "limit: must be a finite number"),
        ({"kind": "bad"}, "kind: 'bad' is not one of threshold"), ({"grain": "year"}, "grain: 'year' is not one of"),
        ({"direction": "up"}, "direction: 'up' is not one of"),
    ],
)  # fmt: skip
def test_rules_that_could_never_fire_are_refused(face: Face, change: dict[str, Any], said: str) -> None:
    """A limit that is not finite, and unknown kinds, grains and directions, are refused."""
    rule = {"name": "Many", "kind": "threshold", "metric": "messages", "grain": "day", "limit": 5, **change}
    with pytest.raises(BadInputError, match=said):
        face.engine.alerts.add("acme", rule)


@pytest.mark.parametrize("to", ["https://example.org/\0", "https://example.org/\r\nX: y", "https://example.org/a b"])
def test_addresses_that_no_request_line_can_hold_are_refused(face: Face, to: str) -> None:
    """An address with spaces or control characters is refused."""
    with pytest.raises(BadInputError, match="not an https address"):
        face.engine.destinations.add("acme", "webhook", to)

"""The page of suggested topics: accepting makes a label, dismissing is recorded, and only analysts see texts, escaped."""

from __future__ import annotations

import pytest

from hubbub.control.topic_suggestions import Body, Mentioned
from hubbub.errors import BadInputError, NotFoundError
from tests.unit.dashboard.visiting import XSS, Visitor

ON = "/t/acme/suggestions"


@pytest.fixture
def suggesting(visitor: Visitor) -> Visitor:
    """A topic whose example and words are markup, and one below the floor."""
    said = {"type": "message.received", "channel": "web", "contact_id": "guest-0001"}
    text = {"text": f"wifi {XSS}"}
    visitor.engine.record("acme", [{**said, "id": "m1", "time": "2026-08-19T10:00:00Z", "attributes": text}])
    visitor.engine.refresh()
    topics = visitor.engine.labels.suggestions.stored
    body = Body(("wifi", XSS), ("wifi", "no internet"), (Mentioned("m1", None),), "", 20, 5, 9, 0.25, 3_600_000)
    small = Body(("tea",), (), (), "", 5, 5, 5, None, None)
    topics.store("acme", topics.last_run("acme"), "d", 300, {1: body, 2: small}, [(1, "born", None), (2, "split", 1)])
    return visitor


def test_a_topic_is_shown_with_its_figures(suggesting: Visitor) -> None:
    """Words, counts, share and time are shown, with the number of topics below the floor and the history."""
    page = suggesting.page(ON)
    assert XSS not in page and "wifi" in page
    for text in ("25.0%", "1 more have too few", "split from 1", "of 300 unlabelled"):
        assert text in page


def test_accepting_makes_a_label(suggesting: Visitor) -> None:
    """Accepting makes a label with the given name and words, and removes the suggestion."""
    answer = suggesting.act(f"{ON}/accept", ON, number="1", label="net", words="wifi, , no internet")
    assert "“net” is a topic now, with 1 examples" in answer.text
    assert suggesting.engine.labels.of("acme").labels["topic"]["net"] == {"words": ["wifi", "no internet"]}
    assert "No topic is suggested" in suggesting.page(ON)


def test_an_invalid_acceptance_is_refused(suggesting: Visitor) -> None:
    """An empty name, a topic below the floor and an invalid number are refused, and nothing changes."""
    before = suggesting.engine.labels.of("acme").version
    suggesting.act(f"{ON}/accept", ON, BadInputError.status, number="1", label="", words="")
    suggesting.act(f"{ON}/accept", ON, NotFoundError.status, number="2", label="tea", words="")
    suggesting.act(f"{ON}/dismiss", ON, NotFoundError.status, number="x")
    assert suggesting.engine.labels.of("acme").version == before


def test_dismissing_is_remembered(suggesting: Visitor) -> None:
    """A dismissed topic leaves the list, and the history shows it."""
    assert "Dismissed" in suggesting.act(f"{ON}/dismiss", ON, number="1").text
    assert "dismissed" in suggesting.page(ON)


def test_viewers_see_no_texts(suggesting: Visitor) -> None:
    """Only analysts and above see texts."""
    suggesting.enter("acme", "viewer")
    assert suggesting.http.get(ON).status_code == 404
    suggesting.enter("acme", "analyst")
    assert suggesting.http.get(ON).status_code == 200

"""Counts beside the names of pages: who waits, open incidents and labels to review, each the number of its page."""

from __future__ import annotations

import re

import pytest

from hubbub.services.incidents import IncidentService
from tests.unit.dashboard.test_incidents import opened
from tests.unit.dashboard.test_label_review import ON, reviewing
from tests.unit.dashboard.visiting import Visitor, plain

__all__ = ["reviewing"]


def counts(visitor: Visitor, page: str = "/t/acme/speed") -> dict[str, str]:
    """Return what screen readers hear of the links of the navigation that have a count, by page."""
    links = re.findall(r'<li><a href="/t/acme/(\w+)\?[^"]*" title="[^"]*"[^>]*>(.*?)</a></li>', visitor.page(page))
    return {name: plain(html) for name, html in links if 'class="count' in html}


def test_without_anything_to_do_there_is_no_count(visitor: Visitor) -> None:
    """A count of 0 is absent."""
    assert counts(visitor) == {}


def test_counts_say_who_waits_and_how_many_incidents_are_open(visitor: Visitor) -> None:
    """The page Live has the number of waiting conversations, with a target of those past it; Incidents that of the open ones."""
    found = opened(visitor)
    assert counts(visitor) == {
        "live": "Live 1 conversation waits for a reply",
        "incidents": "Incidents 1 open incident",
    }
    assert 'title="Incidents: 1 open incident"' in visitor.page("/t/acme/speed")
    visitor.engine.targets.add("acme", "first_response", 60, valid_from="2026-01-01")
    assert counts(visitor)["live"] == "Live 1 conversation waits past its target"
    visitor.engine.incidents.acknowledge("acme", found)
    assert "incidents" in counts(visitor)
    visitor.enter("acme", "viewer")
    assert list(counts(visitor)) == ["live"]


def test_old_data_has_nobody_waiting(visitor: Visitor) -> None:
    """Nobody counts as waiting once the data ended a month ago, as on Live."""
    visitor.engine.record("acme", {
        "type": "message.received", "time": "2026-05-01T10:00:00Z", "id": "w", "channel": "chat", "conversation_id": "c",
    }, history=True)  # fmt: skip
    assert counts(visitor) == {}


def test_labels_to_review_are_those_of_the_page(reviewing: Visitor) -> None:
    """The count is the page's number of labels to review, and follows each label at once on that page."""
    assert counts(reviewing)["labels"] == "Label review 2 labels to review"
    reviewing.act(f"{ON}/say", ON, set="topic", message="m2", label="food")
    assert counts(reviewing, ON)["labels"] == "Label review 1 label to review" and "1 to review" in reviewing.page(ON)


def test_a_count_that_fails_leaves_the_page(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that cannot be computed is absent, and the page is there."""
    opened(visitor)

    def fail(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(IncidentService, "of", fail)
    assert list(counts(visitor)) == ["live"]

"""Label review: the least sure message first, a key for each label, undo, and escaped texts."""

from __future__ import annotations

import pytest
from markupsafe import escape

from hubbub.errors import BadInputError
from tests.unit.dashboard.visiting import XSS, Visitor

ON = "/t/acme/labels"


@pytest.fixture
def reviewing(visitor: Visitor) -> Visitor:
    """Two messages, one labelled by rules; a text and a label are markup."""
    said = {"type": "message.received", "channel": "web", "contact_id": "guest-0001"}
    visitor.engine.record("acme", [
        {**said, "id": "m1", "time": "2026-08-19T10:00:00Z", "attributes": {"text": f"wifi {XSS}"}},
        {**said, "id": "m2", "time": "2026-08-19T11:00:00Z", "attributes": {"text": "hello there"}},
    ])  # fmt: skip
    visitor.engine.labels.replace("acme", {"topic": {"wifi": {"words": ["wifi"]}, "food": None, XSS[:60]: None}})
    visitor.engine.labels.run("acme")
    return visitor


def test_the_least_sure_message_comes_first(reviewing: Visitor) -> None:
    """The unlabelled message comes before the labelled one; labels have digits in the tenant's order; Undo comes with a label."""
    page = reviewing.page(ON)
    assert "hello there" in page and XSS not in page
    assert 'value="wifi" data-key="1"' in page and 'value="food" data-key="2"' in page
    assert "2 to review, 0 done" in page
    assert "Undo</button>" not in page
    reviewing.act(f"{ON}/say", ON, set="topic", message="m2", label="food")
    assert reviewing.page(ON).count("Undo</button>") == 1, "beside Skip, once there is something to undo"


def test_a_label_counts_at_once_and_can_be_undone(reviewing: Visitor) -> None:
    """A label counts at once and brings the next message with its suggestion; Undo takes it back; an unknown label is refused."""
    answer = reviewing.act(f"{ON}/say", ON, set="topic", message="m2", label="food")
    assert "Labelled: food." in answer.text and 'data-key="Enter"' in answer.text and "Accept" in answer.text
    assert "was unlabelled" in answer.text
    reviewing.act(f"{ON}/say", ON, set="topic", message="m1", label="food")
    page = reviewing.page(ON)
    assert "No label waits for review: all messages of this set are reviewed." in page and "was wifi" in page
    assert "Undone: food; 1 more" in reviewing.act(f"{ON}/undo", ON, set="topic").text
    assert "1 to review, 1 done" in reviewing.page(ON)
    refused = reviewing.act(f"{ON}/say", ON, BadInputError.status, set="topic", message="m1", label="x")
    assert "has no label" in refused.text
    assert "Skipped" in reviewing.act(f"{ON}/say", ON, set="topic", message="m1", label="").text


def test_the_words_that_led_to_a_label_are_marked_as_text(reviewing: Visitor) -> None:
    """The rule's word is marked, the text around it is escaped, and the page names the rule and its words."""
    page = reviewing.page(f"{ON}?order=label")
    assert f"<mark>wifi</mark> {escape(XSS)}" in page and XSS not in page
    assert "Suggested by the rule “wifi” (“wifi”); the marked words led to it." in page
    assert '<option value="label" selected>By suggested label' in page
    answer = reviewing.act(f"{ON}/say?order=label", ON, set="topic", message="m1", label="food")
    assert '<option value="label" selected>' in answer.text, "the order stays"
    assert "Nobody suggests a label." in answer.text


def test_another_label_is_added_from_the_page(reviewing: Visitor) -> None:
    """A new name becomes a label of the chosen set, with a key; an invalid name is refused."""
    assert "“parking” is a label now" in reviewing.act(f"{ON}/add", ON, set="topic", label=" parking ").text
    assert 'value="parking" data-key="4"' in reviewing.page(ON)
    assert "printable" in reviewing.act(f"{ON}/add", ON, BadInputError.status, set="topic", label="").text


def test_viewers_see_no_texts(reviewing: Visitor) -> None:
    """Only analysts and above see texts."""
    reviewing.enter("acme", "viewer")
    assert reviewing.http.get(ON).status_code == 404
    reviewing.enter("acme", "analyst")
    assert reviewing.http.get(ON).status_code == 200


def test_an_empty_queue_says_why_and_what_to_do(visitor: Visitor) -> None:
    """Without labelled texts the page says what would come here; an operator gets the commands, an analyst whom to ask."""
    visitor.engine.record("acme", {"type": "message.received", "id": "m", "time": "2026-08-19T10:00:00Z"}, history=True)
    shown = visitor.see(ON)
    assert "once its text is stored and it was labelled. Next: store the texts" in shown
    assert "hubbub import PATH --tenant acme --keep-text hubbub labels run --tenant acme" in shown
    topics = visitor.see("/t/acme/suggestions")
    assert (
        "No topic is suggested. A topic is suggested once" in topics and "hubbub labels suggest --tenant acme" in topics
    )
    visitor.enter("acme", "analyst")
    for page, next_ in (
        (ON, "Ask an operator to store texts and to label them."),
        ("/t/acme/suggestions", "Ask an operator to store texts, or"),
    ):
        shown = visitor.see(page)
        assert next_ in shown and "hubbub " not in shown and "--keep-text" not in shown

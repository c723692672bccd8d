"""Every answer has the labeller of a label: a person, the source, the rules by version, a classifier by number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hubbub.app import Engine, open_engine
from hubbub.clock import fixed
from hubbub.model.label import SOURCE, GivenLabel, Labeller, LabelSet, given_labels
from tests.unit.services.test_labels import DAY, RULES, message, taught

NOW = fixed(datetime(2026, 8, 20, 12, tzinfo=UTC))
RULED = GivenLabel(LabelSet.TOPIC, "complaint", Labeller.RULES, None, 1, 1.0)
SAID = GivenLabel(LabelSet.TOPIC, "food", Labeller.PERSON, "anna", 1, 1.0)
SENT = GivenLabel(LabelSet.TOPIC, "escalation", Labeller.SOURCE, "zendesk", None, 0.75)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Three conversations, labelled by rules, by a person, and by their source."""
    with open_engine(tmp_path, clock=NOW) as opened:
        opened.add_tenant("acme")
        opened.labels.replace("acme", {"topic": {**RULES["topic"], "complaint": {"words": ["complaint"]}}})
        opened.record("acme", [message(0, "a complaint"), message(1, "wifi"), message(2, "the manager")])
        sent = {**message(2, ""), "type": "topic.classified", "id": "t2", "source": "zendesk", "message_id": "m2"}
        opened.record("acme", {**sent, "topic": "escalation", "confidence": 0.75})
        opened.labels.run("acme")
        opened.labels.review.say("acme", "topic", "m1", "food", "anna")
        yield opened


def topic(labels: object) -> list[GivenLabel]:
    """Return the labels of the set topic."""
    assert isinstance(labels, list | tuple)
    return [label for label in labels if label.set is LabelSet.TOPIC]


def test_rows_of_lists_have_their_labeller(engine: Engine) -> None:
    """Conversations, one conversation, waiting ones and flagged messages have labels with labeller, version and confidence."""
    wanted = {"c0": [RULED], "c1": [SAID], "c2": [SENT]}
    rows = engine.conversations.of("acme", DAY["start"], DAY["end"]).rows
    assert {row.conversation_id: topic(row.labels) for row in rows} == wanted
    assert {row.conversation_id: topic(row.labels) for row in engine.conversations.live("acme").rows} == wanted
    assert {id_: topic(engine.conversations.get("acme", id_).labels) for id_ in wanted} == wanted
    flagged = engine.conversations.flagged("acme", DAY["start"], DAY["end"]).rows
    assert {row.message_id: topic(row.labels) for row in flagged} == {"m0": [RULED], "m2": [SENT]}


def test_label_events_of_a_conversation_have_their_labeller(engine: Engine) -> None:
    """Only the label event has labels, and a person's revision replaced the rules'."""
    rows = engine.conversations.events("acme", "c1").rows
    assert {row.event["type"]: topic(row.labels) for row in rows} == {
        "message.received": [],
        "topic.classified": [SAID],
    }


def test_events_of_an_explanation_have_their_labeller(engine: Engine) -> None:
    """Events behind a label metric have labels with their labeller; events behind other metrics have none."""
    behind = engine.answers.explain("acme", "classifications", DAY["start"], DAY["end"]).events.rows
    assert [[label["by"] for label in row["labels"] if label["set"] == "topic"] for row in behind] == [
        ["rules"], ["person"], ["source"]
    ]  # fmt: skip
    messages = engine.answers.explain("acme", "messages", DAY["start"], DAY["end"]).events.rows
    assert all("labels" not in row for row in messages)


def test_a_classifier_is_named_by_its_number(engine: Engine) -> None:
    """The label has the number of the classifier that gave it; training another one changes no label."""
    pytest.importorskip("wordllama")
    trained = taught(engine)
    engine.record("acme", message(5, "Please help, there is a problem with our router and the signal"))
    engine.labels.run("acme")
    (label,) = topic(engine.conversations.get("acme", "c5").labels)
    assert (label.by, label.who, label.label) == (Labeller.CLASSIFIER, str(trained.classifier), "wifi")
    assert label.confidence is not None and 0.5 < label.confidence < 1
    engine.labels.train("acme", "topic")
    assert engine.labels.run("acme").changed == 0


@pytest.mark.parametrize(
    ("event", "labels"),
    [
        ({"type": "message.received", "source": "x", "topic": "a", "severity": "high"}, []),
        ({"type": "escalation.raised", "source": "x", "severity": "high"}, [(LabelSet.ESCALATION, Labeller.SOURCE, "x")]),
        ({"type": "topic.classified", "source": SOURCE, "topic": "a", "name": "person"}, [(LabelSet.TOPIC, Labeller.PERSON, None)]),
        ({"type": "topic.classified", "source": SOURCE, "topic": "a", "sentiment": "b", "attributes": {"labels": {
            "topic": {"by": "endpoint", "who": "small"}, "tone": {"by": "rules", "version": 3}}}},
         [(LabelSet.TOPIC, Labeller.ENDPOINT, "small"), (LabelSet.TONE, Labeller.RULES, None)]),
        ({"type": "topic.unlabelled", "source": SOURCE, "topic": "a"}, []),
    ],
)  # fmt: skip
def test_an_event_has_its_labeller(
    event: dict[str, object], labels: list[tuple[LabelSet, Labeller, str | None]]
) -> None:
    """Severity is a label only on an alert; without attributes an event still gives its labeller, by `name`."""
    assert [(label.set, label.by, label.who) for label in given_labels(event)] == labels

"""Labels of an engine: on arrival and of stored messages, one per message, revised and never doubled, per tenant."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubbub.app import Engine, open_engine
from hubbub.clock import fixed
from hubbub.errors import BadInputError, ConflictError, NotFoundError
from hubbub.ingest.receivers.base import Delivery
from hubbub.model.event import Event, record_from
from hubbub.services.integrations import made_for
from hubbub.services.label_review_views import SuggestionScore
from hubbub.services.label_training import TrainedClassifier

RULES = {"topic": {"wifi": {"words": ["wifi"]}, "food": {"words": ["food", "breakfast"]}}}
NOW = fixed(datetime(2026, 8, 20, 12, tzinfo=UTC))
DAY: dict[str, Any] = {"start": "2026-08-20", "end": "2026-08-21"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with the tenants acme, which has its own rules, and other."""
    with open_engine(tmp_path, clock=NOW) as made:
        for name in ("acme", "other"):
            made.add_tenant(name)
        made.labels.replace("acme", RULES)
        yield made


def message(n: int, text: str, **more: Any) -> dict[str, Any]:
    """Return an incoming message with a text."""
    return {
        "type": "message.received", "time": f"2026-08-20T10:00:{n:02}Z", "id": f"m{n}", "source": "test", "channel": "chat",
        "channel_id": "room", "contact_id": f"guest-{n:04}", "conversation_id": f"c{n}", "attributes": {"text": text}, **more,
    }  # fmt: skip


def ask(engine: Engine, *metrics: str, tenant: str = "acme", by: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Answer metrics of the day."""
    rows: list[dict[str, Any]] = engine.query(tenant, metrics=list(metrics), by=list(by), **DAY)["rows"]
    return rows


def topics(engine: Engine, tenant: str = "acme") -> dict[str | None, int]:
    """Return the number of classifications by topic."""
    return {
        row["topic"]: row["classifications"] for row in ask(engine, "classifications", tenant=tenant, by=("topic",))
    }


def stored(engine: Engine, columns: str = "type, topic, sentiment, revision, attributes") -> list[tuple[Any, ...]]:
    """Return the stored label events, in order."""
    engine.refresh()
    with engine.store.facts.read() as reading:
        return reading.rows(f"SELECT {columns} FROM event WHERE source = 'labels' ORDER BY time, id")


def test_stored_messages_are_labelled_once_with_their_labeller(engine: Engine) -> None:
    """Each message with a text has one label event with labeller, version and confidence; a second run changes nothing."""
    engine.record(
        "acme", [message(0, "wifi is bad"), message(1, "Great food, thank you"), message(2, "hello"), message(3, " ")]
    )
    engine.record("acme", message(4, "wifi", type="message.sent", staff_id="anna"))
    engine.record("acme", message(5, "wifi", kind="bot"))
    first = engine.labels.run("acme")
    assert (first.looked_at, first.changed, first.topic) == (3, 3, {"rules": 2})
    assert engine.labels.run("acme").changed == 0
    assert topics(engine) == {"wifi": 1, "food": 1}
    (numbers,) = ask(engine, "classifications", "labelable", "topic_coverage", "tone_coverage")
    assert (numbers["labelable"], numbers["topic_coverage"], numbers["tone_coverage"]) == (3, 2 / 3, 1 / 3)
    assert [row["labeller"] for row in ask(engine, "classifications", by=("labeller",))] == ["rules"]
    said = [json.loads(row[-1]) for row in stored(engine)]
    assert said[1]["labels"]["topic"] == {"by": "rules", "version": 1, "confidence": 1.0}
    assert said[2]["labels"]["topic"] == {"by": "rules", "version": 1}
    assert engine.verify("acme")["clean"]


def test_other_rules_revise_the_same_events(engine: Engine) -> None:
    """New rules revise labels without doubling them, a label that no rule gives any more is removed, and verify is clean."""
    engine.record(
        "acme", [message(0, "wifi and a manager: speak to a manager"), message(1, "breakfast"), message(2, "pool")]
    )
    engine.labels.run("acme")
    assert ask(engine, "escalation_alerts")[0]["escalation_alerts"] == 1
    engine.labels.replace(
        "acme", {"topic": {"pool": {"words": ["pool"]}, "wlan": {"words": ["wifi"]}}, "escalation": {}}
    )
    assert engine.labels.run("acme").changed == 4
    assert topics(engine) == {"wlan": 1, "pool": 1}
    assert ask(engine, "labelable")[0]["labelable"] == 3
    assert ask(engine, "escalation_alerts")[0]["escalation_alerts"] == 0
    assert engine.verify("acme")["clean"]


def test_renaming_and_merging_change_past_labels(engine: Engine) -> None:
    """Renaming a label changes all past labels without their texts; a merged label counts with the other."""
    engine.record("acme", [message(0, "wifi"), message(1, "food"), message(2, "breakfast")])
    engine.labels.run("acme")
    assert engine.labels.rename("acme", "topic", "wifi", "internet").changed == 1
    assert topics(engine) == {"internet": 1, "food": 2}
    assert engine.labels.rename("acme", "topic", "internet", "food").changed == 1
    assert topics(engine) == {"food": 3}
    assert engine.labels.run("acme").topic == {"rules": 3}
    assert topics(engine) == {"food": 3}
    assert engine.verify("acme")["clean"]


def test_messages_without_a_stored_text_are_labelled_on_arrival(engine: Engine) -> None:
    """A message is labelled by a text that is not stored; an edit revises its label, an older export does not."""
    first = record_from(message(0, "wifi", revision=1))
    edited = record_from(message(0, "breakfast", revision=2))
    for item, changed in ((first, 1), (first, 0), (edited, 1), (edited, 0), (first, 0)):
        answer = engine.load("acme", [item], labels=True, keep_text=False)
        assert answer["labels"]["changed"] == changed
    assert topics(engine) == {"food": 1}
    with engine.store.facts.read() as reading:
        kept = reading.rows("SELECT attributes FROM event WHERE source = 'test'")
    assert kept == [(None,)]


def test_labels_of_the_source_take_precedence(engine: Engine) -> None:
    """A message that its source classified, before or after a run, counts once, with the source's label."""
    engine.record("acme", [message(0, "wifi"), message(1, "wifi")])
    engine.record(
        "acme", {**message(0, ""), "type": "topic.classified", "id": "t0", "topic": "network", "message_id": "m0"}
    )
    engine.labels.run("acme")
    assert topics(engine) == {"network": 1, "wifi": 1}
    engine.record(
        "acme", {**message(1, ""), "type": "topic.classified", "id": "t1", "topic": "network", "message_id": "m1"}
    )
    engine.labels.run("acme")
    assert topics(engine) == {"network": 2}
    assert ask(engine, "labelable")[0]["labelable"] == 2


def test_each_tenant_is_labelled_by_its_own_rules(engine: Engine) -> None:
    """Each tenant's messages are labelled by its own rules."""
    for tenant in ("acme", "other"):
        engine.record(tenant, [message(0, "wifi"), message(1, "a complaint")])
        engine.labels.run(tenant)
    assert topics(engine) == {"wifi": 1}
    assert topics(engine, "other") == {"complaint": 1}
    assert engine.labels.of("other").version == 0


def test_an_erased_contact_leaves_no_label(engine: Engine) -> None:
    """Erasing a contact deletes its labels."""
    engine.record("acme", [message(0, "wifi"), message(1, "wifi")])
    engine.labels.run("acme")
    engine.erasures.erase("acme", "guest-0001")
    assert topics(engine) == {"wifi": 1}
    assert len(stored(engine)) == 1


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.sampled_from(["old", "new", "again"]), min_size=1, max_size=5))
def test_the_newest_version_holds_in_whatever_order_runs_end(
    tmp_path_factory: pytest.TempPathFactory, order: list[str]
) -> None:
    """A run with older rules that ends late does not change labels of newer rules."""
    with open_engine(tmp_path_factory.mktemp("order"), clock=NOW) as engine:
        engine.add_tenant("acme")
        engine.labels.replace("acme", RULES)
        engine.record("acme", message(0, "wifi"))
        one = engine.control.tenant("acme")
        old = engine.labels.labelling(one)
        engine.labels.replace("acme", {"topic": {"net": {"words": ["wifi"]}}})
        new = engine.labels.labelling(one)
        item = record_from(message(0, "wifi"))
        assert isinstance(item, Event)
        for which in order:
            engine.labels.label([item], one, old if which == "old" else new)
        assert topics(engine) == ({"wifi": 1} if set(order) == {"old"} else {"net": 1})
        assert len(stored(engine)) == 1


def test_people_review_the_least_sure_first_and_can_undo(engine: Engine) -> None:
    """A person's label applies at once and outlasts other rules; undoing it restores the rules' label. Unsure messages
    come first.
    """
    engine.record("acme", [message(0, "wifi"), message(1, "hello"), message(2, "the pool")])
    engine.labels.run("acme")
    queue = engine.labels.review.queue("acme", "topic")
    assert [row.message for row in queue.rows] == ["m2", "m1", "m0"]
    assert (queue.left, queue.done, queue.labels) == (3, 0, ["wifi", "food"])
    assert engine.labels.review.say("acme", "topic", "m0", "food", "anna").was == "wifi"
    engine.labels.review.say("acme", "topic", "m1", None, "anna")
    assert [row.message for row in engine.labels.review.queue("acme", "topic").rows] == ["m2"]
    assert topics(engine) == {"food": 1}
    engine.labels.replace("acme", {"topic": {"food": None, "net": {"words": ["wifi"]}, "wifi": None}})
    engine.labels.run("acme")
    assert topics(engine) == {"food": 1}
    (score,) = engine.labels.review.done("acme", "topic").right
    assert score == SuggestionScore("wifi", 1, 0.0, 0.0, score.high) and score.high == pytest.approx(0.79, abs=0.01)
    assert engine.labels.review.undo("acme", "topic", "anna").label is None
    assert engine.labels.review.undo("acme", "topic", "anna").label == "food"
    assert topics(engine) == {"net": 1}
    with pytest.raises(NotFoundError):
        engine.labels.review.undo("acme", "topic", "anna")
    assert engine.verify("acme")["clean"]


def test_people_choose_the_order_of_review_and_see_reasons(engine: Engine) -> None:
    """The review order is newest first or by label, unlabelled last; each row has its rule and matched words; other
    orders are refused.
    """
    engine.record("acme", [message(0, "Wifi!"), message(1, "hello"), message(2, "breakfast"), message(3, "no wifi")])
    engine.labels.run("acme")
    review = engine.labels.review
    assert [row.message for row in review.queue("acme", "topic", order="newest").rows] == ["m3", "m2", "m1", "m0"]
    rows = review.queue("acme", "topic", order="label").rows
    assert [row.message for row in rows] == ["m2", "m3", "m0", "m1"]
    assert [[row.text[span.start : span.end] for span in row.spans] for row in rows] == [
        ["breakfast"],
        ["wifi"],
        ["Wifi"],
        [],
    ]
    assert [row.rule.words if row.rule is not None else None for row in rows] == [
        ("breakfast",), ("wifi",), ("wifi",), None
    ]  # fmt: skip
    assert all(row.likely == [] or row.likely == () for row in rows)
    with pytest.raises(BadInputError, match="is not one of unsure, newest, label"):
        review.queue("acme", "topic", order="1; DROP TABLE event")


def test_review_shows_the_classifiers_likeliest_labels(engine: Engine) -> None:
    """With a classifier each message has its likeliest labels with probabilities, and the words behind the suggestion."""
    pytest.importorskip("wordllama")
    taught(engine)
    engine.record("acme", message(0, "Please help, there is a problem with our router and the signal"))
    engine.labels.run("acme")
    (row,) = engine.labels.review.queue("acme", "topic").rows
    assert (row.suggested, row.by) == ("wifi", "classifier")
    assert [likely.label for likely in row.likely] == ["wifi", "food"]
    assert row.likely[0].confidence == pytest.approx(row.confidence, abs=1e-4)
    assert [row.text[span.start : span.end] for span in row.spans] == ["router", "signal"]


def test_erasing_a_contact_deletes_its_examples(engine: Engine) -> None:
    """Erasing a contact deletes and counts its examples."""
    engine.record("acme", [message(0, "wifi"), message(1, "wifi")])
    engine.labels.run("acme")
    for key in ("m0", "m1"):
        engine.labels.review.say("acme", "topic", key, "food", "anna")
    assert engine.erasures.erase("acme", "guest-0001").examples == 1
    assert [row.message for row in engine.labels.review.done("acme", "topic").rows] == ["m0"]


SAID = {
    "wifi": ["connection", "internet", "router", "signal", "network", "password", "laptop", "online"],
    "food": ["breakfast", "coffee", "eggs", "croissants", "buffet", "bread", "dinner", "kitchen"],
}


def taught(engine: Engine, tenant: str = "acme") -> TrainedClassifier:
    """Teach a tenant two topics with 28 texts each, and train a classifier."""
    examples = [
        (f"There is a problem with the {one} and the {other} in our room, please help", label)
        for label, words in SAID.items()
        for one, other in itertools.combinations(words, 2)
    ]
    engine.labels.review.teach(tenant, "topic", examples)
    return engine.labels.train(tenant, "topic")


def test_a_classifier_learns_abstains_and_stays_its_tenants(engine: Engine) -> None:
    """A classifier labels unseen messages, leaves unsure texts and other languages unlabelled, and applies to its
    tenant alone.
    """
    pytest.importorskip("wordllama")
    engine.labels.replace("other", RULES)
    trained = taught(engine)
    assert trained.used and trained.accuracy == 1
    texts = (
        "Please help, there is a problem with our router and the signal",
        "There is a problem with the coffee and the bread, please",
        "zzz qqq", "Es gibt ein Problem mit dem Internet und dem Router in unserem Zimmer",
    )  # fmt: skip
    for tenant in ("acme", "other"):
        engine.record(tenant, [message(n, text) for n, text in enumerate(texts)])
        engine.labels.run(tenant)
    assert topics(engine) == {"wifi": 1, "food": 1}
    assert topics(engine, "other") == {}
    said = [json.loads(row[-1])["labels"]["topic"] for row in stored(engine, "attributes") if row]
    assert {one["by"] for one in said} == {"classifier", "rules"}
    assert engine.labels.run("acme").changed == 0
    assert engine.verify()["clean"]


def test_examples_of_labels_that_are_not_learned_count_as_wrong(engine: Engine) -> None:
    """Examples of labels with too few examples to learn count as wrong, so that accuracy and precision are not overstated."""
    pytest.importorskip("wordllama")
    others = ("sauna", "parking", "taxi", "laundry", "invoice")
    engine.labels.replace("acme", {"topic": {**RULES["topic"], **dict.fromkeys(others)}})
    assert taught(engine).counted == 1
    examples = [
        (f"There is a problem with the {one} and the {word} in our room, please help", one)
        for one in others for word in ("bill", "time", "price", "door", "staff", "floor", "key")
    ]  # fmt: skip
    engine.labels.review.teach("acme", "topic", examples)
    trained = engine.labels.train("acme", "topic")
    assert trained.left_out == sorted(others) and trained.examples == 56 + len(examples)
    assert trained.accuracy is not None and trained.accuracy <= 56 / trained.examples
    assert trained.precision is None or (trained.precision_low or 0) >= 0.9


def test_a_classifier_is_compared_before_it_takes_anothers_place(engine: Engine) -> None:
    """A new classifier is used only if it is not worse on enough examples that neither learned from; `switch` chooses
    one by hand.
    """
    pytest.importorskip("wordllama")
    first = taught(engine)
    again = engine.labels.train("acme", "topic")
    assert again.compared is not None and (again.used, again.compared.examples) == (False, 0)
    more = [(f"router and password in room {n}", "wifi") for n in range(6)] + [
        (f"bread and butter {n}", "food") for n in range(6)
    ]
    engine.labels.review.teach("acme", "topic", more)
    better = engine.labels.train("acme", "topic")
    assert better.compared is not None and better.compared.examples == 12
    assert better.used == (better.compared.right >= better.compared.right_in_use)
    engine.labels.switch("acme", "topic", first.classifier)
    assert engine.labels.of("acme").in_use == {"topic": first.classifier}
    with pytest.raises(NotFoundError):
        engine.labels.switch("other", "topic", first.classifier)


def test_an_integration_labels_what_it_receives_and_keeps_no_text(engine: Engine) -> None:
    """With `labels: yes` a delivered message is labelled by its text, which is not stored; without, it is not labelled."""
    for tenant, setting in (("acme", {"labels": "yes"}), ("other", {})):
        row = engine.integrations.add(tenant, "telegram", settings={"bot_id": "99", **setting})
        integration = engine.receiving.find("telegram", row.id)
        headers = {"x-telegram-bot-api-secret-token": made_for(row)["secret_token"]}
        told = {
            "message_id": 7,
            "from": {"id": 41},
            "chat": {"id": 41, "type": "private"},
            "date": 1787212800,
            "text": "the wifi",
        }
        body = json.dumps({"update_id": 1, "message": told}).encode()
        taken = engine.receiving.take(integration, Delivery("POST", "https://x/", {}, headers, body, NOW()))
        assert taken.outcome.stored == 1
    assert [row[1] for row in stored(engine)] == ["wifi"]
    with engine.store.facts.read() as reading:
        assert reading.rows("SELECT count(*) FROM event WHERE attributes LIKE '%the wifi%'") == [(0,)]


def test_a_person_labels_one_message_or_conversation_above_rules(engine: Engine) -> None:
    """A person's label counts at once, repeated changes nothing, another one revises it; a conversation's is on its
    first message.
    """
    engine.record("acme", [message(0, "wifi"), message(1, "hello", conversation_id="c0")])
    engine.labels.run("acme")
    say = engine.labels.review.say
    assert say("acme", "topic", "m0", "food", "anna").changed == 1
    first = say("acme", "topic", "m0", "food", "anna")
    assert (first.changed, first.was) == (0, "food")
    assert topics(engine) == {"food": 1} and len(stored(engine)) == 2
    again = say("acme", "topic", None, "wifi", "bo", conversation="c0")
    assert (again.message, again.changed) == ("m0", 1)
    assert topics(engine) == {"wifi": 1}
    engine.labels.run("acme")
    assert json.loads(stored(engine, "attributes")[0][0])["labels"]["topic"]["who"] == "bo"
    for message_, conversation in ((None, None), ("m0", "c0")):
        with pytest.raises(BadInputError, match="either a message or a conversation"):
            say("acme", "topic", message_, "wifi", conversation=conversation)
    for unknown in ({"message": "m9"}, {"message": None, "conversation": "c9"}):
        with pytest.raises(NotFoundError):
            say("acme", "topic", label="wifi", **unknown)
    with pytest.raises(NotFoundError):
        say("other", "tone", "m0", "negative")


def test_a_message_without_a_stored_text_is_labelled_and_keeps_its_other_labels(engine: Engine) -> None:
    """A person's topic keeps the tone from the text; undone, the topic is unlabelled until the text arrives again."""
    engine.load("acme", [record_from(message(0, "the wifi is terrible"))], labels=True, keep_text=False)
    assert [row[1:3] for row in stored(engine)] == [("wifi", "negative")]
    assert engine.labels.review.say("acme", "topic", "m0", "food", "anna").changed == 1
    assert engine.labels.review.say("acme", "topic", "m0", "food", "anna").changed == 0
    assert [row[1:3] for row in stored(engine)] == [("food", "negative")]
    engine.load("acme", [record_from(message(0, "the wifi is terrible"))], labels=True, keep_text=False)
    assert [row[1:3] for row in stored(engine)] == [("food", "negative")], "a person is above the rules"
    assert engine.labels.review.undo("acme", "topic", "anna").label == "food"
    assert [row[1:3] for row in stored(engine)] == [(None, "negative")]
    engine.load("acme", [record_from(message(0, "the wifi is terrible"))], labels=True, keep_text=False)
    assert [row[1:3] for row in stored(engine)] == [("wifi", "negative")]
    assert engine.verify("acme")["clean"]


def test_a_label_of_the_source_cannot_be_changed_here(engine: Engine) -> None:
    """A label of a message that its source labelled is refused, so that the message counts once."""
    engine.record("acme", message(0, "wifi"))
    event = {**message(0, ""), "type": "topic.classified", "id": "t0", "topic": "network", "message_id": "m0"}
    engine.record("acme", {**event, "time": "2026-08-20T10:05:00Z"})
    for label_set, label in (("topic", "food"), ("tone", "negative")):
        with pytest.raises(ConflictError, match="correct it there"):
            engine.labels.review.say("acme", label_set, "m0", label)
    assert topics(engine) == {"network": 1}

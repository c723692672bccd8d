"""Suggested topics: from stored unlabelled texts alone, per tenant, accepted or dismissed once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine, open_engine
from hubbub.clock import fixed
from hubbub.control.topic_suggestions import Body, StoredTopic, TopicState
from hubbub.errors import BadInputError, BadSettingError, ConflictError, NotFoundError
from hubbub.labels import extra
from hubbub.labels.stored import unlabelled
from hubbub.model.event import record_from
from hubbub.model.label import LabelSet
from hubbub.services.topic_suggestion_views import SuggestedTopic
from hubbub.services.topic_suggestions import FLOOR, FLOOR_OF_PEOPLE, opportunity, ranked

pytest.importorskip("wordllama")

NOW = fixed(datetime(2026, 8, 20, 12, tzinfo=UTC))
RULES = {"topic": {"food": {"words": ["food", "breakfast"]}}}
SAID = {"wifi": "The wifi network in our room is slow", "parking": "Where is the parking garage of the hotel"}
ENDINGS = (
    "please",
    "today",
    "can you help",
    "thanks",
    "since yesterday",
    "asked my wife",
    "for two people",
    "next weekend",
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with the tenants acme and other, both with rules about food."""
    with open_engine(tmp_path, clock=NOW) as made:
        for name in ("acme", "other"):
            made.add_tenant(name)
            made.labels.replace(name, RULES)
        yield made


def said(theme: str, count: int, first: int = 0, people: int = 1000) -> list[dict[str, Any]]:
    """Return messages about a theme, each in its own conversation."""
    return [
        {
            "type": "message.received", "time": f"2026-08-19T{n // 60:02}:{n % 60:02}:00Z", "id": f"{theme}-{n}", "source": "test",
            "channel": "chat", "contact_id": f"{theme}-guest-{n % people:04}", "conversation_id": f"{theme}-c{n}",
            "attributes": {"text": f"{SAID[theme]} {ENDINGS[n % len(ENDINGS)]}"},
        }
        for n in range(first, first + count)
    ]  # fmt: skip


def theme_of(row: SuggestedTopic) -> str:
    """Return the common theme of a suggestion's examples."""
    (theme,) = {example.message.split("-")[0] for example in row.examples}
    return theme


def filled(engine: Engine) -> dict[str, SuggestedTopic]:
    """Suggest topics from two dozen messages of each theme; return them by theme."""
    engine.record("acme", [*said("wifi", 24), *said("parking", 24)])
    engine.labels.run("acme")
    engine.labels.suggestions.run("acme")
    return {theme_of(row): row for row in engine.labels.suggestions.of("acme").rows}


def test_topics_are_shown_with_words_examples_and_figures(engine: Engine) -> None:
    """Each theme is a topic with its words, eight examples and counts; it labels no message."""
    rows = filled(engine)
    assert rows.keys() == {"wifi", "parking"}
    assert "wifi" in rows["wifi"].rule and "parking" in rows["parking"].rule
    assert (rows["wifi"].messages, rows["wifi"].people, rows["wifi"].conversations) == (24, 24, 24)
    assert len(rows["wifi"].examples) == 8
    assert rows["wifi"].unresolved == 1 and rows["wifi"].handling_ms is None and rows["wifi"].opportunity_ms is None
    engine.refresh()
    rows_by_topic = engine.query(
        "acme", metrics=["classifications"], by=["topic"], start="2026-08-19", end="2026-08-20"
    )["rows"]
    assert {row["topic"] for row in rows_by_topic} <= {None}


def test_the_same_messages_change_nothing_and_numbers_stay(engine: Engine) -> None:
    """A run without new messages changes nothing; later messages join the existing topics under their numbers."""
    before = filled(engine)
    assert engine.labels.suggestions.run("acme").changed is False
    engine.record("acme", said("wifi", 12, first=24))
    assert engine.labels.suggestions.run("acme").changed is True
    after = {theme_of(row): row for row in engine.labels.suggestions.of("acme").rows}
    assert {theme: row.number for theme, row in after.items()} == {t: row.number for t, row in before.items()}
    assert after["wifi"].messages == 36


def test_a_topic_below_the_floor_is_not_shown(engine: Engine) -> None:
    """Topics with too few messages or people are counted as below, and cannot be accepted."""
    engine.record("acme", [*said("wifi", FLOOR - 1), *said("parking", 24, people=FLOOR_OF_PEOPLE - 1)])
    engine.labels.suggestions.run("acme")
    view = engine.labels.suggestions.of("acme")
    assert view.rows == [] and view.below == 2
    for topic in engine.labels.suggestions.stored.of("acme"):
        with pytest.raises(NotFoundError):
            engine.labels.suggestions.accept("acme", topic.number, "wifi")


def test_an_accepted_topic_is_a_label_with_rule_and_examples(engine: Engine) -> None:
    """Accepting adds the label with its words and the examples, and the topic is not suggested again; a second accept
    is refused.
    """
    wifi = filled(engine)["wifi"]
    done = engine.labels.suggestions.accept("acme", wifi.number, "wifi", ["wifi", "no internet"], "anna")
    assert done.examples == 8 and done.words == ("wifi", "no internet")
    assert engine.labels.of("acme").labels["topic"]["wifi"] == {"words": ["wifi", "no internet"]}
    assert {row.label for row in engine.labels.review.done("acme", "topic").rows} == {"wifi"}
    engine.labels.run("acme")
    asked = engine.query(
        "acme", metrics=["classifications"], by=["topic"], start="2026-08-19", end="2026-08-20"
    )["rows"]  # fmt: skip
    assert ("wifi", 24) in [(row["topic"], row["classifications"]) for row in asked]
    engine.record("acme", said("wifi", 12, first=24))
    engine.labels.suggestions.run("acme")
    assert [theme_of(row) for row in engine.labels.suggestions.of("acme").rows] == ["parking"]
    with pytest.raises(ConflictError, match="accepted"):
        engine.labels.suggestions.accept("acme", wifi.number, "net")
    assert engine.labels.suggestions.of("acme").history[0].fate == "accepted"
    assert engine.verify("acme")["clean"]


def test_a_dismissed_topic_does_not_come_back(engine: Engine) -> None:
    """A dismissed topic is not suggested again with further messages; a second dismissal is refused."""
    wifi = filled(engine)["wifi"]
    engine.labels.suggestions.dismiss("acme", wifi.number, "anna")
    engine.record("acme", said("wifi", 36, first=24))
    engine.labels.suggestions.run("acme")
    view = engine.labels.suggestions.of("acme")
    assert [theme_of(row) for row in view.rows] == ["parking"]
    assert [(turn.number, turn.by) for turn in view.history if turn.fate == "dismissed"] == [(wifi.number, "anna")]
    with pytest.raises(ConflictError, match="dismissed"):
        engine.labels.suggestions.dismiss("acme", wifi.number)


def test_a_refused_name_changes_nothing(engine: Engine) -> None:
    """A bad label name or word is refused, and the topic stays undecided."""
    wifi = filled(engine)["wifi"]
    with pytest.raises(BadInputError):
        engine.labels.suggestions.accept("acme", wifi.number, " ")
    with pytest.raises(BadInputError):
        engine.labels.suggestions.accept("acme", wifi.number, "wifi", ["x" * 1000])
    assert wifi.number in [row.number for row in engine.labels.suggestions.of("acme").rows]


def test_each_tenant_gets_topics_of_its_own_texts(engine: Engine) -> None:
    """Each tenant gets topics from its own texts, and decisions of one do not affect another."""
    engine.record("acme", said("wifi", 24))
    engine.record("other", said("parking", 24))
    runs = engine.labels.suggest_all()
    assert runs.tenants_processed == 2 and not runs.errors
    rows = {tenant: engine.labels.suggestions.of(tenant).rows for tenant in ("acme", "other")}
    assert [theme_of(row) for row in rows["acme"]] == ["wifi"]
    assert [theme_of(row) for row in rows["other"]] == ["parking"]
    alone = [(row.words, row.rule, row.messages) for row in rows["acme"]]
    engine.labels.suggestions.dismiss("other", rows["other"][0].number)
    assert [(row.words, row.rule, row.messages) for row in engine.labels.suggestions.of("acme").rows] == alone


def test_texts_that_are_not_stored_are_not_read(engine: Engine) -> None:
    """Messages whose texts were not stored suggest nothing."""
    items = [record_from(row) for row in said("wifi", 24)]
    engine.load("acme", items, labels=True, keep_text=False)
    assert engine.labels.suggestions.run("acme").read == 0
    assert engine.labels.suggestions.stored.of("acme") == []


def test_no_text_of_a_message_is_written_by_a_run(engine: Engine, tmp_path: Path) -> None:
    """The control database holds no text in the clear: examples are keys, and the rest is encrypted."""
    filled(engine)
    with engine.database.read() as con:
        bodies = con.exec_driver_sql("SELECT body FROM topic_suggestions").fetchall()
    assert bodies and not any(b"wifi" in bytes(body) or b"parking" in bytes(body) for (body,) in bodies)
    for file in tmp_path.glob("control.db*"):
        assert b"wifi network" not in file.read_bytes()


def test_an_erased_contact_leaves_no_example(engine: Engine) -> None:
    """Erasing a contact removes its messages from the examples of every topic; other examples stay."""
    rows = filled(engine)
    example = rows["wifi"].examples[0].message
    contact = f"wifi-guest-{int(example.split('-')[1]):04}"
    engine.labels.suggestions.dismiss("acme", rows["wifi"].number)
    engine.erasures.erase("acme", contact)
    kept = [e for topic in engine.labels.suggestions.stored.of("acme") for e in topic.body.examples]
    assert len(kept) == 15 and contact not in {e.contact_id for e in kept} and example not in {e.key for e in kept}


def test_only_messages_without_a_topic_are_read(engine: Engine) -> None:
    """Messages with a topic from rules or source are left out; unlabelled and unseen ones are read, newest first."""
    rows = said("wifi", 5)
    rows[0]["attributes"] = {"text": "the food is cold"}
    label = {"type": "topic.classified", "time": rows[1]["time"], "id": "t", "message_id": rows[1]["id"], "topic": "x"}
    engine.record("acme", [*rows[:4], label])
    engine.labels.run("acme")
    engine.record("acme", rows[4:])
    engine.refresh()
    owner = engine.control.tenant("acme")
    assert [m.key for m in unlabelled(engine.store, owner.no, LabelSet.TOPIC, 10)] == ["wifi-4", "wifi-3", "wifi-2"]
    assert [m.key for m in unlabelled(engine.store, owner.no, LabelSet.TOPIC, 1)] == ["wifi-4"]


def topic(number: int, messages: int, unresolved: float | None, handling_ms: float | None) -> StoredTopic:
    """Return a topic with these figures."""
    body = Body(("w",), (), (), "", messages, 5, 5, unresolved, handling_ms)
    return StoredTopic(number, TopicState.OPEN, None, body, datetime(2026, 8, 20, tzinfo=UTC))


def test_topics_are_ranked_by_messages_unresolved_and_handling_time() -> None:
    """Topics are ranked by messages × unresolved × handling time; an unknown factor counts as the mean, and stays null."""
    many, slow = topic(1, 30, 0.5, 1e6), topic(2, 10, 0.5, 9e6)
    waiting, unknown = topic(3, 20, 1.0, 1e6), topic(4, 30, None, None)
    assert [t.number for t in ranked([many, slow, waiting, unknown])] == [4, 2, 3, 1]
    assert opportunity(many.body) == 15e6 and opportunity(unknown.body) is None
    assert [t.number for t in ranked([topic(1, 10, None, None), topic(2, 20, None, None)])] == [2, 1]


def test_runs_of_two_processes_do_not_overwrite_each_other(engine: Engine) -> None:
    """A run that another run overtook is refused as a whole."""
    filled(engine)
    topics = engine.labels.suggestions.stored
    run = topics.last_run("acme")
    topics.store("acme", run, "a", 1, {}, [])
    with pytest.raises(ConflictError):
        topics.store("acme", run, "b", 1, {}, [])
    assert topics.last_run("acme").digest == "a"


def test_without_the_extra_a_run_names_the_package(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package one tenant's run is an error that names it; the weekly run skips, so that its job does not fail."""
    monkeypatch.setattr(extra, "PACKAGES", ("no_such_package",))
    with pytest.raises(BadSettingError, match="no_such_package"):
        engine.labels.suggestions.run("acme")
    assert "not installed" in engine.labels.suggest_all().skipped


def test_resolved_conversations_give_share_and_handling_time(engine: Engine) -> None:
    """With half of its conversations resolved after an hour, a topic has unresolved 0.5, handling of an hour, and their
    product as opportunity.
    """
    rows = said("wifi", 24)
    resolved = [
        {
            "type": "conversation.resolved", "time": row["time"].replace("2026-08-19T00", "2026-08-19T01"), "id": f"r{n}",
            "source": "test", "conversation_id": row["conversation_id"],
        }
        for n, row in enumerate(rows) if n % 2
    ]  # fmt: skip
    engine.record("acme", [*rows, *resolved])
    engine.labels.suggestions.run("acme")
    (row,) = engine.labels.suggestions.of("acme").rows
    assert (row.unresolved, row.handling_ms, row.opportunity_ms) == (0.5, 3_600_000, 24 * 0.5 * 3_600_000)


def test_a_stored_topic_is_read_back_complete(engine: Engine) -> None:
    """A stored topic is read back with tuples and examples."""
    filled(engine)
    for stored_topic in engine.labels.suggestions.stored.of("acme"):
        body = stored_topic.body
        assert isinstance(body.words, tuple) and body.examples[0].contact_id and json.dumps(body.centre)

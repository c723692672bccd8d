"""Labels of an engine: on arrival and of what is stored, once for each message, revised and never doubled, each tenant's own."""

from __future__ import annotations

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
from hubbub.model.event import Event, record_from

RULES = {"topic": {"wifi": {"words": ["wifi"]}, "food": {"words": ["food", "breakfast"]}}}
NOW = fixed(datetime(2026, 8, 20, 12, tzinfo=UTC))
DAY: dict[str, Any] = {"start": "2026-08-20", "end": "2026-08-21"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with the tenants acme, which has rules of its own, and other."""
    with open_engine(tmp_path, clock=NOW) as made:
        for name in ("acme", "other"):
            made.add_tenant(name)
        made.labels.set_labels("acme", RULES)
        yield made


def message(n: int, text: str, **more: Any) -> dict[str, Any]:
    """Return an incoming message with a text."""
    return {
        "type": "message.received", "time": f"2026-08-20T10:00:{n:02}Z", "id": f"m{n}", "source": "test", "channel": "chat",
        "channel_id": "room", "contact_id": f"guest-{n:04}", "conversation_id": f"c{n}", "attributes": {"text": text}, **more,
    }  # fmt: skip


def ask(engine: Engine, *metrics: str, tenant: str = "acme", by: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Ask for metrics of the day."""
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


def test_stored_messages_are_labelled_once_with_coverage_and_who_did_it(engine: Engine) -> None:
    """Each message with a text has one label event with labeller, version and confidence; a second run changes nothing."""
    engine.record(
        "acme", [message(0, "wifi is bad"), message(1, "Great food, thanks"), message(2, "hello"), message(3, " ")]
    )
    engine.record("acme", message(4, "wifi", type="message.sent", staff_id="anna"))
    engine.record("acme", message(5, "wifi", kind="bot"))
    first = engine.labels.run_labels("acme")
    assert (first["looked_at"], first["changed"], first["topic"]) == (3, 3, {"rules": 2})
    assert engine.labels.run_labels("acme")["changed"] == 0
    assert topics(engine) == {"wifi": 1, "food": 1}
    (numbers,) = ask(engine, "classifications", "labelable", "topic_coverage", "tone_coverage")
    assert (numbers["labelable"], numbers["topic_coverage"], numbers["tone_coverage"]) == (3, 2 / 3, 1 / 3)
    assert [row["labeller"] for row in ask(engine, "classifications", by=("labeller",))] == ["rules"]
    said = [json.loads(row[-1]) for row in stored(engine)]
    assert said[1]["labels"]["topic"] == {"by": "rules", "version": 1, "confidence": 1.0}
    assert said[2]["labels"]["topic"] == {"by": "rules", "version": 1}
    assert engine.verify("acme")["clean"]


def test_other_rules_revise_the_same_events(engine: Engine) -> None:
    """New rules change labels by revision: none is doubled, one that nothing says any more is unlabelled, and verify is clean."""
    engine.record(
        "acme", [message(0, "wifi and a manager: speak to a manager"), message(1, "breakfast"), message(2, "pool")]
    )
    engine.labels.run_labels("acme")
    assert ask(engine, "escalation_alerts")[0]["escalation_alerts"] == 1
    engine.labels.set_labels(
        "acme", {"topic": {"pool": {"words": ["pool"]}, "wlan": {"words": ["wifi"]}}, "escalation": {}}
    )
    assert engine.labels.run_labels("acme")["changed"] == 4
    assert topics(engine) == {"wlan": 1, "pool": 1}
    assert ask(engine, "labelable")[0]["labelable"] == 3
    assert ask(engine, "escalation_alerts")[0]["escalation_alerts"] == 0
    assert engine.verify("acme")["clean"]


def test_renaming_and_merging_take_the_past_along(engine: Engine) -> None:
    """A renamed label is renamed in all that was labelled, without its texts; a merged one is counted with the other."""
    engine.record("acme", [message(0, "wifi"), message(1, "food"), message(2, "breakfast")])
    engine.labels.run_labels("acme")
    assert engine.labels.rename_label("acme", "topic", "wifi", "internet")["changed"] == 1
    assert topics(engine) == {"internet": 1, "food": 2}
    assert engine.labels.rename_label("acme", "topic", "internet", "food")["changed"] == 1
    assert topics(engine) == {"food": 3}
    assert engine.labels.run_labels("acme")["topic"] == {"rules": 3}
    assert topics(engine) == {"food": 3}
    assert engine.verify("acme")["clean"]


def test_texts_that_are_not_kept_label_on_arrival(engine: Engine) -> None:
    """A message is labelled by a text that is stored nowhere; an edit revises its label, an older export does not."""
    first = record_from(message(0, "wifi", revision=1))
    edited = record_from(message(0, "breakfast", revision=2))
    for item, changed in ((first, 1), (first, 0), (edited, 1), (edited, 0), (first, 0)):
        answer = engine.load("acme", [item], labels=True, keep_text=False)
        assert answer["labels"]["changed"] == changed
    assert topics(engine) == {"food": 1}
    with engine.store.facts.read() as reading:
        kept = reading.rows("SELECT attributes FROM event WHERE source = 'test'")
    assert kept == [(None,)]


def test_what_a_source_classified_is_its_own(engine: Engine) -> None:
    """A message that its source classified, also later, is counted once, with the source's word."""
    engine.record("acme", [message(0, "wifi"), message(1, "wifi")])
    engine.record(
        "acme", {**message(0, ""), "type": "topic.classified", "id": "t0", "topic": "network", "message_id": "m0"}
    )
    engine.labels.run_labels("acme")
    assert topics(engine) == {"network": 1, "wifi": 1}
    engine.record(
        "acme", {**message(1, ""), "type": "topic.classified", "id": "t1", "topic": "network", "message_id": "m1"}
    )
    engine.labels.run_labels("acme")
    assert topics(engine) == {"network": 2}
    assert ask(engine, "labelable")[0]["labelable"] == 2


def test_tenants_never_mix(engine: Engine) -> None:
    """The same messages of another tenant are labelled by its own rules, and none of them by acme's."""
    for tenant in ("acme", "other"):
        engine.record(tenant, [message(0, "wifi"), message(1, "a complaint")])
        engine.labels.run_labels(tenant)
    assert topics(engine) == {"wifi": 1}
    assert topics(engine, "other") == {"complaint": 1}
    assert engine.labels.labels("other")["version"] == 0


def test_an_erased_contact_leaves_no_label(engine: Engine) -> None:
    """Erasing a contact takes its labels along."""
    engine.record("acme", [message(0, "wifi"), message(1, "wifi")])
    engine.labels.run_labels("acme")
    engine.erase("acme", "guest-0001")
    assert topics(engine) == {"wifi": 1}
    assert len(stored(engine)) == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.sampled_from(["old", "new", "again"]), min_size=1, max_size=5))
def test_the_newest_version_holds_in_whatever_order_runs_end(
    tmp_path_factory: pytest.TempPathFactory, order: list[str]
) -> None:
    """A run that began under older rules and ends late changes nothing that a newer one said."""
    with open_engine(tmp_path_factory.mktemp("order"), clock=NOW) as engine:
        engine.add_tenant("acme")
        engine.labels.set_labels("acme", RULES)
        engine.record("acme", message(0, "wifi"))
        one = engine.control.tenant("acme")
        old = engine.labels.labelling(one)
        engine.labels.set_labels("acme", {"topic": {"net": {"words": ["wifi"]}}})
        new = engine.labels.labelling(one)
        item = record_from(message(0, "wifi"))
        assert isinstance(item, Event)
        for which in order:
            engine.labels.label([item], one, old if which == "old" else new)
        assert topics(engine) == ({"wifi": 1} if set(order) == {"old"} else {"net": 1})
        assert len(stored(engine)) == 1

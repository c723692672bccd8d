"""Excerpts of conversations and messages: stored text, people and rooms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubbub.app import Engine
from hubbub.query.conversations import Wanted, conversations
from hubbub.query.excerpts import LONGEST, excerpts, messages
from hubbub.settings import load

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
NUMBERS = count()
TEXTS = st.one_of(st.none(), st.just("  "), st.text(min_size=1, max_size=LONGEST + 20))


def expected(text: str | None) -> str | None:
    """Return the expected text: on one line, and cut."""
    if text is None or not (line := " ".join(text.split())):
        return None
    return line if len(line) <= LONGEST else line[:LONGEST].rstrip() + "…"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Open a store for all examples of this file."""
    with Engine(load(Path(tmp_path_factory.mktemp("excerpts"))), lambda: NOW) as opened:
        opened.add_tenant("acme")
        yield opened


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_the_last_text_of_a_conversation_and_that_of_each_message(engine: Engine, texts: list[str | None]) -> None:
    """A conversation has its last or first stored text on one line, never a private note; each message has its own."""
    id_ = f"c{next(NUMBERS)}"
    events: list[dict[str, Any]] = [
        {
            "type": "message.received", "time": f"2026-08-19T10:0{n}:00Z", "id": f"{id_}-{n}", "conversation_id": id_,
            "contact_id": "ann", "channel_id": "desk", **({"attributes": {"text": text}} if text is not None else {}),
        }
        for n, text in enumerate(texts)
    ]  # fmt: skip
    note = {"type": "message.sent", "time": "2026-08-19T10:30:00Z", "id": f"{id_}-note", "status": "private"}
    events.append({**note, "conversation_id": id_, "staff_id": "bo", "attributes": {"text": "for us alone"}})
    engine.record("acme", events, history=True)
    tenant = engine.control.tenant("acme")
    (found,) = excerpts(engine.queries, tenant, [id_]).values()
    assert (found.conversation_id, found.contact_id, found.channel_id, found.staff_id) == (id_, "ann", "desk", "bo")
    assert found.text == expected(next((text for text in reversed(texts) if text is not None), None))
    (opening,) = excerpts(engine.queries, tenant, [id_], first=True).values()
    assert opening.text == expected(next((text for text in texts if text is not None), None))
    alone = messages(
        engine.queries, tenant, [(datetime(2026, 8, 19, 10, n, tzinfo=UTC), f"{id_}-{n}") for n in range(len(texts))]
    )
    assert {one: excerpt.text for one, excerpt in alone.items()} == {
        f"{id_}-{n}": expected(text) for n, text in enumerate(texts)
    }


def test_unknown_conversations_and_messages_have_no_excerpt(engine: Engine) -> None:
    """An unknown conversation or message has no excerpt, and an empty list gives none."""
    tenant = engine.control.tenant("acme")
    (found,) = excerpts(engine.queries, tenant, ["none"]).values()
    assert (found.contact_id, found.text) == (None, None)
    assert excerpts(engine.queries, tenant, []) == messages(engine.queries, tenant, []) == {}
    assert messages(engine.queries, tenant, [(NOW, "none")]) == {}


WRITTEN, READ = "R&amp;D: ask <@U1|ada>, see <https://example.com/refund|our page>", "R&D: ask @ada, see our page"


def test_every_reader_reads_the_same_text(engine: Engine) -> None:
    """Lists, complaints, rules, label review and search read marks as words; the stored event keeps what was sent."""
    engine.add_tenant("marks")
    own = {"topic": {"complaint": {"patterns": ["R&D: .*our page$"]}, "marks": {"words": ["amp", "refund", "https"]}}}
    engine.labels.replace("marks", own)
    event = {
        "type": "message.received", "time": "2026-08-19T10:00:00Z", "id": "m", "source": "slack", "conversation_id": "c",
        "contact_id": "bo", "channel_id": "desk", "attributes": {"text": WRITTEN},
    }  # fmt: skip
    engine.record("marks", event, history=True)
    assert engine.labels.run("marks").topic == {"rules": 1}
    tenant = engine.control.tenant("marks")
    (listed,) = excerpts(engine.queries, tenant, ["c"]).values()
    (complaint,) = engine.conversations.flagged("marks", "2026-08-19", "2026-08-20", {}).rows
    (review,) = engine.labels.review.queue("marks", "topic").rows
    assert (listed.text, complaint.text, review.text, review.suggested) == (READ, READ, READ, "complaint")
    assert [review.text[span.start : span.end] for span in review.spans] == [READ]
    since, until = NOW - timedelta(days=2), NOW
    for text in ("r&d:", "R&amp;D", "our page"):
        assert len(conversations(engine.queries, tenant, Wanted(since, until, text=text)).rows) == 1, text
    assert engine.conversations.events("marks", "c").rows[0].event["attributes"]["text"] == WRITTEN

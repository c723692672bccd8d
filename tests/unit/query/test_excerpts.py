"""Excerpts of conversations and messages: stored text, people and rooms."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubbub.app import Engine
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


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("See <https://example.com/a?b=1|our page> or <https://example.com>", "See our page or https://example.com"),
        ("<@U1|ada>, <@U2>: ask <!here> or in <#C1|help>", "@ada, @U2: ask @here or in #help"),
        ("a < b > c, <b>bold</b>, <x@example.com>", "a < b > c, <b>bold</b>, <x@example.com>"),
    ],
)
def test_links_and_mentions_of_chats_are_readable(engine: Engine, text: str, line: str) -> None:
    """A marked link is its title or address, a mention its name; other angle brackets stay."""
    event = {"type": "message.received", "time": "2026-08-19T10:00:00Z", "id": f"m{next(NUMBERS)}"}
    engine.record("acme", {**event, "conversation_id": event["id"], "attributes": {"text": text}}, history=True)
    (found,) = excerpts(engine.queries, engine.control.tenant("acme"), [event["id"]]).values()
    assert found.text == line

"""Pages of a tenant with Slack only speak of threads, members and channels, and rows begin with the author."""

from __future__ import annotations

import re
from html import unescape

import pytest

from hubbub.dashboard.registry import TENANT
from tests.unit.dashboard.busy import report, rows
from tests.unit.dashboard.conftest import Pages
from tests.unit.dashboard.visiting import plain

COMMON_WORDS = re.compile(r"\b(conversations?|contacts?|rooms?|first responses?|staff)\b", re.IGNORECASE)
DIGITS = re.compile(r"\b20\d\d-\d\d-\d\d")
DEFINITIONS = {"explain"}
"""Pages that show definitions, which are the same for all tenants."""
OWN = re.compile(r"<(script|pre|code)\b.*?</\1>", re.DOTALL)


@pytest.fixture
def chat(chat: Pages) -> Pages:
    """Name one of the channels with a common word."""
    chat.engine.names.set("chat", [{"kind": "room", "id": "C0", "name": "contact room"}])
    return chat


@pytest.mark.parametrize("name", sorted(TENANT.keys() - DEFINITIONS))
def test_no_page_of_chat_says_conversation_contact_or_room(chat: Pages, name: str) -> None:
    """No text, title or label of a page has a common word, except in a channel's own name; days are not written in digits alone."""
    http, page = chat.sign_in(), TENANT[name]
    query = {"conversation": "?id=k1"}.get(name, "")
    paths = [f"/t/chat/{name}{query}", *(f"/t/chat/{name}/{widget.name}{query}" for widget in page.widgets)]
    for path in paths:
        html = OWN.sub(" ", http.get(path).text)
        labels = " | ".join(unescape(text) for text in re.findall(r'(?:title|aria-label|placeholder)="([^"]*)"', html))
        text = f"{plain(html)} | {labels}".replace("contact room", "")
        assert not COMMON_WORDS.findall(text), (path, text)
        assert not DIGITS.findall(text), (path, text)


def test_a_channel_s_name_keeps_its_words(chat: Pages) -> None:
    """A name from outside is not reworded, and the only channel is not named."""
    text = plain(chat.sign_in().get("/t/chat/overview/places").text)
    assert "contact room" in text and "slack" not in text.partition(" Table ")[0]


def test_other_tenants_keep_the_common_words(chat: Pages) -> None:
    """A tenant with another channel has conversations, contacts and rooms."""
    text = plain(chat.sign_in().get("/t/a/overview").text)
    assert "Conversations" in text and "Contacts" in text and "Channels and rooms" in text and "Threads" not in text


@pytest.mark.parametrize("path", ["/t/chat/live/waiting", "/t/chat/conversations/list"])
def test_the_author_links_to_the_thread(chat: Pages, path: str) -> None:
    """Without stored texts, a row's first cell is the author, linked to the thread, with the channel below and without the id."""
    html = chat.sign_in().get(path).text
    row = re.search(r"<tbody>.*?</tr>", html, re.DOTALL)
    assert row is not None
    first = re.search(r"<td.*?</td>", row[0], re.DOTALL)
    assert first is not None and re.search(r'<a href="[^"]*/conversation\?[^"]*id=(k\d)">U\d</a>', first[0])
    assert re.search(r'<small class="below"><span class="heard">Channel </span>(contact room|C\d)</small>', first[0])


def test_a_single_channel_is_split_by_rooms(chat: Pages) -> None:
    """For a tenant with one channel, the table by channel has a row for each room."""
    sent = {"type": "message.sent", "conversation_id": "k1", "channel": "slack", "kind": "person"}
    made = [
        {**sent, "time": f"2026-08-15T10:0{n}:00Z", "id": f"s{n}", "channel_id": "C0" if n else "C1"} for n in range(3)
    ]
    chat.engine.record("chat", made, history=True)
    found = {row["name"]: row["messages_sent"] for row in rows(chat.sign_in(), "/t/chat/messages/channels")}
    assert found == {"C0": "2", "C1": "1"}


def test_a_step_without_receipts_is_not_zero(chat: Pages) -> None:
    """Delivered and read are left out for a channel without receipts."""
    sent = {
        "type": "message.sent",
        "time": "2026-08-15T10:00:00Z",
        "id": "s1",
        "conversation_id": "k1",
        "channel": "slack",
    }
    chat.engine.record("chat", [{**sent, "kind": "person"}], history=True)
    report(chat.engine, "chat", "receipt")
    assert [row["step"] for row in rows(chat.sign_in(), "/t/chat/messages/funnel")] == ["Sent"]

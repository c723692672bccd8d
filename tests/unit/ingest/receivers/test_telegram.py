"""Telegram: private chats, groups, business chats, edits, reactions."""

from __future__ import annotations

from typing import Any

from hubbub.model.name import Name
from tests.unit.ingest.receivers.bodies import AT, NOON, read, telegram, telegram_message

BOT = {"settings": {"bot_id": "99"}}


def one(update: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return the only event of an update."""
    (event,) = read("telegram", update, **{**BOT, **options}).events
    return dict(event)


def test_a_private_chat_is_a_conversation_with_a_contact() -> None:
    """A private message has an id of bot, chat and number, no text unless texts are kept, and its contact's name."""
    found = read("telegram", telegram(message=telegram_message()), **BOT)
    assert found.events == [{
        "type": "message.received", "time": NOON, "id": "99:41:7", "message_id": "99:41:7", "channel": "telegram",
        "account_id": "99", "conversation_id": "99:41", "contact_id": "41",
    }]  # fmt: skip
    assert found.names == [Name("contact", "41", "Ada L")]
    assert one(telegram(message=telegram_message()), keep_text=True)["attributes"] == {"text": "words"}


def test_an_edit_is_a_revision_of_the_same_message() -> None:
    """An edit has the message's id and time, and the time of the edit as its revision."""
    edited = one(telegram(edited_message=telegram_message(edit_date=AT + 9)))
    assert (edited["id"], edited["time"], edited["revision"]) == ("99:41:7", NOON, (AT + 9) * 1000)
    assert edited["attributes"] == {"edited": True}


def test_in_groups_staff_answer_and_only_threads_are_conversations() -> None:
    """Messages outside threads have no conversation; configured staff send; a bot is a bot."""
    group = {"id": -100, "type": "supergroup", "title": "Help"}
    asked = one(telegram(message=telegram_message(chat=group)))
    assert (asked["channel_id"], "conversation_id" in asked) == ("-100", False)
    answered = telegram(message=telegram_message(chat=group, message_thread_id=3, **{"from": {"id": 5}}))
    found = one(answered, staff_ids=frozenset({"5"}))
    assert (found["type"], found["staff_id"], found["conversation_id"]) == ("message.sent", "5", "99:-100:3")
    robot = telegram(message=telegram_message(chat=group, **{"from": {"id": 6, "is_bot": True}}))
    assert one(robot)["kind"] == "bot"


def test_a_business_account_answers_its_customers() -> None:
    """In a business chat everybody but the chat's person is the business; a deletion names messages by number."""
    answered = telegram(business_message=telegram_message(**{"from": {"id": 5}}))
    assert (one(answered)["type"], one(answered)["contact_id"]) == ("message.sent", "41")
    gone = telegram(deleted_business_messages={"chat": {"id": 41}, "message_ids": [7, 8]})
    found = read("telegram", gone, **BOT)
    assert [change.id for change in found.changes] == ["99:41:7", "99:41:8"]
    assert found.changes[0].fields == {"attributes": {"deleted": True}}


def test_reactions_and_buttons_count_and_notices_are_ignored_by_name() -> None:
    """A reaction refers to its message, a removed one is ignored, a button press is a message, and joins are notices."""
    chat = {"id": 41, "type": "private"}
    told = {
        "chat": chat,
        "message_id": 7,
        "user": {"id": 41},
        "date": AT,
        "new_reaction": [{"type": "emoji", "emoji": "+"}],
    }
    reacted = one(telegram(message_reaction=told))
    assert (reacted["type"], reacted["message_id"], reacted["id"]) == ("message.reacted", "99:41:7", "99:41:7:41:+")
    assert read("telegram", telegram(message_reaction={**told, "new_reaction": []}), **BOT).ignored
    pressed = telegram(callback_query={"id": "4", "from": {"id": 41}, "message": {"chat": chat}})
    assert (one(pressed)["type"], one(pressed)["id"]) == ("message.received", "99:button:4")
    joined = telegram(message={"message_id": 1, "chat": chat, "date": AT, "new_chat_members": []})
    assert read("telegram", joined, **BOT).ignored == {"notice": 1}
    assert read("telegram", telegram(my_chat_member={}), **BOT).ignored == {"my_chat_member": 1}

"""Handwritten exports in each messenger's format, with people of several languages: kind → name and bytes.

Each tells the same story: Jürgen asks the hotel in a direct chat, there is a notice, and the hotel answers five minutes
later.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)
GUEST, HOTEL = "Jürgen Groß", "ホテル東京"
ASKED, ANSWER = "¿Hay habitación?\nBitte: heute", "はい、あります。"
WAIT = timedelta(minutes=5)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def _mojibake(text: str) -> str:
    return text.encode().decode("latin-1")


def telegram() -> bytes:
    """Return a chat as Telegram Desktop writes it: seconds as text, texts in parts, and a service message."""
    return _json({
        "name": GUEST, "type": "personal_chat", "id": 4242, "messages": [
            {"id": 1, "type": "service", "date": "2024-03-01T10:00:00", "date_unixtime": _seconds(START),
             "actor": GUEST, "actor_id": "user1", "action": "phone_call", "text": ""},
            {"id": 2, "type": "message", "date": "2024-03-01T10:00:00", "date_unixtime": _seconds(START), "from": GUEST,
             "from_id": "user1", "text": ["¿Hay ", {"type": "bold", "text": "habitación"}, "?\nBitte: heute"]},
            {"id": 3, "type": "message", "date": "2024-03-01T10:05:00", "date_unixtime": _seconds(START + WAIT), "from": HOTEL,
             "from_id": "user2", "text": ANSWER, "reactions": [{"type": "emoji", "count": 2, "emoji": "👍"}],
             "edited_unixtime": _seconds(START + 2 * WAIT), "photo": "photos/1.jpg"},
        ],
    })  # fmt: skip


def discord() -> bytes:
    """Return a direct chat as DiscordChatExporter writes it."""

    def message(id_: str, kind: str, moment: datetime, who: str, name: str, text: str, **more: Any) -> dict[str, Any]:
        author = {"id": who, "name": name.lower(), "discriminator": "0000", "nickname": name, "isBot": False}
        return {"id": id_, "type": kind, "timestamp": moment.isoformat(), "timestampEdited": None, "isPinned": False,
                "content": text, "author": author, "attachments": [], "embeds": [], "reactions": [], **more}  # fmt: skip

    return _json({
        "guild": {"id": "0", "name": "Direct Messages"}, "channel": {"id": "77", "type": "DirectTextChat", "name": GUEST},
        "dateRange": {"after": None, "before": None}, "exportedAt": "2024-03-02T00:00:00+01:00", "messageCount": 3,
        "messages": [
            message("1", "Call", START, "11", GUEST, "Started a call."),
            message("2", "Default", START, "11", GUEST, ASKED),
            message("3", "Reply", START + WAIT, "22", HOTEL, ANSWER, timestampEdited=(START + 2 * WAIT).isoformat(),
                    attachments=[{"id": "9", "fileName": "a.jpg"}], reactions=[{"emoji": {"name": "👍"}, "count": 2}],
                    reference={"messageId": "2", "channelId": "77", "guildId": None}),
        ],
    })  # fmt: skip


def messenger() -> bytes:
    """Return a chat as Meta's download writes it: newest first, texts decoded as Latin-1."""
    millis = int(START.timestamp() * 1000)
    return _json({
        "participants": [{"name": _mojibake(GUEST)}, {"name": _mojibake(HOTEL)}], "messages": [
            {"sender_name": _mojibake(HOTEL), "timestamp_ms": millis + 300_000, "content": _mojibake(ANSWER),
             "photos": [{"uri": "a.jpg", "creation_timestamp": 1}],
             "reactions": [{"reaction": "x", "actor": "y"}, {"reaction": "x", "actor": "z"}], "is_geoblocked_for_viewer": False},
            {"sender_name": _mojibake(GUEST), "timestamp_ms": millis, "content": _mojibake(ASKED), "is_unsent": False},
            {"sender_name": _mojibake(GUEST), "timestamp_ms": millis, "content": "Called.", "call_duration": 0},
        ],
        "title": _mojibake(GUEST), "is_still_participant": True, "thread_path": "inbox/jurgen_1234", "magic_words": [],
    })  # fmt: skip


def mattermost() -> bytes:
    """Return a bulk export: people, a channel, a direct chat with a reply inside its post."""
    millis = int(START.timestamp() * 1000)
    members = ["hotel", "juergen"]
    reply = {"user": "hotel", "message": ANSWER, "create_at": millis + 300_000, "edit_at": millis + 600_000,
             "reactions": [{"user": "a", "create_at": 1}, {"user": "b", "create_at": 1}],
             "attachments": [{"path": "a.jpg"}]}  # fmt: skip
    lines = [
        {"type": "version", "version": 1},
        {"type": "user", "user": {"username": "juergen", "email": "j@example.com", "first_name": "Jürgen", "last_name": "Groß"}},
        {"type": "user", "user": {"username": "hotel", "email": "h@example.com", "nickname": HOTEL}},
        {"type": "direct_channel", "direct_channel": {"members": members}},
        {"type": "direct_post", "direct_post": {"channel_members": members, "user": "juergen", "type": "system_join_channel",
                                                "message": "joined", "create_at": millis}},
        {"type": "direct_post", "direct_post": {"channel_members": members, "user": "juergen", "message": ASKED,
                                                "create_at": millis, "replies": [reply]}},
    ]  # fmt: skip
    return b"".join(_json(line) + b"\n" for line in lines)


def teams() -> bytes:
    """Return messages of a chat of two, as Microsoft Graph gives them."""
    chat = "19:a_b@unq.gbl.spaces"

    def message(id_: str, moment: datetime, who: str | None, name: str, text: str, **more: Any) -> dict[str, Any]:
        user = (
            {"user": {"id": who, "displayName": name, "userIdentityType": "aadUser"}, "application": None}
            if who
            else None
        )
        return {"id": id_, "replyToId": None, "messageType": "message", "createdDateTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
                "lastEditedDateTime": None, "deletedDateTime": None, "chatId": chat, "channelIdentity": None, "from": user,
                "body": {"contentType": "html", "content": text}, "attachments": [], "reactions": [], **more}  # fmt: skip

    return _json({"@odata.count": 3, "value": [
        message("3", START + WAIT, "u2", HOTEL, f"<p>{ANSWER}</p>", lastEditedDateTime="2024-03-01T09:10:00Z",
                attachments=[{"id": "x"}], reactions=[{"reactionType": "like"}, {"reactionType": "like"}]),
        message("2", START, "u1", GUEST, "<div>¿Hay habitación?\nBitte: heute</div>"),
        message("1", START, None, "", "", messageType="systemEventMessage"),
    ]})  # fmt: skip


def mail() -> bytes:
    """Return an mbox: a bounce, a question whose sender is written in two ways, and the answer."""
    return (
        "From MAILER-DAEMON Fri Mar  1 09:00:00 2024\nFrom: MAILER-DAEMON@example.org\nDate: Fri, 1 Mar 2024 09:00:00 +0000\n"
        "Message-ID: <r@x>\nSubject: failed\n\nnobody there\n\n"
        "From j@example.com Fri Mar  1 10:00:00 2024\nFrom: =?utf-8?q?J=C3=BCrgen_Gro=C3=9F?= <J@Example.com>\n"
        "Date: Fri, 1 Mar 2024 10:00:00 +0100\nMessage-ID: <q@x>\nContent-Type: text/plain; charset=utf-8\n"
        f"Content-Transfer-Encoding: 8bit\n\n{ASKED}\n\n"
        f"From h@example.org Fri Mar  1 09:05:00 2024\nFrom: {HOTEL} <h@example.org>\nDate: Fri, 1 Mar 2024 09:05:00 +0000\n"
        f"Message-ID: <a@x>\nIn-Reply-To: <q@x>\nReferences: <q@x>\nContent-Type: text/plain; charset=utf-8\n\n{ANSWER}\n\n"
    ).encode()


def whatsapp() -> bytes:
    """Return a chat as an Android phone in Spanish writes it."""
    return (
        "1/3/2024 9:00 a. m. - Los mensajes y las llamadas están cifrados de extremo a extremo.\n"
        f"1/3/2024 9:00 a. m. - {GUEST}: {ASKED}\n1/3/2024 9:05 a. m. - {HOTEL}: {ANSWER}\n"
    ).encode()


EXPORTS: dict[str, tuple[str, bytes]] = {
    "telegram": ("result.json", telegram()),
    "discord": ("chat.json", discord()),
    "messenger": ("inbox/jurgen_1234/message_1.json", messenger()),
    "instagram": ("your_instagram_activity/messages/inbox/jurgen_1234/message_1.json", messenger()),
    "mattermost": ("import.jsonl", mattermost()),
    "teams": ("messages.json", teams()),
    "mail": ("Takeout/Mail/Inbox.mbox", mail()),
    "whatsapp": ("WhatsApp Chat.txt", whatsapp()),
}

"""Slack's Events API: messages, edits, deletions and reactions in the app's channels, as they happen.

- The importer of exports and the daily connector make the same event of a message (`sources/slack_message.py`), with the
  channel's id, so that all three count it once. An `app_mention` repeats a message.
- Slack reports a reply, but not that its root became a thread. So a reply also changes its root, which becomes the question of a
  conversation; when the root is not stored, a stand-in is made from the reply, which the root replaces when it arrives.
- An edit is a revision. So is a deletion: the message was sent and stays counted, without its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec

from hubbub.ingest.asking import signs_field
from hubbub.ingest.receivers.base import (
    Change,
    Delivery,
    Gap,
    Options,
    Received,
    Reply,
    Secret,
    Setup,
    check_fresh,
    check_same,
    hmac_hex,
)
from hubbub.ingest.receivers.fields import Fields, filled, object_of
from hubbub.ingest.setting import Setting
from hubbub.ingest.sources.slack_message import (
    Message,
    Thread,
    event_of,
    mask_text,
    micros,
    plain_ts,
    read_message,
    sign_of,
)
from hubbub.model.coverage import Reason
from hubbub.model.event import NOTHING, Event, EventFields, Rejection
from hubbub.model.name import Name

MINUTE = timedelta(minutes=1)
RECENT = timedelta(days=1)
"""A notice comes within this time of the lost minute. One that names another minute is wrong: the minute before it is used."""
CHANNELS = ("channel_rename", "channel_created", "group_rename")
_BY_REPLY = 999
"""How far the revision of a message that a reply changed is above that of the message alone: the same whichever reply changes it,
and below that of what the daily connector sees later."""
USERS = ("team_join", "user_change", "user_profile_changed")

WORKSPACE = Setting("workspace_id", "id of the workspace, like T012AB3CD", r"T[A-Z0-9]{1,20}", fixed=True)
ADDRESS = Setting(
    "workspace_url", "address of the workspace, like https://acme.slack.com: lists then link to its messages",
    r"https://[a-z0-9-]{1,80}(\.enterprise)?\.slack\.com",
)  # fmt: skip


class SlackEvents:
    """A Slack app's event subscription."""

    provider: ClassVar[str] = "slack"
    setup: ClassVar[Setup] = Setup(
        "Slack",
        (
            "At api.slack.com/apps open your app, or create one, and copy its Signing Secret (Basic Information) into "
            "'signing_secret' here.",
            "Under Event Subscriptions switch events on and paste {address} as the Request URL: Slack says 'Verified' at once.",
            "Subscribe to the bot events message.channels, message.groups, message.im, message.mpim, app_mention, "
            "reaction_added, channel_rename and user_change; save, and install the app into the workspace.",
            "Invite the app to each channel, and write a message there.",
        ),
        (
            Secret("signing_secret", "Signing Secret of the app, under Basic Information"),
            Secret("app_token", "instead of an address, Socket Mode: an app-level token with connections:write", opens=True),
        ),
        scopes=(
            "channels:history", "groups:history", "im:history", "mpim:history", "app_mentions:read", "reactions:read",
            "channels:read", "users:read",
        ),
        settings=(WORKSPACE, ADDRESS),
        retries=timedelta(minutes=5),
        connected=(
            "At api.slack.com/apps open your app, or create one, and switch Socket Mode on: its app-level token with the scope "
            "connections:write goes into 'app_token' here.",
            "Under Event Subscriptions switch events on, and subscribe to the bot events message.channels, message.groups, "
            "message.im, message.mpim, app_mention, reaction_added, channel_rename and user_change; save, and install the app.",
            "Invite the app to each channel, and write a message there. A running server keeps the connection.",
        ),
    )  # fmt: skip

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Check `v0=` HMAC-SHA256 of `v0:time:body`, not older than five minutes."""
        sent = delivery.headers.get("x-slack-request-timestamp", "")
        check_fresh(sent, delivery.received_at)
        expected = hmac_hex(secrets["signing_secret"], f"v0:{sent}:".encode(), delivery.body)
        check_same(delivery.headers.get("x-slack-signature", ""), f"v0={expected}")

    def challenge(self, delivery: Delivery, secrets: Mapping[str, str]) -> Reply | None:
        """Answer `url_verification` with its challenge."""
        if b"url_verification" not in delivery.body:
            return None
        body = object_of(delivery.body)
        if body.text("type") != "url_verification":
            return None
        return Reply(200, "text/plain", body.text("challenge").encode())

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Read an event callback, or the notice of a lost minute."""
        if "x-www-form-urlencoded" in delivery.headers.get("content-type", ""):
            form = parse_qs(delivery.body.decode("utf-8", "replace"), max_num_fields=100)
            return Received(ignored={"command" if "command" in form else "interaction": 1})
        body = object_of(delivery.body)
        limited = next(
            (candidate for candidate in (body, body.child("event")) if candidate.text("type") == "app_rate_limited"),
            None,
        )
        if limited is not None:
            minute = limited.moment("minute_rate_limited")
            if minute is None or abs(delivery.received_at - minute) > RECENT:  # a notice comes at once
                minute = delivery.received_at.replace(second=0, microsecond=0) - MINUTE
            return Received(ignored={"app_rate_limited": 1}, gaps=[Gap(minute, minute + MINUTE, Reason.RATE_LIMITED)])
        return read_event(body, options)


def read_event(body: Fields, options: Options) -> Received:
    """Return the meaning of the event in a callback."""
    event = body.child("event")
    kind = event.text("type")
    if kind in ("message", "app_mention"):
        return _message(event, options)
    if kind == "reaction_added" and event.text("item", "type") == "message":
        return _reaction(event, event.text("event_ts") or body.text("event_time"), options)
    if kind in CHANNELS:
        return Received(
            ignored={kind: 1}, names=[Name("room", event.text("channel", "id"), event.text("channel", "name"))]
        )
    if kind in USERS:
        user = event.child("user")
        name = user.text("profile", "display_name") or user.text("real_name") or user.text("name")
        return Received(ignored={kind: 1}, names=[Name(role, user.text("id"), name) for role in ("contact", "staff")])
    return Received(ignored={kind or "unknown": 1})


def _message(event: Fields, options: Options) -> Received:
    subtype, channel = event.text("subtype"), event.text("channel")
    inner = dict(event.of)
    if subtype in ("message_changed", "message_deleted", "message_replied"):
        before = event.child("previous_message").of
        inner = {**before, **event.child("message").of} if subtype != "message_deleted" else dict(before)
        inner.setdefault("ts", event.of.get("deleted_ts"))
    message = read_message(msgspec.json.encode(inner), f"{event.text('channel')}")
    if isinstance(message, Rejection):
        return Received([{"type": "message.received", "id": f"{channel}:{event.text('ts') or event.text('event_ts')}"}])
    root = plain_ts(message.thread_ts)
    threads = {root: Thread(author=message.parent_user_id or _own_root(message))} if root is not None else {}
    stored_event = event_of(channel, message, threads, bots=options.bot_ids)
    if subtype == "message_deleted":
        at = event.text("event_ts") or event.text("ts")
        return Received([_mapping(stored_event, max(stored_event.revision or 0, micros(at) * 1000), {"deleted": True})])
    text = {"text": mask_text(message.text)} if options.keep_text and message.text else {}
    return Received(
        [_mapping(stored_event, stored_event.revision or 0, text)], changes=_root(channel, message, threads),
        after_stand_in=_own_thread(stored_event),
    )  # fmt: skip


def _own_thread(message: Event) -> list[Change]:
    """Return the change that a message's replies made before it arrived: only their stand-in has a lower revision."""
    first = micros(str(message.id).partition(":")[2]) * 1000
    if message.conversation_id is not None or message.revision != first:
        return []
    return [Change(str(message.id), first + _BY_REPLY, {"conversation_id": message.id})]


def _own_root(message: Message) -> str | None:
    return message.author if plain_ts(message.thread_ts) == plain_ts(message.ts) else None


def _root(channel: str, reply: Message, threads: Mapping[str, Thread]) -> list[Change]:
    """Return the change that makes a reply's root the question of a conversation."""
    root, ts = plain_ts(reply.thread_ts), plain_ts(reply.ts)
    if root is None or root == ts:
        return []
    identity = f"{channel}:{root}"
    author = threads[root].author
    opening = event_of(
        channel,
        Message(
            ts=root,
            thread_ts=root,
            user=author,
        ),
        threads,
    )
    first = micros(root) * 1000
    otherwise = _mapping(opening, first - 1, {})  # its text is missing, so the message itself replaces it
    return [Change(identity, first + _BY_REPLY, {"conversation_id": identity}, otherwise if author else {})]


def _reaction(event: Fields, moment: str, options: Options) -> Received:
    item, user = event.child("item"), event.text("user")
    at, ts = micros(moment), plain_ts(item.text("ts"))
    channel = item.text("channel")
    message = f"{channel}:{ts}"
    time = datetime.fromtimestamp(at / 1e6, UTC).isoformat() if at else None
    return Received([filled(
        type="message.reacted", time=time, id=f"{message}:{event.text('reaction')}:{user}", channel="slack", channel_id=channel,
        message_id=message, contact_id=user, signs=signs_field([sign_of(event.text("reaction"))]),
        attributes={"reaction": event.text("reaction")},
    )])  # fmt: skip


def _mapping(event: Event, revision: int, extra: Mapping[str, Any]) -> EventFields:
    """Return an event as a mapping, with a revision and extra attributes."""
    fields = {name: getattr(event, name) for name in Event.__struct_fields__ if getattr(event, name) is not None}
    own = msgspec.json.decode(event.attributes) if event.attributes is not NOTHING else {}
    fields.pop("attributes", None)
    attributes = {**own, **extra}
    return {
        **fields, "time": event.time.isoformat(), "revision": revision, **({"attributes": attributes} if attributes else {}),
    }  # fmt: skip

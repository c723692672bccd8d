"""What a reply is asked for: the message that triggered it, and what was said before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from hubbub.errors import BadRequestError
from hubbub.model.spelling import snake_keys

MAX_TEXT = 12_000
MAX_CONTEXT = 100

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[\w.:-]+$")]
# a pattern and not a Literal: what was sent must not be part of the error
Trigger = Annotated[str, msgspec.Meta(pattern=r"^(mention|reply|thread|message_action)$")]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """A message that came before."""

    user_id: Id
    text: Text
    ts: Id


class ReplyRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The payload of a reply job. `response_url` and `thread_ts`, which Slack gives with some triggers, are optional."""

    workspace_id: Id
    user_id: Id
    channel_id: Id
    message_ts: Id
    trigger_message_text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
    triggered_by: Trigger
    context_messages: Annotated[list[Said], msgspec.Meta(max_length=MAX_CONTEXT)] = []
    thread_ts: Id | None = None
    response_url: Annotated[str, msgspec.Meta(max_length=500, pattern=r"^https?://")] | None = None


def natural_key(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a message of Slack is known by (workspace, channel, ts), under which it is answered once.

    Slack tells of a message more than once, and as a mention and a reply too. A `message_action` is somebody's wish for another
    suggestion, so it has no such key. Raises BadRequestError naming the field.
    """
    asked = read_request(payload)
    return () if asked.triggered_by == "message_action" else (asked.workspace_id, asked.channel_id, asked.message_ts)


def read_request(payload: Mapping[str, Any]) -> ReplyRequest:
    """Check a payload, also in camelCase. Raises BadRequestError naming the field; texts are never part of the message."""
    try:
        return msgspec.convert(snake_keys(payload), ReplyRequest)
    except (ValueError, UnicodeEncodeError) as error:
        raise BadRequestError(f"the payload of a reply: {error}") from None

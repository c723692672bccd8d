"""The request of a reply: the message that triggered it, and the messages before."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hubbub.errors import BadRequestError
from hubbub.model.plain import JsonObject
from hubbub.model.spelling import snake_keys

MAX_TEXT = 12_000
MAX_CONTEXT = 100

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[\w.:-]+$")]
# a pattern, not a Literal: the error must not quote the payload
Trigger = Annotated[str, msgspec.Meta(pattern=r"^(mention|reply|thread|message_action)$")]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class ContextMessage(msgspec.Struct, forbid_unknown_fields=True):
    """An earlier message."""

    user_id: Id
    text: Text
    ts: Id


class ReplyRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The payload of a reply job. Only some triggers have `response_url` and `thread_ts`."""

    workspace_id: Id
    user_id: Id
    channel_id: Id
    message_ts: Id
    trigger_message_text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
    triggered_by: Trigger
    context_messages: Annotated[list[ContextMessage], msgspec.Meta(max_length=MAX_CONTEXT)] = []
    thread_ts: Id | None = None
    response_url: Annotated[str, msgspec.Meta(max_length=500, pattern=r"^https?://")] | None = None


def natural_key(payload: JsonObject) -> tuple[str, ...]:
    """Return the key (workspace, channel, ts) of a message, for which one suggestion is made.

    Slack reports a message repeatedly, and both as mention and reply. A `message_action` asks for another suggestion, so its key is
    empty. Raises BadRequestError with the invalid field.
    """
    request = read_request(payload)
    return (
        ()
        if request.triggered_by == "message_action"
        else (request.workspace_id, request.channel_id, request.message_ts)
    )


def read_request(payload: JsonObject) -> ReplyRequest:
    """Read a payload, also in camelCase. Raises BadRequestError with the invalid field; the error never quotes texts."""
    try:
        return msgspec.convert(snake_keys(payload), ReplyRequest)
    except (ValueError, UnicodeEncodeError) as error:
        raise BadRequestError(f"the payload of a reply: {error}") from None

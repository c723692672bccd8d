"""Requests for a reply: the contract's payload is accepted, anything else is refused by field."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.errors import BadRequestError
from hubbub.replies.request import MAX_CONTEXT, MAX_TEXT, read_request

PAYLOAD: dict[str, Any] = {
    "workspace_id": "T1", "user_id": "U1", "channel_id": "C1", "message_ts": "1785585600.000100",
    "trigger_message_text": "canary question?", "triggered_by": "mention",
    "context_messages": [{"user_id": "U2", "text": "canary context", "ts": "1785585500.000100"}],
}  # fmt: skip


def test_the_payload_of_the_contract_is_taken() -> None:
    """All fields are read; context, thread and response address are optional."""
    request = read_request(PAYLOAD)
    assert (request.user_id, request.context_messages[0].text) == ("U1", "canary context")
    assert read_request({k: v for k, v in PAYLOAD.items() if k != "context_messages"}).context_messages == []
    for trigger in ("mention", "reply", "thread", "message_action"):
        read_request(
            PAYLOAD | {"triggered_by": trigger, "thread_ts": "1.2", "response_url": "https://hooks.slack.com/x"}
        )


def test_the_payload_is_taken_in_camel_case() -> None:
    """camelCase fields are accepted, in context messages too; a field in both spellings is refused."""
    camel = {
        "workspaceId": "T1", "userId": "U1", "channelId": "C1", "messageTs": PAYLOAD["message_ts"],
        "triggerMessageText": PAYLOAD["trigger_message_text"], "triggeredBy": "mention",
        "contextMessages": [{"userId": "U2", "text": "canary context", "ts": "1785585500.000100"}],
    }  # fmt: skip
    assert read_request(camel) == read_request(PAYLOAD)
    with pytest.raises(BadRequestError, match="'userId' occurs twice"):
        read_request({"userId": "U1", **PAYLOAD})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"workspace_id": None}, "workspace_id"), ({"user_id": ""}, "user_id"), ({"channel_id": "C 1"}, "channel_id"),
        ({"message_ts": 5}, "message_ts"), ({"trigger_message_text": ""}, "trigger_message_text"),
        ({"trigger_message_text": "canary" * MAX_TEXT}, "trigger_message_text"), ({"triggered_by": "canary"}, "triggered_by"),
        ({"context_messages": [{"user_id": "U1", "text": "canary"}]}, "context_messages"),
        ({"response_url": "file:///x"}, "response_url"),
        ({"context_messages": PAYLOAD["context_messages"] * (MAX_CONTEXT + 1)}, "context_messages"), ({"tenant": "x"}, "tenant"),
    ],
)  # fmt: skip
def test_unusable_fields_are_named_without_their_text(change: dict[str, Any], named: str) -> None:
    """A missing, empty, overlong, unknown or odd field is named, and no text of the payload is repeated."""
    with pytest.raises(BadRequestError, match=named) as caught:
        read_request(PAYLOAD | change)
    assert "canary" not in str(caught.value)


def test_a_missing_field_is_named() -> None:
    """Every field but the context is required."""
    for name in set(PAYLOAD) - {"context_messages"}:
        with pytest.raises(BadRequestError, match=name):
            read_request({k: v for k, v in PAYLOAD.items() if k != name})

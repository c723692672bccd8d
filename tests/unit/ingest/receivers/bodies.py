"""Webhook bodies written by hand from the services' published schemas; none was checked against the service itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hubbub.ingest.receivers.base import Delivery, Options, Received
from hubbub.ingest.receivers.catalogue import RECEIVERS

AT = 1785499200
"""1 August 2026, noon UTC, in seconds."""
NOON = "2026-07-31T12:00:00+00:00"


def delivery(body: object, **headers: str) -> Delivery:
    """Return a delivery of a body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery("POST", "https://here/v1/hooks/x/int_1", {}, headers, content, datetime.fromtimestamp(AT + 60, UTC))


def read(provider: str, body: object, **options: Any) -> Received:
    """Read a body with the receiver of a service."""
    return RECEIVERS[provider].read(delivery(body), Options("int_1", **options))


def telegram(**update: Any) -> dict[str, Any]:
    """Return an update of a bot."""
    return {"update_id": 1, **update}


def telegram_message(**fields: Any) -> dict[str, Any]:
    """Return a message in a private chat."""
    person = {"id": 41, "is_bot": False, "first_name": "Ada", "last_name": "L"}
    chat = {"id": 41, "type": "private", "first_name": "Ada"}
    return {"message_id": 7, "from": person, "chat": chat, "date": AT, "text": "words", **fields}


def page(*changes: dict[str, Any], field: str = "feed", kind: str = "page") -> dict[str, Any]:
    """Return changes of the page or account P."""
    return {
        "object": kind,
        "entry": [{"id": "P", "time": AT, "changes": [{"field": field, "value": one} for one in changes]}],
    }


def comment(**fields: Any) -> dict[str, Any]:
    """Return a comment on a post of the page."""
    person = {"id": "U", "name": "Ada"}
    return {
        "item": "comment", "verb": "add", "comment_id": "P_1_c1", "post_id": "P_1", "parent_id": "P_1", "from": person,
        "created_time": AT, "message": "words", **fields,
    }  # fmt: skip


def talk(*happenings: dict[str, Any], kind: str = "instagram") -> dict[str, Any]:
    """Return messaging events between the page or account P and the person U."""
    base = {"sender": {"id": "U"}, "recipient": {"id": "P"}, "timestamp": AT * 1000}
    return {"object": kind, "entry": [{"id": "P", "time": AT, "messaging": [{**base, **one} for one in happenings]}]}

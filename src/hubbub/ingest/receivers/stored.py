"""Later changes of stored messages: changes without the whole message, and receipts up to a moment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from hubbub.facts.message import HORIZON
from hubbub.facts.moments import micros, moment
from hubbub.facts.refresh import store_waiting
from hubbub.ingest.receivers.base import Change, UpTo
from hubbub.model.event import EventFields as Event
from hubbub.storage.schema import OF_MESSAGES, SENT, flagged
from hubbub.storage.store import Store

_COLUMNS = tuple(name for name in SENT if name not in ("tenant", "ident", "seq", "received_at"))
_BY_ID = (
    f"SELECT {', '.join(_COLUMNS)} FROM event WHERE tenant = ? AND coalesce(message_id, id) = ? AND {OF_MESSAGES} "
    "AND source = ? AND id = ?"
)
_SENT_TO = (
    "SELECT message_id, channel, channel_id, account_id, contact_id FROM event WHERE tenant = ? AND conversation_id = ? "
    "AND time BETWEEN ? AND ? AND type = 'message.sent' AND source = ? AND message_id IS NOT NULL"
)
FLAGS = ("edited", "deleted")
"""Flags of a changed message that no later change removes."""


def applied(store: Store, tenant: int, source: str, change: Change) -> Event | None:
    """Return the stored message with a change applied, or the change's stand-in when the message is not stored.

    None when there is nothing to store: the change is already stored, or neither the message nor a stand-in exists.
    """
    message = _stored_message(store, tenant, source, change)
    if message is not None and message.get("revision") != 0 and _changed(message, change) is None:
        return None
    store_waiting(store, tenant)  # the log may hold the message, or a later change of it
    message = _stored_message(store, tenant, source, change)
    if message is not None:
        return _changed(message, change)
    return {"id": change.id, "revision": 0, **change.otherwise, **change.fields} if change.otherwise else None


def _changed(message: Event, change: Change) -> Event | None:
    """Return a message with a change applied; None when it already has the change, or is a stand-in."""
    before = int(message.get("revision") or 0)
    if message.get("revision") == 0:
        return None
    if "attributes" in change.fields:
        merged = {**_object(message.get("attributes")), **_object(change.fields["attributes"])}
        attributes = {name: merged[name] for name in sorted(merged)}
        revision = _revision(max(change.revision, before // len(FLAGS) ** 2), attributes)
        return (
            {**message, **change.fields, "attributes": attributes, "revision": revision} if revision > before else None
        )
    if all(message.get(name) == value for name, value in change.fields.items()):
        return None
    return {**message, **change.fields, "revision": max(change.revision, before + 1)}


def _revision(newest: int, attributes: Event) -> int:
    """Return the revision of a changed message: higher with each change, whatever their order."""
    flags = sum(bool(attributes.get(name)) << bit for bit, name in enumerate(FLAGS))
    return newest * len(FLAGS) ** 2 + flags


def _stored_message(store: Store, tenant: int, source: str, change: Change) -> Event | None:
    key = str(change.otherwise.get("message_id") or change.id)
    with store.facts.read() as reading:
        rows = reading.rows(_BY_ID, (tenant, key, source, change.id))
    if not rows:
        return None
    message = flagged({name: value for name, value in zip(_COLUMNS, rows[0], strict=True) if value is not None})
    attributes = json.loads(message.pop("attributes", "{}"))
    return {
        **message,
        "time": moment(message["time"]).isoformat(),
        **({"attributes": attributes} if attributes else {}),
    }


def _object(value: object) -> Event:
    return value if isinstance(value, dict) else {}


def receipts(store: Store, tenant: int, source: str, up_to: UpTo) -> Iterator[Event]:
    """Yield a receipt for each message sent to a conversation up to the moment, as far back as a receipt can reach."""
    until = micros(up_to.until)
    store_waiting(store, tenant)
    with store.facts.read() as reading:
        rows: Sequence[Any] = reading.rows(_SENT_TO, (tenant, up_to.conversation_id, until - HORIZON, until, source))
    for message_id, channel, channel_id, account_id, contact_id in rows:
        yield {
            "type": up_to.type, "time": up_to.until.isoformat(), "id": f"{message_id}:{up_to.type.partition('.')[2]}",
            "message_id": message_id, "conversation_id": up_to.conversation_id, "channel": channel, "channel_id": channel_id,
            "account_id": account_id, "contact_id": contact_id,
        }  # fmt: skip

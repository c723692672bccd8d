"""What later words do to messages that are stored: changes that do not say the whole message, and receipts up to a moment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from hubbub.facts.message import HORIZON
from hubbub.facts.moments import micros, moment
from hubbub.facts.refresh import store_waiting
from hubbub.ingest.receivers.base import Change, UpTo
from hubbub.storage.schema import OF_MESSAGES, SENT
from hubbub.storage.store import Store

_KEPT = tuple(name for name in SENT if name not in ("tenant", "ident", "seq", "received_at"))
_BY_ID = (
    f"SELECT {', '.join(_KEPT)} FROM event WHERE tenant = ? AND coalesce(message_id, id) = ? AND {OF_MESSAGES} "
    "AND source = ? AND id = ?"
)
_SENT_TO = (
    "SELECT message_id, channel, channel_id, account_id, contact_id FROM event WHERE tenant = ? AND conversation_id = ? "
    "AND time BETWEEN ? AND ? AND type = 'message.sent' AND source = ? AND message_id IS NOT NULL"
)
FLAGS = ("edited", "deleted")
"""What changes say of a message, and no later one takes back."""
Event = dict[str, Any]


def applied(store: Store, tenant: int, source: str, change: Change) -> Event | None:
    """Return the stored message with a change, or what stands in for one that is not stored.

    None where there is nothing to store: the change is known, or neither the message nor what would stand in for it.
    """
    known = _stored(store, tenant, source, change)
    if known is not None and known.get("revision") != 0 and _changed(known, change) is None:
        return None
    store_waiting(store, tenant)  # what waits in the log may be the message, or a later word on it
    known = _stored(store, tenant, source, change)
    if known is not None:
        return _changed(known, change)
    return {"id": change.id, "revision": 0, **change.otherwise, **change.fields} if change.otherwise else None


def _changed(known: Event, change: Change) -> Event | None:
    """Return a message with a change; None where it says so already, and for one that was made from a change itself."""
    before = int(known.get("revision") or 0)
    if known.get("revision") == 0:
        return None
    if "attributes" in change.fields:
        merged = {**_object(known.get("attributes")), **_object(change.fields["attributes"])}
        attributes = {name: merged[name] for name in sorted(merged)}
        revision = _revision(max(change.revision, before // len(FLAGS) ** 2), attributes)
        return {**known, **change.fields, "attributes": attributes, "revision": revision} if revision > before else None
    if all(known.get(name) == value for name, value in change.fields.items()):
        return None
    return {**known, **change.fields, "revision": max(change.revision, before + 1)}


def _revision(newest: int, attributes: Event) -> int:
    """Return the revision of a message that was changed: the same in whatever order its changes come, and higher with each."""
    flags = sum(bool(attributes.get(name)) << bit for bit, name in enumerate(FLAGS))
    return newest * len(FLAGS) ** 2 + flags


def _stored(store: Store, tenant: int, source: str, change: Change) -> Event | None:
    key = str(change.otherwise.get("message_id") or change.id)
    with store.facts.read() as reading:
        rows = reading.rows(_BY_ID, (tenant, key, source, change.id))
    if not rows:
        return None
    found = {name: value for name, value in zip(_KEPT, rows[0], strict=True) if value is not None}
    attributes = json.loads(found.pop("attributes", "{}"))
    return {**found, "time": moment(found["time"]).isoformat(), **({"attributes": attributes} if attributes else {})}


def _object(value: object) -> Event:
    return value if isinstance(value, dict) else {}


def receipts(store: Store, tenant: int, source: str, one: UpTo) -> Iterator[Event]:
    """Yield a receipt for each message sent to a conversation that lies within a receipt's horizon before the moment."""
    until = micros(one.until)
    store_waiting(store, tenant)
    with store.facts.read() as reading:
        rows: Sequence[Any] = reading.rows(_SENT_TO, (tenant, one.conversation_id, until - HORIZON, until, source))
    for message_id, channel, channel_id, account_id, contact_id in rows:
        yield {
            "type": one.type, "time": one.until.isoformat(), "id": f"{message_id}:{one.type.partition('.')[2]}",
            "message_id": message_id, "conversation_id": one.conversation_id, "channel": channel, "channel_id": channel_id,
            "account_id": account_id, "contact_id": contact_id,
        }  # fmt: skip

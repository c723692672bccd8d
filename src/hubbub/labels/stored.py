"""Reads messages with texts, and label events, from a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from hubbub.facts.moments import DAY, moment
from hubbub.labels.as_events import KINDS, Stored, id_of, kind_of
from hubbub.labels.decision import Message
from hubbub.model.event import Event
from hubbub.model.label import FIELDS, SOURCE, LabelSet
from hubbub.storage.identity import ident_of
from hubbub.storage.schema import OF_MESSAGES
from hubbub.storage.store import Store
from hubbub.storage.transaction import Row

AT_ONCE = 1_000
"""Messages of a batch."""
_PLACE = ("channel", "channel_id", "account_id", "conversation_id", "contact_id")
_LABELS = tuple(FIELDS.values())
_ROW = ("type", "time", *_LABELS, "confidence", "name", "attributes", "revision")
_MESSAGE = (
    f"time, ident, coalesce(message_id, id) AS key, {', '.join(_PLACE + _LABELS)}, revision, attributes FROM event"
)
_INCOMING = (
    f"tenant = ? AND type = 'message.received' AND coalesce(kind, 'person') = 'person' AND {OF_MESSAGES} "
    "AND repeats IS NULL"
)
_LABELABLE = f"{_INCOMING} AND attributes IS NOT NULL"


def message_of(event: Event, time: int) -> Message | None:
    """Return an incoming event as a message to label; None for one not from a person or without a text."""
    text = attributes_of(event.attributes).get("text")
    if event.type != "message.received" or (event.kind or "person") != "person" or not isinstance(text, str):
        return None
    key = event.message_id or event.id
    if key is None or not text.strip():
        return None
    by_source = frozenset(label_set for label_set, name in FIELDS.items() if getattr(event, name))
    place = {name: getattr(event, name) for name in _PLACE}
    return Message(key, time, text, **place, revision=event.revision, given=by_source)


def attributes_of(raw: Any) -> dict[str, Any]:
    """Return attributes as they were sent; empty where there are none."""
    attributes = msgspec.json.decode(raw) if raw else {}
    return attributes if isinstance(attributes, dict) else {}


def messages(store: Store, tenant: int, low: int, high: int) -> Iterator[list[Message]]:
    """Yield a tenant's messages with texts of `[low, high)` (microseconds), oldest first, in batches."""
    by_source = _by_source(store, tenant, low, high)
    after = low, -(2**63)
    while True:
        with store.facts.read() as reading:
            rows = reading.dicts(
                f"SELECT {_MESSAGE} WHERE {_LABELABLE} AND time < ? AND (time, ident) > (?, ?) ORDER BY time, ident LIMIT ?",
                (tenant, high, *after, AT_ONCE),
            )
        if not rows:
            return
        batch = [_message(row, by_source.get(row["key"], frozenset())) for row in rows]
        yield [message for message in batch if message is not None]
        after = rows[-1]["time"], rows[-1]["ident"]


def unlabelled(store: Store, tenant: int, label_set: LabelSet, most: int) -> list[Message]:
    """Return the newest messages with texts that have no label of a set, neither from Hubbub nor from their source."""
    kind = kind_of(label_set)
    own = (
        f"SELECT 1 FROM event AS l WHERE l.tenant = event.tenant AND l.time = event.time AND l.source = ? AND l.type = ? "
        f"AND l.{FIELDS[label_set]} IS NOT NULL AND l.message_id = coalesce(event.message_id, event.id)"
    )
    with store.facts.read() as reading:
        rows = reading.dicts(
            f"SELECT {_MESSAGE} WHERE {_LABELABLE} AND NOT EXISTS ({own}) ORDER BY time DESC, ident DESC LIMIT ?",
            (tenant, SOURCE, kind.labelled, most),
        )
    if not rows:
        return []
    by_source = _by_source(store, tenant, rows[-1]["time"], rows[0]["time"] + 1)
    chosen = (_message(row, by_source.get(row["key"], frozenset())) for row in rows)
    return [message for message in chosen if message is not None and label_set not in message.given]


def of_keys(store: Store, tenant: int, keys: Sequence[str]) -> list[Message]:
    """Return the messages with texts of some keys, in their order."""
    by_key: dict[str, Message] = {}
    with store.facts.read() as reading:
        for key in keys:
            for row in reading.dicts(
                f"SELECT {_MESSAGE} WHERE {_LABELABLE} AND coalesce(message_id, id) = ?", (tenant, key)
            ):
                message = _message(row, frozenset())
                if message is not None:
                    by_key[key] = message
    return [by_key[key] for key in keys if key in by_key]


def incoming(store: Store, tenant: int, key: str) -> Message | None:
    """Return the incoming message of a key; its text is empty where it is not stored. None for an unknown key."""
    return _incoming(store, tenant, "coalesce(message_id, id) = ?", key)


def first_incoming(store: Store, tenant: int, conversation: str) -> Message | None:
    """Return the first incoming message of a conversation, like `incoming`; None without one."""
    return _incoming(store, tenant, "conversation_id = ?", conversation)


def _incoming(store: Store, tenant: int, condition: str, value: str) -> Message | None:
    with store.facts.read() as reading:
        rows = reading.dicts(
            f"SELECT {_MESSAGE} WHERE {_INCOMING} AND {condition} ORDER BY time, ident LIMIT 1", (tenant, value)
        )
    if not rows:
        return None
    (row,) = rows
    text = attributes_of(row["attributes"]).get("text")
    own = frozenset(
        label_set for label_set, name in FIELDS.items() if row[name] and label_set is not LabelSet.ESCALATION
    )
    given = _by_source(store, tenant, row["time"], row["time"] + 1).get(row["key"], frozenset())
    return _built(row, text if isinstance(text, str) else "", own | given)


def _message(row: Row, by_source: frozenset[LabelSet]) -> Message | None:
    text = attributes_of(row["attributes"]).get("text")
    if not isinstance(text, str) or not text.strip():
        return None
    own = frozenset(label_set for label_set, name in FIELDS.items() if row[name])
    return _built(row, text, own | by_source)


def _built(row: Row, text: str, given: frozenset[LabelSet]) -> Message:
    place = {name: row[name] for name in _PLACE}
    return Message(row["key"], row["time"], text, **place, revision=row["revision"], given=given)


def _by_source(store: Store, tenant: int, low: int, high: int) -> dict[str, frozenset[LabelSet]]:
    """Return, by message, the sets that its source labelled up to a day after the message."""
    types = {kind.labelled: kind.sets for kind in KINDS}
    sets: dict[str, frozenset[LabelSet]] = {}
    with store.facts.read() as reading:
        for key, type_ in reading.each(
            f"SELECT message_id, type FROM event WHERE tenant = ? AND time >= ? AND time < ? "
            f"AND type IN ({', '.join('?' * len(types))}) AND source <> ? AND message_id IS NOT NULL",
            (tenant, low, high + DAY, *types, SOURCE),
        ):
            sets[key] = sets.get(key, frozenset()) | frozenset(types[type_])
    return sets


def labels(store: Store, tenant: int, wanted: Iterable[Message]) -> dict[str, dict[str, Stored]]:
    """Return the stored label events by message and kind."""
    events: dict[str, dict[str, Stored]] = {}
    with store.facts.read() as reading:
        for message in wanted:
            for kind in KINDS:
                ident = ident_of(SOURCE, id_of(kind, message.key))
                rows = reading.dicts(
                    f"SELECT {', '.join(_ROW)} FROM event WHERE tenant = ? AND time = ? AND ident = ?",
                    (tenant, message.time, ident),
                )
                if rows:
                    events.setdefault(message.key, {})[kind.name] = stored_of(rows[0])
    return events


def stored_of(row: Row) -> Stored:
    """Return a row of `event` as a stored label."""
    labels_ = {label_set: row[name] for label_set, name in FIELDS.items()}
    return Stored(row["type"], labels_, attributes_of(row["attributes"]), row["revision"] or 0)


def labelled(
    store: Store, tenant: int, label_set: LabelSet, low: int, high: int, label: str | None = None
) -> Iterator[tuple[Event, Stored]]:
    """Yield the label events of a set in `[low, high)`, as events and stored labels: all, or those of one label."""
    kind = kind_of(label_set)
    types = [type_ for type_ in (kind.labelled, kind.unlabelled) if type_]
    only, params = (f" AND {FIELDS[label_set]} = ?", (label,)) if label is not None else ("", ())
    columns = ("type", "time", "id", *_PLACE, "message_id", *_LABELS, "confidence", "name", "attributes", "revision")
    with store.facts.read() as reading:
        rows = reading.dicts(
            f"SELECT {', '.join(columns)} FROM event WHERE tenant = ? AND time >= ? AND time < ? AND source = ? "
            f"AND type IN ({', '.join('?' * len(types))}){only} ORDER BY time, ident",
            (tenant, low, high, SOURCE, *types, *params),
        )
    for row in rows:
        fields = {name: row[name] for name in columns if name not in ("time", "attributes") and row[name] is not None}
        raw = msgspec.Raw((row["attributes"] or "{}").encode())
        yield Event(**fields, time=moment(row["time"]), source=SOURCE, attributes=raw), stored_of(row)

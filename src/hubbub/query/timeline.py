"""One conversation: its stored events in order, the waits that its replies ended, and its episodes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hubbub.facts.moments import in_utc, rfc3339
from hubbub.metrics.conversations import EPISODE
from hubbub.metrics.responses import RESPONSE
from hubbub.model import page
from hubbub.model.event import EventFields
from hubbub.model.label import GivenLabel, given_labels
from hubbub.model.plain import JsonObject
from hubbub.model.tenant import Tenant
from hubbub.query.attributes import attributes_of
from hubbub.query.queries import Queries
from hubbub.storage import schema
from hubbub.storage.transaction import Bound, Row, Transaction

PAGE = 200
CHUNK = 2_000
"""Events of one read of a whole conversation."""

SENT = tuple(name for name in schema.SENT if name not in ("tenant", "ident", "seq"))
"""Columns of an event as sent, and when it was received."""
_COLUMNS = ", ".join(f"e.{name}" for name in SENT)
_MOMENTS = frozenset(
    ("time", "received_at", "anchor", "first_inbound", "first_reply_at", "first_person_at", "last_resolve", "resolved_at",
     "first_at", "last_at", "asked_at", "since")
)  # fmt: skip
_FLAGS = frozenset(("escalated", "ai_involved", "ai_escalated", "ai_resolved"))
_OF_IT = "e.tenant = :tenant AND e.conversation_id = :conversation"
WHO = ("channel", "channel_id", "account_id", "contact_id", "staff_id")
"""Columns that say where a conversation is, and who takes part."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of a conversation from its first message to its last resolve."""

    episode_id: str
    """Id of its first event."""
    anchor: datetime
    """When it began."""
    first_response_ms: int | None
    """Until the first public reply, if any."""
    first_staff_id: str | None
    """Author of that reply."""
    responder: str | None
    """Whether a person or an AI wrote it."""
    first_person_response_ms: int | None
    """Until the first reply by a person."""
    resolved_at: datetime | None
    """When it was resolved; null: it is not."""
    resolution_ms: int | None
    """From the first event to the last resolve."""
    escalated: bool
    """Whether it was escalated."""
    ai_involved: bool
    """Whether an AI took part."""
    ai_resolved: bool
    """Whether an AI resolved it alone."""


@dataclass(frozen=True, slots=True)
class ConversationEvent:
    """An event of a conversation, and the wait that it ended."""

    event: JsonObject
    """The stored event, in the form in which events are sent, without absent fields."""
    waited_ms: int | None
    """For a reply that ended a wait: its length, as the metric `response_ms` counts it."""
    asked_at: datetime | None
    """For such a reply: when the wait began."""
    labels: Sequence[GivenLabel]
    """The labels that the event gives, with who gave them."""


def timeline(
    queries: Queries, tenant: Tenant, conversation: str, *, limit: int = PAGE, cursor: str | None = None
) -> page.Page[ConversationEvent]:
    """Return a conversation's events in order, up to `limit` after `cursor`; no rows for an unknown conversation.

    Raises BadRequestError for an invalid cursor.
    """
    after = page.place_of(cursor, int, int)
    with queries.reading(tenant) as (reading, _):
        stored = _events(reading, tenant, conversation, limit + 1, after)
        events, following = page.cut(stored, limit, lambda row: (row["time"], row["seq"]))
        waits = _waits(reading, tenant, conversation, events)
    nothing = (None, None)
    rows = [(public(event), *waits.get((event["time"], event["ident"]), nothing)) for event in events]
    return page.Page(
        [ConversationEvent(sent, waited, _in_utc(since), given_labels(sent)) for sent, waited, since in rows], following
    )


def episodes(queries: Queries, tenant: Tenant, conversation: str) -> list[Episode]:
    """Return a conversation's episodes in their order, as the metrics count them."""
    with queries.reading(tenant) as (reading, _):
        rows = reading.dicts(
            f"SELECT * FROM ({EPISODE.view}) AS e WHERE {_OF_IT} ORDER BY e.anchor",
            _params(tenant, conversation),
        )
    return [
        Episode(**{name: value for name, value in converted(row).items() if name in Episode.__slots__}) for row in rows
    ]


def event(queries: Queries, tenant: Tenant, source: str, id: str) -> EventFields | None:
    """Return the stored event of an identity, in the form in which events are sent; None if absent."""
    with queries.reading(tenant) as (reading, _):
        rows = reading.dicts(
            f"SELECT {_COLUMNS} FROM event AS e WHERE e.tenant = ? AND e.source = ? AND e.id = ?",
            (tenant.no, source, id),
        )
    return public(rows[0]) if rows else None


def lines(queries: Queries, tenant: Tenant, conversation: str) -> Iterator[bytes]:
    """Yield all events of a conversation in order as JSON lines, up to `CHUNK` events a piece."""
    place: tuple[int, int] | None = None
    while True:
        with queries.reading(tenant) as (reading, _):  # closed while a slow client reads
            rows = _events(reading, tenant, conversation, CHUNK, place)
        if not rows:
            return
        yield b"".join(json.dumps(public(row), ensure_ascii=False).encode() + b"\n" for row in rows)
        place = rows[-1]["time"], rows[-1]["seq"]


def newest(reading: Transaction, conversation: str, where: str = "TRUE") -> str:
    """Return columns with the last value of each of `WHO` in a conversation's events.

    `conversation` is SQL. Where it is a column, SQLite without the named index would read all days of the tenant `:tenant`.
    """
    return ", ".join(
        f"(SELECT n.{name} FROM event AS n {reading.dialect.by_index('event_conversation')} WHERE n.tenant = :tenant "
        f"AND n.conversation_id = {conversation} AND n.{name} IS NOT NULL AND {where} "
        f"ORDER BY n.time DESC, n.seq DESC LIMIT 1) AS {name}"
        for name in WHO
    )


def public(row: Row) -> Row:
    """Return a stored event in the form in which events are sent: no absent field, times in UTC, attributes unchanged."""
    sent = schema.flagged({name: row[name] for name in SENT if row[name] is not None})
    sent |= {name: rfc3339(row[name]) for name in ("time", "received_at")}
    return sent | ({"attributes": attributes_of(row)} if "attributes" in sent else {})


def converted(row: Row) -> Row:
    """Return a row with its moments in UTC without a zone, and flags as booleans."""
    return {
        name: _in_utc(value) if name in _MOMENTS else bool(value) if name in _FLAGS else value
        for name, value in row.items()
    }


def _in_utc(us: int | None) -> datetime | None:
    return in_utc(us) if us is not None else None


def _params(tenant: Tenant, conversation: str) -> Bound:
    return {"tenant": tenant.no, "conversation": conversation}


def _events(
    reading: Transaction, tenant: Tenant, conversation: str, limit: int, after: tuple[Any, ...] | None
) -> list[Row]:
    params, later = _params(tenant, conversation) | {"limit": limit}, "TRUE"
    if after is not None:
        later = "(e.time, e.seq) > (:time, :seq)"
        params |= {"time": after[0], "seq": after[1]}
    return reading.dicts(
        f"SELECT e.seq, e.ident, {_COLUMNS} FROM event AS e WHERE {_OF_IT} AND {later} ORDER BY e.time, e.seq LIMIT :limit",
        params,
    )


def _waits(
    reading: Transaction, tenant: Tenant, conversation: str, events: Sequence[Row]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Return (wait in ms, since when) of the replies among events, by their time and ident."""
    if not events:
        return {}
    params = _params(tenant, conversation) | {"low": events[0]["time"], "high": events[-1]["time"]}
    return {
        (anchor, ident): (waited, asked_at)
        for anchor, ident, waited, asked_at in reading.each(
            f"SELECT e.anchor, e.ident, e.duration_ms, e.asked_at FROM ({RESPONSE.view}) AS e "
            f"WHERE {_OF_IT} AND e.anchor BETWEEN :low AND :high", params,
        )
    }  # fmt: skip

"""One conversation: its events in order as they were stored, what each reply ended as a wait, and its episodes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hubbub.facts.moments import moment
from hubbub.metrics.conversations import EPISODE
from hubbub.metrics.responses import RESPONSE
from hubbub.model import page
from hubbub.model.tenant import Tenant
from hubbub.query.live import rfc3339
from hubbub.query.queries import Queries
from hubbub.storage import schema
from hubbub.storage.transaction import Transaction

PAGE = 200
CHUNK = 2_000
"""Events that are read at once of a conversation that is handed out whole."""

SENT = tuple(name for name in schema.SENT if name not in ("tenant", "ident", "seq"))
"""Columns of an event as it was sent, and when it was received."""
_COLUMNS = ", ".join(f"e.{name}" for name in SENT)
_MOMENTS = frozenset(
    ("time", "received_at", "anchor", "first_inbound", "first_reply_at", "first_person_at", "last_resolve", "resolved_at",
     "first_at", "last_at", "asked_at", "since")
)  # fmt: skip
_FLAGS = frozenset(("escalated", "ai_involved", "ai_escalated", "ai_resolved"))
_MINE = "e.tenant = :tenant AND e.conversation_id = :conversation"
WHO = ("channel", "channel_id", "account_id", "contact_id", "staff_id")


def timeline(
    queries: Queries, tenant: Tenant, conversation: str, *, limit: int = PAGE, cursor: str | None = None
) -> dict[str, Any]:
    """Return `rows`, a conversation's events in order, up to `limit` after `cursor`, and `next`, the cursor of what follows.

    A reply that ended a wait has `waited_ms` and `asked_at`, as the metric `response_ms` counts it. No rows: there is no such
    conversation. Raises BadRequestError for a cursor that is not valid.
    """
    after = page.place_of(cursor, int, int)
    with queries.reading(tenant) as (reading, _):
        found = _events(reading, tenant, conversation, limit + 1, after)
        events, following = page.cut(found, limit, lambda row: (row["time"], row["seq"]))
        waits = _waits(reading, tenant, conversation, events)
    rows = []
    for event in events:
        wait = waits.get((event["time"], event["ident"]))
        row = aware(event)
        rows.append(row if wait is None else row | {"waited_ms": wait[0], "asked_at": moment(wait[1])})
    return {"rows": rows, "next": following}


def episodes(queries: Queries, tenant: Tenant, conversation: str) -> list[dict[str, Any]]:
    """Return a conversation's episodes in their order, as the metrics count them."""
    with queries.reading(tenant) as (reading, _):
        found = reading.dicts(
            f"SELECT * FROM ({EPISODE.view}) AS e WHERE {_MINE} ORDER BY e.anchor", _params(tenant, conversation)
        )
    return [{name: value for name, value in aware(row).items() if name != "tenant"} for row in found]


def facts_of(queries: Queries, tenant: Tenant, conversation: str) -> dict[str, Any] | None:
    """Return who and what a conversation is, from all of its events; None when there are none."""
    with queries.reading(tenant) as (reading, _):
        (row,) = reading.dicts(
            "SELECT count(*) AS events, count(*) FILTER (WHERE type IN ('message.received', 'message.sent') AND repeats IS NULL) "
            f"AS messages, min(time) AS first_at, max(time) AS last_at, "
            f"{newest(reading, ':conversation')} FROM event AS e WHERE {_MINE}",
            _params(tenant, conversation),
        )
    return aware(row) if row["events"] else None


def event(queries: Queries, tenant: Tenant, source: str, id: str) -> dict[str, Any] | None:
    """Return an event as it is stored and would be sent, or None when there is none of this identity."""
    with queries.reading(tenant) as (reading, _):
        found = reading.dicts(
            f"SELECT {_COLUMNS} FROM event AS e WHERE e.tenant = ? AND e.source = ? AND e.id = ?",
            (tenant.no, source, id),
        )
    return public(found[0]) if found else None


def lines(queries: Queries, tenant: Tenant, conversation: str) -> Iterator[bytes]:
    """Yield all events of a conversation in order, some thousands at once, each as a line of JSON."""
    place: tuple[int, int] | None = None
    while True:
        with queries.reading(tenant) as (reading, _):  # not open while somebody takes long to read what was yielded
            found = _events(reading, tenant, conversation, CHUNK, place)
        if not found:
            return
        yield b"".join(json.dumps(public(row), ensure_ascii=False).encode() + b"\n" for row in found)
        place = found[-1]["time"], found[-1]["seq"]


def newest(reading: Transaction, conversation: str, where: str = "TRUE") -> str:
    """Return columns with what the newest events of a conversation say, of each what was said last.

    The index is named because SQLite would go through all days of the tenant `:tenant` where `conversation` is a column.
    """
    return ", ".join(
        f"(SELECT n.{name} FROM event AS n {reading.dialect.by_index('event_conversation')} WHERE n.tenant = :tenant "
        f"AND n.conversation_id = {conversation} AND n.{name} IS NOT NULL AND {where} "
        f"ORDER BY n.time DESC, n.seq DESC LIMIT 1) AS {name}"
        for name in WHO
    )


def public(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored event in the words of the contract: no field that is empty, times in UTC, attributes as they came."""
    sent = {name: row[name] for name in SENT if row[name] is not None}
    sent |= {name: rfc3339(row[name]) for name in ("time", "received_at")}
    return sent | ({"attributes": attributes_of(row)} if "attributes" in sent else {})


def attributes_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event's attributes; none are an empty mapping."""
    found: dict[str, Any] = json.loads(row["attributes"]) if row["attributes"] else {}
    return found


def aware(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its moments as aware times in UTC, and what is true or not as such."""
    return {
        name: moment(value) if name in _MOMENTS and value is not None else bool(value) if name in _FLAGS else value
        for name, value in row.items()
    }


def _params(tenant: Tenant, conversation: str) -> dict[str, Any]:
    return {"tenant": tenant.no, "conversation": conversation}


def _events(
    reading: Transaction, tenant: Tenant, conversation: str, limit: int, after: tuple[Any, ...] | None
) -> list[dict[str, Any]]:
    params, later = _params(tenant, conversation) | {"limit": limit}, "TRUE"
    if after is not None:
        later = "(e.time, e.seq) > (:time, :seq)"
        params |= {"time": after[0], "seq": after[1]}
    return reading.dicts(
        f"SELECT e.seq, e.ident, {_COLUMNS} FROM event AS e WHERE {_MINE} AND {later} ORDER BY e.time, e.seq LIMIT :limit",
        params,
    )


def _waits(
    reading: Transaction, tenant: Tenant, conversation: str, events: Sequence[Mapping[str, Any]]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Return (wait in ms, since when) of the replies among events, by their time and ident."""
    if not events:
        return {}
    params = _params(tenant, conversation) | {"low": events[0]["time"], "high": events[-1]["time"]}
    return {
        (anchor, ident): (waited, asked_at)
        for anchor, ident, waited, asked_at in reading.each(
            f"SELECT e.anchor, e.ident, e.duration_ms, e.asked_at FROM ({RESPONSE.view}) AS e "
            f"WHERE {_MINE} AND e.anchor BETWEEN :low AND :high", params,
        )
    }  # fmt: skip

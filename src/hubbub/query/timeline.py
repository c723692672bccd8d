"""One conversation: its events in order as they were stored, what each reply ended as a wait, and its episodes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hubbub.metrics import fold
from hubbub.metrics.conversations import EPISODE
from hubbub.metrics.definition import Fact
from hubbub.metrics.responses import RESPONSE
from hubbub.model import page
from hubbub.model.tenant import Tenant
from hubbub.store.base import EVENT_COLUMNS, Rows, Store

PAGE = 200
CHUNK = 2_000
"""Events that are read at once of a conversation that is handed out whole."""

_COLUMNS = fold.quoted([name for name in EVENT_COLUMNS if name != "tenant"])
_MINE = "tenant = $tenant AND conversation_id = $conversation"


def timeline(
    store: Store, tenant: Tenant, conversation: str, *, limit: int = PAGE, cursor: str | None = None
) -> dict[str, Any]:
    """Return `rows`, a conversation's events in order, up to `limit` after `cursor`, and `next`, the cursor of what follows.

    A reply that ended a wait has `waited_ms` and `asked_at`, as the metric `response_ms` counts it. No rows: there is no such
    conversation. Raises BadRequestError for a cursor that is none.
    """
    found = _events(store, tenant, conversation, limit + 1, page.place_of(cursor, int, int))
    rows, following = page.cut(found, limit, lambda row: (row["us"], row["seq"]))
    ids = [row["id"] for row in rows]
    waits: dict[str, dict[str, Any]] = {}
    if ids:
        answered = _facts(store, tenant, conversation, RESPONSE, "list_contains($ids::VARCHAR[], f.reply_id)", ids=ids)
        waits = {row["reply_id"]: row for row in answered.dicts()}
    for row in rows:
        wait = waits.get(row["id"])
        if wait is not None:
            row |= {"waited_ms": wait["duration_ms"], "asked_at": wait["asked_at"].replace(tzinfo=UTC)}
    return {"rows": rows, "next": following}


def episodes(store: Store, tenant: Tenant, conversation: str) -> list[dict[str, Any]]:
    """Return a conversation's episodes in their order, as the metrics count them."""
    found = _facts(store, tenant, conversation, EPISODE, "f.anchor IS NOT NULL").dicts()
    return [_aware(row) for row in sorted(found, key=lambda row: row["anchor"])]


def facts_of(store: Store, tenant: Tenant, conversation: str) -> dict[str, Any] | None:
    """Return who and what a conversation is, from all of its events; None when there are none."""
    newest = ", ".join(
        f'arg_max({name}, ("time", seq)) FILTER (WHERE {name} IS NOT NULL) AS {name}'
        for name in ("channel", "channel_id", "account_id", "contact_id", "staff_id")
    )
    row = store.query(
        f"""SELECT count(*) AS events, count(*) FILTER (WHERE type IN ('message.received', 'message.sent')) AS messages,
            min("time") AS first_at, max("time") AS last_at, {newest} FROM events WHERE {_MINE}""",
        {"tenant": tenant.no, "conversation": conversation},
    ).dicts()[0]
    return _aware(row) if row["events"] else None


def event(store: Store, tenant: Tenant, source: str, id: str) -> dict[str, Any] | None:
    """Return an event as it is stored and would be sent, or None when there is none of this identity."""
    found = store.query(
        f"SELECT seq, {_COLUMNS} FROM events WHERE tenant = $tenant AND source = $source AND id = $id",
        {"tenant": tenant.no, "source": source, "id": id},
    ).dicts()
    return public(found[0]) if found else None


def lines(store: Store, tenant: Tenant, conversation: str) -> Iterator[bytes]:
    """Yield all events of a conversation in order, each as a line of JSON."""
    place: tuple[int, int] | None = None
    while found := _events(store, tenant, conversation, CHUNK, place):
        yield b"".join(json.dumps(public(row), ensure_ascii=False).encode() + b"\n" for row in found)
        place = found[-1]["us"], found[-1]["seq"]


def public(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored event in the words of the contract: no field that is empty, times in UTC, attributes as they came."""
    told = {name: row[name] for name in EVENT_COLUMNS if name != "tenant" and row[name] is not None}
    for name in ("time", "received_at"):
        told[name] = told[name].replace(tzinfo=None).isoformat() + "Z"
    return told | ({"attributes": attributes_of(row)} if "attributes" in told else {})


def attributes_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event's attributes; none are an empty mapping."""
    found: dict[str, Any] = json.loads(row["attributes"]) if row["attributes"] else {}
    return found


def _events(
    store: Store, tenant: Tenant, conversation: str, limit: int, after: tuple[int, int] | None
) -> list[dict[str, Any]]:
    params: dict[str, Any] = {"tenant": tenant.no, "conversation": conversation}
    later = "TRUE"
    if after is not None:
        later = '(epoch_us("time") > $us OR (epoch_us("time") = $us AND seq > $seq))'
        params |= {"us": after[0], "seq": after[1]}
    found = store.query(
        f'SELECT seq, epoch_us("time") AS us, {_COLUMNS} FROM events WHERE {_MINE} AND {later} '
        f'ORDER BY "time", seq LIMIT {limit}',
        params,
    )
    return [_aware(row) for row in found.dicts()]


def _facts(store: Store, tenant: Tenant, conversation: str, fact: Fact, where: str, **params: Any) -> Rows:
    rows = fold.fact_rows(fact, fold.scope(fact, _MINE))
    return store.query(
        f"SELECT * FROM ({rows}) AS f WHERE {where}",
        {"tenant": tenant.no, "conversation": conversation, **params},
    )


def _aware(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for name, value in row.items()}

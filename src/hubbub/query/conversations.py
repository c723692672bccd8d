"""A tenant's conversations, those that spoke last first: who is in them, what they hold, and their state as the metrics count it.

A state is the last of the asked range (or now), by the declarations of `open_conversations` and `waiting_conversations`: the
list and the number cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hubbub.errors import BadQuestionError
from hubbub.metrics import fold
from hubbub.metrics.catalogue import find
from hubbub.metrics.conversations import CONVERSATION_STATES
from hubbub.metrics.definition import State
from hubbub.model import page
from hubbub.model.question import NONE
from hubbub.model.tenant import Tenant
from hubbub.query.facts import Facts
from hubbub.query.history import history
from hubbub.query.plan import Dirt
from hubbub.store.base import Store, Work, utc_naive

PAGE = 50
STATES = ("open", "waiting", "resolved")
"""A waiting conversation is an open one too; a closed one is called resolved."""

_SEARCHED = ("conversation_id", "contact_id", "staff_id", "channel_id", "message_id", "attributes")
_FOUND = " OR ".join(f"coalesce({name}, '') ILIKE $text" for name in _SEARCHED)
_FILTERED = ("channel", "channel_id", "account_id", "staff_id", "topic")
_MESSAGES = "type IN ('message.received', 'message.sent')"
_ESCALATES = "type IN ('conversation.escalated', 'escalation.raised')"
_PEOPLE = "(coalesce(kind, 'person') IN ('person', 'ai') OR (type = 'message.received' AND id = conversation_id))"


@dataclass(frozen=True)
class Wanted:
    """Which conversations: those with an event in `[start, end)`, and with one of every filter's values in any of these.

    `text` occurs in an id, a room or what an event says; `state` is one of STATES or empty. Who is open or waiting may have
    been so since long before `start`. `bots` takes those too in which nobody but programs spoke.
    """

    start: datetime
    end: datetime
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bots: bool = False
    text: str = ""
    state: str = ""


def conversations(
    store: Store, tenant: Tenant, now: datetime, wanted: Wanted, *, limit: int = PAGE, cursor: str | None = None
) -> dict[str, Any]:
    """Return `rows`, up to `limit` of them after `cursor`, and `next`, the cursor of the page after or None.

    Raises BadQuestionError for a filter or state that is none, BadRequestError for a cursor that is none.
    """
    if wanted.state not in ("", *STATES):
        raise BadQuestionError(f"state {wanted.state[:40]!r} is not one of {', '.join(STATES)}")
    params: dict[str, Any] = {"tenant": tenant.no}
    seen = _seen(wanted, params)
    after = page.place_of(cursor, int, int)
    later = "TRUE"
    if after is not None:
        later = "(last_us < $last_us OR (last_us = $last_us AND last_seq < $last_seq))"
        params |= {"last_us": after[0], "last_seq": after[1]}
    asked = {"": "TRUE", "open": "s.state IN ('open', 'waiting')"}.get(wanted.state, "s.state = $state")
    if "$state" in asked:
        params["state"] = wanted.state
    with store.work() as work:
        stood, more = _stood(store, work, tenant, min(wanted.end, now), now)
        found = work.execute(
            f"""WITH {stood}, seen AS ({seen})
            SELECT c.*, s.state, s.since FROM seen AS c LEFT JOIN stood AS s ON s.conversation_id = c.conversation_id
            WHERE {asked} AND {later} ORDER BY last_us DESC, last_seq DESC LIMIT {limit + 1}""",
            params | more,
        ).dicts()
    rows, following = page.cut(found, limit, lambda row: (row["last_us"], row["last_seq"]))
    return {"rows": [_row(row) for row in rows], "next": following}


def state_of(store: Store, tenant: Tenant, now: datetime, conversation: str) -> dict[str, Any]:
    """Return `state` (None where nothing tells) and `since`, when its wait began, of one conversation now."""
    with store.work() as work:
        stood, params = _stood(store, work, tenant, now, now)
        found = work.execute(
            f"WITH {stood} SELECT state, since FROM stood WHERE conversation_id = $conversation",
            {"tenant": tenant.no, "conversation": conversation, **params},
        ).dicts()
    return {name: _moment(value) for name, value in (found[0] if found else {"state": None, "since": None}).items()}


def _seen(wanted: Wanted, params: dict[str, Any]) -> str:
    """Return the SELECT of conversations by their events, without their state."""
    low, high = utc_naive(wanted.start), utc_naive(wanted.end)
    within = f"\"time\" < TIMESTAMP '{high}'"
    if wanted.state not in ("open", "waiting"):
        within += f" AND \"time\" >= TIMESTAMP '{low}'"
    having = ["TRUE"]
    for number, (name, values) in enumerate(wanted.where.items()):
        if name not in _FILTERED:
            raise BadQuestionError(f"conversations have no dimension {name[:40]!r}")
        params[f"where_{number}"] = [value for value in values if value != NONE]
        missing = f" OR count({name}) = 0" if NONE in values else ""
        having.append(f"(coalesce(bool_or(list_contains($where_{number}::VARCHAR[], {name})), FALSE){missing})")
    if wanted.text:
        params["text"] = _anywhere(wanted.text)
        having.append(f"bool_or({_FOUND})")
    newest = ", ".join(
        f'arg_max({name}, ("time", seq)) FILTER (WHERE {name} IS NOT NULL) AS {name}'
        for name in ("channel", "channel_id", "account_id", "contact_id", "staff_id")
    )
    return f"""
        SELECT conversation_id, max(epoch_us("time")) AS last_us, arg_max(seq, ("time", seq)) AS last_seq,
            min("time") AS first_at, max("time") AS last_at, {newest}, count(*) FILTER (WHERE {_MESSAGES}) AS messages,
            bool_or({_ESCALATES}) AS escalated
        FROM events WHERE tenant = $tenant AND conversation_id IS NOT NULL AND {within} AND {"TRUE" if wanted.bots else _PEOPLE}
        GROUP BY conversation_id HAVING {" AND ".join(having)}
    """


def _anywhere(text: str) -> str:
    """Return a LIKE pattern of a text anywhere; its own wildcards stand for any one character, as escapes differ by store."""
    return "%" + "".join("_" if c in "%_\\" else c for c in text) + "%"


def _stood(store: Store, work: Work, tenant: Tenant, moment: datetime, now: datetime) -> tuple[str, dict[str, Any]]:
    """Return the common tables of every conversation's state at a moment, and their parameters."""
    rollup = CONVERSATION_STATES
    rel, params = history(rollup, work, tenant, [moment], Dirt(store, tenant, now), Facts(work, tenant))
    opens, waits = find("open_conversations").metric, find("waiting_conversations").metric
    since = find("oldest_waiting_ms").metric
    assert isinstance(opens, State) and isinstance(waits, State) and isinstance(since, State)
    return (
        f"""rel AS ({rel}), stood AS (
            SELECT conversation_id, CASE WHEN {waits.where} THEN 'waiting' WHEN {opens.where} THEN 'open'
                WHEN state = 'closed' THEN 'resolved' END AS state, CASE WHEN {waits.where} THEN {since.since} END AS since
            FROM (SELECT r.conversation_id{fold.merge_columns(rollup.columns())} FROM rel AS r GROUP BY r.conversation_id) AS m
        )""",
        params,
    )


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: _moment(value) for name, value in row.items() if name not in ("last_us", "last_seq")}
    return shown | {"escalated": bool(row["escalated"])}


def _moment(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value

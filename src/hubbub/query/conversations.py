"""A tenant's conversations, the latest event first: their people, messages and state.

The state at the end of the range (or now) comes from the same rows as `open_conversations` and `waiting_conversations`, so the
list and the number agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hubbub.errors import BadQuestionError
from hubbub.facts.moments import micros
from hubbub.model import page
from hubbub.model.label import GivenLabel
from hubbub.model.naming import anywhere
from hubbub.model.question import NONE
from hubbub.model.readable import escaped
from hubbub.model.tenant import Tenant
from hubbub.query.filters import known_of, listed
from hubbub.query.labelled import of_conversations
from hubbub.query.queries import Queries
from hubbub.query.silence import conversations_after_silence
from hubbub.query.timeline import Episode, converted, episodes, newest
from hubbub.storage import names
from hubbub.storage.transaction import Bound, Transaction

PAGE = 50
STATES = ("open", "waiting", "resolved", "silent")
"""A waiting conversation is open too. A resolved one is `closed` in the table `state`; a silent one was closed by silence."""

_SEARCHED = ("conversation_id", "contact_id", "staff_id", "channel_id", "message_id")
_NAMED = {"contact": "contact_id", "staff": "staff_id", "room": "channel_id", "account": "account_id"}
"""Kinds of names that are searched, and the columns of their ids."""
_FILTERED = ("channel", "channel_id", "account_id", "staff_id", "topic")
_PEOPLE = "(coalesce({e}.kind, 'person') IN ('person', 'ai') OR ({e}.type = 'message.received' AND {e}.id = {e}.conversation_id))"


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A conversation in a list: what its events in the range hold, and its state at the range's end (or now)."""

    conversation_id: str
    """Its id, as in events."""
    first_at: datetime
    """Time of its first event in the range."""
    last_at: datetime
    """Time of its last event in the range; the list is sorted by it."""
    messages: int
    """Messages in the range."""
    escalated: bool
    """Whether it was escalated in the range."""
    state: str | None
    """open, waiting (open, and a reply is awaited), resolved or silent (closed by silence); null: unknown."""
    since: datetime | None
    """When the wait began; null: it does not wait."""
    channel: str | None
    """Medium of the newest event that names one; the ids below likewise."""
    channel_id: str | None
    """Room, page or number."""
    account_id: str | None
    """The tenant's own account."""
    contact_id: str | None
    """Who writes to the tenant."""
    staff_id: str | None
    """Who answers."""
    labels: Sequence[GivenLabel]
    """The newest label of each set, with who gave it."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation as a whole, and its state now."""

    conversation_id: str
    """Its id, as in events."""
    events: int
    """Its stored events."""
    messages: int
    """Messages among them."""
    first_at: datetime
    """Time of its first event."""
    last_at: datetime
    """Time of its last event."""
    state: str | None
    """open, waiting (open, and a reply is awaited), resolved or silent (closed by silence); null: unknown."""
    since: datetime | None
    """When the wait began; null: it does not wait."""
    channel: str | None
    """Medium of the newest event that names one; the ids below likewise."""
    channel_id: str | None
    """Room, page or number."""
    account_id: str | None
    """The tenant's own account."""
    contact_id: str | None
    """Who writes to the tenant."""
    staff_id: str | None
    """Who answers."""
    episodes: Sequence[Episode]
    """Its episodes in their order, as metrics count them."""
    labels: Sequence[GivenLabel]
    """The newest label of each set, with who gave it."""


@dataclass(frozen=True, slots=True)
class Listed(page.Page[ConversationRow]):
    """A page of conversations."""

    total: int = 0
    """Conversations on all pages."""
    before: int = 0
    """Conversations on the pages before this one."""


@dataclass(frozen=True)
class Wanted:
    """Which conversations a list has: those with an event in `[start, end)` whose events match every filter of `where`.

    `text`: part of an id, a name or an event. `state`: one of STATES, or empty for all; events of open and waiting ones may lie
    before `start`. `bots`: include conversations of programs alone.
    """

    start: datetime
    end: datetime
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bots: bool = False
    text: str = ""
    state: str = ""


def _stood(tenant: Tenant, of: str = "TRUE") -> str:
    """Return the SELECT of conversations: `id`, `state` at `:at`, and `since` when they wait. `of`: a further condition."""
    return f"""
        SELECT id, CASE max(CASE state WHEN 'waiting' THEN 4 WHEN 'open' THEN 3 WHEN 'silent' THEN 2 ELSE 1 END)
            WHEN 4 THEN 'waiting' WHEN 3 THEN 'open' WHEN 2 THEN 'silent' ELSE 'resolved' END AS state,
            max(CASE WHEN state = 'waiting' THEN began END) AS since
        FROM {conversations_after_silence(tenant, ":at")} AS s WHERE tenant = :tenant AND entity = 'conversation'
            AND state IN ('open', 'waiting', 'closed', 'silent') AND since < :at AND until >= :at AND {of}
        GROUP BY id
    """


def conversations(
    queries: Queries, tenant: Tenant, wanted: Wanted, *, limit: int = PAGE, cursor: str | None = None
) -> Listed:
    """Return a page of up to `limit` conversations after `cursor`.

    Raises BadQuestionError for an unknown filter or state, BadRequestError for an invalid cursor.
    """
    if wanted.state not in ("", *STATES):
        raise BadQuestionError(f"state {wanted.state[:40]!r} is not one of {', '.join(STATES)}")
    after = page.place_of(cursor, int, str)
    later, of_state = (
        "TRUE",
        {"": "TRUE", "open": "s.state IN ('open', 'waiting')"}.get(wanted.state, "s.state = :state"),
    )
    params: Bound = {
        "tenant": tenant.no, "low": micros(wanted.start), "high": micros(wanted.end), "state": wanted.state, "limit": limit + 1,
    }  # fmt: skip
    if after is not None:
        later = "(last_at, conversation_id) < (:last_at, :last)"
        params |= {"last_at": after[0], "last": after[1]}
    with queries.reading(tenant) as (reading, now):
        params["at"] = min(params["high"], micros(now))
        summaries = reading.dicts(
            f"""WITH stood AS MATERIALIZED ({_stood(tenant)}), matching AS MATERIALIZED (
                SELECT c.*, s.state, s.since FROM ({_seen(reading, wanted, params)}) AS c
                    LEFT JOIN stood AS s ON s.id = c.conversation_id
                WHERE {of_state}
            ), p AS MATERIALIZED (
                SELECT m.*, count(*) OVER () AS remaining, (SELECT count(*) FROM matching) AS total FROM matching AS m
                WHERE {later} ORDER BY last_at DESC, conversation_id DESC LIMIT :limit
            )
            SELECT p.*, {newest(reading, "p.conversation_id", _heard("n", wanted))} FROM p
            ORDER BY last_at DESC, conversation_id DESC""",
            params,
        )
        rows, following = page.cut(summaries, limit, lambda row: (row["last_at"], row["conversation_id"]))
        labels = of_conversations(reading, tenant, [row["conversation_id"] for row in rows])
    total, remaining = (summaries[0]["total"], summaries[0]["remaining"]) if summaries else (0, 0)
    for row in rows:
        del row["total"], row["remaining"]
    return Listed(
        [ConversationRow(**converted(row), labels=labels.get(row["conversation_id"], ())) for row in rows],
        following, total, total - remaining,
    )  # fmt: skip


def conversation_of(queries: Queries, tenant: Tenant, conversation: str) -> Conversation | None:
    """Return one conversation from all of its events, with its state now; None if there are no events."""
    params = {"tenant": tenant.no, "conversation": conversation}
    with queries.reading(tenant) as (reading, now):
        (facts,) = reading.dicts(
            "SELECT count(*) AS events, count(*) FILTER (WHERE type IN ('message.received', 'message.sent') AND repeats IS NULL) "
            f"AS messages, min(time) AS first_at, max(time) AS last_at, {newest(reading, ':conversation')} "
            "FROM event AS e WHERE e.tenant = :tenant AND e.conversation_id = :conversation",
            params,
        )
        states = reading.dicts(
            f"SELECT state, since FROM ({_stood(tenant, 'id = :conversation')}) AS s", params | {"at": micros(now)}
        )
        labels = of_conversations(reading, tenant, [conversation]).get(conversation, ())
    if not facts["events"]:
        return None
    state = converted(states[0]) if states else {"state": None, "since": None}
    stretches = episodes(queries, tenant, conversation)
    return Conversation(conversation, episodes=stretches, labels=labels, **converted(facts), **state)


def _heard(alias: str, wanted: Wanted) -> str:
    """Return the condition on events that count for a list."""
    within = f"{alias}.time < :high"
    if wanted.state not in ("open", "waiting"):
        within += f" AND {alias}.time >= :low"
    return within if wanted.bots else f"{within} AND {_PEOPLE.format(e=alias)}"


def _seen(reading: Transaction, wanted: Wanted, params: Bound) -> str:
    """Return the SELECT of conversations by their events, without their state."""
    # the first condition reads day by day, the second the few open conversations
    talked = "(e.conversation_id || '') IS NOT NULL"
    if wanted.state in ("open", "waiting"):
        talked = "e.conversation_id IN (SELECT id FROM stood WHERE state IN ('open', 'waiting'))"
    having = ["TRUE"]
    for number, (name, values) in enumerate(wanted.where.items()):
        if name not in _FILTERED:
            raise BadQuestionError(f"conversations have no dimension {name[:40]!r}")
        among = listed(f"where_{number}", known_of(values), params)
        missing = f" OR count(e.{name}) = 0" if NONE in values else ""
        having.append(f"(coalesce(max(CASE WHEN e.{name} IN ({among}) THEN 1 ELSE 0 END), 0) = 1{missing})")
    if wanted.text:
        matches = f"{_holds(reading, wanted, params)} OR {_called(reading, wanted.text, params)}"
        having.append(f"max(CASE WHEN {matches} THEN 1 ELSE 0 END) = 1")
    return f"""
        SELECT e.conversation_id, min(e.time) AS first_at, max(e.time) AS last_at,
            count(*) FILTER (WHERE e.type IN ('message.received', 'message.sent') AND e.repeats IS NULL) AS messages,
            max(CASE WHEN e.type IN ('conversation.escalated', 'escalation.raised') THEN 1 ELSE 0 END) AS escalated
        FROM event AS e WHERE e.tenant = :tenant AND {talked} AND {_heard("e", wanted)}
        GROUP BY e.conversation_id HAVING {" AND ".join(having)}
    """


def _holds(reading: Transaction, wanted: Wanted, params: Bound) -> str:
    """Return the condition that an event contains the searched text, ignoring case.

    Attributes are JSON, so they are searched for the text as JSON writes it, also with `&`, `<` and `>` as chat services escape
    them. Databases ignore the case of ASCII only; other texts are compared here, row by row.
    """
    spellings = [
        json.dumps(text, ensure_ascii=False)[1:-1] for text in dict.fromkeys((wanted.text, escaped(wanted.text)))
    ]
    if wanted.text.isascii():
        params["text"] = anywhere(wanted.text.lower())
        parts = [f"lower(e.{name}) LIKE :text ESCAPE '!'" for name in _SEARCHED]
        for number, spelling in enumerate(spellings):
            params[f"written_{number}"] = anywhere(spelling.lower())
            parts.append(f"lower(e.attributes) LIKE :written_{number} ESCAPE '!'")
        return f"coalesce({' OR '.join(parts)}, FALSE)"
    text, spellings = wanted.text.casefold(), [spelling.casefold() for spelling in spellings]
    rows = reading.scan(
        f"SELECT e.conversation_id, e.attributes, {', '.join(f'e.{name}' for name in _SEARCHED)} FROM event AS e "
        f"WHERE e.tenant = :tenant AND e.conversation_id IS NOT NULL AND {_heard('e', wanted)}", params,
    )  # fmt: skip
    held = {
        conversation
        for conversation, attributes, *ids in rows
        if any(spelling in (attributes or "").casefold() for spelling in spellings)
        or any(text in (id_ or "").casefold() for id_ in ids)
    }
    params["held"] = json.dumps(sorted(held))
    return f"e.conversation_id {reading.dialect.in_texts(':held')}"


def _called(reading: Transaction, text: str, params: Bound) -> str:
    """Return the condition that an event has the id of a person, room or account whose name contains a text."""
    params["called"] = json.dumps(names.find(reading, params["tenant"], text, _NAMED))
    of = reading.dialect.in_texts(":called")
    return "(" + " OR ".join(f"coalesce(e.{column}, '') {of}" for column in _NAMED.values()) + ")"

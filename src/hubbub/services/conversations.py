"""What stands behind the numbers: conversations, their events, flagged messages, who is in a state now, counts by the minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.errors import BadQuestionError, NotFoundError
from hubbub.facts.moments import micros
from hubbub.model.page import Page, check_limit
from hubbub.model.question import Question, parse_moment
from hubbub.model.tenant import Tenant
from hubbub.query.classified import flagged
from hubbub.query.conversations import Wanted, conversations, state_of
from hubbub.query.live import MOST, lately, members
from hubbub.query.queries import Queries, check_range
from hubbub.query.timeline import episodes, event, facts_of, public, timeline

Where = Mapping[str, Sequence[str]]
"""Filters: by dimension the values that count."""


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
    """open, waiting (open, and a reply is awaited) or resolved; null: nothing tells."""
    since: datetime | None
    """When the wait began, of one that waits."""
    channel: str | None
    """Medium, as the newest event that names one says; so are the other ids."""
    channel_id: str | None
    """Room, page or number."""
    account_id: str | None
    """The tenant's own account."""
    contact_id: str | None
    """Who writes to the tenant."""
    staff_id: str | None
    """Who answers."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of a conversation from its first message to its last resolve."""

    episode_id: str
    """Id of the event that began it."""
    anchor: datetime
    """When it began."""
    first_response_ms: int | None
    """Until the first public reply, where there was one."""
    first_staff_id: str | None
    """Who gave it."""
    first_person_response_ms: int | None
    """Until the first reply by a person."""
    resolved_at: datetime | None
    """When it was resolved; null: it is open."""
    resolution_ms: int | None
    """From its beginning to its last resolve."""
    escalated: bool
    """Whether it was escalated."""
    ai_involved: bool
    """Whether an AI took part."""
    ai_resolved: bool
    """Whether an AI resolved it alone."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation as a whole, and its state now."""

    conversation_id: str
    """Its id, as in events."""
    events: int
    """Events that are stored of it."""
    messages: int
    """Messages among them."""
    first_at: datetime
    """Time of its first event."""
    last_at: datetime
    """Time of its last event."""
    state: str | None
    """open, waiting (open, and a reply is awaited) or resolved; null: nothing tells."""
    since: datetime | None
    """When the wait began, where it waits."""
    channel: str | None
    """Medium, as the newest event that names one says; so are the other ids."""
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


@dataclass(frozen=True, slots=True)
class ConversationEvent:
    """An event of a conversation, and the wait that it ended."""

    event: Mapping[str, Any]
    """The event as it is stored and would be sent; fields without a value are left out."""
    waited_ms: int | None
    """Of a reply that ended a wait: how long it lasted, as the metric `response_ms` counts it."""
    asked_at: datetime | None
    """Of such a reply: when the wait began."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as it is stored."""

    event: Mapping[str, Any]
    """The event as it would be sent; fields without a value are left out."""


@dataclass(frozen=True, slots=True)
class FlaggedMessage:
    """A message that was classified as a complaint or an escalation, or under a tone that counts as one."""

    time: datetime
    """Time of the classification."""
    source: str
    """Source of the classification's event."""
    id: str
    """Id of the classification's event."""
    channel_id: str | None
    """Room, page or number."""
    conversation_id: str | None
    """Its conversation."""
    message_id: str | None
    """The message."""
    topic: str | None
    """Its topic."""
    sentiment: str | None
    """Its tone."""
    confidence: float | None
    """How sure the labeller was, from 0 to 1."""
    text: str | None
    """What the message says, where texts are stored."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody or something that is in a state."""

    id: str
    """Id of the conversation, staff member, task or campaign."""
    since: str | None
    """Since when (RFC 3339, UTC), where the metric says so."""
    dimensions: Mapping[str, str | None]
    """The metric's dimensions, as this one has them."""


@dataclass(frozen=True, slots=True)
class Members:
    """Who or what a metric of the present counts, those that are in the state longest first."""

    rows: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Minute:
    """Counts of one minute."""

    window: str
    """Its beginning, in the tenant's zone."""
    values: Mapping[str, int]
    """By metric; a minute without events is 0."""


@dataclass(frozen=True, slots=True)
class Minutes:
    """Counts by the minute, the oldest first."""

    rows: Sequence[Minute]


class ConversationService:
    """Shows a tenant's conversations and events. Ranges are `[start, end)`: dates of the tenant's zone, or RFC 3339 times."""

    def __init__(self, clock: Clock, control: Control, queries: Queries) -> None:
        self._clock, self._control, self._queries = clock, control, queries

    def of(
        self, tenant: str, start: str, end: str, where: Where | None = None, text: str = "", state: str = "", *,
        include_bots: bool = False, limit: int = 50, cursor: str | None = None,
    ) -> Page[ConversationRow]:  # fmt: skip
        """List conversations with an event in a range, those that spoke last first.

        `text` occurs in an id, a name or what an event says; `state` is open, waiting or resolved at the range's end, or empty.
        Raises BadQuestionError, BadRequestError.
        """
        one = self._control.tenant(tenant)
        wanted = Wanted(*_range(one, start, end), dict(where or {}), include_bots, text, state)
        page = conversations(self._queries, one, wanted, limit=check_limit(limit), cursor=cursor)
        return Page([ConversationRow(**_in_utc(row)) for row in page["rows"]], page["next"])

    def get(self, tenant: str, conversation: str) -> Conversation:
        """Return one conversation as a whole. Raises NotFoundError."""
        one = self._control.tenant(tenant)
        facts = facts_of(self._queries, one, conversation)
        if facts is None:
            raise NotFoundError("there is no such conversation")
        state = state_of(self._queries, one, conversation)
        names = Episode.__slots__
        rows = map(_in_utc, episodes(self._queries, one, conversation))
        parts = [Episode(**{name: row[name] for name in names}) for row in rows]
        return Conversation(conversation, episodes=parts, **_in_utc(facts), **_in_utc(state))

    def events(
        self, tenant: str, conversation: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[ConversationEvent]:
        """Return events of a conversation in their order. Raises NotFoundError, BadRequestError."""
        one = self._control.tenant(tenant)
        page = timeline(self._queries, one, conversation, limit=check_limit(limit), cursor=cursor)
        if not page["rows"] and cursor is None:
            raise NotFoundError("there is no such conversation")
        return Page([_event(row) for row in page["rows"]], page["next"])

    def event(self, tenant: str, source: str, id_: str) -> StoredEvent:
        """Return one event as it is stored. Raises NotFoundError."""
        stored = event(self._queries, self._control.tenant(tenant), source, id_)
        if stored is None:
            raise NotFoundError("there is no such event")
        return StoredEvent(stored)

    def flagged(
        self,
        tenant: str,
        start: str,
        end: str,
        where: Where | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[FlaggedMessage]:
        """Return the messages behind `hotspots`, newest first. Raises BadQuestionError, BadRequestError."""
        one = self._control.tenant(tenant)
        page = flagged(
            self._queries, one, *_range(one, start, end), dict(where or {}), limit=check_limit(limit), cursor=cursor
        )
        names = FlaggedMessage.__slots__
        return Page(
            [FlaggedMessage(**{name: _in_utc(row)[name] for name in names}) for row in page["rows"]], page["next"]
        )

    def members(
        self, tenant: str, metric: str, where: Where | None = None, *, at: str | None = None, limit: int = 50
    ) -> Members:
        """Name who or what a metric of the present (like `waiting_conversations`) counts, now or at a moment.

        Raises BadQuestionError.
        """
        one = self._control.tenant(tenant)
        end = parse_moment(at, one.zone) if at is not None else self._clock()
        question = Question((metric,), end - timedelta(days=1), end, where=_filters(where))
        rows = members(self._queries, one, question, limit=min(check_limit(limit), MOST))
        return Members(
            [
                Member(
                    row["id"], row["since"], {name: value for name, value in row.items() if name not in ("id", "since")}
                )
                for row in rows
            ]
        )

    def minutes(self, tenant: str, metrics: Sequence[str], minutes: int = 60, where: Where | None = None) -> Minutes:
        """Count by the minute until now, like `messages_received`. Raises BadQuestionError."""
        if not 1 <= minutes <= MOST:
            raise BadQuestionError(f"minutes: {minutes} is not from 1 to {MOST}")
        if not metrics:
            raise BadQuestionError("name at least one metric")
        one = self._control.tenant(tenant)
        end = self._clock().replace(second=0, microsecond=0) + timedelta(minutes=1)
        question = Question(tuple(metrics), end - timedelta(minutes=minutes), end, where=_filters(where))
        rows = lately(self._queries, one, question)
        return Minutes([Minute(row["window"], {name: row[name] for name in metrics}) for row in rows])


def _range(tenant: Tenant, start: str, end: str) -> tuple[datetime, datetime]:
    low, high = parse_moment(start, tenant.zone), parse_moment(end, tenant.zone)
    check_range(Question((), low, high), tenant)
    return low, high


def _in_utc(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its moments in UTC without a zone, as answers keep them."""
    return {name: value.replace(tzinfo=None) if isinstance(value, datetime) else value for name, value in row.items()}


def _filters(where: Where | None) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in (where or {}).items()}


def _event(row: Mapping[str, Any]) -> ConversationEvent:
    sent = public({**row, "time": micros(row["time"]), "received_at": micros(row["received_at"])})
    asked_at = row.get("asked_at")
    return ConversationEvent(
        sent, row.get("waited_ms"), asked_at.replace(tzinfo=None) if asked_at is not None else None
    )

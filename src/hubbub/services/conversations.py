"""Conversations and events behind the numbers: lists, flagged messages, entities in a state, counts by the minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.errors import BadQuestionError, NotFoundError
from hubbub.model.page import Page, check_limit
from hubbub.model.plain import JsonObject
from hubbub.model.question import Question, parse_moment, parse_range
from hubbub.model.tenant import Tenant
from hubbub.query.checks import check_range
from hubbub.query.classified import FlaggedMessage, flagged
from hubbub.query.conversations import Conversation, Listed, Wanted, conversation_of, conversations
from hubbub.query.live import MOST, Member, Minute, lately, members
from hubbub.query.queries import Queries
from hubbub.query.timeline import ConversationEvent, event, timeline
from hubbub.query.waiting import Live, live

Where = Mapping[str, Sequence[str]]
"""Filters: dimension -> selected values."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A stored event."""

    event: JsonObject
    """The event in the form of the API; fields without a value are left out."""


@dataclass(frozen=True, slots=True)
class Members:
    """The entities that a state metric counts, those longest in the state first."""

    rows: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Minutes:
    """Counts by the minute, oldest first."""

    rows: Sequence[Minute]


class ConversationService:
    """Shows a tenant's conversations and events. Ranges are `[start, end)`: dates of the tenant's zone, or RFC 3339 times."""

    def __init__(self, clock: Clock, control: Control, queries: Queries) -> None:
        self._clock, self._control, self._queries = clock, control, queries

    def of(
        self, tenant: str, start: str, end: str, where: Where | None = None, text: str = "", state: str = "", *,
        include_bots: bool = False, limit: int = 50, cursor: str | None = None,
    ) -> Listed:  # fmt: skip
        """List conversations with an event in a range, the latest event first.

        `text` is part of an id, a name or an event; `state` is open, waiting, resolved or silent at the range's end, or empty.
        Raises BadQuestionError, BadRequestError.
        """
        owner = self._control.tenant(tenant)
        selection = Wanted(*_range(owner, start, end), dict(where or {}), include_bots, text, state)
        return conversations(self._queries, owner, selection, limit=check_limit(limit), cursor=cursor)

    def get(self, tenant: str, conversation: str) -> Conversation:
        """Return a conversation. Raises NotFoundError."""
        view = conversation_of(self._queries, self._control.tenant(tenant), conversation)
        if view is None:
            raise NotFoundError("this conversation does not exist")
        return view

    def events(
        self, tenant: str, conversation: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[ConversationEvent]:
        """Return events of a conversation in order. Raises NotFoundError, BadRequestError."""
        owner = self._control.tenant(tenant)
        page = timeline(self._queries, owner, conversation, limit=check_limit(limit), cursor=cursor)
        if not page.rows and cursor is None:
            raise NotFoundError("this conversation does not exist")
        return page

    def event(self, tenant: str, source: str, id_: str) -> StoredEvent:
        """Return a stored event. Raises NotFoundError."""
        stored = event(self._queries, self._control.tenant(tenant), source, id_)
        if stored is None:
            raise NotFoundError("this event does not exist")
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
        owner = self._control.tenant(tenant)
        return flagged(
            self._queries, owner, *_range(owner, start, end), dict(where or {}), limit=check_limit(limit), cursor=cursor
        )

    def members(
        self, tenant: str, metric: str, where: Where | None = None, *, at: str | None = None, limit: int = 50
    ) -> Members:
        """Return the entities that a state metric (like `waiting_conversations`) counts, now or at a moment.

        Raises BadQuestionError.
        """
        owner = self._control.tenant(tenant)
        end = parse_moment(at, owner.zone) if at is not None else self._clock()
        question = Question((metric,), end - timedelta(days=1), end, where=_filters(where))
        return Members(members(self._queries, owner, question, limit=min(check_limit(limit), MOST)))

    def live(self, tenant: str, where: Where | None = None, *, limit: int = 50) -> Live:
        """Return the conversations that wait for a reply now, those furthest past their target first. Raises BadQuestionError."""
        owner, end = self._control.tenant(tenant), self._clock()
        question = Question((), end - timedelta(days=1), end, where=_filters(where))
        return live(self._queries, owner, question, limit=min(check_limit(limit), MOST))

    def minutes(self, tenant: str, metrics: Sequence[str], minutes: int = 60, where: Where | None = None) -> Minutes:
        """Count by the minute until now, like `messages_received`. Raises BadQuestionError."""
        if not 1 <= minutes <= MOST:
            raise BadQuestionError(f"minutes: {minutes} is not from 1 to {MOST}")
        if not metrics:
            raise BadQuestionError("name at least one metric")
        owner = self._control.tenant(tenant)
        end = self._clock().replace(second=0, microsecond=0) + timedelta(minutes=1)
        question = Question(tuple(metrics), end - timedelta(minutes=minutes), end, where=_filters(where))
        return Minutes(lately(self._queries, owner, question))


def _range(tenant: Tenant, start: str, end: str) -> tuple[datetime, datetime]:
    low, high = parse_range(start, end, tenant.zone)
    check_range(Question((), low, high), tenant)
    return low, high


def _filters(where: Where | None) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in (where or {}).items()}

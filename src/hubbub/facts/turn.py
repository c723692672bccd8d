"""The input and output of a conversation's fold: its events as turns, and rows of `response` and `episode`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from hubbub.facts.state import Stretch


class Turn(NamedTuple):
    """An event of a conversation, with its stored folded columns; repeats of a message are left out."""

    time: int
    ident: int
    type: str
    id: str
    channel: str | None
    channel_id: str | None
    account_id: str | None
    staff_id: str | None
    contact_id: str | None
    campaign_id: str | None
    kind: str | None
    status: str | None
    duration_ms: int | None
    reason: str | None
    answered_at: int | None
    escalated: int | None
    credited_staff_id: str | None
    severity: str | None
    message_id: str | None
    intent: str | None
    seq: int


class Response(NamedTuple):
    """A wait that ended, dated by the reply; columns of `response` after the tenant."""

    anchor: int
    ident: int
    id: str
    conversation_id: str
    channel: str | None
    channel_id: str | None
    account_id: str | None
    staff_id: str | None
    responder: str
    asked_at: int
    priority: str | None
    """The conversation's priority when the reply came."""


class Episode(NamedTuple):
    """A conversation from its opening to its last resolve; columns of `episode` after the tenant."""

    anchor: int
    conversation_id: str
    id: str
    channel: str | None
    channel_id: str | None
    account_id: str | None
    staff_id: str | None
    first_staff_id: str | None
    responder: str
    first_inbound: int | None
    first_reply_at: int | None
    person_from: int | None
    first_person_at: int | None
    last_resolve: int | None
    resolved_at: int | None
    returned_at: int | None
    escalated: int
    ai_involved: int
    ai_escalated: int
    ai_resolved: int
    first_priority: str | None
    """The conversation's priority at the first reply; until there is one, the latest."""
    priority: str | None
    """The latest priority of the conversation in this episode."""
    handed_off_at: int | None
    handed_off_by: str | None
    reason: str | None
    ai_resolved_at: int | None
    ai_returned_at: int | None
    longest_silence: int | None
    silent_since: int | None


@dataclass(slots=True)
class Folded:
    """The result of a conversation's fold. The last three name events by time and ident."""

    responses: list[Response] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    states: list[Stretch] = field(default_factory=list)
    answered: dict[tuple[int, int], int] = field(default_factory=dict)
    escalated: set[tuple[int, int]] = field(default_factory=set)
    credited: dict[tuple[int, int], str] = field(default_factory=dict)

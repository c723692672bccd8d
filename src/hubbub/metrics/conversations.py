"""Conversations: episodes from first message to resolve, escalations, resolutions, and open ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from hubbub.metrics.definition import (
    Better,
    Count,
    Distinct,
    Distribution,
    Fact,
    Quantiles,
    Ratio,
    Rollup,
    State,
    Stored,
    Unit,
)  # fmt: skip

LASTING: Mapping[str, tuple[str, int]] = {"": ("24 hours", 24), "_72h": ("72 hours", 72), "_7d": ("7 days", 168)}
"""Ending of a metric's name -> how long an AI resolution must last, as text and in hours."""
EPISODE = Fact(
    name="episode",
    subjects=("message", "response", "conversation", "escalation", "intent"),
    doc="A conversation from its first inbound message (or start) to its last resolve; a reopen within 24 hours continues it. A "
    "message that a label calls closing (intent `closing`) belongs to no episode, and opens nothing.",
    look_ahead=timedelta(days=7),
    key="conversation_id",
    id="episode_id",
    spells={
        "first_response_business_ms": ("first_inbound", "first_reply_at"),
        "resolution_business_ms": ("anchor", "last_resolve"),
    },
    view=f"""
        SELECT tenant, conversation_id, id AS episode_id, anchor, channel, channel_id, account_id, staff_id, first_staff_id,
            responder, first_inbound, first_reply_at, first_person_at, last_resolve, resolved_at, escalated > 0 AS escalated,
            ai_involved > 0 AS ai_involved, ai_escalated > 0 AS ai_escalated, {
        ", ".join(
            f"ai_resolved > 0 AND coalesce(returned_at > last_resolve + {hours} * 3600000000, TRUE) AS ai_resolved{ending}"
            for ending, (_, hours) in LASTING.items()
        )
    }, ai_resolved_at, handed_off_at, handed_off_by, reason, longest_silence, silent_since,
            coalesce(ai_returned_at <= ai_resolved_at + 168 * 3600000000, FALSE) AS ai_reopened,
            (first_reply_at - first_inbound + 500) / 1000 AS first_response_ms,
            (first_person_at - person_from + 500) / 1000 AS first_person_response_ms,
            (last_resolve - anchor + 500) / 1000 AS resolution_ms
        FROM episode
    """,
)

EVENTS = Fact(
    name="conversation_event",
    subjects=("conversation",),
    doc="An event of a conversation, under its own time.",
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, channel_id, account_id, staff_id, conversation_id, type FROM event
        WHERE type IN ('conversation.closed', 'conversation.escalated', 'conversation.reopened', 'conversation.assigned')
    """,
)

STATE = Fact(
    name="conversation_state",
    subjects=("message", "response", "conversation"),
    doc="What sets a conversation's state: its own events, else messages and replies.",
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, channel_id, account_id, conversation_id, type FROM event
        WHERE conversation_id IS NOT NULL AND repeats IS NULL AND type IN ('conversation.started', 'conversation.escalated',
                'conversation.resolved', 'conversation.closed', 'conversation.reopened', 'conversation.assigned',
                'message.received', 'message.sent', 'response.ai_generated', 'response.staff_sent')
            AND (coalesce(kind, 'person') IN ('person', 'ai') OR (type = 'message.received' AND id = conversation_id))
    """,
)  # fmt: skip

CONVERSATIONS = Rollup(
    name="conversations",
    doc="Episodes under the time they began; escalations may follow for 7 days.",
    source=EPISODE,
    where="f.anchor IS NOT NULL",
    dimensions=("channel", "channel_id", "account_id"),
    measures={
        "conversations_started": Count("Episodes begun.", Unit.COUNT),
        "episodes_escalated": Count("Of these, escalated within 7 days.", Unit.COUNT, "f.escalated"),
    },
    metrics={
        "conversations_started": Stored(
            "Conversation episodes begun: the first inbound message or an explicit start; a return more than 24 hours after "
            "a resolve begins a new one, from the first message since that resolve.", Unit.COUNT, measure="conversations_started",
        ),
        "escalation_rate": Ratio(
            "Episodes begun in the window with at least one escalation within 7 days / episodes begun.",
            Unit.SHARE, over={"episodes_escalated": 1}, under="conversations_started", better=Better.LOWER,
        ),
    },
)  # fmt: skip

FIRST_RESPONSES = Rollup(
    name="first_responses",
    doc="The first answer of each episode, dated by the reply and credited to its sender.",
    source=EPISODE,
    anchor="first_reply_at",
    where="f.first_response_ms IS NOT NULL AND f.anchor IS NOT NULL",
    dimensions=("channel", "channel_id", "account_id", "first_staff_id", "responder"),
    measures={"first_response_ms": Distribution("Wait for the first answer.", Unit.MS, "first_response_ms")},
    metrics={
        "first_response_ms": Quantiles(
            "First inbound message of an episode to the first public reply by a person or AI. Unanswered episodes do not count.",
            Unit.MS, measure="first_response_ms", better=Better.LOWER,
        ),
    },
)  # fmt: skip

FIRST_PERSON_RESPONSES = Rollup(
    name="first_person_responses",
    doc="The first answer by a person, from the hand-off where AI came first; dated by the reply.",
    source=EPISODE,
    anchor="first_person_at",
    where="f.first_person_response_ms IS NOT NULL AND f.anchor IS NOT NULL",
    dimensions=("channel", "channel_id", "account_id"),
    measures={
        "first_person_response_ms": Distribution("Wait for the first person.", Unit.MS, "first_person_response_ms")
    },
    metrics={
        "first_person_response_ms": Quantiles(
            "Hand-off (or the first inbound message if there was none; or the reopening of an episode that AI alone had resolved) "
            "to the first public reply by a person.",
            Unit.MS, measure="first_person_response_ms", better=Better.LOWER,
        ),
    },
)  # fmt: skip

RESOLUTIONS = Rollup(
    name="resolutions",
    doc="Episodes under the time of their last resolve.",
    source=EPISODE,
    anchor="resolved_at",
    where="f.resolved_at IS NOT NULL",
    dimensions=("channel", "channel_id", "account_id", "staff_id"),
    measures={
        "conversations_resolved": Count("Episodes resolved.", Unit.COUNT),
        "resolution_ms": Distribution("Start of the episode to its last resolve.", Unit.MS, "resolution_ms"),
    },
    metrics={
        "conversations_resolved": Stored(
            "Episodes resolved, dated by their last resolve. Closed is not resolved, a reopened episode is no longer resolved, and "
            "a resolve before any opening does not count.",
            Unit.COUNT, measure="conversations_resolved", better=Better.HIGHER,
        ),
        "resolution_ms": Quantiles(
            "Start of an episode to its last resolve, dated by that resolve.", Unit.MS, measure="resolution_ms", better=Better.LOWER
        ),
    },
)  # fmt: skip

CONVERSATION_EVENTS = Rollup(
    name="conversation_events",
    doc="Events of conversations, under their own time.",
    source=EVENTS,
    dimensions=("channel", "channel_id", "account_id", "staff_id"),
    measures={
        "conversations_closed": Count("Closes.", Unit.COUNT, "f.type = 'conversation.closed'"),
        "conversations_escalated": Count("Escalations.", Unit.COUNT, "f.type = 'conversation.escalated'"),
        "conversations_reopened": Count("Reopens.", Unit.COUNT, "f.type = 'conversation.reopened'"),
        "conversations_assigned": Count("Assignments.", Unit.COUNT, "f.type = 'conversation.assigned'"),
    },
    metrics={
        "conversations_closed": Stored("Conversations closed.", Unit.COUNT, measure="conversations_closed"),
        "conversations_escalated": Stored("Conversations escalated.", Unit.COUNT, measure="conversations_escalated"),
        "conversations_reopened": Stored(
            "Conversations reopened.", Unit.COUNT, measure="conversations_reopened", better=Better.LOWER
        ),
        "conversations_assigned": Stored("Conversations assigned.", Unit.COUNT, measure="conversations_assigned"),
    },
)

CONVERSATION_STATES = Rollup(
    name="conversation_states",
    doc="The states of each conversation over time, and conversations with any activity.",
    source=STATE,
    dimensions=("channel", "account_id", "conversation_id"),
    hidden=("conversation_id",),
    measures={
        "touches": Count("Messages and own events of the conversation.", Unit.COUNT, "f.type NOT LIKE 'response.%'"),
    },
    metrics={
        "active_conversations": Distinct(
            "Different conversations in which anything happened.", Unit.COUNT, member="conversation_id", measure="touches"
        ),
        "open_conversations": State(
            "Conversations open at the end of the window (or now): last known state per conversation. A message alone opens "
            "one; a message more than 24 hours after a resolve or close opens it again. A tenant may count conversations as closed "
            "that were silent for some days (setting `silence_days`); a later message opens them again, and their wait goes on.",
            Unit.COUNT, held=("conversation", "open"),
        ),
        "waiting_conversations": State(
            "Open conversations at the end of the window (or now) that wait for a reply: an inbound message that no "
            "public reply followed. A resolve or close ends the wait too; a campaign's message does not.",
            Unit.COUNT, held=("conversation", "waiting"), better=Better.LOWER,
        ),
        "oldest_waiting_ms": State(
            "How long, at the end of the window (or now), the longest waiting open conversation has waited: since the first "
            "inbound message that no public reply followed. Null when nobody waits.",
            Unit.MS, held=("conversation", "waiting"), age=True, better=Better.LOWER,
        ),
        "unassigned_conversations": State(
            "Open conversations at the end of the window (or now) that are assigned to nobody by `conversation.assigned`.",
            Unit.COUNT, held=("conversation", "unassigned"), better=Better.LOWER,
        ),
        "closed_conversations": State(
            "Conversations resolved or closed at the end of the window (or now), without an inbound message more than 24 hours "
            "later; or closed by silence (setting `silence_days`).",
            Unit.COUNT, held=("conversation", "closed"),
        ),
        "total_conversations": State(
            "Conversations known at the end of the window (or now), whatever their state.",
            Unit.COUNT, held=("conversation", "known"),
        ),
    },
)  # fmt: skip

ROLLUPS = (
    CONVERSATIONS, FIRST_RESPONSES, FIRST_PERSON_RESPONSES, RESOLUTIONS, CONVERSATION_EVENTS, CONVERSATION_STATES,
)  # fmt: skip

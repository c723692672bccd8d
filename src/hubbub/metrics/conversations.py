"""Conversations: their episodes from first message to resolve, escalations, what AI did alone, and which are open."""

from __future__ import annotations

from hubbub.metrics.definition import (
    Better,
    Count,
    Distinct,
    Distribution,
    Extreme,
    Fact,
    Latest,
    Link,
    Quantiles,
    Ratio,
    Rollup,
    State,
    Stored,
    Unended,
    Unit,
    days,
)  # fmt: skip
from hubbub.metrics.responses import REPLIES

TURNS = (
    "message.received", "message.sent", "response.ai_generated", "response.staff_sent", "conversation.started",
    "conversation.escalated", "conversation.resolved", "conversation.reopened", "conversation.assigned", "escalation.raised",
)  # fmt: skip

EPISODE = Fact(
    name="episode",
    doc="A conversation from its first inbound message (or start) to its last resolve; a reopen within 24 hours continues it.",
    reads=TURNS,
    anchors=TURNS,
    key="{e}.conversation_id",
    links=(Link("{e}.conversation_id", TURNS, back=None, ahead=None),),
    look_ahead=days(7),
    id="episode_id",
    # Rows between two resolves share `resolves`. The first opening more than 24 hours after a resolve begins the next
    # episode, unless an explicit reopen within 24 hours kept the old one alive. An episode is known by its start.
    sql="""
        WITH turns AS (
            SELECT tenant, conversation_id, "time", id, source, channel, channel_id, account_id, staff_id,
                type IN ('message.received', 'conversation.started', 'conversation.reopened') AS opens,
                type = 'message.received' AS inbound, type = 'conversation.resolved' AS resolves_it,
                type = 'conversation.reopened' AS reopens,
                type IN ('conversation.escalated', 'escalation.raised') AS escalates,
                type = 'conversation.escalated' OR (type = 'conversation.assigned' AND staff_id IS NOT NULL) AS hands_off,
                type IN ('message.sent', 'response.ai_generated', 'response.staff_sent') AS replies,
                type = 'response.ai_generated' OR (type = 'message.sent' AND coalesce(kind, '') = 'ai') AS by_ai,
                CASE type WHEN 'conversation.started' THEN 0 WHEN 'conversation.reopened' THEN 1 WHEN 'message.received' THEN 2
                    WHEN 'conversation.resolved' THEN 9 ELSE 5 END AS rank
            FROM {events}
            WHERE conversation_id IS NOT NULL AND coalesce(status, '') <> 'private'
                AND (coalesce(kind, 'person') IN ('person', 'ai') OR (type = 'message.received' AND id = conversation_id))
        ), numbered AS (
            SELECT *,
                coalesce(sum(CASE WHEN resolves_it THEN 1 ELSE 0 END) OVER before, 0) AS resolves,
                max(CASE WHEN resolves_it THEN "time" END) OVER before AS resolved_before
            FROM turns
            WINDOW before AS (PARTITION BY tenant, conversation_id ORDER BY "time", rank, id, source
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        ), marked AS (
            SELECT *,
                min(CASE WHEN opens AND (resolved_before IS NULL OR "time" > resolved_before + INTERVAL 24 HOUR)
                    THEN "time" END) OVER stretch AS opened_at,
                max(CASE WHEN reopens AND resolved_before IS NOT NULL AND "time" <= resolved_before + INTERVAL 24 HOUR
                    THEN 1 ELSE 0 END) OVER stretch AS kept_alive
            FROM numbered
            WINDOW stretch AS (PARTITION BY tenant, conversation_id, resolves)
        ), placed AS (
            SELECT *,
                max(CASE WHEN kept_alive = 0 AND "time" >= opened_at THEN opened_at END) OVER (
                    PARTITION BY tenant, conversation_id ORDER BY "time", rank, id, source
                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS anchor
            FROM marked
        ), timed AS (
            SELECT *, min(CASE WHEN inbound THEN "time" END) OVER episode AS first_inbound,
                min(CASE WHEN hands_off THEN "time" END) OVER episode AS handed_at,
                max(CASE WHEN resolves_it THEN "time" END) OVER episode AS last_resolve
            FROM placed
            WINDOW episode AS (PARTITION BY tenant, conversation_id, anchor)
        ), folded AS (
            SELECT tenant, conversation_id, anchor, min(id) AS episode_id, max(channel) AS channel, max(channel_id) AS channel_id,
                max(account_id) AS account_id, max(first_inbound) AS first_inbound, max(handed_at) AS handed_at,
                max(last_resolve) AS last_resolve,
                bool_or(reopens AND "time" > last_resolve) AS reopened_after,
                bool_or(reopens AND resolved_before >= anchor) AS reopened,
                bool_or(escalates AND "time" <= anchor + INTERVAL 168 HOUR) AS escalated,
                bool_or(replies AND by_ai) AS ai_involved,
                bool_or(replies AND NOT by_ai) AS human_replied,
                min(CASE WHEN replies AND "time" >= first_inbound THEN "time" END) AS first_reply_at,
                min(CASE WHEN replies AND NOT by_ai
                    AND "time" >= greatest(first_inbound, coalesce(handed_at, first_inbound)) THEN "time" END) AS first_person_at,
                nullif(arg_min(coalesce(staff_id, ''), ("time", rank, id, source))
                    FILTER (WHERE replies AND "time" >= first_inbound), '') AS first_staff_id,
                arg_min(by_ai, ("time", rank, id, source)) FILTER (WHERE replies AND "time" >= first_inbound) AS first_by_ai,
                arg_max(staff_id, ("time", rank, id, source)) FILTER (WHERE staff_id IS NOT NULL) AS staff_id
            FROM timed GROUP BY tenant, conversation_id, anchor
        )
        SELECT tenant, conversation_id, episode_id, anchor, channel, channel_id, account_id, staff_id, first_staff_id,
            first_inbound, first_reply_at, first_person_at, last_resolve,
            CASE WHEN first_by_ai THEN 'ai' ELSE 'person' END AS responder,
            CASE WHEN coalesce(reopened_after, FALSE) THEN NULL ELSE last_resolve END AS resolved_at,
            coalesce(escalated, FALSE) AS escalated, ai_involved,
            ai_involved AND (human_replied OR handed_at IS NOT NULL OR coalesce(escalated, FALSE)) AS ai_escalated,
            ai_involved AND last_resolve IS NOT NULL AND NOT human_replied AND handed_at IS NULL
                AND NOT coalesce(escalated, FALSE) AND NOT coalesce(reopened, FALSE) AS ai_resolved,
            (epoch_us(first_reply_at) - epoch_us(first_inbound) + 500) // 1000 AS first_response_ms,
            (epoch_us(first_person_at) - epoch_us(greatest(first_inbound, coalesce(handed_at, first_inbound))) + 500) // 1000
                AS first_person_response_ms,
            (epoch_us(last_resolve) - epoch_us(anchor) + 500) // 1000 AS resolution_ms
        FROM folded
    """,
    spells={
        "first_response_business_ms": ("first_inbound", "first_reply_at"),
        "resolution_business_ms": ("anchor", "last_resolve"),
    },
    view="""
        SELECT tenant, conversation_id, id AS episode_id, anchor, channel, channel_id, account_id, staff_id, first_staff_id,
            responder, first_inbound, first_reply_at, first_person_at, last_resolve, resolved_at, escalated, ai_involved,
            ai_escalated, ai_resolved, (first_reply_at - first_inbound + 500) / 1000 AS first_response_ms,
            (first_person_at - person_from + 500) / 1000 AS first_person_response_ms,
            (last_resolve - anchor + 500) / 1000 AS resolution_ms
        FROM episode
    """,
)

EVENTS = Fact(
    name="conversation_event",
    doc="Something that happened to a conversation, under its own time.",
    reads=("conversation.closed", "conversation.escalated", "conversation.reopened", "conversation.assigned"),
    sql="""
        SELECT tenant, "time" AS anchor, id, channel, channel_id, account_id, staff_id, conversation_id, type FROM {events}
    """,
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, channel_id, account_id, staff_id, conversation_id, type FROM event
        WHERE type IN ('conversation.closed', 'conversation.escalated', 'conversation.reopened', 'conversation.assigned')
    """,
)

STATE = Fact(
    name="conversation_state",
    doc="What is known of a conversation's state: its own events, and messages and replies where nothing else speaks.",
    reads=(
        "conversation.started", "conversation.escalated", "conversation.resolved", "conversation.closed",
        "conversation.reopened", "conversation.assigned", "message.received", *REPLIES,
    ),
    sql="""
        SELECT tenant, "time" AS anchor, id, channel, channel_id, account_id, conversation_id, type,
            CASE WHEN type IN ('conversation.resolved', 'conversation.closed') THEN 'closed'
                WHEN type LIKE 'conversation.%' THEN 'open' END AS state,
            CASE WHEN type = 'message.received' THEN "time" END AS inbound_at,
            CASE WHEN type IN ('conversation.resolved', 'conversation.closed')
                OR (type IN ('message.sent', 'response.ai_generated', 'response.staff_sent')
                    AND coalesce(status, '') <> 'private') THEN "time" END AS answered_at,
            CASE WHEN type = 'conversation.assigned' THEN coalesce(staff_id, '') END AS assignee
        FROM {events} WHERE conversation_id IS NOT NULL
            AND (coalesce(kind, 'person') IN ('person', 'ai') OR (type = 'message.received' AND id = conversation_id))
    """,
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
        "ai_involved": Count("Of these, with an AI reply.", Unit.COUNT, "f.ai_involved"),
        "ai_handled": Count("Of these, resolved by AI alone.", Unit.COUNT, "f.ai_resolved"),
        "ai_escalated": Count("AI-involved episodes that went to people.", Unit.COUNT, "f.ai_escalated"),
    },
    metrics={
        "conversations_started": Stored(
            "Conversation episodes begun: the first inbound message or an explicit start; a return more than 24 hours after "
            "a resolve begins a new one.", Unit.COUNT, measure="conversations_started",
        ),
        "escalation_rate": Ratio(
            "Episodes begun in the window with at least one escalation within 7 days / episodes begun.",
            Unit.SHARE, over={"episodes_escalated": 1}, under="conversations_started", better=Better.LOWER,
        ),
        "ai_involved": Stored("Episodes begun in which AI replied.", Unit.COUNT, measure="ai_involved"),
        "ai_handled": Stored(
            "AI-involved episodes resolved with no human reply, hand-off, escalation or reopen.",
            Unit.COUNT, measure="ai_handled", title="Handled by AI",
        ),
        "ai_escalated": Stored("AI-involved episodes that people took over.", Unit.COUNT, measure="ai_escalated"),
        "ai_resolution_rate": Ratio(
            "AI-involved episodes resolved by AI alone / AI-involved episodes begun.",
            Unit.SHARE, over={"ai_handled": 1}, under="ai_involved", better=Better.HIGHER,
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
            "First inbound message of an episode to the first public reply by a person or AI. Unanswered episodes are not in it.",
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
            "Hand-off (or first inbound message where there was none) to the first public reply by a person.",
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
            "Episodes resolved, dated by their last resolve; closed is not resolved, and a later reopen takes it back.",
            Unit.COUNT, measure="conversations_resolved", better=Better.HIGHER,
        ),
        "resolution_ms": Quantiles(
            "Start of an episode to its last resolve, dated by that resolve.", Unit.MS, measure="resolution_ms", better=Better.LOWER
        ),
    },
)  # fmt: skip

CONVERSATION_EVENTS = Rollup(
    name="conversation_events",
    doc="What happened to conversations, under the events' own time.",
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

_OPEN = (
    "(state = 'open' OR (state IS NULL AND inbound_at IS NOT NULL) "
    "OR (state = 'closed' AND inbound_at > state_at + INTERVAL 24 HOUR))"
)
_WAITS = f"{_OPEN} AND len(waits) > 0"

CONVERSATION_STATES = Rollup(
    name="conversation_states",
    doc="Per conversation and day: the last state and assignee set, the last inbound message, and since when one waits.",
    source=STATE,
    dimensions=("channel", "account_id", "conversation_id"),
    hidden=("conversation_id",),
    measures={
        "state": Latest("Last state set by the conversation's own events.", Unit.COUNT, "state"),
        "inbound_at": Extreme("Last inbound message.", Unit.COUNT, "inbound_at", largest=True, type="TIMESTAMP"),
        "waits": Unended(
            "Inbound messages that no reply, resolve or close followed.", Unit.COUNT, "inbound_at", "answered_at"
        ),
        "assignee": Latest("Whom it was last assigned to; empty for nobody.", Unit.COUNT, "assignee"),
        "touches": Count("Messages and own events of the conversation.", Unit.COUNT, "f.type NOT LIKE 'response.%'"),
    },
    metrics={
        "active_conversations": Distinct(
            "Different conversations in which anything happened.", Unit.COUNT, member="conversation_id", where="touches > 0"
        ),
        "open_conversations": State(
            "Conversations open at the end of the window (or now): last known state per conversation. A message alone opens "
            "one; a message more than 24 hours after a resolve or close opens it again.",
            Unit.COUNT, entity="conversation_id", where=_OPEN, held=("conversation", "open"),
        ),
        "waiting_conversations": State(
            "Open conversations at the end of the window (or now) whose last word is the other side's: an inbound message that no "
            "public reply followed. A resolve or close ends the wait too.",
            Unit.COUNT, entity="conversation_id", where=_WAITS, better=Better.LOWER, held=("conversation", "waiting"),
        ),
        "oldest_waiting_ms": State(
            "How long, at the end of the window (or now), the longest waiting open conversation has waited: since the first "
            "inbound message that no public reply followed. Null when nobody waits.",
            Unit.MS, entity="conversation_id", where=_WAITS, since="list_min(waits)", better=Better.LOWER,
            held=("conversation", "waiting"),
        ),
        "unassigned_conversations": State(
            "Open conversations at the end of the window (or now) that are assigned to nobody by `conversation.assigned`.",
            Unit.COUNT, entity="conversation_id", where=f"{_OPEN} AND coalesce(assignee, '') = ''", better=Better.LOWER,
            held=("conversation", "unassigned"),
        ),
        "closed_conversations": State(
            "Conversations resolved or closed at the end of the window (or now), and not written to more than 24 hours later.",
            Unit.COUNT, entity="conversation_id",
            where="state = 'closed' AND (inbound_at IS NULL OR inbound_at <= state_at + INTERVAL 24 HOUR)",
            held=("conversation", "closed"),
        ),
        "total_conversations": State(
            "Conversations known at the end of the window (or now), open, closed, or never answered to.",
            Unit.COUNT, entity="conversation_id", where="touches > 0", held=("conversation", "known"),
        ),
    },
)  # fmt: skip

ROLLUPS = (
    CONVERSATIONS, FIRST_RESPONSES, FIRST_PERSON_RESPONSES, RESOLUTIONS, CONVERSATION_EVENTS, CONVERSATION_STATES,
)  # fmt: skip

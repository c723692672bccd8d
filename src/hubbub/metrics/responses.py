"""Responses: how long people wait for an answer. Read this file first; every subject is declared like this one."""

from __future__ import annotations

from hubbub.metrics.definition import (
    ALL_GRAINS,
    Better,
    Count,
    Distinct,
    Distribution,
    Fact,
    Link,
    Quantiles,
    Rollup,
    Stored,
    Unit,
)  # fmt: skip

REPLIES = ("message.sent", "response.ai_generated", "response.staff_sent")
TALK = ("message.received", *REPLIES)
BELIEVED = "response.time_recorded"

RESPONSE = Fact(
    name="response",
    doc="A waiting spell that was answered: from the first unanswered inbound message to the next public reply.",
    reads=(*TALK, BELIEVED),
    anchors=(*REPLIES, BELIEVED),
    key="{e}.conversation_id",
    links=(
        Link("{e}.conversation_id", TALK, back=None, ahead=None),
        Link("{e}.conversation_id", (BELIEVED,), back=None, ahead=None),
        Link("{e}.id", (BELIEVED,)),
    ),
    id="reply_id",
    # The reply that ends a spell is the (g+1)-th of its conversation, so all rows with g replies before them form one group:
    # inbound messages that wait, and the reply that ends their wait. The message that a conversation is named after opens it
    # whoever wrote it: a bug report posted by a feed waits for its answer like any other. A conversation whose source
    # reports durations itself is believed, and nothing is derived for it.
    sql="""
        WITH believed AS (
            SELECT DISTINCT tenant, conversation_id FROM {events}
            WHERE type = 'response.time_recorded' AND duration_ms IS NOT NULL AND conversation_id IS NOT NULL
        ), talk AS (
            SELECT e.tenant, e.conversation_id, e."time", e.id, e.channel, e.channel_id, e.account_id, e.staff_id, e.kind,
                e.type = 'message.received' AS inbound, e.type = 'response.ai_generated' AS ai,
                sum(CASE WHEN e.type = 'message.received' THEN 0 ELSE 1 END) OVER (
                    PARTITION BY e.tenant, e.conversation_id
                    ORDER BY e."time", CASE e.type WHEN 'message.received' THEN 0 WHEN 'message.sent' THEN 2 ELSE 1 END, e.id,
                        e.source
                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                ) - CASE WHEN e.type = 'message.received' THEN 0 ELSE 1 END AS replies_before
            FROM {events} AS e LEFT JOIN believed AS b ON b.tenant = e.tenant AND b.conversation_id = e.conversation_id
            WHERE e.conversation_id IS NOT NULL AND b.conversation_id IS NULL AND e.type <> 'response.time_recorded'
                AND (coalesce(e.kind, 'person') IN ('person', 'ai')
                    OR (e.type = 'message.received' AND e.id = e.conversation_id))
                AND coalesce(e.status, '') <> 'private'
        ), spells AS (
            SELECT tenant, conversation_id, replies_before, min("time") FILTER (WHERE inbound) AS asked_at,
                max("time") FILTER (WHERE NOT inbound) AS anchor, max(id) FILTER (WHERE NOT inbound) AS reply_id,
                max(channel) FILTER (WHERE NOT inbound) AS reply_channel, max(channel) AS channel,
                max(channel_id) AS channel_id, max(account_id) AS account_id,
                max(staff_id) FILTER (WHERE NOT inbound) AS staff_id,
                bool_or(ai OR coalesce(kind = 'ai', FALSE)) FILTER (WHERE NOT inbound) AS by_ai
            FROM talk GROUP BY tenant, conversation_id, replies_before
        )
        SELECT tenant, anchor, reply_id, conversation_id, coalesce(reply_channel, channel) AS channel, channel_id, account_id,
            staff_id, CASE WHEN by_ai THEN 'ai' ELSE 'person' END AS responder, asked_at,
            (epoch_us(anchor) - epoch_us(asked_at) + 500) // 1000 AS duration_ms
        FROM spells WHERE asked_at IS NOT NULL AND anchor IS NOT NULL
        UNION ALL
        SELECT tenant, "time", id, conversation_id, channel, channel_id, account_id, staff_id,
            CASE WHEN kind = 'ai' THEN 'ai' ELSE 'person' END, "time" - to_milliseconds(duration_ms), duration_ms
        FROM {events} WHERE type = 'response.time_recorded' AND duration_ms IS NOT NULL
    """,
    spells={"business_ms": ("asked_at", "anchor")},
    view="""
        SELECT tenant, anchor, ident, id AS reply_id, conversation_id, channel, channel_id, account_id, staff_id, responder,
            asked_at, (anchor - asked_at + 500) / 1000 AS duration_ms
        FROM response
        UNION ALL
        SELECT tenant, time, ident, id, conversation_id, channel, channel_id, account_id, staff_id,
            CASE WHEN kind = 'ai' THEN 'ai' ELSE 'person' END, time - duration_ms * 1000, duration_ms
        FROM event WHERE type = 'response.time_recorded' AND duration_ms IS NOT NULL
    """,
)

RESPONSES = Rollup(
    name="responses",
    doc="Answers and the wait before each, dated by the reply and credited to its sender.",
    source=RESPONSE,
    dimensions=("channel", "channel_id", "account_id", "staff_id", "responder"),
    measures={
        "responses": Count("Answers given.", Unit.COUNT),
        "response_ms": Distribution("Wait before an answer.", Unit.MS, "duration_ms"),
    },
    metrics={
        "responses": Stored("Answers given: waiting spells that ended with a public reply.", Unit.COUNT, measure="responses"),
        "response_ms": Quantiles(
            "Wait from the first unanswered inbound message to the next public reply; more inbound messages extend no wait. "
            "Believed where the source reports it (response.time_recorded), else derived from the messages.",
            Unit.MS, measure="response_ms", better=Better.LOWER,
        ),
    },
    keep=ALL_GRAINS,
)  # fmt: skip

HANDLED = Rollup(
    name="handled",
    doc="Conversations in which a staff member answered.",
    source=RESPONSE,
    where="f.staff_id IS NOT NULL AND f.conversation_id IS NOT NULL",
    dimensions=("channel", "staff_id", "conversation_id"),
    hidden=("conversation_id",),
    measures={"answers": Count("Answers in the conversation.", Unit.COUNT)},
    metrics={
        "conversations_handled": Distinct(
            "Different conversations in which staff answered.", Unit.COUNT, member="conversation_id"
        ),
    },
)

ROLLUPS = (RESPONSES, HANDLED)

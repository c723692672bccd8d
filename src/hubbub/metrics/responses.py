"""Responses: how long contacts wait for a reply. Read this file first; every subject is declared like this one."""

from __future__ import annotations

from hubbub.metrics.definition import (
    Better,
    Count,
    Distinct,
    Distribution,
    Fact,
    Quantiles,
    Rollup,
    Stored,
    Unit,
)  # fmt: skip

RESPONSE = Fact(
    name="response",
    subjects=("message", "response", "conversation"),
    doc="A waiting spell that was answered: from the first unanswered inbound message to the next public reply. A campaign's "
    "message is not a reply. A message that a label calls closing (intent `closing`) starts no wait.",
    id="reply_id",
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
            "Wait from the first unanswered inbound message to the next public reply. Further inbound messages do not change the "
            "wait, and one labelled closing starts none. As the source reports it (response.time_recorded), else derived from the "
            "messages.",
            Unit.MS, measure="response_ms", better=Better.LOWER,
        ),
    },
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
            "Different conversations in which staff answered.", Unit.COUNT, member="conversation_id", measure="answers"
        ),
    },
)

ROLLUPS = (RESPONSES, HANDLED)

"""Questions in sources with threads, and whether somebody else answered: by a reply in the thread, or by a reaction.

Only this file defines what a question is. Whether a text asks is known when it arrives (`ingest/asking.py`); help channels and
signs are settings that statements read (`model/threads.py`).
"""

from __future__ import annotations

from datetime import timedelta

from hubbub.metrics.definition import (
    HELP_CHANNELS,
    SIGNS,
    Better,
    Count,
    Distribution,
    Fact,
    Quantiles,
    Ratio,
    Rollup,
    Stored,
    Unit,
)  # fmt: skip

HORIZON = timedelta(days=7)

_REPLIES = "('message.sent', 'response.staff_sent', 'response.ai_generated')"
_OTHER = "({column} IS NULL OR m.contact_id IS NULL OR {column} <> m.contact_id)"
_REPLIED_AT = f"""
    SELECT min(r.time) AS at FROM event AS r
    WHERE r.tenant = m.tenant AND r.conversation_id = m.conversation_id AND r.time >= m.time AND r.repeats IS NULL
        AND r.ident <> m.ident AND coalesce(r.kind, 'person') IN ('person', 'ai') AND coalesce(r.status, '') <> 'private'
        AND ((r.type IN {_REPLIES} AND r.campaign_id IS NULL AND {_OTHER.format(column="r.staff_id")})
            OR (r.type = 'message.received' AND r.contact_id <> m.contact_id))
"""
_REACTED_AT = f"""
    SELECT min(r.time) FROM event AS r
    WHERE r.tenant = m.tenant AND coalesce(r.message_id, r.id) = coalesce(m.message_id, m.id)
        AND r.type BETWEEN 'link.clicked' AND 'message.sent' AND r.type = 'message.reacted' AND r.time >= m.time
        AND r.signs IN {SIGNS} AND {_OTHER.format(column="r.contact_id")}
"""
_SIGNED = f"""
    m.signs IS NOT NULL AND EXISTS (SELECT 1 FROM {SIGNS} AS s
        WHERE replace(',' || m.signs || ',', ',' || s.column1 || ',', '') <> ',' || m.signs || ',')
"""
_LABELLED = """
    EXISTS (SELECT 1 FROM event AS l WHERE l.tenant = m.tenant AND l.time = m.time AND l.type = 'intent.classified'
        AND l.intent = 'question' AND l.message_id = coalesce(m.message_id, m.id))
"""

QUESTION = Fact(
    name="question",
    subjects=("message",),
    doc="A message of a person that opens a thread or is in none, and that asks something (`asks`, which importers and "
    "receivers of chats set for a text with a question mark, or the intent `question`) or is in a help channel of the "
    "tenant. Somebody else answers it by a reply in its thread, or by a reaction that the tenant names.",
    look_ahead=HORIZON,
    view=f"""
        SELECT tenant, anchor, ident, id, channel, channel_id, account_id, contact_id, conversation_id,
            answered_at IS NOT NULL OR signed AS answered, (answered_at - anchor + 500) / 1000 AS answer_ms
        FROM (
            SELECT m.tenant, m.time AS anchor, m.ident, m.id, m.channel, m.channel_id, m.account_id, m.contact_id,
                m.conversation_id, ({_SIGNED}) AS signed,
                (SELECT min(a.at) FROM ({_REPLIED_AT} UNION ALL {_REACTED_AT}) AS a) AS answered_at
            FROM event AS m
            WHERE m.type = 'message.received' AND m.repeats IS NULL AND coalesce(m.kind, 'person') = 'person'
                AND coalesce(m.status, '') <> 'private' AND (m.conversation_id IS NULL OR m.conversation_id = m.id)
                AND (m.asks = 1 OR m.channel_id IN {HELP_CHANNELS} OR {_LABELLED})
        ) AS q
    """,
)

QUESTIONS = Rollup(
    name="questions",
    doc="Questions under the time they were asked; answers may follow, and are expected within 7 days.",
    source=QUESTION,
    dimensions=("channel", "channel_id", "account_id"),
    measures={
        "questions": Count("Questions asked.", Unit.COUNT),
        "questions_answered": Count("Of these, answered by somebody else.", Unit.COUNT, "f.answered"),
        "questions_unanswered": Count("Of these, not answered.", Unit.COUNT, "NOT f.answered"),
        "question_answer_ms": Distribution("Question to its first reply or answering reaction.", Unit.MS, "answer_ms"),
    },
    metrics={
        "questions": Stored(
            "Messages of people that open a thread or are in none, in sources with threads, and that ask something: their text "
            "has a question mark, their intent is labelled `question`, or they are in a help channel of the tenant (setting "
            "`help_channels`).", Unit.COUNT, measure="questions",
        ),
        "questions_answered": Stored(
            "Questions that a person or AI other than their author answered by a reply in the thread, or by a reaction that the "
            "tenant names (setting `answer_signs`, check marks by default). Dated by the question, whenever the answer came; "
            "provisional for 7 days.", Unit.COUNT, measure="questions_answered", better=Better.HIGHER,
        ),
        "questions_unanswered": Stored(
            "Questions that nobody else answered so far, dated by the question.", Unit.COUNT, measure="questions_unanswered",
            title="Questions without a reply", better=Better.LOWER,
        ),
        "question_answer_rate": Ratio(
            "Questions answered / questions.", Unit.SHARE, over={"questions_answered": 1}, under="questions", better=Better.HIGHER,
            title="Share of questions answered",
        ),
        "question_answer_ms": Quantiles(
            "Question to the first reply or answering reaction of somebody else, dated by the question. Reactions in an export "
            "have no time: a question that only they answer counts as answered, but has no duration.",
            Unit.MS, measure="question_answer_ms", title="Time to answer a question", better=Better.LOWER,
        ),
    },
)  # fmt: skip

ROLLUPS = (QUESTIONS,)

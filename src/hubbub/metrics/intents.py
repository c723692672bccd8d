"""Intents: what contacts want, how sure the classifier was, and what followed."""

from __future__ import annotations

from hubbub.metrics.definition import Count, Fact, Link, Ratio, Rollup, Stored, Sum, Unit, days

ESCALATIONS = ("conversation.escalated", "escalation.raised")

INTENT = Fact(
    name="intent",
    doc="An intent classification, with whether its conversation was escalated in the following 7 days; or an action taken.",
    reads=("intent.classified", "intent.confidence_low", "intent.action_taken", *ESCALATIONS),
    anchors=("intent.classified", "intent.confidence_low", "intent.action_taken"),
    key="{e}.conversation_id",
    links=(
        Link("{e}.conversation_id", ESCALATIONS, back=days(7)),
        Link("{e}.id", ("intent.classified", "intent.confidence_low", "intent.action_taken")),
    ),
    look_ahead=days(7),
    sql="""
        WITH escalated AS (
            SELECT i.tenant, i.id, i.source FROM {events} AS i JOIN {events} AS e
                ON e.tenant = i.tenant AND e.conversation_id = i.conversation_id
            WHERE i.type = 'intent.classified' AND e.type IN ('conversation.escalated', 'escalation.raised')
                AND e."time" >= i."time" AND e."time" < i."time" + INTERVAL 168 HOUR
            GROUP BY i.tenant, i.id, i.source
        )
        SELECT e.tenant, e."time" AS anchor, e.id, e.channel, e.account_id, e.intent, e.type, e.confidence,
            x.id IS NOT NULL AS escalated
        FROM {events} AS e LEFT JOIN escalated AS x ON x.tenant = e.tenant AND x.id = e.id AND x.source = e.source
        WHERE e.type IN ('intent.classified', 'intent.confidence_low', 'intent.action_taken')
    """,
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, account_id, intent, type, confidence,
            coalesce(escalated, 0) AS escalated
        FROM event WHERE type IN ('intent.classified', 'intent.confidence_low', 'intent.action_taken')
    """,
)

INTENTS = Rollup(
    name="intents",
    doc="Intent classifications by intent and channel.",
    source=INTENT,
    dimensions=("channel", "account_id", "intent"),
    measures={
        "intents": Count("Classifications.", Unit.COUNT, "f.type = 'intent.classified'"),
        "confident": Count(
            "Of these, with a confidence.", Unit.COUNT, "f.type = 'intent.classified' AND f.confidence IS NOT NULL"
        ),
        "confidence": Sum("Confidences, summed.", Unit.NUMBER, "confidence", "f.type = 'intent.classified'"),
        "intents_low": Count("Classifications too unsure to act on.", Unit.COUNT, "f.type = 'intent.confidence_low'"),
        "intent_actions": Count("Actions taken.", Unit.COUNT, "f.type = 'intent.action_taken'"),
        "intents_escalated": Count(
            "Classifications whose conversation was escalated in the following 7 days.", Unit.COUNT, "f.escalated"
        ),
    },
    metrics={
        "intents": Stored("Intent classifications.", Unit.COUNT, measure="intents"),
        "intent_confidence": Ratio(
            "Mean confidence of intent classifications: sum / count over non-null confidences.",
            Unit.NUMBER, over={"confidence": 1}, under="confident", factor=1e-6,
        ),
        "intents_low": Stored("Classifications below the confidence to act.", Unit.COUNT, measure="intents_low"),
        "intent_actions": Stored("Actions taken on an intent.", Unit.COUNT, measure="intent_actions"),
        "intents_escalated": Stored(
            "Intent classifications whose conversation was escalated within 7 days.",
            Unit.COUNT, measure="intents_escalated",
        ),
    },
)  # fmt: skip

ROLLUPS = (INTENTS,)

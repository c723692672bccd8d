"""Intents: what contacts want, the classifier's confidence, and what followed."""

from __future__ import annotations

from datetime import timedelta

from hubbub.metrics.definition import Count, Fact, Ratio, Rollup, Stored, Sum, Unit

INTENT = Fact(
    name="intent",
    subjects=("intent", "conversation", "escalation"),
    doc="An intent classification, who labelled it, and whether its conversation was escalated in the following 7 days; or an "
    "action taken.",
    look_ahead=timedelta(days=7),
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, account_id, intent, type, confidence,
            coalesce(escalated, 0) > 0 AS escalated,
            CASE WHEN source = 'labels' THEN coalesce(name, 'unlabelled') ELSE 'source' END AS labeller
        FROM event WHERE type IN ('intent.classified', 'intent.confidence_low', 'intent.action_taken')
    """,
)

INTENTS = Rollup(
    name="intents",
    doc="Intent classifications by intent and channel.",
    source=INTENT,
    dimensions=("channel", "account_id", "intent", "labeller"),
    measures={
        "intents": Count("Classifications.", Unit.COUNT, "f.type = 'intent.classified'"),
        "confident": Count(
            "Of these, with a confidence.", Unit.COUNT, "f.type = 'intent.classified' AND f.confidence IS NOT NULL"
        ),
        "confidence": Sum("Confidences, summed.", Unit.NUMBER, "confidence", "f.type = 'intent.classified'"),
        "looked_at": Count(
            "Classifications, including those below the confidence to act.", Unit.COUNT,
            "f.type IN ('intent.classified', 'intent.confidence_low')",
        ),
        "intents_low": Count("Classifications below the confidence to act.", Unit.COUNT, "f.type = 'intent.confidence_low'"),
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
        "intent_coverage": Ratio(
            "Intent classifications / all classifications, including those below the confidence to act.",
            Unit.SHARE, over={"intents": 1}, under="looked_at",
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

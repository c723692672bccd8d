"""Topics and tone of messages, escalation alerts, and the channels where complaints gather.

Only this file defines hotspots: they count messages of the topics in FLAGGED, and of the tones in the tenant's `hotspot_tones`.
"""

from __future__ import annotations

from hubbub.metrics.definition import TONES, Better, Count, Fact, Ratio, Rollup, Stored, Sum, Unit

COMPLAINT, ESCALATION = ("complaint", "complaints"), ("escalation", "escalations")
FLAGGED = (*COMPLAINT, *ESCALATION)
"""Topics that `hotspot_ratio` counts. Topics and tones are compared without the case of ASCII letters."""

TOPIC = Fact(
    name="classification",
    subjects=("topic", "escalation", "message"),
    doc="A topic classification, whether its topic is complaint or escalation, and who labelled it; a message that nobody could "
    "label; or an escalation alert.",
    view=f"""
        SELECT tenant, time AS anchor, ident, id, type, channel, channel_id, account_id, topic, sentiment, severity, confidence,
            coalesce(lower(topic), '') IN {COMPLAINT} AS is_complaint,
            coalesce(lower(topic), '') IN {ESCALATION} AS is_escalation,
            CASE WHEN source = 'labels' THEN coalesce(name, 'unlabelled') ELSE 'source' END AS labeller
        FROM event WHERE type IN ('topic.classified', 'topic.unlabelled', 'escalation.raised')
    """,
)

CLASSIFICATIONS = Rollup(
    name="classifications",
    doc="Topic classifications by topic, tone and channel id.",
    source=TOPIC,
    where="f.type = 'topic.classified'",
    dimensions=("channel", "channel_id", "account_id", "topic", "sentiment", "labeller"),
    measures={
        "classifications": Count("Classifications.", Unit.COUNT),
        "confident": Count("Of these, with a confidence.", Unit.COUNT, "f.confidence IS NOT NULL"),
        "confidence": Sum("Confidences, summed.", Unit.NUMBER, "confidence"),
    },
    metrics={
        "classifications": Stored("Topic classifications.", Unit.COUNT, measure="classifications"),
        "topic_confidence": Ratio(
            "Mean confidence of topic classifications: sum / count over non-null confidences.",
            Unit.NUMBER, over={"confidence": 1}, under="confident", factor=1e-6,
        ),
    },
)  # fmt: skip

COVERAGE = Rollup(
    name="label_coverage",
    doc="Messages that were examined for a topic and a tone, and those that have one.",
    source=TOPIC,
    where="f.type IN ('topic.classified', 'topic.unlabelled')",
    dimensions=("channel", "channel_id", "account_id"),
    measures={
        "labelable": Count("Examined messages.", Unit.COUNT),
        "with_topic": Count("Of these, with a topic.", Unit.COUNT, "f.topic IS NOT NULL"),
        "with_tone": Count("Of these, with a tone.", Unit.COUNT, "f.sentiment IS NOT NULL"),
    },
    metrics={
        "labelable": Stored(
            "Messages that were examined for labels: labelled and unlabelled ones.",
            Unit.COUNT, measure="labelable",
        ),
        "topic_coverage": Ratio(
            "Messages with a topic / examined messages: the coverage of the topics' shares.",
            Unit.SHARE, over={"with_topic": 1}, under="labelable",
        ),
        "tone_coverage": Ratio(
            "Messages with a tone / examined messages.",
            Unit.SHARE, over={"with_tone": 1}, under="labelable",
        ),
    },
)  # fmt: skip

ALERTS = Rollup(
    name="alerts",
    doc="Escalation alerts by severity.",
    source=TOPIC,
    where="f.type = 'escalation.raised'",
    dimensions=("channel", "channel_id", "account_id", "severity"),
    measures={"escalation_alerts": Count("Alerts.", Unit.COUNT)},
    metrics={
        "escalation_alerts": Stored(
            "Escalation alerts raised.", Unit.COUNT, measure="escalation_alerts", better=Better.LOWER
        )
    },
)

HOTSPOTS = Rollup(
    name="hotspots",
    doc="Complaints and escalations among classified messages, of every channel id; thresholds apply on reading.",
    source=TOPIC,
    # alerts are not classified messages: if they counted here, the ratio could exceed 1
    where="f.type = 'topic.classified'",
    dimensions=("channel", "channel_id", "account_id"),
    measures={
        "total_count": Count("Classified messages.", Unit.COUNT),
        "complaint_count": Count("Classified as complaint.", Unit.COUNT, "f.is_complaint"),
        "escalation_count": Count("Classified as escalation.", Unit.COUNT, "f.is_escalation"),
        "tone_count": Count(
            "Of another topic, in a tone that the tenant counts (`hotspot_tones`).", Unit.COUNT,
            f"NOT f.is_complaint AND NOT f.is_escalation AND lower(f.sentiment) IN {TONES}",
        ),
    },
    metrics={
        "complaints": Stored(
            "Messages classified with the topic complaint; a negative tone alone does not count.",
            Unit.COUNT, measure="complaint_count", better=Better.LOWER,
        ),
        "classified_escalations": Stored(
            "Messages classified with the topic escalation; alerts are counted separately.",
            Unit.COUNT, measure="escalation_count", title="Classified as escalation", better=Better.LOWER,
        ),
        "hotspot_ratio": Ratio(
            "Messages classified with the topic complaint or escalation / classified messages; alerts are counted separately. "
            "A tenant may count tones too (`hotspot_tones`, none by default; a message counts once). A hotspot is a channel id "
            "with at least 10 classified messages and a ratio above 0.30.",
            Unit.SHARE, better=Better.LOWER, over={"complaint_count": 1, "escalation_count": 1, "tone_count": 1},
            under="total_count",
        ),
    },
)  # fmt: skip

ROLLUPS = (CLASSIFICATIONS, COVERAGE, ALERTS, HOTSPOTS)

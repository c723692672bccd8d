"""Campaigns: which are running, and how well each one did."""

from __future__ import annotations

from hubbub.metrics.definition import Count, Fact, Latest, Link, Rollup, Score, State, Unit, days
from hubbub.metrics.messages import SENT

CAMPAIGN = Fact(
    name="campaign_event",
    doc="Something that happened to a campaign.",
    reads=("campaign.created", "campaign.started", "campaign.completed", "campaign.failed"),
    sql="""
        SELECT tenant, "time" AS anchor, id, channel, account_id, campaign_id,
            CASE type WHEN 'campaign.created' THEN 'created' WHEN 'campaign.started' THEN 'active'
                WHEN 'campaign.completed' THEN 'completed' ELSE 'failed' END AS state
        FROM {events} WHERE campaign_id IS NOT NULL
    """,
)

CAMPAIGN_STATES = Rollup(
    name="campaign_states",
    doc="Per campaign and day: the last state.",
    source=CAMPAIGN,
    dimensions=("channel", "account_id", "campaign_id"),
    measures={"state": Latest("Last state.", Unit.COUNT, "state")},
    metrics={
        f"campaigns_{state}": State(
            f"Campaigns {text} at the end of the window (or now).", Unit.COUNT, entity="campaign_id", where=where
        )
        for state, text, where in (
            ("total", "known", "TRUE"),
            ("active", "started and neither completed nor failed", "state = 'active'"),
            ("completed", "completed", "state = 'completed'"),
            ("failed", "failed", "state = 'failed'"),
        )
    },
)

BLOCKED_SOON = days(7)

OPT_OUT = Fact(
    name="campaign_message",
    doc="A sent message of a campaign with what it led to, and whether its contact blocked us within 7 days.",
    reads=(*SENT.reads, "contact.blocked"),
    anchors=SENT.anchors,
    key=SENT.key,
    links=(*SENT.links, Link("{e}.contact_id", ("contact.blocked",), back=BLOCKED_SOON)),
    look_back=SENT.look_back,
    look_ahead=SENT.look_ahead,
    sql=f"""
        WITH sent AS ({SENT.sql}), blocks AS (
            SELECT s.seq FROM sent AS s JOIN {{events}} AS e ON e.tenant = s.tenant
                AND e.contact_id = s.contact_id
            WHERE e.type = 'contact.blocked' AND e."time" >= s.anchor AND e."time" < s.anchor + INTERVAL 168 HOUR
            GROUP BY s.seq
        )
        SELECT s.*, b.seq IS NOT NULL AS opted_out
        FROM sent AS s LEFT JOIN blocks AS b ON b.seq = s.seq
        WHERE s.campaign_id IS NOT NULL
    """,
)

CAMPAIGN_RESULTS = Rollup(
    name="campaign_results",
    doc="Messages of campaigns and what they led to, under the time of sending.",
    source=OPT_OUT,
    dimensions=("channel", "account_id", "campaign_id"),
    measures={
        "attempted": Count("Messages sent.", Unit.COUNT),
        "delivered": Count("Delivered.", Unit.COUNT, "f.delivered"),
        "read": Count("Read.", Unit.COUNT, "f.is_read"),
        "engaged": Count("Followed by a reply, click, reaction or conversion.", Unit.COUNT, "f.engaged"),
        "converted": Count("Followed by a conversion within 7 days.", Unit.COUNT, "f.converted"),
        "opted_out": Count("Followed by a block within 7 days.", Unit.COUNT, "f.opted_out"),
    },
    metrics={
        "campaign_score": Score(
            "0 to 100: weighted mean of min(1, shrunk rate / target) for delivery, read, engagement and conversion, minus a "
            "penalty for blocks; null below 30 attempts.",
            Unit.SCORE, parts=("attempted", "delivered", "read", "engaged", "converted", "opted_out"),
            function="campaign_score",
        ),
    },
)  # fmt: skip

ROLLUPS = (CAMPAIGN_STATES, CAMPAIGN_RESULTS)

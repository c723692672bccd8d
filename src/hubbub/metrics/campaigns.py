"""Campaigns: their states and results."""

from __future__ import annotations

from hubbub.metrics.definition import Better, Count, Fact, Ratio, Rollup, Score, State, Stored, Unit
from hubbub.metrics.messages import SENT

CAMPAIGN = Fact(
    name="campaign_event",
    subjects=("campaign",),
    doc="Something that happened to a campaign.",
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, account_id, campaign_id FROM event
        WHERE campaign_id IS NOT NULL
            AND type IN ('campaign.created', 'campaign.started', 'campaign.completed', 'campaign.failed')
    """,
)

CAMPAIGN_STATES = Rollup(
    name="campaign_states",
    doc="The states of each campaign over time.",
    source=CAMPAIGN,
    dimensions=("channel", "account_id", "campaign_id"),
    measures={},
    metrics={
        f"campaigns_{state}": State(
            f"Campaigns {text} at the end of the window (or now).",
            Unit.COUNT,
            held=("campaign", "known" if state == "total" else state),
            better=Better.LOWER if state == "failed" else None,
        )
        for state, text in (
            ("total", "known"),
            ("active", "started and neither completed nor failed"),
            ("completed", "completed"),
            ("failed", "failed"),
        )
    },
)

CAMPAIGN_RESULTS = Rollup(
    name="campaign_results",
    doc="Messages of campaigns and their effects, under the time of sending.",
    source=SENT,
    where="f.campaign_id IS NOT NULL",
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
        "campaign_messages_sent": Stored("Messages sent by campaigns, delivered or not.", Unit.COUNT, measure="attempted"),
        "campaign_delivery_rate": Ratio(
            "Delivered / attempted messages of campaigns, only channels that ever gave a receipt.",
            Unit.SHARE, over={"delivered": 1}, under="attempted", receipted=True, better=Better.HIGHER,
        ),
        "campaign_read_rate": Ratio(
            "Read / delivered messages of campaigns: a lower bound, since read receipts can be off.",
            Unit.SHARE, over={"read": 1}, under="delivered", better=Better.HIGHER,
        ),
        "campaign_score": Score(
            "0 to 100: weighted mean of min(1, shrunk rate / target) for delivery, read, engagement and conversion, minus a "
            "penalty for blocks; the last three are of distinct contacts; null below 30 attempts.",
            Unit.INDEX, parts=("attempted", "delivered", "read", "engaged", "converted", "opted_out"),
            function="campaign_score", better=Better.HIGHER,
        ),
    },
)  # fmt: skip

ROLLUPS = (CAMPAIGN_STATES, CAMPAIGN_RESULTS)

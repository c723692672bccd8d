"""The kinds of snapshots, and their sections: names of metrics, without formulas."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Quantiles
from hubbub.metrics.messages import HORIZON
from hubbub.model.window import Grain


class Kind(StrEnum):
    """A snapshot's period: a local day, an ISO week, or a month."""

    DAILY = "Daily"
    WEEKLY = "Weekly"
    MONTHLY = "Monthly"

    @property
    def grain(self) -> Grain:
        """The grain of its periods, and of its retention."""
        return {Kind.DAILY: Grain.DAY, Kind.WEEKLY: Grain.WEEK, Kind.MONTHLY: Grain.MONTH}[self]


SECTIONS: Mapping[str, Mapping[str, str]] = {
    "messages": {
        "total": "messages", "inbound": "messages_received", "outbound": "messages_sent", "sent": "messages_attempted",
        "delivered": "messages_delivered", "read": "messages_read",
        "failed": "messages_failed", "replied": "messages_replied", "delivery_rate": "delivery_rate", "read_rate": "read_rate",
        "reply_rate": "reply_rate", "failure_rate": "failure_rate",
    },
    "campaigns": {
        "total": "campaigns_total", "active": "campaigns_active", "completed": "campaigns_completed",
        "failed": "campaigns_failed", "recipients": "campaign_recipients", "messages_sent": "campaign_messages_sent",
        "delivery_rate": "campaign_delivery_rate", "read_rate": "campaign_read_rate",
    },
    "contacts": {
        "total": "total_contacts", "new": "new_contacts", "active": "active_contacts", "blocked": "blocked_contacts",
        "engagement_score": "contact_engagement_score",
    },
    "conversations": {
        "total": "total_conversations", "open": "open_conversations", "closed": "closed_conversations",
        "response_ms": "response_ms.avg",
    },
}  # fmt: skip
"""Section -> field -> metric. Totals and states are values at the end of the period, all others are over the period. `total` of
messages: those of people and AI, in and out; `sent`: all outbound ones, also automatic, as receipts and rates count them."""

STATISTICS = ("avg", "count")
"""Statistics of a distribution that a snapshot has; a query gives percentiles."""

for _name in (name for fields in SECTIONS.values() for name in fields.values()):
    if isinstance(find(_name).declared, Quantiles) and find(_name).statistic not in STATISTICS:
        raise ValueError(f"a snapshot cannot hold {_name}: of distributions it holds {', '.join(STATISTICS)}")

PROVISIONAL_FOR = HORIZON
"""Time after its period in which receipts and replies can still change a snapshot."""

"""What a snapshot says: its kinds, and its sections as names of the catalogue. Nothing here has a formula of its own."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Quantiles
from hubbub.metrics.messages import HORIZON
from hubbub.model.window import Grain


class Kind(StrEnum):
    """How long a snapshot's period is: a local day, an ISO week, or a month."""

    DAILY = "Daily"
    WEEKLY = "Weekly"
    MONTHLY = "Monthly"

    @property
    def grain(self) -> Grain:
        """The windows that its periods are, and whose retention it is kept by."""
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
"""Section -> field -> metric. Totals and states are those at the end of the period, all else is of the period. `total` is what
people and AI wrote, in and out; `sent` all that went out, automatic messages too, as receipts and rates count it."""

STATISTICS = ("avg", "count")
"""Statistics of a distribution that a snapshot can say; percentiles are asked by a query."""

for _name in (name for fields in SECTIONS.values() for name in fields.values()):
    if isinstance(find(_name).metric, Quantiles) and find(_name).statistic not in STATISTICS:
        raise ValueError(f"a snapshot cannot say {_name}: of distributions it says {', '.join(STATISTICS)}")

PROVISIONAL_FOR = HORIZON
"""How long after its period receipts and replies can still change a snapshot."""

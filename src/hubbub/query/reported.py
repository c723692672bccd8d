"""What a tenant's sources ever reported beside messages. Where no source reports ratings, nobody knows that there were none."""

from __future__ import annotations

from collections.abc import Mapping

from hubbub.metrics.catalogue import find
from hubbub.model.tenant import Tenant
from hubbub.query.queries import Queries

_STATES = "SELECT 1 FROM state WHERE tenant = :no AND entity = '{}'"
_OF_CONVERSATIONS = frozenset(
    {"response", "episode", "conversation_state", "first_spell", "waiting_spell", "resolution_spell"}
)
"""Facts that there are only of messages with a conversation."""
_FACTS: Mapping[str, str] = {
    "conversation": f"{_STATES.format('conversation')} UNION ALL SELECT 1 FROM response WHERE tenant = :no",
    "satisfaction": "SELECT 1 FROM survey WHERE tenant = :no",
    "task": _STATES.format("task"),
    "campaign": _STATES.format("campaign"),
    "staff": _STATES.format("staff"),
    "receipt": "SELECT 1 FROM receipt_channel WHERE tenant = :no",
}
"""What may be reported -> its facts: subjects of event types, as in `Fact.subjects`, and receipts of messages."""


def needed(metric: str) -> str:
    """Return what must be reported for a metric to be known; empty where messages suffice."""
    fact = find(metric).rollup.source
    if fact.name in _OF_CONVERSATIONS:
        return "conversation"
    return fact.subjects[0] if fact.subjects and _FACTS.keys() >= set(fact.subjects) else ""


def unreported(queries: Queries, tenant: Tenant) -> frozenset[str]:
    """Return what no source of a tenant ever reported: conversation, satisfaction, task, campaign, staff, receipt."""
    exist = ", ".join(f"EXISTS ({facts})" for facts in _FACTS.values())
    with queries.reading(tenant) as (reading, _):
        (known,) = reading.rows(f"SELECT {exist}", {"no": tenant.no})
    return frozenset(what for what, is_known in zip(_FACTS, known, strict=True) if not is_known)

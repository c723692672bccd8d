"""What a tenant's sources ever reported beside messages. Where no source reports ratings, nobody knows that there were none."""

from __future__ import annotations

from collections.abc import Mapping

from hubbub.model.tenant import Tenant
from hubbub.query.queries import Queries

_STATES = "SELECT 1 FROM state WHERE tenant = :no AND entity = '{}'"
_FACTS: Mapping[str, str] = {
    "satisfaction": "SELECT 1 FROM survey WHERE tenant = :no",
    "task": _STATES.format("task"),
    "campaign": _STATES.format("campaign"),
    "staff": _STATES.format("staff"),
    "receipt": "SELECT 1 FROM receipt_channel WHERE tenant = :no",
}
"""What may be reported -> its facts; but for receipts these are subjects of event types, as in `Fact.subjects`."""


def unreported(queries: Queries, tenant: Tenant) -> frozenset[str]:
    """Return what no source of a tenant ever reported: subjects of event types, and `receipt` for receipts of messages."""
    exist = ", ".join(f"EXISTS ({facts})" for facts in _FACTS.values())
    with queries.reading(tenant) as (reading, _):
        (known,) = reading.rows(f"SELECT {exist}", {"no": tenant.no})
    return frozenset(what for what, is_known in zip(_FACTS, known, strict=True) if not is_known)

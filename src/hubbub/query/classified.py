"""The messages behind hotspots: those that were classified as a complaint or an escalation, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hubbub.errors import BadQuestionError
from hubbub.facts.moments import micros
from hubbub.metrics.topics import FLAGGED
from hubbub.model import page
from hubbub.model.question import NONE
from hubbub.model.tenant import Tenant, check_tones
from hubbub.query.queries import Queries
from hubbub.query.timeline import attributes_of, aware
from hubbub.storage.schema import OF_MESSAGES
from hubbub.storage.transaction import Transaction

PAGE = 20
_FILTERED = ("channel", "channel_id", "account_id", "topic")
_SHOWN = (
    "time", "source", "id", "channel_id", "conversation_id", "message_id", "topic", "sentiment", "confidence", "attributes",
)  # fmt: skip


def flagged(
    queries: Queries, tenant: Tenant, start: datetime, end: datetime, where: Mapping[str, Sequence[str]], *,
    tones: Sequence[str] | None = None, limit: int = PAGE, cursor: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return `rows`, the classifications of `[start, end)` and of a filter that `hotspots` counts, and `next`, a cursor.

    `tones` count beside the topics of complaint and escalation; None: those of the tenant's `hotspot_tones`. `text` is what the
    classified message says, where that is stored.
    Raises BadQuestionError for a filter that classifications do not know, BadRequestError for a cursor that is not valid.
    """
    params: dict[str, Any] = {"tenant": tenant.no, "low": micros(start), "high": micros(end), "limit": limit + 1}
    topics, moods = (
        _among("topic", FLAGGED, params),
        _among("tone", tenant.hotspot_tones if tones is None else check_tones(tones), params),
    )
    parts = [
        "tenant = :tenant AND time >= :low AND time < :high AND type = 'topic.classified'",
        f"(lower(topic) IN ({topics}) OR lower(sentiment) IN ({moods}))",
    ]
    for number, (name, values) in enumerate(where.items()):
        if name not in _FILTERED:
            raise BadQuestionError(f"classifications have no dimension {name[:40]!r}: take that filter away")
        among = _among(f"where_{number}", [value for value in values if value != NONE], params)
        missing = f" OR {name} IS NULL" if NONE in values else ""
        parts.append(f"({name} IN ({among}){missing})")
    after = page.place_of(cursor, int, int)
    if after is not None:
        parts.append("(time, seq) < (:time, :seq)")
        params |= {"time": after[0], "seq": after[1]}
    with queries.reading(tenant) as (reading, _):
        found = reading.dicts(
            f"SELECT seq, {', '.join(_SHOWN)} FROM event WHERE {' AND '.join(parts)} ORDER BY time DESC, seq DESC LIMIT :limit",
            params,
        )
        events, following = page.cut(found, limit, lambda row: (row["time"], row["seq"]))
        texts = _texts(reading, tenant, {row["message_id"] for row in events if row["message_id"] is not None})
    rows = [aware(row) | {"text": attributes_of(row).get("text") or texts.get(row["message_id"])} for row in events]
    return {"rows": rows, "next": following}


def _among(name: str, values: Sequence[str], params: dict[str, Any]) -> str:
    """Return the list of bound values for IN, which of none is nothing; they go into `params`."""
    params |= {f"{name}_{place}": value for place, value in enumerate(values)}
    return ", ".join(f":{name}_{place}" for place in range(len(values))) or "NULL"


def _texts(reading: Transaction, tenant: Tenant, messages: set[str]) -> dict[str, Any]:
    """Return what messages say, by their ids, of those whose text is stored."""
    params: dict[str, Any] = {"tenant": tenant.no}
    among = _among("message", sorted(messages), params)
    found = reading.dicts(
        f"SELECT coalesce(message_id, id) AS message, attributes FROM event WHERE tenant = :tenant AND {OF_MESSAGES} "
        f"AND coalesce(message_id, id) IN ({among}) AND type IN ('message.received', 'message.sent') AND attributes IS NOT NULL",
        params,
    )
    return {row["message"]: attributes_of(row).get("text") for row in found}

"""The messages behind complaints and hotspots: those that were classified as a complaint or an escalation, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hubbub.errors import BadQuestionError
from hubbub.metrics import fold
from hubbub.metrics.topics import TOPIC
from hubbub.model import page
from hubbub.model.question import NONE
from hubbub.model.tenant import Tenant
from hubbub.query.timeline import attributes_of
from hubbub.store.base import Store, utc_naive

PAGE = 20
_FILTERED = ("channel", "channel_id", "account_id", "topic")
_SHOWN = (
    "time", "source", "id", "channel_id", "conversation_id", "message_id", "topic", "sentiment", "confidence", "attributes",
)  # fmt: skip


def flagged(
    store: Store, tenant: Tenant, start: datetime, end: datetime, where: Mapping[str, Sequence[str]], *, limit: int = PAGE,
    cursor: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return `rows`, the classifications of `[start, end)` and of a filter that `hotspot_ratio` counts, and `next`, a cursor.

    `text` is what the classified message says, where that is stored. Raises BadQuestionError for a filter that classifications do
    not know, BadRequestError for a cursor that is none.
    """
    mine = (
        f"tenant = $tenant AND \"time\" >= TIMESTAMP '{utc_naive(start)}' AND \"time\" < TIMESTAMP '{utc_naive(end)}'"
    )
    params: dict[str, Any] = {"tenant": tenant.no}
    for number, (name, values) in enumerate(where.items()):
        if name not in _FILTERED:
            raise BadQuestionError(f"classifications have no dimension {name[:40]!r}: take that filter away")
        params[f"where_{number}"] = [value for value in values if value != NONE]
        missing = f" OR {name} IS NULL" if NONE in values else ""
        mine += f" AND (list_contains($where_{number}::VARCHAR[], {name}){missing})"
    later, after = "TRUE", page.place_of(cursor, int, int)
    if after is not None:
        later = '(epoch_us("time") < $us OR (epoch_us("time") = $us AND seq < $seq))'
        params |= {"us": after[0], "seq": after[1]}
    facts = fold.fact_rows(TOPIC, fold.scope(TOPIC, mine))
    found = store.query(
        f"""SELECT seq, epoch_us("time") AS us, {fold.quoted(_SHOWN)} FROM events
        WHERE {mine} AND type = 'topic.classified' AND {later} AND id IN (
            SELECT f.id FROM ({facts}) AS f WHERE f.type = 'topic.classified' AND (f.is_complaint OR f.is_escalation))
        ORDER BY "time" DESC, seq DESC LIMIT {limit + 1}""",
        params,
    ).dicts()
    rows, following = page.cut(found, limit, lambda row: (row["us"], row["seq"]))
    texts = _texts(store, tenant, [row["message_id"] for row in rows if row["message_id"] is not None])
    for row in rows:
        row["time"] = row["time"].replace(tzinfo=UTC)
        row["text"] = attributes_of(row).get("text") or texts.get(row["message_id"])
    return {"rows": rows, "next": following}


def _texts(store: Store, tenant: Tenant, messages: list[str]) -> dict[str, Any]:
    """Return what messages say, by their ids, of those whose text is stored."""
    if not messages:
        return {}
    found = store.query(
        "SELECT message_id, attributes FROM events WHERE tenant = $tenant AND type IN ('message.received', 'message.sent') "
        "AND attributes IS NOT NULL AND list_contains($messages::VARCHAR[], message_id)",
        {"tenant": tenant.no, "messages": messages},
    )
    return {row["message_id"]: attributes_of(row).get("text") for row in found.dicts()}

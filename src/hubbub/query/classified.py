"""The messages behind hotspots: those classified as a complaint or an escalation, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hubbub.errors import BadQuestionError
from hubbub.facts.moments import micros
from hubbub.metrics.topics import FLAGGED
from hubbub.model import page
from hubbub.model.label import SOURCE, GivenLabel
from hubbub.model.readable import readable
from hubbub.model.tenant import Tenant, check_tones
from hubbub.query.attributes import attributes_of
from hubbub.query.filters import listed, matches
from hubbub.query.labelled import labels_of
from hubbub.query.queries import Queries
from hubbub.query.timeline import converted
from hubbub.storage.schema import OF_MESSAGES
from hubbub.storage.transaction import Bound, Transaction

PAGE = 20
_FILTERED = ("channel", "channel_id", "account_id", "topic")
_SHOWN = (
    "time", "type", "source", "id", "channel_id", "conversation_id", "message_id", "topic", "sentiment", "confidence", "name",
    "attributes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlaggedMessage:
    """A message classified as a complaint or an escalation, or with a tone that counts as one."""

    time: datetime
    """Time of the classification."""
    source: str
    """Source of the classification's event."""
    id: str
    """Id of the classification's event."""
    channel_id: str | None
    """Room, page or number."""
    conversation_id: str | None
    """Its conversation."""
    message_id: str | None
    """The message."""
    topic: str | None
    """Its topic."""
    sentiment: str | None
    """Its tone."""
    confidence: float | None
    """The labeller's confidence, from 0 to 1."""
    text: str | None
    """The message's text, where stored."""
    labels: Sequence[GivenLabel]
    """Topic and tone, each with who gave it."""


def flagged(
    queries: Queries, tenant: Tenant, start: datetime, end: datetime, where: Mapping[str, Sequence[str]], *,
    tones: Sequence[str] | None = None, limit: int = PAGE, cursor: str | None = None,
) -> page.Page[FlaggedMessage]:  # fmt: skip
    """Return a page of the classifications that `hotspots` counts in `[start, end)` under the filters `where`, newest first.

    `tones` count as well as the topics complaint and escalation; None: the tenant's `hotspot_tones`. Raises BadQuestionError for a
    filter that classifications lack, BadRequestError for an invalid cursor.
    """
    params: Bound = {"tenant": tenant.no, "low": micros(start), "high": micros(end), "limit": limit + 1}
    topics, moods = (
        listed("topic", FLAGGED, params),
        listed("tone", tenant.hotspot_tones if tones is None else check_tones(tones), params),
    )
    parts = [
        "tenant = :tenant AND time >= :low AND time < :high AND type = 'topic.classified'",
        f"(lower(topic) IN ({topics}) OR lower(sentiment) IN ({moods}))",
    ]
    for number, (name, values) in enumerate(where.items()):
        if name not in _FILTERED:
            raise BadQuestionError(f"classifications have no dimension {name[:40]!r}: remove that filter")
        parts.append(matches(name, f"where_{number}", values, params))
    after = page.place_of(cursor, int, int)
    if after is not None:
        parts.append("(time, seq) < (:time, :seq)")
        params |= {"time": after[0], "seq": after[1]}
    with queries.reading(tenant) as (reading, _):
        classifications = reading.dicts(
            f"SELECT seq, {', '.join(_SHOWN)} FROM event WHERE {' AND '.join(parts)} ORDER BY time DESC, seq DESC LIMIT :limit",
            params,
        )
        events, following = page.cut(classifications, limit, lambda row: (row["time"], row["seq"]))
        texts = _texts(reading, tenant, {row["message_id"] for row in events if row["message_id"] is not None})
    rows = []
    for row in events:
        own = None if row["source"] == SOURCE else attributes_of(row).get("text")  # Hubbub's labels have a digest there
        text = own or texts.get(row["message_id"])
        known = {name: value for name, value in converted(row).items() if name in FlaggedMessage.__slots__}
        rows.append(
            FlaggedMessage(**known, text=readable(text) if isinstance(text, str) else None, labels=labels_of(row))
        )
    return page.Page(rows, following)


def _texts(reading: Transaction, tenant: Tenant, messages: set[str]) -> dict[str, object]:
    """Return the stored texts of messages, by their ids."""
    params: Bound = {"tenant": tenant.no}
    among = listed("message", sorted(messages), params)
    rows = reading.dicts(
        f"SELECT coalesce(message_id, id) AS message, attributes FROM event WHERE tenant = :tenant AND {OF_MESSAGES} "
        f"AND coalesce(message_id, id) IN ({among}) AND type IN ('message.received', 'message.sent') AND attributes IS NOT NULL",
        params,
    )
    return {row["message"]: attributes_of(row).get("text") for row in rows}

"""Texts of conversations for a list of them: the first or the last message of each, where its text is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubbub.model.tenant import Tenant
from hubbub.query.queries import Queries
from hubbub.query.timeline import attributes_of, newest

LONGEST = 120
"""Most characters of a text."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Who and where a conversation is, as its newest events say, and a text of it on one line; None: not known, or not stored."""

    contact_id: str | None
    staff_id: str | None
    channel_id: str | None
    text: str | None


def excerpts(
    queries: Queries, tenant: Tenant, conversations: Sequence[str], *, first: bool = False
) -> Mapping[str, Excerpt]:
    """Return the excerpts of conversations by id: the text of the last public message, or of the `first`."""
    if not conversations:
        return {}
    order = "n.time, n.seq" if first else "n.time DESC, n.seq DESC"
    params: dict[str, Any] = {"tenant": tenant.no}
    params |= {f"c{number}": id_ for number, id_ in enumerate(conversations)}
    asked = " UNION ALL ".join(f"SELECT :c{number} AS id" for number in range(len(conversations)))
    with queries.reading(tenant) as (reading, _):
        rows = reading.dicts(
            f"""SELECT c.id, {newest(reading, "c.id")}, (
                SELECT n.attributes FROM event AS n {reading.dialect.by_index("event_conversation")}
                WHERE n.tenant = :tenant AND n.conversation_id = c.id AND n.type IN ('message.received', 'message.sent')
                    AND coalesce(n.status, '') <> 'private' AND n.attributes LIKE '%"text"%'
                ORDER BY {order} LIMIT 1
            ) AS attributes FROM ({asked}) AS c""",
            params,
        )
    return {row["id"]: Excerpt(row["contact_id"], row["staff_id"], row["channel_id"], _text(row)) for row in rows}


def _text(row: Mapping[str, Any]) -> str | None:
    text = attributes_of(row).get("text")
    if not isinstance(text, str) or not text.strip():
        return None
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST].rstrip()}…"

"""Texts for lists: of the last or first message of each conversation, or of single messages, where stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hubbub.facts.moments import micros
from hubbub.model.readable import readable
from hubbub.model.tenant import Tenant
from hubbub.query.attributes import attributes_of
from hubbub.query.queries import Queries
from hubbub.query.timeline import newest
from hubbub.storage.transaction import Bound, Row

LONGEST = 80
"""The most characters of a text."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """People, room and text of a conversation or message. The text is one line, cut at `LONGEST`; None: unknown or not stored."""

    conversation_id: str | None
    contact_id: str | None
    staff_id: str | None
    channel_id: str | None
    text: str | None


def excerpts(
    queries: Queries, tenant: Tenant, conversations: Sequence[str], *, first: bool = False
) -> Mapping[str, Excerpt]:
    """Return excerpts of conversations by id: people and room of their newest events, the text of the last public message.

    `first`: the text of the first public message.
    """
    order = "ASC" if first else "DESC"
    if not conversations:
        return {}
    params: Bound = {"tenant": tenant.no}
    params |= {f"c{number}": id_ for number, id_ in enumerate(conversations)}
    values = " UNION ALL ".join(f"SELECT :c{number} AS id" for number in range(len(conversations)))
    with queries.reading(tenant) as (reading, _):
        rows = reading.dicts(
            f"""SELECT c.id, {newest(reading, "c.id")}, (
                SELECT n.attributes FROM event AS n {reading.dialect.by_index("event_conversation")}
                WHERE n.tenant = :tenant AND n.conversation_id = c.id AND n.type IN ('message.received', 'message.sent')
                    AND coalesce(n.status, '') <> 'private' AND n.attributes LIKE '%"text"%'
                ORDER BY n.time {order}, n.seq {order} LIMIT 1
            ) AS attributes FROM ({values}) AS c""",
            params,
        )
    return {row["id"]: _excerpt(row | {"conversation_id": row["id"]}) for row in rows}


def messages(queries: Queries, tenant: Tenant, ids: Sequence[tuple[datetime, str]]) -> Mapping[str, Excerpt]:
    """Return excerpts of messages by id, each given by its time (aware) and id; an unknown one is left out."""
    if not ids:
        return {}
    params: Bound = {"tenant": tenant.no}
    for number, (time, id_) in enumerate(ids):
        params |= {f"t{number}": micros(time), f"i{number}": id_}
    values = " UNION ALL ".join(
        f"SELECT CAST(:t{number} AS BIGINT) AS time, :i{number} AS id" for number in range(len(ids))
    )
    with queries.reading(tenant) as (reading, _):
        rows = reading.dicts(
            "SELECT e.id, e.conversation_id, e.contact_id, e.staff_id, e.channel_id, e.attributes "
            f"FROM ({values}) AS c CROSS JOIN event AS e WHERE e.tenant = :tenant AND e.time = c.time AND e.id = c.id "
            "AND e.type IN ('message.received', 'message.sent')",
            params,
        )
    return {row["id"]: _excerpt(row) for row in rows}


def _excerpt(row: Row) -> Excerpt:
    return Excerpt(row["conversation_id"], row["contact_id"], row["staff_id"], row["channel_id"], _text(row))


def _text(row: Row) -> str | None:
    text = attributes_of(row).get("text")
    if not isinstance(text, str) or not text.strip():
        return None
    line = " ".join(readable(text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST].rstrip()}…"

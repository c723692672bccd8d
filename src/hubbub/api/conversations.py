"""The routes of conversations, events, flagged messages, members of states, and counts by the minute behind the numbers.

Texts and whole events need the scope `export`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from hubbub.api.auth import EngineOf, Exports, Reads
from hubbub.api.parameters import Cursor, From, Limit, To, Where, where_of
from hubbub.api.work import Counted
from hubbub.model.page import Page
from hubbub.query.classified import FlaggedMessage
from hubbub.query.conversations import Conversation, Listed
from hubbub.query.timeline import ConversationEvent
from hubbub.services.conversations import Members, Minutes, StoredEvent

router = APIRouter(prefix="/v1/conversations", route_class=Counted)

Id = Annotated[str, Query(alias="id", max_length=1000, description="Id of the conversation, as in events.")]


@router.get("", summary="Conversations, the latest message first")
def conversations(
    engine: EngineOf,
    tenant: Reads,
    start: From,
    end: To,
    where: Where = None,
    text: Annotated[str, Query(max_length=200, description="A text to find in ids, names and events.")] = "",
    state: Annotated[str, Query(max_length=20, description="open, waiting, resolved or silent at its end.")] = "",
    include_bots: Annotated[bool, Query(description="Also conversations in which only programs wrote.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Listed:
    """Return conversations with an event in a range, and their state at its end."""
    return engine.conversations.of(
        tenant, start, end, where_of(where), text, state, include_bots=include_bots, limit=limit, cursor=cursor
    )


@router.get("/detail", summary="A conversation")
def conversation(engine: EngineOf, tenant: Reads, id_: Id) -> Conversation:
    """Return its people, channel, present state and episodes."""
    return engine.conversations.get(tenant, id_)


@router.get("/events", summary="The events of a conversation")
def conversation_events(
    engine: EngineOf, tenant: Exports, id_: Id, limit: Limit = 50, cursor: Cursor = None
) -> Page[ConversationEvent]:
    """Return its complete events in order, and the waits that replies ended."""
    return engine.conversations.events(tenant, id_, limit=limit, cursor=cursor)


@router.get("/event", summary="A stored event")
def event(
    engine: EngineOf,
    tenant: Exports,
    source: Annotated[str, Query(max_length=1000, description="The event's source.")],
    id_: Annotated[str, Query(alias="id", max_length=1000, description="The event's id.")],
) -> StoredEvent:
    """Return the event of a source and id."""
    return engine.conversations.event(tenant, source, id_)


@router.get("/flagged", summary="The messages behind hotspots")
def flagged(
    engine: EngineOf,
    tenant: Exports,
    start: From,
    end: To,
    where: Where = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[FlaggedMessage]:
    """Return messages that were classified as complaints or escalations, newest first."""
    return engine.conversations.flagged(tenant, start, end, where_of(where), limit=limit, cursor=cursor)


@router.get("/members", summary="What a metric of the present state counts")
def members(
    engine: EngineOf,
    tenant: Reads,
    metric: Annotated[str, Query(max_length=200, description="One metric of a state, like waiting_conversations.")],
    where: Where = None,
    at: Annotated[
        str | None, Query(max_length=60, description="A past moment: date in the tenant's zone, or RFC 3339 time.")
    ] = None,
    limit: Limit = 50,
) -> Members:
    """Return the counted ids with start times and dimensions, those longest in the state first."""
    return engine.conversations.members(tenant, metric, where_of(where), at=at, limit=limit)


@router.get("/minutes", summary="Counts by the minute until now")
def minutes(
    engine: EngineOf,
    tenant: Reads,
    metric: Annotated[list[str], Query(description="Stored counts, like messages_received; may be repeated.")],
    minutes: Annotated[int, Query(ge=1, le=1000, description="Number of minutes, until now.")] = 60,
    where: Where = None,
) -> Minutes:
    """Return a row for each minute, oldest first; a minute without events is 0."""
    return engine.conversations.minutes(tenant, metric, minutes, where_of(where))

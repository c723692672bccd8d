"""The route of conversations that wait for a reply now, and how far each is past its target."""

from __future__ import annotations

from fastapi import APIRouter

from hubbub.api.auth import EngineOf, Reads
from hubbub.api.parameters import Limit, Where, where_of
from hubbub.api.work import Counted
from hubbub.query.waiting import Live

router = APIRouter(prefix="/v1/live", route_class=Counted)


@router.get("", summary="Conversations that wait for a reply now")
def live(engine: EngineOf, tenant: Reads, where: Where = None, limit: Limit = 50) -> Live:
    """Return waiting conversations, those furthest past their target first; filters are channel, account_id and priority."""
    return engine.conversations.live(tenant, where_of(where), limit=limit)

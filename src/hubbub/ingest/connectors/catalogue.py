"""The connectors there are, by provider."""

from __future__ import annotations

from hubbub.errors import BadInputError
from hubbub.ingest.connectors.base import Connector
from hubbub.ingest.connectors.chatwoot import ChatwootAccount
from hubbub.ingest.connectors.facebook import FacebookPage
from hubbub.ingest.connectors.slack import Slack

CONNECTORS: dict[str, type[Connector]] = {one.provider: one for one in (FacebookPage, Slack, ChatwootAccount)}


def connector(provider: str) -> type[Connector]:
    """Return a connector. Raises BadInputError naming those that are known."""
    if provider not in CONNECTORS:
        raise BadInputError(f"provider {provider[:80]!r} is not known; known are {', '.join(CONNECTORS)}")
    return CONNECTORS[provider]

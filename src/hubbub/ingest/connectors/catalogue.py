"""All connectors, by provider."""

from __future__ import annotations

from hubbub.errors import BadInputError
from hubbub.ingest.connectors.base import Connector
from hubbub.ingest.connectors.chatwoot import ChatwootAccount
from hubbub.ingest.connectors.facebook import FacebookPage
from hubbub.ingest.connectors.front import FrontCompany
from hubbub.ingest.connectors.intercom import IntercomWorkspace
from hubbub.ingest.connectors.slack import Slack
from hubbub.ingest.connectors.twilio import TwilioAccount
from hubbub.ingest.connectors.zendesk import ZendeskAccount

_ALL: tuple[type[Connector], ...] = (
    FacebookPage,
    Slack,
    ChatwootAccount,
    TwilioAccount,
    IntercomWorkspace,
    FrontCompany,
    ZendeskAccount,
)
CONNECTORS: dict[str, type[Connector]] = {kind.provider: kind for kind in _ALL}


def connector(provider: str) -> type[Connector]:
    """Return a connector. Raises BadInputError with the known providers."""
    if provider not in CONNECTORS:
        raise BadInputError(f"unknown provider {provider[:80]!r}; known are {', '.join(CONNECTORS)}")
    return CONNECTORS[provider]

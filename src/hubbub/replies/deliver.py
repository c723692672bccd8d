"""Deliver a suggestion in Slack: to the response URL of the trigger, else as an ephemeral message in the channel."""

from __future__ import annotations

from hubbub.control.integrations import FETCHED, Integration, Integrations
from hubbub.errors import UpstreamRefusedError
from hubbub.outgoing.http import Outgoing
from hubbub.outgoing.slack import BASE_URL, DEAD_TOKEN
from hubbub.replies.request import ReplyRequest


def deliver(http: Outgoing, integrations: Integrations, tenant: str, request: ReplyRequest, text: str) -> str | None:
    """Deliver the text; return the way, `response_url` or `ephemeral`, or None without an active Slack integration.

    Raises UpstreamUnavailableError or UpstreamRefusedError; a dead token marks the integration as broken.
    """
    if request.response_url:
        body = {"response_type": "ephemeral", "replace_original": False, "text": text}
        http.send("POST", request.response_url, body=body).checked()
        return "response_url"
    integration = _slack_of(integrations, tenant, request.workspace_id)
    if integration is None:
        return None
    from hubbub.outgoing.slack_client import SlackClient, ask

    client = SlackClient(http, integrations.secret(integration), integration.settings.get("base_url", BASE_URL))
    place = {"channel": request.channel_id, "user": request.user_id, "thread_ts": request.thread_ts}
    try:
        ask(client.chat_postEphemeral, text=text, **{k: v for k, v in place.items() if v})
    except UpstreamRefusedError as error:
        if error.details.get("slack") in DEAD_TOKEN:
            integrations.broken(integration, error.reason, error.action)
        raise
    return "ephemeral"


def _slack_of(integrations: Integrations, tenant: str, workspace: str) -> Integration | None:
    """Return the tenant's active Slack integration for the workspace, else its first one without a workspace."""
    active = integrations.page(tenant, FETCHED, "slack")
    named = [i for i in active if i.settings.get("workspace_id") == workspace]
    chosen = (named or [i for i in active if not i.settings.get("workspace_id")])[:1]
    return integrations.get(tenant, chosen[0].id) if chosen else None

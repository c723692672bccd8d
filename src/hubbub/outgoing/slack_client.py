"""Slack's own client (slack-sdk) over `Outgoing`, and the meanings of its errors.

The SDK has the methods and reads answers; `Outgoing` sends the calls within its bounds. Nothing is retried here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json import dumps as as_json
from typing import Any
from urllib.parse import urlencode

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from hubbub.errors import HubbubError, UpstreamRefusedError, UpstreamUnavailableError
from hubbub.outgoing.http import Outgoing, retry_after
from hubbub.outgoing.slack import BASE_URL

PASSING = frozenset({
    "ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error", "service_unavailable",
    "request_timeout", "team_added_to_org", "accesslimited",
})  # fmt: skip
"""Temporary errors."""

ACTIONS = {
    **dict.fromkeys(("invalid_auth", "not_authed"), "Give the integration a valid token of the Slack app"),
    **dict.fromkeys(("token_revoked", "token_expired"), "Install the Slack app again and give the integration its new token"),
    **dict.fromkeys(("account_inactive", "team_access_not_granted"), "Install the Slack app again: its user or workspace is gone"),
    **dict.fromkeys(("not_in_channel", "user_not_in_channel"), "Invite the Slack app (and the user) to the channel"),
    "channel_not_found": "Correct the channel, or invite the Slack app to it",
    "is_archived": "Take the archived channel out of the settings",
    "no_permission": "Give the token's user permission for this in Slack",
    "access_denied": "Let a Slack administrator allow the app",
    "org_login_required": "Wait until the workspace has moved, then install the app again",
}  # fmt: skip
"""Permanent error -> what a person has to do."""


class SlackClient(WebClient):
    """A WebClient that sends through `Outgoing`. Call it by `ask`, which raises Hubbub's errors."""

    def __init__(self, http: Outgoing, token: str, base_url: str = BASE_URL) -> None:
        super().__init__(token=token, base_url=f"{base_url.rstrip('/')}/", retry_handlers=[])
        self._http = http

    def api_call(
        self,
        api_method: str,
        *,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> SlackResponse:
        """Send a call by POST, which all methods accept: `json` as JSON, anything else as a form.

        Raises SlackApiError, and the errors of `Outgoing.send`.
        """
        values = {**(params or {}), **(data or {}), **(json or {})}
        sent = {name: value for name, value in values.items() if value is not None}
        headers = {"Authorization": f"Bearer {sent.pop('token', self.token)}"}
        if json is not None:
            headers["Content-Type"], content = "application/json;charset=utf-8", as_json(sent).encode()
        else:
            headers["Content-Type"], content = "application/x-www-form-urlencoded", urlencode(_in_form(sent)).encode()
        url = f"{self.base_url}{api_method}"
        answer = self._http.send("POST", url, headers=headers, content=content)
        if not answer.body.lstrip().startswith(b"{"):
            answer.checked()
        response = SlackResponse(
            client=self, http_verb="POST", api_url=url, req_args={}, data=answer.json(), headers=dict(answer.headers),
            status_code=answer.status,
        )  # fmt: skip
        response.validate()  # type: ignore[no-untyped-call]
        return response


def _in_form(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as forms need them: True and False as 1 and 0."""
    return {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}


def ask(method: Callable[..., SlackResponse], **params: Any) -> dict[str, Any]:
    """Call a method of a SlackClient and return its answer. Raises UpstreamUnavailableError or UpstreamRefusedError."""
    try:
        answer = method(**params).data
    except SlackApiError as error:
        raise meaning(error) from None
    return answer if isinstance(answer, dict) else {}


def meaning(error: SlackApiError) -> HubbubError:
    """Return Hubbub's error for a Slack error; a permanent one has its name in `details["slack"]`."""
    response = error.response
    data = response.data if isinstance(response.data, dict) else {}
    name = str(data.get("error") or f"status {response.status_code}")[:80]
    headers = {key.lower(): value for key, value in response.headers.items()}
    if name in PASSING or response.status_code >= 500 or response.status_code == 429:
        return UpstreamUnavailableError(f"Slack: {name}", retry_after=retry_after(headers.get("retry-after")))
    if name == "missing_scope":
        needed = str(data.get("needed") or "of the documentation")[:200]
        return UpstreamRefusedError(
            f"Slack: {name}", action=f"Give the Slack app the scope {needed} and install it again", slack=name
        )
    action = ACTIONS.get(name, "Look the error up in Slack's documentation")
    return UpstreamRefusedError(f"Slack: {name}", action=action, slack=name)

"""Slack's Socket Mode: a connection that Hubbub opens and Slack sends events over, for servers without a public address.

The SDK's client keeps the connection. An event is stored like the body of a webhook, and acknowledged once it is on disk. Slack
sends unacknowledged events again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Thread
from time import monotonic
from urllib.parse import urlsplit

from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from hubbub.clock import Clock
from hubbub.errors import BadRequestError, HubbubError, UpstreamRefusedError
from hubbub.ingest.receivers.base import Delivery
from hubbub.outgoing.http import Outgoing
from hubbub.outgoing.slack_client import SlackClient, ask
from hubbub.telemetry import log, seldom

SLACK = ".slack.com"
CLOSE_SECONDS = 10.0
_quiet = logging.getLogger("hubbub.slack_socket")
_quiet.setLevel(logging.CRITICAL + 1)  # the SDK writes payloads, and so texts, into its log
Take = Callable[[Delivery], object]


class SlackSocket:
    """An open connection. `take` stores a delivery, which the connection verifies."""

    def __init__(self, http: Outgoing, token: str, base_url: str, take: Take, clock: Clock) -> None:
        self._take, self._clock = take, clock
        self._client = _Client(http, token, base_url)
        self._client.socket_mode_request_listeners.append(self._heard)

    def connect(self) -> None:
        """Open it. Raises UpstreamUnavailableError, UpstreamRefusedError."""
        self._client.connect()

    def close(self) -> None:
        """Close it; unacknowledged events arrive again over another connection. Takes at most CLOSE_SECONDS.

        The SDK waits for its thread that receives, which clears `terminated` as it begins: one that begins during the call would
        never end, and nor would the call.
        """
        closing = Thread(target=self._client.close, name="hubbub-slack-close", daemon=True)
        closing.start()
        end = monotonic() + CLOSE_SECONDS
        while closing.is_alive() and monotonic() < end:
            self._client.current_session_state.terminated = True
            closing.join(0.05)

    def _heard(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        if request.type == "events_api" and not self._stored(request.payload, self._clock()):
            return
        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    def _stored(self, payload: Mapping[str, object], moment: datetime) -> bool:
        """Store an event; return whether it can be acknowledged."""
        try:
            self._take(Delivery("SOCKET", "", {}, {}, json.dumps(payload).encode(), moment))
        except BadRequestError as error:  # a retry would not help
            log.warning("event over a socket cannot be read", reason=error.message)
        except HubbubError as error:
            if seldom(("socket", type(error))):
                log.error("event over a socket was not stored", error=error.message)
            return False
        return True


class _Client(SocketModeClient):
    """The SDK's client. It calls through `outgoing/`, and connects only to addresses of Slack or allowed by the settings."""

    def __init__(self, http: Outgoing, token: str, base_url: str) -> None:
        self._http, self._slack = http, SlackClient(http, token, base_url)
        super().__init__(app_token=token, web_client=self._slack, logger=_quiet, concurrency=2)

    def issue_new_wss_url(self) -> str:
        """Return the address of a new connection."""
        answer = ask(self._slack.apps_connections_open, app_token=self.app_token)
        url = str(answer.get("url", ""))
        parts = urlsplit(url)
        host = parts.hostname or ""
        safe = parts.scheme == "wss" and host.endswith(SLACK)
        if not safe and not self._http.is_allowed(host, parts.port):
            raise UpstreamRefusedError(
                f"Slack: {host[:100]!r} is not an address of Slack",
                action="Check base_url, or name it in allow_private_hosts",
            )
        return url

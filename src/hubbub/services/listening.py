"""Listening: connections that Hubbub opens, over which services send events."""

from __future__ import annotations

from functools import partial

from hubbub.clock import Clock
from hubbub.control.deliveries import KEY_LENGTH, Deliveries
from hubbub.control.deliveries import Delivery as Noted
from hubbub.control.integrations import Integration, Integrations
from hubbub.ingest.receivers.base import Delivery
from hubbub.ingest.receivers.receive import Receiving
from hubbub.ingest.receivers.sockets import Socket
from hubbub.outgoing.http import Outgoing
from hubbub.outgoing.slack import BASE_URL as SLACK


class ListeningService:
    """Opens connections, and stores deliveries over them."""

    def __init__(
        self, clock: Clock, http: Outgoing, integrations: Integrations, receiving: Receiving, delivered: Deliveries
    ) -> None:
        self._clock, self._http, self._integrations = clock, http, integrations
        self._receiving, self._delivered = receiving, delivered

    def open(self, integration: Integration) -> Socket:
        """Return the unopened connection of an integration's service."""
        from hubbub.ingest.receivers.slack_socket import SlackSocket

        token, base_url = (
            self._integrations.secrets(integration)["app_token"],
            str(integration.settings.get("base_url", SLACK)),
        )
        return SlackSocket(self._http, token, base_url, partial(self._take, integration), self._clock)

    def _take(self, integration: Integration, delivery: Delivery) -> None:
        """Store a delivery over a connection, and note it in the delivery log."""
        outcome = self._receiving.take_trusted(integration, delivery).outcome
        self._delivered.note(
            Noted(
                200, "accepted" if not outcome.rejected else "partly_refused", integration.id[-KEY_LENGTH:], integration.tenant,
                bytes=len(delivery.body), accepted=outcome.accepted, duplicates=outcome.duplicates, corrected=outcome.corrected,
                rejected=len(outcome.rejected), origin=integration.provider,
            )
        )  # fmt: skip

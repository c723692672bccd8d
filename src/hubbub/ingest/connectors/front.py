"""Front through its API: the events of a day, the same as its webhooks send.

- Events are listed newest first, 100 a page. They carry the same ids as the webhooks, so nothing counts twice.
- Texts are read only for labels, and not stored.
- Not verified against the service: written from its published schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from hubbub.control.integrations import Integration
from hubbub.errors import UpstreamUnavailableError
from hubbub.ingest.connectors.api import ApiConnector, listed, next_params
from hubbub.ingest.connectors.base import Batch, Notes
from hubbub.ingest.receivers.fields import Fields
from hubbub.ingest.receivers.front import PROVIDER, meaning
from hubbub.ingest.receivers.helpdesk import when
from hubbub.ingest.setting import BASE_URL, LABELS, SINCE, ZONE, Setting
from hubbub.model.coverage import Day

PAGE = 100
SECOND = 1


class FrontCompany(ApiConnector):
    """A company at Front. Its secret is an API token with the scope of the inboxes to count."""

    provider = PROVIDER
    token = "API token with read access to the inboxes to count (Settings, Developers, API tokens), to fetch days with"
    subjects = frozenset({"message", "conversation"})
    settings = (
        ZONE,
        SINCE,
        LABELS,
        Setting("base_url", "address of Front's API", BASE_URL, default="https://api2.frontapp.com"),
    )

    def fetch(self, integration: Integration, secret: str, day: Day, notes: Notes) -> Iterator[Batch]:
        """Yield the day's events, newest first, page by page."""
        api = self.api(integration, notes, {"Authorization": f"Bearer {secret}"})
        company, options = api.get("/me").text("id"), self.options(integration)
        bounds = {"q[after]": day.start.timestamp() - SECOND, "q[before]": day.end.timestamp() + SECOND}
        params = notes.place or {**bounds, "limit": PAGE}
        while params is not None:
            page = api.get("/events", params)
            events = [event for event in listed(page, "_results") if _is_inside(event, day)]
            yield self.batch(meaning(event, company, options) for event in events)
            params = next_params(page.text("_pagination", "next"), params, "page_token")
            notes.place = params


def _is_inside(event: Fields, day: Day) -> bool:
    emitted = when(event, "emitted_at")
    if not isinstance(emitted, datetime):
        raise UpstreamUnavailableError("Front gave an event without its time")
    return day.start <= emitted < day.end

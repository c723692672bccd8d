"""Connectors of JSON APIs that answer with what the service's webhooks send, so that the receiver's code reads both.

- An answer must be a JSON object; anything else is an error of the service, and tried again later.
- A service may ask for a pause (429 with Retry-After, or the time at which its limit is reset). Pauses are made here, within
  bounds. The next attempt fetches the rest, from the last stored page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hubbub.control.integrations import Integration
from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import Batch, Connector, Notes
from hubbub.ingest.receivers.base import Options, Received, with_source
from hubbub.ingest.receivers.fields import Fields
from hubbub.model.event import Item, record_from
from hubbub.model.name import Name
from hubbub.model.window import Window
from hubbub.outgoing.http import Answer, Outgoing

LONGEST_PAUSE = 60.0
PATIENCE = 900.0
"""Most seconds that an attempt pauses in total; after that the job is tried again later."""
GONE = frozenset({404, 410})


@dataclass
class Api:
    """A service's API at an address, with the headers that carry its token. `patience`: seconds left for pauses."""

    http: Outgoing
    url: str
    headers: Mapping[str, str]
    pause: Callable[[float], None]
    patience: float

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Fields:
        """Return the answer to a GET. Raises UpstreamUnavailableError, UpstreamRefusedError."""
        return _object(self._send("GET", path, params=params).checked())

    def post(self, path: str, body: Any) -> Fields:
        """Return the answer to a POST of JSON. Raises UpstreamUnavailableError, UpstreamRefusedError."""
        return _object(self._send("POST", path, body=body).checked())

    def find(self, path: str) -> Fields | None:
        """Return the answer to a GET; None when the object was deleted. Raises like `get`."""
        answer = self._send("GET", path)
        return None if answer.status in GONE else _object(answer.checked())

    def _send(self, method: str, path: str, **request: Any) -> Answer:
        while True:
            answer = self.http.send(method, f"{self.url}{path}", headers=self.headers, **request)
            wait = _pause(answer) if answer.status in (429, 503) else None
            if wait is None or wait > min(LONGEST_PAUSE, self.patience):
                return answer
            self.patience -= max(wait, 1)
            self.pause(wait)


def _pause(answer: Answer) -> float | None:
    """Return the seconds until the next request is allowed, as the service reports them."""
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.retry_after is not None or not reset.isdecimal():
        return answer.retry_after
    return max(int(reset) - time.time(), 0.0)


def _object(answer: Answer) -> Fields:
    body = answer.json()
    if not isinstance(body, dict):
        raise UpstreamUnavailableError(f"{answer.host} answered with something other than a JSON object")
    return Fields(body)


def listed(answer: Fields, *path: str) -> list[Fields]:
    """Return the objects of the list at the end of a path. Raises UpstreamUnavailableError without such a list."""
    holder = answer.child(*path[:-1])
    if not isinstance(holder.of.get(path[-1]), list):
        raise UpstreamUnavailableError(f"the service answered without {path[-1]!r}")
    return holder.children(path[-1])


def next_params(address: str, params: Mapping[str, Any], *names: str) -> dict[str, Any] | None:
    """Return the parameters of the next page: those of `names` are read from its address. None after the last page.

    The address itself is never called. Raises UpstreamUnavailableError when it leads to the same page again.
    """
    if not address:
        return None
    sent = dict(parse_qsl(urlsplit(address).query))
    after = {**params, **{name: sent[name] for name in names if name in sent}}
    if after == params:
        raise UpstreamUnavailableError("the service gave the same page twice")
    return after


class ApiConnector(Connector):
    """A connector of a JSON API. Each record belongs to the day on which it happened, so older data is never read again."""

    def __init__(self, http: Outgoing, pause: Callable[[float], None] = time.sleep) -> None:
        super().__init__(http)
        self._pause = pause

    @classmethod
    def dims(cls, integration: Integration) -> Mapping[str, frozenset[str]]:
        """Return no dimensions: the events share none."""
        return {}

    def look_back(self, integration: Integration, secret: str, since: Window, notes: Notes) -> Iterator[Batch]:
        """Yield nothing."""
        return iter(())

    def api(self, integration: Integration, notes: Notes, headers: Mapping[str, str]) -> Api:
        """Return the API at the integration's address."""
        url = str(self.setting(integration, "base_url")).rstrip("/")
        return Api(self.http, url, headers, self._pause, max(notes.patience, PATIENCE))

    def needed(self, integration: Integration, name: str, action: str) -> str:
        """Return a setting that fetching needs. Raises UpstreamRefusedError with the action when it is absent."""
        value = str(self.setting(integration, name) or "")
        if not value:
            raise UpstreamRefusedError(f"the integration has no {name}, so no day can be fetched", action=action)
        return value

    def options(self, integration: Integration) -> Options:
        """Return how answers are read. Texts are read only where messages are labelled, and are not stored."""
        return Options(integration.id, keep_text=integration.settings.get("labels") == "yes")

    def batch(self, bodies: Iterable[Received]) -> Batch:
        """Return the events and names of bodies, as if they had been received."""
        batch: list[Item | Name] = []
        for received in bodies:
            events = enumerate(received.events, len(batch))
            batch += (record_from(with_source(self.provider, event), index) for index, event in events)
            batch += received.names
        return batch

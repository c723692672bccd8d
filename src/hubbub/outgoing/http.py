"""All HTTP calls to other services: bounded in time and size, and never into a private network.

A host name is resolved once, every address is checked, and the connection goes to a checked address (`connections.py`), so DNS
rebinding does not work. Redirects are not followed, proxies of the environment are not used, and requests need https; the setting
`allow_private_hosts` names exceptions.

There are two errors: `UpstreamUnavailableError` (try again) and `UpstreamRefusedError` (a person has to act). They name the host,
but never the rest of an address, nor any content.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.gunzip import BadGzipError, Gunzip, TooMuchError
from hubbub.outgoing.addresses import no_address, place_of

if TYPE_CHECKING:
    import httpx2

TIMEOUT = 30.0
MAX_BYTES = 16 << 20
LONGEST_WAIT = 3600.0
"""Longest pause in seconds; a longer Retry-After is shortened to it."""

_BUSY = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Answer:
    """The answer of a service."""

    host: str
    status: int
    headers: httpx2.Headers
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON. Raises UpstreamUnavailableError otherwise, since then a gateway answered, not the service."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise UpstreamUnavailableError(
                f"{self.host} answered {self.status} with something that is not JSON"
            ) from None

    def checked(self) -> Answer:
        """Return this answer if its status is below 300. Raises UpstreamUnavailableError, UpstreamRefusedError."""
        if self.status < 300:
            return self
        if self.status >= 500 or self.status in _BUSY:
            raise UpstreamUnavailableError(f"{self.host} answered {self.status}", retry_after=self.retry_after)
        if self.status < 400:
            raise UpstreamRefusedError(
                f"{self.host} answered with a redirect, which is not followed", action="Set the final address"
            )
        if self.status in (401, 403):
            raise UpstreamRefusedError(
                f"{self.host} answered {self.status}", action="Check the key or token, and its permissions"
            )
        raise UpstreamRefusedError(
            f"{self.host} answered {self.status}", action="Check the settings: the service does not accept this request"
        )

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait that the service asks for, 0 to 3600, or None."""
        return retry_after(self.headers.get("retry-after"))


def retry_after(text: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Return the seconds of a Retry-After header (seconds or a date), 0 to 3600; None without a valid value."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now().timestamp()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else None


class Outgoing:
    """A pool of outgoing connections; thread-safe.

    `allowed`: hosts, as host or host:port, that may be private and called without encryption.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = frozenset(place_of(entry) for entry in allowed)

    @cached_property
    def _client(self) -> httpx2.Client:
        from hubbub.outgoing.connections import client_of

        return client_of(self.is_allowed)

    def is_allowed(self, host: str, port: int | None) -> bool:
        """Say whether the settings allow this host to be private."""
        return not self._allowed.isdisjoint({(host.lower(), None), (host.lower(), port)})

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        content: bytes | None = None,
        timeout: float = TIMEOUT,
        limit: int = MAX_BYTES,
    ) -> Answer:
        """Send a request (`body` as JSON, or `content` as it is) and return the answer, whatever its status.

        `timeout`: seconds for the whole call; `limit`: most bytes of the unpacked answer. Raises UpstreamUnavailableError without
        an answer in time, UpstreamRefusedError for an address that must not be called or an answer beyond `limit`.
        """
        from hubbub.outgoing.connections import errors_of

        host = self._checked_url(url)
        until = time.monotonic() + timeout
        with errors_of(host, timeout):
            request = self._client.build_request(
                method, url, params=dict(params) if params else None, json=body, content=content, timeout=timeout,
                headers={"Accept-Encoding": "gzip", "User-Agent": "hubbub", **(headers or {})},
            )  # fmt: skip
            answer = self._client.send(request, stream=True, follow_redirects=False)
            try:
                packed = answer.headers.get("content-encoding", "").lower() == "gzip"
                return Answer(
                    host, answer.status_code, answer.headers, _read(answer.iter_raw(), packed, limit, until, host)
                )
            finally:
                answer.close()

    def _checked_url(self, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port, parts = "", None, urlsplit("")
        if not host or parts.scheme not in ("http", "https") or parts.username is not None:
            raise no_address()
        if parts.scheme == "http" and not self.is_allowed(host, port or 80):
            raise UpstreamRefusedError(
                f"{host}: the connection would not be encrypted",
                action="Use https, or name the host in allow_private_hosts",
            )
        return host

    def close(self) -> None:
        """Close the connections."""
        if "_client" in vars(self):
            self._client.close()


def _read(chunks: Iterator[bytes], packed: bool, limit: int, until: float, host: str) -> bytes:
    """Read a body within its bounds; gzip is unpacked piece by piece, so that a gzip bomb stops at the limit."""
    unzip = Gunzip(limit) if packed else None
    parts: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            part = unzip.feed(chunk) if unzip else chunk
            size += len(part)
            if size > limit:
                raise TooMuchError
            if time.monotonic() > until:
                raise UpstreamUnavailableError(f"{host} took too long to send its answer")
            parts.append(part)
        if unzip is not None:
            unzip.end()
    except BadGzipError as error:
        raise UpstreamUnavailableError(f"{host} answered with invalid gzip ({error})") from None
    except TooMuchError:
        raise UpstreamRefusedError(
            f"{host} answered with more than {limit} bytes", action="Check the address", too_large=True
        ) from None
    return b"".join(parts)

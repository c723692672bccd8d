"""All HTTP calls to other services: bounded in time and size, and never into a private network.

A host name is resolved once, every address is checked, and the connection goes to a checked address, so DNS rebinding does not
work. Redirects are not followed, proxies of the environment not used, and tokens travel over https only; `allow_private_hosts`
names the exceptions.

There are two errors: `UpstreamUnavailableError` (try again) and `UpstreamRefusedError` (a person has to act). They name the host,
never the rest of an address nor any content.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import math
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import httpx2

from hubbub.errors import BadSettingError, UpstreamRefusedError, UpstreamUnavailableError
from hubbub.gunzip import BadGzipError, Gunzip, TooMuchError

logging.getLogger("httpx2").setLevel(
    logging.WARNING
)  # at INFO it logs whole addresses, and some are secrets themselves

TIMEOUT = 30.0
MAX_BYTES = 16 << 20
LONGEST_WAIT = 3600.0
"""Longest pause in seconds, even if a service asks for more."""

_NO_ADDRESS, _SET_ONE = "the address is no http or https address", "Set one like https://host/path"
_BUSY = frozenset({408, 425, 429})
FAILED = (httpcore2.NetworkError, httpcore2.ProtocolError)
"""The connection failed, or what came over it is not HTTP."""
_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "3fff::/20")))
"""Networks of IANA's special-purpose registries that `ipaddress` counts as global, in some versions of Python or in all."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Answer:
    """The answer of a service."""

    host: str
    status: int
    headers: httpx2.Headers
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON. Raises UpstreamUnavailableError for anything else: a gateway answered, not the service."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise UpstreamUnavailableError(
                f"{self.host} answered {self.status} with something that is not JSON"
            ) from None

    def checked(self) -> Answer:
        """Return this answer if its status is below 300, else raise the matching error."""
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
                f"{self.host} answered {self.status}", action="Check the key or token and what it may do"
            )
        raise UpstreamRefusedError(
            f"{self.host} answered {self.status}", action="Check the settings: the service does not know what was asked"
        )

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait as the service says, 0 to 3600, or None."""
        return retry_after(self.headers.get("retry-after"))


def retry_after(text: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Read a Retry-After header (seconds or a date); returns 0 to 3600 seconds, None without a valid value."""
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

    `allowed`: hosts, as host or host:port, that may be private and unencrypted.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = frozenset(_place(entry) for entry in allowed)

    @cached_property
    def _client(self) -> httpx2.Client:
        return httpx2.Client(transport=_Transport(_Guard(self.is_allowed)), trust_env=False)

    def is_allowed(self, host: str, port: int | None) -> bool:
        """Whether the settings allow this host to be private."""
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

        `timeout`: seconds for everything together; `limit`: most bytes of the answer, unpacked. Raises
        UpstreamUnavailableError when nothing comes back in time, UpstreamRefusedError for an address that may not be called.
        """
        host = self._checked_url(url)
        try:
            request = self._client.build_request(
                method, url, params=dict(params) if params else None, json=body, content=content, timeout=timeout,
                headers={"Accept-Encoding": "gzip", "User-Agent": "hubbub", **(headers or {})},
            )  # fmt: skip
        except httpx2.InvalidURL:
            raise UpstreamRefusedError(_NO_ADDRESS, action=_SET_ONE) from None
        until = time.monotonic() + timeout
        try:
            answer = self._client.send(request, stream=True, follow_redirects=False)
            try:
                packed = answer.headers.get("content-encoding", "").lower() == "gzip"
                return Answer(
                    host, answer.status_code, answer.headers, _read(answer.iter_raw(), packed, limit, until, host)
                )
            finally:
                answer.close()
        except httpcore2.TimeoutException:
            raise UpstreamUnavailableError(f"{host} did not answer within {timeout:g} seconds") from None
        except FAILED as error:
            if _distrusted(error):
                raise UpstreamRefusedError(
                    f"{host} shows a certificate that is not trusted",
                    action="Correct the address, or name the authority's file in SSL_CERT_FILE",
                ) from None
            raise UpstreamUnavailableError(f"{host} could not be reached: {type(error).__name__}") from None

    def _checked_url(self, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port, parts = "", None, urlsplit("")
        if not host or parts.scheme not in ("http", "https") or parts.username is not None:
            raise UpstreamRefusedError(_NO_ADDRESS, action=_SET_ONE)
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


def _distrusted(error: BaseException | None) -> bool:
    """Whether a failed certificate check caused an error."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def _place(entry: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{entry}")
        if parts.hostname and parts.netloc == entry and parts.username is None:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise BadSettingError(f"allow_private_hosts: {entry!r} is not a host or host:port, like model.lan:8080")


def _read(chunks: Iterator[bytes], packed: bool, limit: int, until: float, host: str) -> bytes:
    """Collect a body within its bounds; gzip is unpacked piece by piece, so that a bomb ends at the limit."""
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
        raise UpstreamUnavailableError(f"{host} answered with bytes that are not whole gzip ({error})") from None
    except TooMuchError:
        raise UpstreamRefusedError(
            f"{host} answered with more than {limit} bytes", action="Check the address", too_large=True
        ) from None
    return b"".join(parts)


def is_public(address: Address) -> bool:
    """Whether an address is public, also one that wraps another (v4-mapped, 6to4, NAT64)."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class _Guard(httpcore2.SyncBackend):
    """Connects only to addresses that it has checked."""

    def __init__(self, allowed: Callable[[str, int | None], bool]) -> None:
        self._is_allowed = allowed

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Resolve, check every address, connect to the first that answers."""
        try:
            resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as unknown:
            raise httpcore2.ConnectError(f"{host} has no address") from unknown
        addresses = [str(entry[4][0]) for entry in resolved]
        if not self._is_allowed(host, port):
            for text in addresses:
                if not is_public(ipaddress.ip_address(text.partition("%")[0])):
                    raise UpstreamRefusedError(
                        f"{host} is an address inside a private network",
                        action="Use a public address, or name the host in allow_private_hosts",
                    )
        error: httpcore2.ConnectError | httpcore2.ConnectTimeout = httpcore2.ConnectError(f"{host} has no address")
        for text in dict.fromkeys(addresses):
            try:
                return super().connect_tcp(text, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                error = failed
        raise error


class _Transport(httpx2.BaseTransport):
    """Sends requests over the guard's connections; TLS checks the host name. Errors are httpcore2's own."""

    def __init__(self, guard: _Guard) -> None:
        self._connections = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context(), network_backend=guard, max_connections=100,
            max_keepalive_connections=20, keepalive_expiry=15,
        )  # fmt: skip

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; the body of the answer is read from the connection as it is consumed."""
        url = request.url
        sent = httpcore2.Request(
            request.method,
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw, content=request.stream, extensions=request.extensions,
        )  # fmt: skip
        answer = self._connections.handle_request(sent)
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


class _Body(httpx2.SyncByteStream):
    """The body of an answer; closing it returns its connection."""

    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        """Close the answer."""
        self._answer.close()

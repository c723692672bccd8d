"""Connections to public addresses: a host name is resolved once, and each of its addresses is checked before connecting."""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.outgoing.addresses import is_public, no_address

logging.getLogger("httpx2").setLevel(
    logging.WARNING
)  # at INFO it logs whole addresses, and some are secrets themselves


def client_of(is_allowed: Callable[[str, int | None], bool]) -> httpx2.Client:
    """Return a client that connects only to checked addresses; `is_allowed` says which hosts and ports may be private."""
    return httpx2.Client(transport=_Transport(_Guard(is_allowed)), trust_env=False)


@contextmanager
def errors_of(host: str, timeout: float) -> Iterator[None]:
    """Turn errors of a call into UpstreamUnavailableError or UpstreamRefusedError; `timeout` (seconds) is for the message."""
    try:
        yield
    except httpx2.InvalidURL:
        raise no_address() from None
    except httpcore2.TimeoutException:
        raise UpstreamUnavailableError(f"{host} did not answer within {timeout:g} seconds") from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:  # the answer may not be HTTP
        if _is_distrusted(error):
            raise UpstreamRefusedError(
                f"{host} has a certificate that is not trusted",
                action="Correct the address, or name the authority's file in SSL_CERT_FILE",
            ) from None
        raise UpstreamUnavailableError(f"{host} could not be reached: {type(error).__name__}") from None


def _is_distrusted(error: BaseException | None) -> bool:
    """Say whether a failed certificate check caused an error."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


class _Guard(httpcore2.SyncBackend):
    """Connects only to addresses that it has checked. Raises UpstreamRefusedError for a private one."""

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
        """Resolve the host, check all its addresses, and connect to the first that answers."""
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
    """Sends requests over the guard's connections; TLS checks the host name. Raises httpcore2's errors."""

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
    """The body of an answer; closing it returns the connection to the pool."""

    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        """Close the answer."""
        self._answer.close()

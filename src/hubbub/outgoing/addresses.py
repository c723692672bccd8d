"""Checks of addresses of other services: whether they are public, and how the settings name allowed private ones."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from hubbub.errors import BadSettingError, UpstreamRefusedError

_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "3fff::/20")))
"""Networks of IANA's special-purpose registries that `ipaddress` counts as global, in some versions of Python or in all."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def no_address() -> UpstreamRefusedError:
    """Return the error for an invalid address."""
    return UpstreamRefusedError("this is not an http or https address", action="Set one like https://host/path")


def place_of(entry: str) -> tuple[str, int | None]:
    """Return host and port (None: all ports) of an entry of `allow_private_hosts`. Raises BadSettingError."""
    try:
        parts = urlsplit(f"//{entry}")
        if parts.hostname and parts.netloc == entry and parts.username is None:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise BadSettingError(f"allow_private_hosts: {entry!r} is not a host or host:port, like model.lan:8080")


def is_public(address: Address) -> bool:
    """Say whether an address is public; if it wraps an IPv4 address (v4-mapped, 6to4, NAT64), whether that is."""
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

"""Identities: a 64-bit number for each source and id ever stored for a tenant, so that a resent event always counts once.

`sqlite_identity.py` keeps them in files of sorted numbers, `postgresql_log.py` in a table.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator
from typing import TypeAlias

_MASK = (1 << 64) - 1
_SIGN = 1 << 63
Numbers: TypeAlias = "memoryview | array[int]"
"""Signed 64-bit integers, one after the other in memory."""


def ident_of(source: str, id_: str) -> int:
    """Return the 64-bit number (signed) of a source and an id; the same in every installation."""
    digest = hashlib.blake2b(f"{source}\0{id_}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def key_of(tenant: int, ident: int) -> int:
    """Return the key of an identity, unique across tenants."""
    return (tenant << 64) | (ident & _MASK)


def parts_of(key: int) -> tuple[int, int]:
    """Return tenant and identity (signed) of a key."""
    ident = key & _MASK
    return key >> 64, ident - (1 << 64) if ident & _SIGN else ident


class Identities(ABC):
    """The identities of a store. Changes outside the log need `Log.exclusive`."""

    @abstractmethod
    def stored(self, keys: Iterable[int]) -> set[int]:
        """Return which of these keys are stored, by any process."""

    @abstractmethod
    def condition(self) -> tuple[int, list[str]]:
        """Return the number of identities, and the names of missing or damaged files."""

    @abstractmethod
    def of(self, tenant: int) -> Iterator[Numbers]:
        """Yield a tenant's identities (signed 64-bit) in pieces, each sorted."""

    @abstractmethod
    def take_in(self, tenant: int, idents: Numbers) -> None:
        """Store the sorted identities of an imported tenant, whose events are stored already."""

    @abstractmethod
    def forget(self, tenant: int) -> None:
        """Delete all identities of a tenant."""

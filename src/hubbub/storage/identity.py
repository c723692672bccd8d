"""Which events were ever stored: one 64-bit number for each source and id of a tenant, so that a resent event counts once for ever.

Each engine keeps them in its own way: `sqlite_identity.py` in files of sorted numbers, `postgresql_log.py` in a table.
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
    """Return the 64-bit number (signed) that stands for a source and an id; the same in every installation."""
    digest = hashlib.blake2b(f"{source}\0{id_}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def key_of(tenant: int, ident: int) -> int:
    """Return the key of an identity among those of all tenants."""
    return (tenant << 64) | (ident & _MASK)


def parts_of(key: int) -> tuple[int, int]:
    """Return tenant and identity (signed) of a key."""
    ident = key & _MASK
    return key >> 64, ident - (1 << 64) if ident & _SIGN else ident


class Identities(ABC):
    """The identities of a store. Whoever changes them by hand holds `Log.exclusive`."""

    @abstractmethod
    def stored(self, keys: Iterable[int]) -> set[int]:
        """Return those of some keys that are stored, by whichever process."""

    @abstractmethod
    def standing(self) -> tuple[int, list[str]]:
        """Return how many there are, and the names of files that should hold some and do not."""

    @abstractmethod
    def of(self, tenant: int) -> Iterator[Numbers]:
        """Yield a tenant's identities (signed 64-bit) in pieces, each sorted."""

    @abstractmethod
    def take_in(self, tenant: int, idents: Numbers) -> None:
        """Store the sorted identities that a tenant brings along; its events are there already."""

    @abstractmethod
    def forget(self, tenant: int) -> None:
        """Leave no identity of a tenant."""

"""Waiting events by identity: a resent event is compared with them until they are stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from hubbub.storage.log import Held


class Waiting:
    """The newest version of each waiting event. Batches are added and dropped in the order of their numbers."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[Held, int]] = {}
        self._batches: deque[tuple[int, list[int]]] = deque()
        self.last = 0
        """The number of the newest batch that was added."""

    def add(self, number: int, held: Mapping[int, Held]) -> None:
        """Add a batch, or several under the number of the newest."""
        self._held.update((key, (version, number)) for key, version in held.items())
        self._batches.append((number, list(held)))
        self.last = number

    def drop(self, upto: int) -> None:
        """Drop the stored batches up to a number. An event that a later batch corrected stays."""
        while self._batches and self._batches[0][0] <= upto:
            for key in self._batches.popleft()[1]:
                if key in self._held and self._held[key][1] <= upto:
                    del self._held[key]

    def get(self, key: int) -> Held | None:
        """Return revision and time of an identity, None if it does not wait."""
        entry = self._held.get(key)
        return entry[0] if entry is not None else None

    def __contains__(self, key: int) -> bool:
        return key in self._held

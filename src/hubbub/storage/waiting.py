"""What waits in the log, by identity: until it is stored, only here is known what an event that comes again is compared with."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from hubbub.storage.log import Held


class Waiting:
    """The newest of each identity that waits. Batches come and go in the order of their numbers."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[Held, int]] = {}
        self._batches: deque[tuple[int, list[int]]] = deque()
        self.last = 0
        """The number of the newest batch that was added."""

    def add(self, number: int, held: Mapping[int, Held]) -> None:
        """Add a batch, or several under the number of the newest."""
        self._held.update((key, (one, number)) for key, one in held.items())
        self._batches.append((number, list(held)))
        self.last = number

    def drop(self, upto: int) -> None:
        """Forget the batches up to a number, which are stored. What a later batch corrected stays as that left it."""
        while self._batches and self._batches[0][0] <= upto:
            for key in self._batches.popleft()[1]:
                if key in self._held and self._held[key][1] <= upto:
                    del self._held[key]

    def get(self, key: int) -> Held | None:
        """Return what is held of an identity, if it waits."""
        found = self._held.get(key)
        return found[0] if found is not None else None

    def __contains__(self, key: int) -> bool:
        return key in self._held

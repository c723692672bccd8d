"""Groups of texts with similar meaning, followed from run to run: a group keeps its number as long as it lives.

Spherical k-means over embeddings less their common mean. It begins at the centres of the run before; texts that are near no centre
begin new groups where they are dense, so the number of groups is not chosen. Numbers depend on the texts alone, not on chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from hubbub.labels.classifier import Floats

NEAR = 0.5
"""Least cosine of a text and the centre of its group: on BANKING77 three quarters of the texts have a group."""
SAME = 0.85
"""Least cosine of two centres that are one group."""
FEWEST = 5
"""Fewest texts of a group."""
MOST = 100
"""Most groups."""
ROUNDS = 50
AT_ONCE = 500
SHRUNK = 200
"""Texts from which on the common mean counts more than half: that of a few texts may be the topic itself."""
Places = np.ndarray[Any, np.dtype[np.intp]]
NOWHERE = -1


class Fate(StrEnum):
    """What became of a group."""

    BORN = "born"
    SPLIT = "split"
    MERGED = "merged"
    DIED = "died"


@dataclass(frozen=True, slots=True)
class Group:
    """A group: its centre, shape (256,), and the places of its texts, nearest to the centre first."""

    number: int
    centre: Floats
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """A group that came or went; `other`: the group it split from or merged into."""

    number: int
    fate: Fate
    other: int | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """The groups by number, and those that came or went since the run before."""

    groups: tuple[Group, ...]
    turns: tuple[Turn, ...]


def follow(vectors: Floats, known: Mapping[int, Floats], lasting: frozenset[int], first: int) -> Followed:
    """Group texts by their embeddings, shape (texts, 256), beginning at the `known` centres; new groups are numbered from `first`.

    A group of fewer than FEWEST texts is dropped, unless it is one of `lasting`. The order of the texts matters only between
    equally near ones.
    """
    space = _Space(vectors)
    seeded = dict(known) | dict(enumerate(space.seeds(known), first))
    centres, nearest = _settled(space, seeded, lasting)
    return Followed(
        tuple(Group(number, centres[number], space.members(centres, nearest, number)) for number in sorted(centres)),
        tuple(_turns(space.nearest(known), nearest, known, centres)),
    )


class _Space:
    """Embeddings as directions from their common mean."""

    def __init__(self, vectors: Floats) -> None:
        self._vectors = vectors
        n = len(vectors)
        self._mean = vectors.sum(axis=0) / np.float32(n + SHRUNK)
        self._directions = _unit(vectors - self._mean)

    def _matrix(self, centres: Mapping[int, Floats]) -> Floats:
        rows = [centres[number] for number in sorted(centres)]
        return _unit(np.stack(rows) - self._mean) if rows else np.zeros((0, self._vectors.shape[1]), dtype=np.float32)

    def nearest(self, centres: Mapping[int, Floats]) -> Places:
        """Return the number of each text's group; NOWHERE: none is near."""
        if not centres or not len(self._vectors):
            return np.full(len(self._vectors), NOWHERE, dtype=np.intp)
        cosines = self._directions @ self._matrix(centres).T
        numbers = np.array(sorted(centres), dtype=np.intp)[cosines.argmax(axis=1)]
        return np.where(cosines.max(axis=1) >= NEAR, numbers, NOWHERE)

    def seeds(self, centres: Mapping[int, Floats]) -> Iterator[Floats]:
        """Yield centres of new groups among the texts that are near no centre, the densest first."""
        left = np.flatnonzero(self.nearest(centres) == NOWHERE)
        near = _near(self._directions[left])
        neighbours = near.sum(axis=1)
        free = np.ones(len(left), dtype=bool)
        for _ in range(MOST - len(centres)):
            densest = int(neighbours.argmax()) if len(left) else 0
            if not len(left) or neighbours[densest] < FEWEST:
                return
            own = near[densest] & free
            yield self._vectors[left[own]].mean(axis=0)
            free &= ~own
            neighbours = (neighbours - near[:, own].sum(axis=1)) * free

    def moved(self, nearest: Places, number: int, centre: Floats) -> Floats:
        """Return the mean of a group's texts; `centre` without any."""
        own = nearest == number
        mean: Floats = self._vectors[own].mean(axis=0) if own.any() else centre
        return mean

    def members(self, centres: Mapping[int, Floats], nearest: Places, number: int) -> tuple[int, ...]:
        """Return the places of a group's texts, nearest first."""
        own = np.flatnonzero(nearest == number)
        cosines = self._directions[own] @ self._matrix({number: centres[number]})[0]
        return tuple(int(place) for place in own[np.argsort(-cosines, kind="stable")])

    def joined(self, centres: Mapping[int, Floats]) -> dict[int, Floats]:
        """Return the centres without those nearly equal to the centre of an older group."""
        numbers, directions = sorted(centres), self._matrix(centres)
        kept: list[int] = []
        for place in range(len(numbers)):
            if not kept or (directions[kept] @ directions[place]).max() < SAME:
                kept.append(place)
        return {numbers[place]: centres[numbers[place]] for place in kept}


def _settled(space: _Space, centres: dict[int, Floats], lasting: frozenset[int]) -> tuple[dict[int, Floats], Places]:
    """Move centres to the means of their texts until nothing changes; small groups go, near ones join."""
    nearest = space.nearest(centres)
    for _ in range(ROUNDS):
        sizes = Counter(nearest.tolist())
        large = {n: centre for n, centre in centres.items() if sizes[n] >= FEWEST or n in lasting}
        moved = space.joined({n: space.moved(nearest, n, centre) for n, centre in large.items()})
        after = space.nearest(moved)
        settled = moved.keys() == centres.keys() and bool((after == nearest).all())
        centres, nearest = moved, after
        if settled:
            break
    return centres, nearest


def _turns(before: Places, after: Places, known: Mapping[int, Floats], centres: Mapping[int, Floats]) -> Iterator[Turn]:
    """Yield what became of groups: a gone one merged into the group with most of its texts, a new one split from that before."""
    for number in sorted(known.keys() - centres.keys()):
        other = _most(after[before == number])
        yield Turn(number, Fate.MERGED if other is not None else Fate.DIED, other)
    for number in sorted(centres.keys() - known.keys()):
        other = _most(before[after == number])
        yield Turn(number, Fate.SPLIT if other is not None else Fate.BORN, other)


def _most(numbers: Places) -> int | None:
    """Return the group of at least half of some texts."""
    if not len(numbers):
        return None
    (number, count), *_ = sorted(Counter(numbers.tolist()).items(), key=lambda item: (-item[1], item[0]))
    return number if number != NOWHERE and 2 * count >= len(numbers) else None


def _near(directions: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which directions are near each other, shape (n, n); some rows at once, to hold few numbers in memory."""
    near = np.zeros((len(directions), len(directions)), dtype=bool)
    for start in range(0, len(directions), AT_ONCE):
        near[start : start + AT_ONCE] = directions[start : start + AT_ONCE] @ directions.T >= NEAR
    return near


def _unit(rows: Floats) -> Floats:
    """Return rows with length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Floats = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled

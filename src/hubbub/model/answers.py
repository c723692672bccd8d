"""Answers that several subjects give."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed."""

    removed: str
    """Its id."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted."""

    id: str
    deleted: bool = True

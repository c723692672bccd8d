"""Coverage of a source: a day to fetch, the feed of a service, and a gap in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from hubbub.model.window import local_midnight


class Reason(StrEnum):
    """Why a range of a source is not complete."""

    NOT_OVER = "not_over"
    NOT_TRIED = "not_tried"
    FAILED = "failed"
    REFUSED = "refused"
    PAUSED = "paused"
    UNREADABLE = "unreadable"
    RATE_LIMITED = "rate_limited"
    UNVERIFIED = "unverified"
    DOWN = "down"
    NOT_TAKEN = "not_taken"
    SILENT = "silent"
    LOST = "lost"
    SKIPPED = "skipped"


WORDS: Mapping[Reason, str] = {
    Reason.NOT_OVER: "fetched when the day is over",
    Reason.NOT_TRIED: "not fetched yet",
    Reason.FAILED: "the service did not answer as it should",
    Reason.REFUSED: "the service refused",
    Reason.PAUSED: "the integration was paused",
    Reason.UNREADABLE: "a part could not be read",
    Reason.RATE_LIMITED: "the service left deliveries out: too many at once",
    Reason.UNVERIFIED: "deliveries could not be verified",
    Reason.DOWN: "no server was running",
    Reason.NOT_TAKEN: "deliveries could not be accepted",
    Reason.SILENT: "nothing came where messages were expected",
    Reason.LOST: "the service says that deliveries were lost",
    Reason.SKIPPED: "numbers are missing among the deliveries",
}  # fmt: skip
"""Reason -> its text on pages and in reports."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a source: its date, start and end (aware, UTC)."""

    on: date
    start: datetime
    end: datetime

    @classmethod
    def of(cls, day: date, zone: str) -> Day:
        """Return a day in a zone."""
        tz = ZoneInfo(zone)
        return cls(day, local_midnight(day, tz), local_midnight(day + timedelta(days=1), tz))


@dataclass(frozen=True, slots=True)
class Feed:
    """The events that a service can bring: subjects of their types (None: any), and their values of dimensions.

    `daily`: days are fetched when they are over. `live`: the service sends events itself.
    """

    subjects: frozenset[str] | None = None
    dims: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    daily: bool = False
    live: bool = False

    @property
    def sent(self) -> Feed:
        """Return the feed that the service sends itself: the fetched one, or any events if no messages are fetched."""
        return self if self.has_messages else replace(self, subjects=None)

    @property
    def has_messages(self) -> bool:
        """Whether messages are fetched, so that lost ones can be fetched again."""
        return self.daily and self.subjects is not None and "message" in self.subjects

    def narrowed(self, dims: Mapping[str, frozenset[str]]) -> Feed:
        """Return the feed narrowed by more dimension values of its events."""
        return replace(self, dims={**self.dims, **dims})


@dataclass(frozen=True, slots=True)
class Gap:
    """A range `[start, end)` (aware, UTC) in which a source's events may be missing; `name`: the source's display name."""

    integration: str
    name: str
    provider: str
    start: datetime
    end: datetime
    reason: Reason
    feed: Feed
    detail: str = ""
    action: str = ""

    def concerns(self, subjects: tuple[str, ...], where: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether the gap may affect a metric of events of these subjects (empty: any) under these filters."""
        brought = self.feed.subjects
        if subjects and brought is not None and brought.isdisjoint(subjects):
            return False
        return all(name not in where or not values.isdisjoint(where[name]) for name, values in self.feed.dims.items())

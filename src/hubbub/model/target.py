"""Targets: within how many minutes a tenant wants to answer or to resolve, and which target judges a wait.

A target is for all waits of its kind, for a channel, for a priority, or for a channel and a priority. A wait is judged by the
most specific target in force when it began: for its channel and priority, else for its priority, else for its channel, else for
all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from zoneinfo import ZoneInfo

from hubbub.errors import BadInputError
from hubbub.model.window import local_midnight

MOST_TARGETS = 200
"""The most targets of a tenant, including those that ended."""
MOST_MINUTES = 366 * 24 * 60
LONGEST_NAME = 64
MINUTE_MS = 60_000


class Aim(StrEnum):
    """What a target is for."""

    FIRST_RESPONSE = "first_response"
    """The first answer of a conversation's episode."""
    NEXT_RESPONSE = "next_response"
    """Each answer, from the first message that nobody answered."""
    RESOLUTION = "resolution"
    """The resolution of an episode, from its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTerms:
    """A target without its owner, in force on the local days `[valid_from, valid_to)`; `valid_to` None: no end yet."""

    aim: Aim
    minutes: int
    """A wait of exactly this many minutes is within the target."""
    business: bool = False
    """Whether only minutes of the tenant's business hours count."""
    channel: str | None = None
    priority: str | None = None
    """In lower case."""
    share: float | None = None
    """The share of waits that should be within it, above 0 and up to 1; None: not set."""
    valid_from: date
    valid_to: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(TargetTerms):
    """A target of a tenant."""

    id: str = ""

    @property
    def scope(self) -> tuple[str | None, str | None]:
        """The channel and priority that it is for."""
        return self.channel, self.priority

    @property
    def limit_ms(self) -> int:
        """The longest wait within it, in milliseconds."""
        return self.minutes * MINUTE_MS


@dataclass(frozen=True, slots=True)
class _Period:
    """A target and when it is in force, `[start, end)` in microseconds."""

    start: int
    end: int | None
    target: Target


class TargetsOf:
    """The targets of one aim, to look up by a wait's beginning, channel and priority."""

    def __init__(self, targets: Iterable[Target], aim: Aim, tz: ZoneInfo) -> None:
        self._by_scope: dict[tuple[str | None, str | None], list[_Period]] = {}
        for target in sorted((each for each in targets if each.aim is aim), key=lambda each: each.valid_from):
            end = _midnight(target.valid_to, tz) if target.valid_to else None
            self._by_scope.setdefault(target.scope, []).append(_Period(_midnight(target.valid_from, tz), end, target))

    def __bool__(self) -> bool:
        return bool(self._by_scope)

    def at(self, began: int, channel: str | None, priority: str | None) -> Target | None:
        """Return the target of a wait that began at a moment (microseconds), or None."""
        named = priority.lower() if priority is not None else None
        for scope in dict.fromkeys(((channel, named), (None, named), (channel, None), (None, None))):
            if scope in self._by_scope and (target := _in_force(self._by_scope[scope], began)) is not None:
                return target
        return None

    def any_between(self, start: int, end: int) -> bool:
        """Whether a target was in force at any moment of `[start, end)` (microseconds)."""
        return any(
            period.start < end and (period.end is None or period.end > start)
            for periods in self._by_scope.values()
            for period in periods
        )


def only_target(targets: Iterable[Target], aim: Aim, day: date, channel: str | None = None) -> Target | None:
    """Return the target that judges all waits of an aim that begin on a local day; None if there is none, or several.

    `channel`: only the waits of this channel.
    """
    latest: dict[tuple[str | None, str | None], Target] = {}
    for target in sorted((each for each in targets if each.aim is aim), key=lambda each: each.valid_from):
        if target.valid_from <= day:
            latest[target.scope] = target
    on = {scope: each for scope, each in latest.items() if each.valid_to is None or day < each.valid_to}
    if channel is not None:
        on = {scope: each for scope, each in on.items() if scope[0] in (None, channel)}
        if (channel, None) in on:
            on.pop((None, None), None)
    whole = {(None, None), (channel, None)}
    return next(iter(on.values())) if len(on) == 1 and whole.issuperset(on) else None


def _in_force(periods: list[_Period], moment: int) -> Target | None:
    """Return the target that began last up to a moment, unless it has ended."""
    place = bisect_right(periods, moment, key=lambda period: period.start)
    period = periods[place - 1] if place else None
    return period.target if period is not None and (period.end is None or moment < period.end) else None


def _midnight(day: date, tz: ZoneInfo) -> int:
    return int(local_midnight(day, tz).timestamp()) * 1_000_000


def checked(target: Target) -> Target:
    """Return a target with its priority in lower case. Raises BadInputError naming the field."""
    if not 1 <= target.minutes <= MOST_MINUTES:
        raise BadInputError(f"minutes: {target.minutes} is not from 1 to {MOST_MINUTES}")
    if target.share is not None and not 0 < target.share <= 1:
        raise BadInputError(f"share: {target.share} is not above 0 and up to 1, like 0.9")
    for name, text in (("channel", target.channel), ("priority", target.priority)):
        if text is not None and (not 0 < len(text) <= LONGEST_NAME or not text.isprintable()):
            raise BadInputError(f"{name}: 1 to {LONGEST_NAME} printable characters, or leave it out")
    if not 2000 <= target.valid_from.year <= 2100:
        raise BadInputError(f"valid_from: {target.valid_from} must be between 2000 and 2100")
    if target.valid_to is not None and target.valid_to <= target.valid_from:
        raise BadInputError(f"valid_to: {target.valid_to} must be after valid_from, {target.valid_from}")
    if target.priority is None:
        return target
    return replace(target, priority=target.priority.lower())


def aim_of(text: str) -> Aim:
    """Read the name of an aim. Raises BadInputError naming all."""
    try:
        return Aim(text)
    except ValueError:
        raise BadInputError(f"aim: {text[:40]!r} is not one of {', '.join(Aim)}") from None

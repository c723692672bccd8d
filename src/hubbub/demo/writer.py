"""Writes the events of one tenant and local day, with ids that depend only on these two, the seed and the part of the day."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from typing import Any

import msgspec

from hubbub.demo.scenario import Scenario
from hubbub.model.event import Event

CONTACT_DAYS = 60
"""Days after their first message in which contacts write again."""
OPENS, CLOSES = 8, 21
"""Working hours of staff; messages at night wait for the morning, unless AI answers."""


class Writer:
    """Collects events of a day. Each `part` of a day has its own random generator."""

    def __init__(self, scenario: Scenario, day: date, seed: int, part: str) -> None:
        """Begin a local day without events."""
        self.scenario, self.day = scenario, day
        self.rng = random.Random(f"{seed}:{scenario.id}:{day}:{part}")
        self.key = f"{day:%y%m%d}{part}"
        self.events: list[Event] = []
        self._made = 0
        self._midnight = datetime.combine(day, clock_time(), scenario.tz)

    def name(self, kind: str) -> str:
        """Return a new id such as `c-260801k-17`."""
        self._made += 1
        return f"{kind}-{self.key}-{self._made}"

    def write(self, type: str, time: datetime, **fields: Any) -> None:
        """Add an event; `attributes` may be given as a dict."""
        if "attributes" in fields:
            fields["attributes"] = msgspec.Raw(msgspec.json.encode(fields["attributes"]))
        self.events.append(Event(type=type, time=time, id=self.name("e"), source="demo", **fields))

    def at(self, hour: float) -> datetime:
        """Return the moment (UTC, whole ms) of `hour` of this local day; beyond 0..24 it is on another day."""
        return (self._midnight + timedelta(milliseconds=int(hour * 3_600_000))).astimezone(UTC)

    def busy_hour(self) -> float:
        """Draw an hour of the day, weighted by the tenant's busy hours."""
        return self.rng.choices(range(24), self.scenario.hours)[0] + self.rng.random()

    def seconds(self, low: float, high: float) -> timedelta:
        """Draw a duration between two numbers of seconds, in whole ms."""
        return timedelta(milliseconds=int(1000 * self.rng.uniform(low, high)))

    def minutes_about(self, median: float, spread: float = 0.8) -> timedelta:
        """Draw a log-normal duration with a median in minutes, like waits: many short ones, few very long ones."""
        return timedelta(milliseconds=int(60_000 * median * self.rng.lognormvariate(0.0, spread)))

    def in_hours(self, moment: datetime) -> datetime:
        """Return the moment, or outside working hours a moment of the next morning."""
        here = moment.astimezone(self.scenario.tz)
        if OPENS <= here.hour < CLOSES:
            return moment
        wait = (OPENS - here.hour) % 24
        return moment + timedelta(hours=wait) - timedelta(minutes=here.minute) + self.seconds(60, 3000)

    def chance(self, share: float) -> bool:
        """Return True with probability `share`."""
        return self.rng.random() < share

    def pick(self, words: Sequence[str]) -> str:
        """Draw a word; earlier words are more likely."""
        return words[int(len(words) * self.rng.random() ** 1.5)]

    def contact(self) -> str:
        """Draw a contact who was new today or on an earlier day; recent days are more likely."""
        day = self.day - timedelta(int(CONTACT_DAYS * self.rng.random() ** 2))
        return contact_id(self.scenario, day, self.rng.randrange(self.scenario.new_contacts))


def contact_id(scenario: Scenario, day: date, number: int) -> str:
    """Return the id of contact `number` (from 0) who was new on `day`."""
    return f"{scenario.contact}-{day:%y%m%d}-{number}"

"""The hand-worked example of every metric: `examples.yaml`, which the reference shows and the tests run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import yaml

from hubbub.model.event import Event

YEAR = 2026
_LINE = re.compile(r"(?:x(?P<times>\d+) )?(?P<day>\d\d-\d\d) (?P<clock>\S+) (?P<type>\S+)(?P<fields>.*)")


@dataclass(frozen=True)
class Example:
    """What happened to a tenant, and what its metrics come to over the days `[first, after)`: `gives` metric -> value and why."""

    story: str
    events: tuple[str, ...]
    gives: Mapping[str, tuple[Fraction, str]]
    first: date = date(YEAR, 3, 2)
    after: date = date(YEAR, 3, 3)
    zone: str = "UTC"
    hotspot_tones: tuple[str, ...] = ()
    calendar: Mapping[str, Any] = field(default_factory=dict)

    def happened(self) -> list[Event]:
        """Return the lines as events: without an `id` an event has its place as one."""
        found = [(when, fields) for line in self.events for when, fields in self._read(line)]
        return [
            msgspec.convert({"id": f"e{place}", "time": when, **fields}, Event, strict=False)
            for place, (when, fields) in enumerate(found)
        ]

    def _read(self, line: str) -> Iterator[tuple[datetime, dict[str, str]]]:
        for number in range(1, int(_match(line)["times"] or 1) + 1):
            found = _match(line.replace("{n}", str(number)))
            local = datetime.fromisoformat(f"{YEAR}-{found['day']}T{found['clock']}")
            fields = dict(part.split("=", 1) for part in found["fields"].split())
            yield local.replace(tzinfo=ZoneInfo(self.zone)), {"type": found["type"], **fields}


def _match(line: str) -> re.Match[str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(f"{line!r} is not 'MM-DD HH:MM type field=value …'")
    return found


def read(text: str) -> list[Example]:
    """Return the examples of a YAML text in the form of `examples.yaml`. Raises ValueError for a line that is none."""
    return [_example(**one) for one in yaml.safe_load(text)]


def examples() -> list[Example]:
    """Return the examples of all metrics."""
    return read(files("hubbub.metrics").joinpath("examples.yaml").read_text(encoding="utf-8"))


def _example(story: str, events: list[str], gives: Mapping[str, list[Any]], **rest: Any) -> Example:
    if days := rest.pop("days", None):
        rest["first"], rest["after"] = (date.fromisoformat(f"{YEAR}-{day}") for day in days)
    values = {name: (Fraction(str(value)), str(why)) for name, (value, why) in gives.items()}
    return Example(story.strip(), tuple(events), values, hotspot_tones=tuple(rest.pop("hotspot_tones", ())), **rest)

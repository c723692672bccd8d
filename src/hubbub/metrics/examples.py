"""Worked examples of every metric: `examples.yaml`, shown by the reference and run by the tests."""

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
from hubbub.model.target import Target

YEAR = 2026
_LINE = re.compile(r"(?:x(?P<times>\d+) )?(?P<day>\d\d-\d\d) (?P<clock>\S+) (?P<type>\S+)(?P<fields>.*)")


@dataclass(frozen=True)
class Example:
    """Events of a tenant, and the values of metrics over the days `[first, after)`; `gives`: metric -> value and reason."""

    story: str
    events: tuple[str, ...]
    gives: Mapping[str, tuple[Fraction, str]]
    first: date = date(YEAR, 3, 2)
    after: date = date(YEAR, 3, 3)
    zone: str = "UTC"
    hotspot_tones: tuple[str, ...] = ()
    threads: Mapping[str, Any] = field(default_factory=dict)
    ai_minutes_saved: float | None = None
    calendar: Mapping[str, Any] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()

    def happened(self) -> list[Event]:
        """Return the lines as events; an event without an `id` gets its place as id."""
        rows = [(when, fields) for line in self.events for when, fields in self._read(line)]
        return [
            msgspec.convert({"id": f"e{place}", "time": when, **fields}, Event, strict=False)
            for place, (when, fields) in enumerate(rows)
        ]

    def _read(self, line: str) -> Iterator[tuple[datetime, dict[str, str]]]:
        for number in range(1, int(_match(line)["times"] or 1) + 1):
            match = _match(line.replace("{n}", str(number)))
            local = datetime.fromisoformat(f"{YEAR}-{match['day']}T{match['clock']}")
            fields = dict(part.split("=", 1) for part in match["fields"].split())
            yield local.replace(tzinfo=ZoneInfo(self.zone)), {"type": match["type"], **fields}


def _match(line: str) -> re.Match[str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is not 'MM-DD HH:MM type field=value …'")
    return match


def read(text: str) -> list[Example]:
    """Return the examples of a YAML text in the form of `examples.yaml`. Raises ValueError for a malformed line."""
    return [_example(**entry) for entry in yaml.safe_load(text)]


def examples() -> list[Example]:
    """Return the examples of all metrics."""
    return read(files("hubbub.metrics").joinpath("examples.yaml").read_text(encoding="utf-8"))


def _example(story: str, events: list[str], gives: Mapping[str, list[Any]], **rest: Any) -> Example:
    if days := rest.pop("days", None):
        rest["first"], rest["after"] = (date.fromisoformat(f"{YEAR}-{day}") for day in days)
    values = {name: (Fraction(str(value)), str(why)) for name, (value, why) in gives.items()}
    targets = msgspec.convert(rest.pop("targets", ()), tuple[Target, ...])
    tones = tuple(rest.pop("hotspot_tones", ()))
    return Example(story.strip(), tuple(events), values, hotspot_tones=tones, targets=targets, **rest)

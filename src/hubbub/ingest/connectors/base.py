"""What a connector is: its provider's name, the settings it needs, and `fetch`, which gives a day's events in batches.

A new service is one file with one such class, and its name in `catalogue.py`. Fetching a day again must give the same ids, so
that nothing counts twice. A connector raises `UpstreamUnavailableError` (try again) or `UpstreamRefusedError` (a person has to
act), and holds no more than one page of the service in memory. What cannot be read beside what can, it notes, and goes on.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hubbub.control.integrations import Integration
from hubbub.errors import BadInputError
from hubbub.model.coverage import Day, Feed
from hubbub.model.event import Item
from hubbub.model.name import Name
from hubbub.model.question import parse_date
from hubbub.model.tenant import check_zone
from hubbub.model.window import Window
from hubbub.outgoing.http import Outgoing

LONGEST_LIST = 1000
Batch = Sequence[Item | Name]
"""What a page of a service gave: events, what of it cannot be used, and what ids are called."""


@dataclass(frozen=True)
class Setting:
    """One setting of an integration: a text of a certain form, or a list of such."""

    name: str
    doc: str
    form: str = r"[^\x00-\x1f]{1,200}"
    required: bool = False
    many: bool = False
    default: Any = None

    def read(self, value: object) -> str | list[str]:
        """Return a usable value. Raises BadInputError naming the setting."""
        parts = value if self.many else [value]
        if self.many and isinstance(value, str):
            parts = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(parts, list) or len(parts) > LONGEST_LIST:
            raise BadInputError(f"settings.{self.name}: a list of at most {LONGEST_LIST} texts ({self.doc})")
        for part in parts:
            if not isinstance(part, str) or not re.fullmatch(self.form, part):
                raise BadInputError(f"settings.{self.name}: {str(part)[:80]!r} cannot be used ({self.doc})")
        if self.name == "zone":
            check_zone(parts[0])
        if self.name == "since":
            parse_date(parts[0])
        return parts if self.many else str(parts[0])


def check_settings(provider: str, settings: Iterable[Setting], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return given settings as they are kept. Raises BadInputError naming what is unknown, absent or unusable."""
    known = {setting.name: setting for setting in settings}
    for name in given:
        if name not in known:
            raise BadInputError(
                f"settings.{str(name)[:80]}: {provider} has no such setting; it knows {', '.join(known)}"
            )
    missing = [s.name for s in known.values() if s.required and given.get(s.name) in (None, "", [])]
    if missing:
        raise BadInputError(f"settings.{missing[0]}: {provider} needs it ({known[missing[0]].doc})")
    return {name: known[name].read(value) for name, value in given.items() if value not in (None, "", [])}


BASE_URL = r"https?://[^\s/?#@]+(/[^\s?#]*)?"
ZONE = Setting(
    "zone", "IANA time zone that the days to fetch are cut in; UTC if absent", r"[\w+/-]{1,64}", default="UTC"
)

LABELS = Setting(
    "labels",
    "yes: its messages are labelled as they come; their texts are looked at, and not stored",
    r"yes|no",
    default="no",
)


SINCE = Setting("since", "first day to fetch, like 2026-08-01; the day of connecting if absent", r"\d{4}-\d{2}-\d{2}")


@dataclass
class Notes:
    """What a connector notes while it fetches.

    `place` (plain values) says where to go on, and is set after a batch was taken: a fetch that broke off begins there again.
    `memory` is kept from one day to the next. `missing` names, by dimension, what could not be read; `troubles` says of each what
    happened and what a person can do, and `whole` whether nothing but remarks is in it. `patience`: seconds that pauses which the
    service asks for may take together, where the connector's own bound is lower.
    """

    place: Any = None
    memory: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    whole: bool = True
    patience: float = 0.0

    def remark(self, reason: str, action: str) -> None:
        """Note something that a person may want to know, and that nothing is missing for."""
        if (reason, action) not in self.troubles:
            self.troubles.append((reason, action))

    def trouble(self, reason: str, action: str, **missing: str) -> None:
        """Note what cannot be read; `missing` are the dimension values of the events that are not there for it."""
        self.whole = False
        self.remark(reason, action)
        for name, value in missing.items():
            if value not in self.missing.setdefault(name, []):
                self.missing[name].append(value)

    @property
    def reason(self) -> str:
        """All troubles in one line."""
        return "; ".join(reason for reason, _ in self.troubles)

    @property
    def action(self) -> str:
        """What to do about them, each once."""
        return "; ".join(dict.fromkeys(action for _, action in self.troubles if action))


class Connector(ABC):
    """Fetches the days of one service."""

    provider: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]
    observes: ClassVar[bool] = False
    """Whether the service shows counters as they stand now: then an event whose content is stored already is left out."""

    subjects: ClassVar[frozenset[str]]
    """Subjects of the event types that it brings."""

    def __init__(self, http: Outgoing) -> None:
        self.http = http

    @classmethod
    def feed(cls, integration: Integration) -> Feed:
        """Return what an integration can bring."""
        return Feed(cls.subjects, cls.dims(integration), daily=True)

    @classmethod
    @abstractmethod
    def dims(cls, integration: Integration) -> Mapping[str, frozenset[str]]:
        """Return the values that all its events have of dimensions."""

    @abstractmethod
    def fetch(self, integration: Integration, secret: str, day: Day, notes: Notes) -> Iterator[Batch]:
        """Yield what happened that day, and names, in batches of a page."""

    @abstractmethod
    def look_back(self, integration: Integration, secret: str, since: Window, notes: Notes) -> Iterator[Batch]:
        """Yield what changed in a stretch, or came to what began before it, of what is older than the stretch."""

    def reconcile(self, integration: Integration, secret: str, lost: Window, notes: Notes) -> Iterator[Batch]:
        """Yield what happened in a stretch in which the service's own deliveries were lost, and what came to older things in it."""
        yield from self.fetch(integration, secret, Day(lost.start.date(), lost.start, lost.end), notes)
        notes.place = None
        yield from self.look_back(integration, secret, lost, notes)

    @classmethod
    def check(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a new integration. Raises BadInputError naming what is unknown, absent or unusable."""
        return check_settings(cls.provider, cls.settings, given)

    @classmethod
    def setting(cls, integration: Integration, name: str) -> Any:
        """Return a setting of an integration, or its default."""
        default = next(setting.default for setting in cls.settings if setting.name == name)
        return integration.settings.get(name, default)

"""The contract of a connector: its provider's name, its settings, and `fetch`, which yields a day's events in batches.

A new service is a file with a class like this, and its name in `catalogue.py`. Fetching a day again must yield the same ids, so
that nothing counts twice. A connector raises `UpstreamUnavailableError` (try again) or `UpstreamRefusedError` (a person must
act), and holds one page of the service in memory. It notes parts that cannot be read, and reads the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hubbub.control.integrations import Integration
from hubbub.ingest.setting import Setting, check_settings
from hubbub.model.coverage import Day, Feed
from hubbub.model.event import Item
from hubbub.model.name import Name
from hubbub.model.plain import JsonObject
from hubbub.model.window import Window
from hubbub.outgoing.http import Outgoing

Batch = Sequence[Item | Name]
"""A page of a service: events, rejections of unusable records, and names of ids."""


@dataclass
class Notes:
    """The notes of a connector during a fetch.

    `place` (plain values) is where an interrupted fetch continues; it is set after a batch was stored. `memory` is carried from
    one day to the next. `missing` holds, by dimension, values that could not be read; `troubles` are pairs of a reason and an
    action for a person. `whole` is False once something is missing. `patience`: total seconds of pauses that the service may ask
    for, unless the connector allows more. `lost`: the range is one in which deliveries were lost.
    """

    place: Any = None
    memory: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    whole: bool = True
    patience: float = 0.0
    lost: bool = False

    def remark(self, reason: str, action: str) -> None:
        """Note something worth knowing that leaves no data missing."""
        if (reason, action) not in self.troubles:
            self.troubles.append((reason, action))

    def trouble(self, reason: str, action: str, **missing: str) -> None:
        """Note a part that cannot be read; `missing` are the dimension values of its events."""
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
        """What to do about the troubles, each action once."""
        return "; ".join(dict.fromkeys(action for _, action in self.troubles if action))


class Connector(ABC):
    """Fetches the days of one service."""

    provider: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]
    observes: ClassVar[bool] = False
    """Whether the service reports counters as they are now; then an event equal to the stored one is skipped."""

    subjects: ClassVar[frozenset[str]]
    """Subjects of the event types that the connector yields."""

    token: ClassVar[str] = "token of the service's API, to fetch days with"
    """The token that the connector needs, and what it must be allowed to do."""

    needs: ClassVar[str] = ""
    """The setting that only fetching needs, not receiving; "" if there is none."""

    def __init__(self, http: Outgoing) -> None:
        self.http = http

    @classmethod
    def feed(cls, integration: Integration) -> Feed:
        """Return the subjects and dimensions that an integration can fetch."""
        return Feed(cls.subjects, cls.dims(integration), daily=True)

    @classmethod
    @abstractmethod
    def dims(cls, integration: Integration) -> Mapping[str, frozenset[str]]:
        """Return dimension values that all events of the integration share."""

    @abstractmethod
    def fetch(self, integration: Integration, secret: str, day: Day, notes: Notes) -> Iterator[Batch]:
        """Yield events of the day, and names, in batches of a page."""

    @abstractmethod
    def look_back(self, integration: Integration, secret: str, since: Window, notes: Notes) -> Iterator[Batch]:
        """Yield changes and replies in a range or later whose originals are older than the range."""

    @classmethod
    def check(cls, values: JsonObject) -> dict[str, Any]:
        """Return the settings of a new integration. Raises BadInputError naming an unknown, missing or unusable one."""
        return check_settings(cls.provider, cls.settings, values)

    @classmethod
    def setting(cls, integration: Integration, name: str) -> Any:
        """Return a setting of an integration, or its default."""
        default = next(setting.default for setting in cls.settings if setting.name == name)
        return integration.settings.get(name, default)

"""An alert rule: what is watched, when it fires, and who is notified. Plain values; `alerts/` evaluates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hubbub.model.window import Grain

FEW = 10
"""The absolute floor of a rule that names none: the fewest messages or ratings behind a number that it judges."""


class Kind(StrEnum):
    """What a rule watches."""

    THRESHOLD = "threshold"
    """A metric's value in a window is beyond a limit."""
    CHANGE = "change"
    """A metric's value in a window is unusual, and beyond an absolute and a relative floor."""
    HOTSPOT = "hotspot"
    """A channel's share of complaints is above a limit."""
    SLA = "sla"
    """A conversation waits for a reply now, longer than a limit, or than the tenant's target if the rule has no limit."""
    SOURCE = "source"
    """Expected events stopped coming, or an integration is broken, now."""
    BUDGET = "budget"
    """A count since the beginning of the month is above a limit."""


class Direction(StrEnum):
    """The direction in which a number leaves the good range."""

    ABOVE = "above"
    BELOW = "below"
    EITHER = "either"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as its owner wrote it; `alerts.rules.checked` validates it.

    `limit` is in the metric's unit. `at_least` is the absolute floor, in messages or ratings; `times` is the relative floor.
    Without an absolute floor a rising count must be unlikely by chance, and other numbers need `FEW` messages or ratings.
    `by` opens one incident for each value of a dimension. `close_after` is the number of quiet windows that close an incident; 0:
    the kind's default. `destinations` are ids. `quiet` are hours of the tenant's zone ("22:00-07:00") in which nobody is notified
    unless the rule is `urgent`; beyond `most` messages a local day, the rest is one summary.
    """

    name: str
    kind: Kind
    metric: str = ""
    grain: Grain = Grain.DAY
    direction: Direction = Direction.ABOVE
    limit: float | None = None
    at_least: float | None = None
    times: float = 2
    by: str | None = None
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    close_after: int = 0
    destinations: tuple[str, ...] = ()
    quiet: str = ""
    urgent: bool = False
    most: int = 10

    @property
    def floor(self) -> float:
        """The absolute floor, in messages or ratings."""
        return FEW if self.at_least is None else self.at_least

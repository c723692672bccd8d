"""Freshness: until when an answer is complete, and which of its numbers are unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hubbub.model.plain import ABSENT
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, window_of


@dataclass(frozen=True, slots=True)
class FlaggedRule:
    """Which classified messages count as complaints."""

    topics: Sequence[str]
    tones: Sequence[str]
    """Tones that the tenant counts as well."""


@dataclass(frozen=True, slots=True)
class AnswerGap:
    """A range of a source with missing data."""

    source: str
    integration: str
    provider: str
    from_: str
    """RFC 3339, in the tenant's zone."""
    to: str
    reason: str
    message: str
    """The reason in words."""
    action: str | None
    """The remedy, if any."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Until when an answer is complete, and which of its numbers are unknown. Moments are RFC 3339, in the tenant's zone."""

    as_of: str
    """Everything known at this moment is counted."""
    complete_to: str
    """Until this moment all windows are over and no source has a gap."""
    source: str
    """Where the numbers were read."""
    live_windows: int
    """Windows that have not ended."""
    zone: str
    quantiles: str
    """How percentiles were computed."""
    complete: bool = True
    """Whether the range has no gap of a source."""
    hotspot_rule: FlaggedRule | None = field(default=None, metadata=ABSENT)
    """Which messages count as complaints; absent where no metric depends on it."""
    gone: str | None = field(default=None, metadata=ABSENT)
    """Which windows are null because their data is past retention; absent: none."""
    kept_from: str | None = field(default=None, metadata=ABSENT)
    """The beginning of facts; absent where the range begins later."""
    gaps: Sequence[AnswerGap] | None = field(default=None, metadata=ABSENT)
    """Gaps of sources in the range; absent: none."""
    gone_before: str | None = field(default=None, metadata=ABSENT)
    """`gone` of the earlier period."""
    gaps_before: Sequence[AnswerGap] | None = field(default=None, metadata=ABSENT)
    """`gaps` of the earlier period."""
    compared_with: Sequence[str] | None = field(default=None, metadata=ABSENT)
    """The earlier period: from and to."""
    behind: str | None = field(default=None, metadata=ABSENT)
    """Why the latest events are not counted; absent: they are."""


def fresh(
    question: Question, tenant: Tenant, now: datetime, live_windows: int, rule: FlaggedRule | None = None
) -> Freshness:
    """Return the freshness of an answer without gaps and past retention."""
    hour = window_of(now, Grain.HOUR, tenant.tz).start.astimezone(UTC)
    return Freshness(
        as_of=now.astimezone(tenant.tz).isoformat(),
        complete_to=min(hour, question.end).astimezone(tenant.tz).isoformat(),
        source="facts",
        live_windows=live_windows,
        zone=tenant.zone,
        quantiles="exact",
        hotspot_rule=rule,
    )

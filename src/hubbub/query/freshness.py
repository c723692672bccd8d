"""Freshness: how far an answer is complete, and what of it is not known."""

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
    """Those that the tenant counts beside the topics."""


@dataclass(frozen=True, slots=True)
class AnswerGap:
    """A stretch of a source of which something is missing, as an answer names it."""

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
    """What a person can do."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far an answer is complete, and what of it is not known. Moments are RFC 3339, in the tenant's zone."""

    as_of: str
    """What was known at this moment is counted."""
    complete_to: str
    """Up to here all windows are over and no source has a gap."""
    source: str
    """What the numbers were read from."""
    live_windows: int
    """Windows that have not ended."""
    zone: str
    quantiles: str
    """How percentiles were made."""
    complete: bool = True
    """Whether no gap of a source lies in the range."""
    hotspot_rule: FlaggedRule | None = field(default=None, metadata=ABSENT)
    """What counts as a complaint; absent where nothing asked for depends on it."""
    gone: str | None = field(default=None, metadata=ABSENT)
    """Which windows are null since what they count is past retention; absent: none."""
    kept_from: str | None = field(default=None, metadata=ABSENT)
    """Where facts begin; absent where nothing asked for lies before."""
    gaps: Sequence[AnswerGap] | None = field(default=None, metadata=ABSENT)
    """Gaps of sources in the range; absent: none."""
    gone_before: str | None = field(default=None, metadata=ABSENT)
    """`gone` of the period compared with."""
    gaps_before: Sequence[AnswerGap] | None = field(default=None, metadata=ABSENT)
    """`gaps` of the period compared with."""
    compared_with: Sequence[str] | None = field(default=None, metadata=ABSENT)
    """The period compared with: from and to."""
    behind: str | None = field(default=None, metadata=ABSENT)
    """Why what came last is not counted; absent: it is."""


def fresh(
    question: Question, tenant: Tenant, now: datetime, live_windows: int, rule: FlaggedRule | None = None
) -> Freshness:
    """Return the freshness of an answer to which no gap and no retention has done anything."""
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

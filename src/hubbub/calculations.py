"""Rates, scores and comparisons, as in the metric reference: pure functions of counts, without a store.

A rate is a share from 0 to 1 of whole counts; with a denominator of 0 it is `None`, never 0, because nothing was measured.
Contradictory counts raise `ValueError`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Literal

Label = Literal["up", "down", "flat", "new", "n/a"]


@dataclass(frozen=True)
class Change:
    """The difference between a value and an earlier one.

    `absolute` is current - previous in the value's own unit (for shares, times 100: percentage points). `relative` is a share
    of |previous| (0.25 is +25 %); `None` if it is undefined or the value is itself a share.
    """

    absolute: float | None
    relative: float | None
    label: Label


@dataclass(frozen=True)
class Aim:
    """A component of the campaign score: its relative weight, and the rate (0..1) that earns all its points."""

    weight: float
    target: float


CAMPAIGN_AIMS: Mapping[str, Aim] = MappingProxyType(
    {
        "delivery": Aim(0.20, 0.95),
        "read": Aim(0.20, 0.60),
        "engagement": Aim(0.35, 0.15),
        "conversion": Aim(0.25, 0.03),
    }
)
"""Default weights and targets of `campaign_score`."""

CAMPAIGN_MIN_ATTEMPTS = 30
CAMPAIGN_PRIOR = 20
"""Number of recipients at exactly the target that are added to each campaign, so that small campaigns stay near it."""

CAMPAIGN_MAX_PENALTY = 30.0
CAMPAIGN_LEAVERS_AT_MAX = 0.02
"""Number of blocks and opt-outs per delivered message that costs the largest penalty."""


@dataclass(frozen=True)
class Part:
    """A component of a campaign's score: its counts, the rate shrunk towards the target (0..1), and its points.

    `weight` is its share of the score, without missing components. The `points` of all parts add up to the score before its
    penalty.
    """

    numerator: int
    denominator: int
    target: float
    weight: float
    shrunk_rate: float
    points: float


@dataclass(frozen=True)
class CampaignScore:
    """A campaign's score from 0 to 100 with its parts; a `value` of `None` has a `reason`."""

    value: float | None
    parts: Mapping[str, Part]
    penalty: float
    reason: str | None = None


DEED_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"conversion": 8.0, "inbound": 4.0, "rating": 4.0, "click": 3.0, "read": 1.0}
)
"""Raw points for each action of a contact; `rating` counts only ratings of 4 and 5."""

DEEDS_PER_DAY = 5
DEED_HALF_LIFE_DAYS = 30.0
DEED_SCALE = 20.0


@dataclass(frozen=True)
class EngagementScore:
    """A contact's score from 0 to 100, its raw points in total and by kind of action, and the reason of a forced 0."""

    value: float
    raw: float
    parts: Mapping[str, float]
    reason: str | None = None


def _ratio(numerator: int, denominator: int, what: str) -> float | None:
    if numerator < 0 or denominator < 0:
        raise ValueError(f"{what}: counts cannot be negative, got {numerator} of {denominator}")
    if numerator > denominator:
        raise ValueError(f"{what}: {numerator} cannot be more than the {denominator} it is a part of")
    return numerator / denominator if denominator else None


def delivery_rate(delivered: int, attempted: int) -> float | None:
    """Return delivered / attempted as a share 0..1, where attempted = delivered + failed + pending messages.

    Count only channels with receipts: on others no delivery is known.
    """
    return _ratio(delivered, attempted, "delivery_rate")


def read_rate(read: int, delivered: int) -> float | None:
    """Return read / delivered messages as a share 0..1: a lower bound, since read receipts can be switched off."""
    return _ratio(read, delivered, "read_rate")


def engagement_rate(engaged: int, recipients: int) -> float | None:
    """Return the share 0..1 of distinct delivered recipients who replied, clicked, reacted or converted."""
    return _ratio(engaged, recipients, "engagement_rate")


def reply_rate(replied: int, delivered: int) -> float | None:
    """Return the share 0..1 of delivered messages that their contact answered in that conversation within 72 hours."""
    return _ratio(replied, delivered, "reply_rate")


def failure_rate(failed: int, attempted: int) -> float | None:
    """Return failed / attempted messages as a share 0..1; a message that was delivered later has not failed."""
    return _ratio(failed, attempted, "failure_rate")


def conversion_rate(converted: int, recipients: int) -> float | None:
    """Return the share 0..1 of distinct delivered recipients who converted within 7 days after delivery."""
    return _ratio(converted, recipients, "conversion_rate")


def average_response_time(total_ms: int, responses: int) -> float | None:
    """Return the mean wait in milliseconds: the sum of all waits / their number. Never average averages."""
    if total_ms < 0 or responses < 0:
        raise ValueError(f"average_response_time: cannot be negative, got {total_ms} ms in {responses} responses")
    if total_ms and not responses:
        raise ValueError(f"average_response_time: {total_ms} ms cannot come from no response")
    return total_ms / responses if responses else None


def growth_rate(current: float | None, previous: float | None) -> Change:
    """Return the growth of a count, duration or score: (current - previous) / |previous|, by the rules of `change`."""
    return change(current, previous, unit_is_share=False)


def change(current: float | None, previous: float | None, unit_is_share: bool) -> Change:
    """Compare a value with that of the previous window of the same length; `None` is a missing value.

    If one is missing, the change is empty, `n/a`. Shares differ in percentage points and have no relative change. For other values,
    0 to 0 is 0 and `flat`, and 0 to more is `new` without a relative change. Other labels are up, down and flat. Raises ValueError
    for values that are not finite.
    """
    if current is None or previous is None:
        return Change(None, None, "n/a")
    if not (math.isfinite(current) and math.isfinite(previous)):
        raise ValueError(f"change: needs finite numbers, got {current} and {previous}")
    absolute = current - previous
    label: Label = "up" if current > previous else "down" if current < previous else "flat"
    if unit_is_share:
        return Change(absolute, None, label)
    if previous == 0:
        return Change(absolute, None if current else 0.0, "new" if current > 0 else label)
    relative = absolute / abs(previous)
    return Change(absolute, relative if math.isfinite(relative) else None, label)


def campaign_score(
    *,
    attempted: int,
    delivered: int | None,
    read: int | None,
    recipients: int | None,
    engaged: int | None,
    converted: int | None,
    blocked: int = 0,
    opted_out: int = 0,
    aims: Mapping[str, Aim] = CAMPAIGN_AIMS,
) -> CampaignScore:
    """Score a campaign from 0 to 100: 100 * weighted mean of min(1, rate / target), minus a penalty for blocks and opt-outs.

    Rates are delivered / attempted, read / delivered, engaged / recipients and converted / recipients, each shrunk as
    (num + 20 * target) / (den + 20). A component whose counts are `None`, whose denominator is 0 or which is not in `aims` is
    left out, and the weights of the others are scaled up. penalty = min(30, 30 * (blocked + opted out) / (.02 * delivered)).
    With fewer than 30 attempts there are components but no value.
    """
    unknown = set(aims) - set(CAMPAIGN_AIMS)
    if unknown:
        raise ValueError(f"campaign_score: no component {sorted(unknown)}, there are {sorted(CAMPAIGN_AIMS)}")
    if any(aim.weight < 0 or not 0 < aim.target <= 1 for aim in aims.values()):
        raise ValueError("campaign_score: weights must be 0 or more, and targets above 0 and at most 1")
    if attempted < 0 or blocked < 0 or opted_out < 0:
        raise ValueError("campaign_score: counts cannot be negative")
    counts = {
        "delivery": (delivered, attempted),
        "read": (read, delivered),
        "engagement": (engaged, recipients),
        "conversion": (converted, recipients),
    }
    counted: dict[str, tuple[int, int]] = {}
    for name, (numerator, denominator) in counts.items():
        if name in aims and aims[name].weight and numerator is not None and denominator:
            _ratio(numerator, denominator, f"campaign_score {name}")
            counted[name] = (numerator, denominator)
    total = sum(aims[name].weight for name in counted)
    parts = {name: _part(*pair, aims[name], aims[name].weight / total) for name, pair in counted.items()}
    penalty = _penalty(blocked + opted_out, delivered or 0)
    if attempted < CAMPAIGN_MIN_ATTEMPTS:
        return CampaignScore(None, parts, penalty, f"fewer than {CAMPAIGN_MIN_ATTEMPTS} attempts")
    if not parts:
        return CampaignScore(None, parts, penalty, "no component was measured")
    value = math.fsum(part.points for part in parts.values()) - penalty
    return CampaignScore(min(100.0, max(0.0, value)), parts, penalty)


def _part(numerator: int, denominator: int, aim: Aim, weight: float) -> Part:
    shrunk = (numerator + CAMPAIGN_PRIOR * aim.target) / (denominator + CAMPAIGN_PRIOR)
    points = 100.0 * weight * min(1.0, shrunk / aim.target)
    return Part(numerator, denominator, aim.target, weight, shrunk, points)


def _penalty(leavers: int, delivered: int) -> float:
    if not leavers:
        return 0.0
    if not delivered:
        return CAMPAIGN_MAX_PENALTY
    return min(CAMPAIGN_MAX_PENALTY, CAMPAIGN_MAX_PENALTY * leavers / (CAMPAIGN_LEAVERS_AT_MAX * delivered))


def contact_engagement_score(
    deeds: Mapping[tuple[str, date], int],
    today: date,
    *,
    blocked: bool = False,
    weights: Mapping[str, float] = DEED_WEIGHTS,
) -> EngagementScore:
    """Score a contact from 0 to 100 at the end of `today`: 100 * (1 - exp(-raw / 20)).

    `deeds` are the contact's numbers of actions by (kind, day in the tenant's zone); kinds are those of `DEED_WEIGHTS`. raw = sum
    of weight * 2^(-age in days / 30), with at most 5 actions per kind and day; actions after `today` are ignored. A blocked
    contact has 0, with the reason.
    """
    points: dict[str, list[float]] = {}
    for (kind, day), count in deeds.items():
        if kind not in weights:
            raise ValueError(f"contact_engagement_score: no kind of action {kind!r}, there are {sorted(weights)}")
        if count < 0:
            raise ValueError(f"contact_engagement_score: counts cannot be negative, got {count} of {kind!r}")
        age = (today - day).days
        if age >= 0 and count:
            worth = weights[kind] * 2.0 ** (-age / DEED_HALF_LIFE_DAYS)
            points.setdefault(kind, []).append(min(count, DEEDS_PER_DAY) * worth)
    # fsum: the score must not depend on the order of the days
    parts = {kind: math.fsum(points[kind]) for kind in sorted(points)}
    raw = math.fsum(worth for some in points.values() for worth in some)
    if blocked:
        return EngagementScore(0.0, raw, parts, "blocked")
    return EngagementScore(-100.0 * math.expm1(-raw / DEED_SCALE), raw, parts)


def wilson_lower(successes: int, n: int, z: float = 1.96) -> float | None:
    """Return the lower bound 0..1 of the Wilson score interval for `successes` of `n`; z = 1.96 is 95 % (two-sided).

    Unlike the plain share it is cautious for small n (Wilson, JASA 1927). n = 0 gives `None`.
    """
    share = _ratio(successes, n, "wilson_lower")
    if share is None:
        return None
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (share + z * z / (2 * n) - spread) / (1 + z * z / n))

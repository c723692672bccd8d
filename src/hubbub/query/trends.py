"""Trends of a tenant's classified messages (topics, tones, escalations), and hotspots: channels with many complaints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hubbub.calculations import wilson_lower
from hubbub.metrics.topics import FLAGGED
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant, check_tones
from hubbub.model.window import Grain, window_of
from hubbub.query.compare import earlier
from hubbub.query.freshness import Freshness
from hubbub.query.queries import Queries
from hubbub.query.result import UNKNOWN, Answer, Number

HOTSPOT_MIN = 10
HOTSPOT_RATIO = 0.30
MOVERS = 5
PERIODS = {Grain.DAY: "daily", Grain.WEEK: "weekly", Grain.MONTH: "monthly", Grain.TOTAL: "total"}


@dataclass(frozen=True, slots=True)
class HotspotRule:
    """The definition of a hotspot: the topics and tones that are flagged, the fewest classified messages, the ratio to exceed."""

    topics: Sequence[str]
    tones: Sequence[str]
    minimum: int = HOTSPOT_MIN
    ratio: float = HOTSPOT_RATIO


@dataclass(frozen=True, slots=True)
class Mover:
    """A topic's share of the classified messages, with that of the window before."""

    topic: str
    count: int
    previous_count: int
    share: float
    previous_share: float
    change: float
    """The change of the share."""


@dataclass(frozen=True, slots=True)
class Hotspot:
    """A channel id with classified messages, and how many of them are flagged."""

    channel_id: str
    flagged_count: int
    total_count: int
    """Classified messages."""
    hotspot_ratio: float
    """Flagged messages / classified messages."""
    hotspot: bool
    """Whether it has enough messages and a ratio above the rule's."""
    lower_bound: float | None
    """The lower bound of the ratio's 95 % Wilson interval."""
    tenant_ratio: float
    """The tenant's own ratio over the window."""
    strong: bool
    """Whether it is a hotspot whose lower bound is above the tenant's own ratio."""


@dataclass(frozen=True, slots=True)
class TrendRow:
    """A window's classified messages. Unknown values are null, with the reason as `state`."""

    trend_date: str
    trend_period: str
    """daily, weekly, monthly, total or hour."""
    topic_distribution: Mapping[str, int] | None
    sentiment_distribution: Mapping[str, int] | None
    movers: Sequence[Mover] | None
    """Topics whose share changed most since the window before."""
    escalation_counts: Mapping[str, int] | None
    """Alerts by severity."""
    channel_hotspots: Sequence[Hotspot] | None
    total_classifications: Number
    coverage: float | None
    """Classified messages over people's messages; null where there are none."""
    avg_confidence: Number
    confidence_n: int | None
    """Number of classifications in the average."""
    state: str


@dataclass(frozen=True, slots=True)
class Trends:
    """Topics, tone, escalations and hotspots per window."""

    tenant: str
    rows: Sequence[TrendRow]
    rule: HotspotRule
    freshness: Freshness


@dataclass(frozen=True, slots=True)
class Hotspots:
    """Channels by their share of complaints and escalations, the worst first."""

    tenant: str
    rows: Sequence[Hotspot]
    rule: HotspotRule
    freshness: Freshness


def trends(
    queries: Queries,
    tenant: Tenant,
    start: datetime,
    end: datetime,
    grain: Grain,
    *,
    tones: Sequence[str] | None = None,
) -> Trends:
    """Return a row for each window of `[start, end)`. `tones` count for hotspots; None: the tenant's `hotspot_tones`."""
    tenant = _counting(tenant, tones)

    def counts(metrics: Sequence[str], *by: str) -> Question:
        return Question(tuple(metrics), start, end, grain, by)

    totals, topics_, moods_, alerts, ratios, before_ = queries.together(
        tenant,
        [
            counts(["classifications", "topic_confidence", "messages"]), counts(["classifications"], "topic"),
            counts(["classifications"], "sentiment"), counts(["escalation_alerts"], "severity"),
            _spots(start, end, grain),
            Question(("classifications",), *_before(tenant, start, end, grain, queries.now()), Grain.TOTAL, ("topic",)),
        ],
    )  # fmt: skip
    topics = _by_window(topics_, "topic", "classifications")
    moods = _by_window(moods_, "sentiment", "classifications")
    severities = _by_window(alerts, "severity", "escalation_alerts")
    spots = _hotspot_rows(ratios)
    before: Mapping[str, int] | None = None
    if before_.freshness.gone is None:
        before = next(iter(_by_window(before_, "topic", "classifications").values()), {})
    rows = []
    for row in totals.rows:
        classified, confidence = row.cells["classifications"], row.cells["topic_confidence"]
        known = classified.state not in UNKNOWN
        of_window = topics.get(row.start, {}) if known else None
        messages = row.cells["messages"].value
        rows.append(
            TrendRow(
                trend_date=row.start.astimezone(tenant.tz).date().isoformat(),
                trend_period=PERIODS.get(grain, grain.value),
                topic_distribution=of_window,
                sentiment_distribution=moods.get(row.start, {}) if known else None,
                movers=_movers(of_window, before),
                escalation_counts=severities.get(row.start, {}) if known else None,
                channel_hotspots=[spot for spot in spots.get(row.start, []) if spot.hotspot] if known else None,
                total_classifications=classified.value,
                coverage=classified.value / messages if classified.value is not None and messages else None,
                avg_confidence=confidence.value,
                confidence_n=confidence.n,
                state=classified.state,
            )
        )
        before = of_window
    return Trends(tenant.id, rows, _rule(tenant), totals.freshness)


def _before(tenant: Tenant, start: datetime, end: datetime, grain: Grain, now: datetime) -> tuple[datetime, datetime]:
    """Return the whole window before the first; for a total the period before."""
    if grain is Grain.TOTAL:
        return earlier(Question(("classifications",), start, end), tenant, now)
    first = window_of(start, grain, tenant.tz)
    last = window_of(first.start - timedelta(microseconds=1), grain, tenant.tz)
    return last.start, last.end


def _movers(now: Mapping[str, int] | None, before: Mapping[str, int] | None) -> list[Mover] | None:
    """Return the topics whose share of the classified messages changed most, largest first; empty without two windows.

    None where a window is unknown.
    """
    if now is None or before is None:
        return None
    total, earlier_total = sum(now.values()), sum(before.values())
    if not total or not earlier_total:
        return []
    moved = [
        Mover(topic, count, previous, count / total, previous / earlier_total, count / total - previous / earlier_total)
        for topic in sorted({*now, *before})
        for count, previous in [(now.get(topic, 0), before.get(topic, 0))]
    ]
    return sorted(moved, key=lambda mover: -abs(mover.change))[:MOVERS]


def _by_window(answer: Answer, dimension: str, metric: str) -> dict[datetime, dict[str, int]]:
    by_window: dict[datetime, dict[str, int]] = {}
    for row in answer.rows:
        value = row.cells[metric].value
        if value and row.dims[dimension] is not None:
            by_window.setdefault(row.start, {})[str(row.dims[dimension])] = int(value)
    return by_window


def hotspots(
    queries: Queries,
    tenant: Tenant,
    start: datetime,
    end: datetime,
    *,
    minimum: int = HOTSPOT_MIN,
    ratio: float = HOTSPOT_RATIO,
    tones: Sequence[str] | None = None,
) -> Hotspots:
    """Return every channel id with classified messages, worst first: counts, ratio, Wilson lower bound, hotspot, strong.

    Flagged are messages of the topics complaint and escalation, and of `tones` (None: of the tenant's `hotspot_tones`).
    A hotspot has at least `minimum` classified messages and a ratio above `ratio`; it is strong when the lower bound of its 95 %
    Wilson interval lies above the tenant's own rate over the range. The result's `rule` says which values were used.
    """
    tenant = _counting(tenant, tones)
    answer = queries.answer(tenant, _spots(start, end, Grain.TOTAL))
    rows = next(iter(_hotspot_rows(answer, minimum, ratio).values()), [])
    rows.sort(key=lambda row: (not row.hotspot, -row.hotspot_ratio, row.channel_id))
    return Hotspots(tenant.id, rows, _rule(tenant, minimum, ratio), answer.freshness)


def _rule(tenant: Tenant, minimum: int = HOTSPOT_MIN, ratio: float = HOTSPOT_RATIO) -> HotspotRule:
    return HotspotRule(FLAGGED, tenant.hotspot_tones, minimum, ratio)


def rule_text(tones: Sequence[str]) -> str:
    """Return a sentence that says which messages hotspots count."""
    named = (
        f", and tones that this tenant counts: {', '.join(tones)}" if tones else "; no tones (setting hotspot_tones)"
    )
    return f"Counted are messages of the topics complaint and escalation{named}."


def _counting(tenant: Tenant, tones: Sequence[str] | None) -> Tenant:
    """Return the tenant with these tones; None: those of its setting."""
    return tenant if tones is None else replace(tenant, hotspot_tones=check_tones(tones))


def _spots(start: datetime, end: datetime, grain: Grain) -> Question:
    """Return the question of hotspots."""
    return Question(("hotspot_ratio",), start, end, grain, ("channel_id",))


def _hotspot_rows(
    answer: Answer, minimum: int = HOTSPOT_MIN, ratio: float = HOTSPOT_RATIO
) -> dict[datetime, list[Hotspot]]:
    windows: dict[datetime, dict[str | None, tuple[int, int]]] = {}
    for row in answer.each():
        cell = row.cells["hotspot_ratio"]
        if cell.denominator:
            counted = int(cell.numerator or 0), int(cell.denominator)
            windows.setdefault(row.start, {})[row.dims["channel_id"]] = counted
    by_window: dict[datetime, list[Hotspot]] = {}
    for start, channels in windows.items():
        own = sum(count for count, _ in channels.values()) / sum(n for _, n in channels.values())
        for channel, (count, n) in channels.items():
            if channel is None:  # counts in the tenant's own rate, but is no channel
                continue
            share, lower = count / n, wilson_lower(count, n)
            hot = n >= minimum and share > ratio
            by_window.setdefault(start, []).append(
                Hotspot(channel, count, n, share, hot, lower, own, strong=hot and lower is not None and lower > own)
            )
    return by_window

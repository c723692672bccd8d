"""Trends and hotspots of a tenant's classified messages, as requirement A asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hubbub.calculations import wilson_lower
from hubbub.metrics.topics import FLAGGED
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant, check_tones
from hubbub.model.window import Grain, window_of
from hubbub.query.compare import earlier
from hubbub.query.queries import Queries
from hubbub.query.result import UNKNOWN, Answer

HOTSPOT_MIN = 10
HOTSPOT_RATIO = 0.30
MOVERS = 5
PERIODS = {Grain.DAY: "daily", Grain.WEEK: "weekly", Grain.MONTH: "monthly", Grain.TOTAL: "total"}


def trends(
    queries: Queries,
    tenant: Tenant,
    start: datetime,
    end: datetime,
    grain: Grain,
    *,
    tones: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return one row per window of `[start, end)` with topic and tone distribution, movers, escalations and hotspots.

    `coverage` is classified messages over people's messages, null where there are none; `confidence_n` says over how many
    classifications the average goes. `movers` compares each topic's share with the window before. `rule` says what a hotspot is:
    see `hotspots`. What is not known is null, with the reason as the row's `state`.
    """
    tenant = _counting(tenant, tones)

    def asked(metrics: Sequence[str], *by: str) -> Question:
        return Question(tuple(metrics), start, end, grain, by)

    totals, topics_, moods_, alerts, ratios, before_ = queries.together(
        tenant,
        [
            asked(["classifications", "topic_confidence", "messages"]), asked(["classifications"], "topic"),
            asked(["classifications"], "sentiment"), asked(["escalation_alerts"], "severity"),
            _spots(start, end, grain),
            Question(("classifications",), *_before(tenant, start, end, grain, queries.now()), Grain.TOTAL, ("topic",)),
        ],
    )  # fmt: skip
    topics = _by_window(topics_, "topic", "classifications")
    moods = _by_window(moods_, "sentiment", "classifications")
    severities = _by_window(alerts, "severity", "escalation_alerts")
    spots = _hotspot_rows(ratios)
    before: Mapping[str, int] | None = None
    if "gone" not in before_.freshness:
        before = next(iter(_by_window(before_, "topic", "classifications").values()), {})
    rows = []
    for row in totals.rows:
        seen, confidence = row.cells["classifications"], row.cells["topic_confidence"]
        known = seen.state not in UNKNOWN
        mine = topics.get(row.start, {}) if known else None
        messages = row.cells["messages"].value
        rows.append(
            {
                "trend_date": row.start.astimezone(tenant.tz).date().isoformat(),
                "trend_period": PERIODS.get(grain, grain.value),
                "topic_distribution": mine,
                "sentiment_distribution": moods.get(row.start, {}) if known else None,
                "movers": _movers(mine, before),
                "escalation_counts": severities.get(row.start, {}) if known else None,
                "channel_hotspots": [s for s in spots.get(row.start, []) if s["hotspot"]] if known else None,
                "total_classifications": seen.value,
                "coverage": seen.value / messages if seen.value is not None and messages else None,
                "avg_confidence": confidence.value,
                "confidence_n": confidence.n,
                "state": seen.state,
            }
        )
        before = mine
    return {"tenant": tenant.id, "rows": rows, "rule": _rule(tenant), "freshness": totals.freshness}


def _before(tenant: Tenant, start: datetime, end: datetime, grain: Grain, now: datetime) -> tuple[datetime, datetime]:
    """Return the window before the first one, whole; of a total the stretch before it."""
    if grain is Grain.TOTAL:
        return earlier(Question(("classifications",), start, end), tenant, now)
    first = window_of(start, grain, tenant.tz)
    last = window_of(first.start - timedelta(microseconds=1), grain, tenant.tz)
    return last.start, last.end


def _movers(now: Mapping[str, int] | None, before: Mapping[str, int] | None) -> list[dict[str, Any]] | None:
    """Return the topics whose share of the classified messages changed most, greatest first; none without two windows.

    None where a window is not known.
    """
    if now is None or before is None:
        return None
    total, earlier_total = sum(now.values()), sum(before.values())
    if not total or not earlier_total:
        return []
    moved = [
        {
            "topic": topic, "count": now.get(topic, 0), "previous_count": before.get(topic, 0),
            "share": now.get(topic, 0) / total, "previous_share": before.get(topic, 0) / earlier_total,
            "change": now.get(topic, 0) / total - before.get(topic, 0) / earlier_total,
        }
        for topic in sorted({*now, *before})
    ]  # fmt: skip
    return sorted(moved, key=lambda m: -abs(m["change"]))[:MOVERS]  # type: ignore[arg-type]


def _by_window(answer: Answer, dimension: str, metric: str) -> dict[datetime, dict[str, int]]:
    found: dict[datetime, dict[str, int]] = {}
    for row in answer.rows:
        value = row.cells[metric].value
        if value and row.dims[dimension] is not None:
            found.setdefault(row.start, {})[str(row.dims[dimension])] = int(value)
    return found


def hotspots(
    queries: Queries,
    tenant: Tenant,
    start: datetime,
    end: datetime,
    *,
    minimum: int = HOTSPOT_MIN,
    ratio: float = HOTSPOT_RATIO,
    tones: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return every channel id with classified messages, worst first: counts, ratio, Wilson lower bound, hotspot, strong.

    Flagged are messages of the topics complaint and escalation, and of `tones` (None: of the tenant's `hotspot_tones`).
    A hotspot has at least `minimum` classified messages and a ratio above `ratio`; it is strong when the lower bound of its 95 %
    Wilson interval lies above the tenant's own rate over the range. `rule` says all that.
    """
    tenant = _counting(tenant, tones)
    answer = queries.answer(tenant, _spots(start, end, Grain.TOTAL))
    rows = next(iter(_hotspot_rows(answer, minimum, ratio).values()), [])
    rows.sort(key=lambda r: (not r["hotspot"], -r["hotspot_ratio"], r["channel_id"]))
    return {"tenant": tenant.id, "rows": rows, "rule": _rule(tenant, minimum, ratio), "freshness": answer.freshness}


def _rule(tenant: Tenant, minimum: int = HOTSPOT_MIN, ratio: float = HOTSPOT_RATIO) -> dict[str, Any]:
    return {"topics": list(FLAGGED), "tones": list(tenant.hotspot_tones), "minimum": minimum, "ratio": ratio}


def rule_text(tones: Sequence[str]) -> str:
    """Return in words which messages hotspots count."""
    named = (
        f", and tones that this tenant counts: {', '.join(tones)}" if tones else "; no tones (setting hotspot_tones)"
    )
    return f"Counted are messages of the topics complaint and escalation{named}."


def _counting(tenant: Tenant, tones: Sequence[str] | None) -> Tenant:
    """Return the tenant as one that counts these tones; None: those of its setting."""
    return tenant if tones is None else replace(tenant, hotspot_tones=check_tones(tones))


def _spots(start: datetime, end: datetime, grain: Grain) -> Question:
    """Return the question that hotspots are read from."""
    return Question(("hotspot_ratio",), start, end, grain, ("channel_id",))


def _hotspot_rows(
    answer: Answer, minimum: int = HOTSPOT_MIN, ratio: float = HOTSPOT_RATIO
) -> dict[datetime, list[dict[str, Any]]]:
    windows: dict[datetime, dict[str | None, tuple[int, int]]] = {}
    for row in answer.each():
        cell = row.cells["hotspot_ratio"]
        if cell.denominator:
            counted = int(cell.numerator or 0), int(cell.denominator)
            windows.setdefault(row.start, {})[row.dims["channel_id"]] = counted
    found: dict[datetime, list[dict[str, Any]]] = {}
    for start, channels in windows.items():
        own = sum(count for count, _ in channels.values()) / sum(n for _, n in channels.values())
        for channel, (count, n) in channels.items():
            if channel is None:  # part of the tenant's own rate, but no channel
                continue
            share, lower = count / n, wilson_lower(count, n)
            hot = n >= minimum and share > ratio
            found.setdefault(start, []).append(
                {
                    "channel_id": channel, "flagged_count": count, "total_count": n, "hotspot_ratio": share, "hotspot": hot,
                    "lower_bound": lower, "tenant_ratio": own,
                    "strong": hot and lower is not None and lower > own,
                }
            )  # fmt: skip
    return found

"""Trends and hotspots of a tenant's classified messages, as requirement A asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hubbub.calculations import wilson_lower
from hubbub.model.question import Answer, Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, window_of
from hubbub.query.answer import Answers
from hubbub.query.compare import earlier

HOTSPOT_MIN = 10
HOTSPOT_RATIO = 0.30
MOVERS = 5
PERIODS = {Grain.DAY: "daily", Grain.WEEK: "weekly", Grain.MONTH: "monthly", Grain.TOTAL: "total"}


def trends(
    answers: Answers, tenant: Tenant, start: datetime, end: datetime, grain: Grain, now: datetime
) -> dict[str, Any]:
    """Return one row per window of `[start, end)` with topic and tone distribution, movers, escalations and hotspots.

    `coverage` is classified messages over people's messages, null where there are none; `confidence_n` says over how many
    classifications the average goes. `movers` compares each topic's share with the window before.
    """

    def asked(metrics: Sequence[str], *by: str) -> Question:
        return Question(tuple(metrics), start, end, grain, by)

    totals, topics_, tones_, alerts, ratios, before_ = answers.together(
        tenant,
        [
            asked(["classifications", "topic_confidence", "messages"]), asked(["classifications"], "topic"),
            asked(["classifications"], "sentiment"), asked(["escalation_alerts"], "severity"),
            asked(["hotspot_ratio"], "channel_id"),
            Question(("classifications",), *_before(tenant, start, end, grain, now), Grain.TOTAL, ("topic",)),
        ],
    )  # fmt: skip
    topics = _by_window(topics_, "topic", "classifications")
    tones = _by_window(tones_, "sentiment", "classifications")
    severities = _by_window(alerts, "severity", "escalation_alerts")
    spots = _hotspot_rows(ratios)
    before = next(iter(_by_window(before_, "topic", "classifications").values()), {})
    rows = []
    for row in totals.rows:
        mine = topics.get(row.start, {})
        seen, confidence = row.cells["classifications"], row.cells["topic_confidence"]
        messages = row.cells["messages"].value
        rows.append(
            {
                "trend_date": row.start.astimezone(tenant.tz).date().isoformat(),
                "trend_period": PERIODS.get(grain, grain.value),
                "topic_distribution": mine,
                "sentiment_distribution": tones.get(row.start, {}),
                "movers": _movers(mine, before),
                "escalation_counts": severities.get(row.start, {}),
                "channel_hotspots": [s for s in spots.get(row.start, []) if s["hotspot"]],
                "total_classifications": seen.value,
                "coverage": seen.value / messages if messages else None,  # type: ignore[operator]
                "avg_confidence": confidence.value,
                "confidence_n": confidence.n,
                "state": seen.state,
            }
        )
        before = mine
    return {"tenant": tenant.id, "rows": rows, "freshness": totals.freshness}


def _before(tenant: Tenant, start: datetime, end: datetime, grain: Grain, now: datetime) -> tuple[datetime, datetime]:
    """Return the window before the first one, whole; of a total the stretch before it."""
    if grain is Grain.TOTAL:
        return earlier(Question(("classifications",), start, end), tenant, now)
    first = window_of(start, grain, tenant.tz)
    last = window_of(first.start - timedelta(microseconds=1), grain, tenant.tz)
    return last.start, last.end


def _movers(now: Mapping[str, int], before: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the topics whose share of the classified messages changed most, greatest first; none without two windows."""
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
    answers: Answers,
    tenant: Tenant,
    start: datetime,
    end: datetime,
    *,
    minimum: int = HOTSPOT_MIN,
    ratio: float = HOTSPOT_RATIO,
) -> dict[str, Any]:
    """Return every channel id with classified messages, worst first: counts, ratio, Wilson lower bound, hotspot, strong.

    A hotspot has at least `minimum` classified messages and a ratio above `ratio`; it is strong when the lower bound of its
    95 % Wilson interval lies above the tenant's own rate over the range.
    """
    answer = answers.answer(tenant, Question(("hotspot_ratio",), start, end, Grain.TOTAL, ("channel_id",)))
    rows = _hotspot_rows(answer, minimum, ratio).get(start, []) if answer.rows else []
    rows.sort(key=lambda r: (not r["hotspot"], -r["hotspot_ratio"], r["channel_id"]))
    return {"tenant": tenant.id, "rows": rows, "freshness": answer.freshness}


def _hotspot_rows(
    answer: Answer, minimum: int = HOTSPOT_MIN, ratio: float = HOTSPOT_RATIO
) -> dict[datetime, list[dict[str, Any]]]:
    windows: dict[datetime, list[tuple[str | None, int, int]]] = {}
    for row in answer.rows:
        cell = row.cells["hotspot_ratio"]
        if cell.denominator:
            windows.setdefault(row.start, []).append(
                (row.dims["channel_id"], int(cell.numerator or 0), int(cell.denominator))
            )
    found: dict[datetime, list[dict[str, Any]]] = {}
    for start, channels in windows.items():
        own = sum(flagged for _, flagged, _ in channels) / sum(n for _, _, n in channels)
        for channel, count, n in channels:
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

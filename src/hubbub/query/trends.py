"""Trends and hotspots of a tenant's classified messages, as requirement A asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hubbub.calculations import wilson_lower
from hubbub.model.question import Answer, Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain
from hubbub.query.answer import Answers

HOTSPOT_MIN = 10
HOTSPOT_RATIO = 0.30
PERIODS = {Grain.DAY: "daily", Grain.WEEK: "weekly", Grain.MONTH: "monthly", Grain.TOTAL: "total"}


def trends(
    answers: Answers, tenant: Tenant, start: datetime, end: datetime, grain: Grain = Grain.DAY
) -> dict[str, Any]:
    """Return one row per window of `[start, end)` with topic and tone distribution, escalations, hotspots and confidence."""

    def ask(metrics: Sequence[str], by: Sequence[str] = ()) -> Answer:
        return answers.answer(tenant, Question(tuple(metrics), start, end, grain, tuple(by)))

    totals = ask(["classifications", "topic_confidence"])
    topics = _by_window(ask(["classifications"], ["topic"]), "topic", "classifications")
    tones = _by_window(ask(["classifications"], ["sentiment"]), "sentiment", "classifications")
    severities = _by_window(ask(["escalation_alerts"], ["severity"]), "severity", "escalation_alerts")
    rows = []
    spots = _hotspot_rows(ask(["hotspot_ratio"], ["channel_id"]))
    for row in totals.rows:
        local = row.start.astimezone(tenant.tz)
        rows.append(
            {
                "trend_date": local.date().isoformat(),
                "trend_period": PERIODS.get(grain, grain.value),
                "topic_distribution": topics.get(row.start, {}),
                "sentiment_distribution": tones.get(row.start, {}),
                "escalation_counts": severities.get(row.start, {}),
                "channel_hotspots": [s for s in spots.get(row.start, []) if s["hotspot"]],
                "total_classifications": row.cells["classifications"].value,
                "avg_confidence": row.cells["topic_confidence"].value,
            }
        )
    return {"tenant": tenant.id, "rows": rows, "freshness": totals.freshness}


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

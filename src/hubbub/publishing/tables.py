"""The published tables, declared as data: windows, dimensions and metrics of their columns.

All numbers are answers to questions, so rows and API agree to the last digit. `storage/published.py` has the column types;
`docs/howto/read-from-sql.md` describes how to read the tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hubbub.errors import BadQuestionError
from hubbub.model.event import nearest
from hubbub.model.question import NONE, Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, Window
from hubbub.query.answering import Ask
from hubbub.query.result import Answer, Cell, Number
from hubbub.query.trends import HOTSPOT_MIN, HOTSPOT_RATIO
from hubbub.storage.published import PERIOD, ROWS

Row = tuple[Any, ...]
Parts = Sequence[tuple[str | None, Sequence[Cell]]]
"""Values of a dimension, each with the cells of a `Spread`'s metrics."""
MINUTE = 60_000
TOP_INTENTS = 10
_COUNT = "INTEGER NOT NULL"
"""The type of counts, which are never null: a count that was not fetched is 0 in a row with other numbers."""
DIRECTIONS = {"in": "inbound", "out": "outbound"}


@dataclass(frozen=True, slots=True)
class Spread:
    """A JSON column: metrics by one dimension; `shape` makes its value."""

    metrics: tuple[str, ...]
    by: str
    shape: Callable[[Parts], Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A published table: its job, the grain of its windows, and its columns.

    `by`: column -> dimension. `numbers`: column -> metric. `over`: column -> divisor of its metric, like 60,000 ms for minutes.
    `words`: column -> dimension value -> the table's name for it. `fixed`: column -> constant. `named`: leave out rows without a
    value of the first dimension.
    """

    name: str
    job: str
    grain: Grain
    numbers: Mapping[str, str]
    by: Mapping[str, str] = field(default_factory=dict)
    over: Mapping[str, int] = field(default_factory=dict)
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    named: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in order, without `published_at`."""
        return tuple(ROWS[self.name])

    @property
    def period(self) -> str:
        """The column with the window's label."""
        return PERIOD[self.name]

    def label(self, start: datetime, tenant: Tenant) -> str:
        """Return the label of the window from `start`: an hour's start in UTC, else the first local day, or the month."""
        if self.grain is Grain.HOUR:
            return f"{start:%Y-%m-%dT%H:%M:%SZ}"
        local = start.astimezone(tenant.tz)
        return f"{local:%Y-%m}" if self.grain is Grain.MONTH else f"{local:%Y-%m-%d}"

    def rows(self, ask: Ask, tenant: Tenant, span: Window) -> list[Row]:
        """Return the rows of a span of whole windows, as `ask` answers."""
        spread = {
            column: _spread(part, ask(Question(part.metrics, span.start, span.end, self.grain, (part.by,))))
            for column, part in self.spreads.items()
        }
        metrics = tuple(dict.fromkeys(self.numbers.values()))
        answer = ask(Question(metrics, span.start, span.end, self.grain, tuple(self.by.values())))
        return list(self._laid_out(answer, tenant, spread))

    def _laid_out(self, answer: Answer, tenant: Tenant, spread: Mapping[str, Mapping[datetime, Any]]) -> Iterator[Row]:
        types = ROWS[self.name]
        values = {column: answer.columns[metric].values for column, metric in self.numbers.items()}
        for i, (start, dims) in enumerate(zip(answer.starts, answer.dims, strict=True)):
            numbers = {
                column: _over(column_values[i], self.over.get(column)) for column, column_values in values.items()
            }
            parts = {column: by_start.get(start) for column, by_start in spread.items()}
            counted = any(value or (value is not None and types[column] == "REAL") for column, value in numbers.items())
            if not (counted or any(parts.values())) or (self.named and dims[0] is None):
                continue
            known = {name: 0 if n is None and types[name] == _COUNT else n for name, n in numbers.items()}
            cells: dict[str, Any] = {self.period: self.label(start, tenant), **self.fixed, **known}
            for column, value in zip(self.by, dims, strict=True):
                cells[column] = self.words[column].get(str(value), value) if column in self.words else value
            for column, part in self.spreads.items():
                shown = parts[column] if parts[column] is not None else part.shape([])
                cells[column] = json.dumps(shown, ensure_ascii=False)
            yield tuple(cells.get(column, tenant.id) for column in self.columns)


def _over(value: Number, divisor: int | None) -> Number:
    return value if value is None or divisor is None else value / divisor


def _spread(spread: Spread, answer: Answer) -> dict[datetime, Any]:
    """Return the value of a JSON column by window."""
    windows: dict[datetime, list[tuple[str | None, Sequence[Cell]]]] = {}
    for i, (start, (value,)) in enumerate(zip(answer.starts, answer.dims, strict=True)):
        windows.setdefault(start, []).append((value, [answer.columns[name].cell(i) for name in spread.metrics]))
    return {start: spread.shape(parts) for start, parts in windows.items()}


def _counts(parts: Parts) -> dict[str, Number]:
    """Return counts by value, without zeros and without missing values."""
    return {value: cell.value for value, (cell,) in parts if value is not None and cell.value}


def _all_counts(parts: Parts) -> dict[str, Number]:
    """Return counts by value, with those without a value, so that they add up to the total."""
    return {NONE if value is None else value: cell.value for value, (cell,) in parts if cell.value}


def _top_intents(parts: Parts) -> list[dict[str, Any]]:
    ranked = sorted(_counts(parts).items(), key=lambda item: (-(item[1] or 0), item[0]))
    return [{"intent": intent, "count": count} for intent, count in ranked[:TOP_INTENTS]]


def _hotspots(parts: Parts) -> list[dict[str, Any]]:
    """Return channels with at least HOTSPOT_MIN classified messages and a share of flagged ones above HOTSPOT_RATIO."""
    hotspots = []
    for channel, (ratio, complaints, escalations) in parts:
        total, flagged = int(ratio.denominator or 0), int(ratio.numerator or 0)
        if channel is not None and ratio.value is not None and total >= HOTSPOT_MIN and ratio.value > HOTSPOT_RATIO:
            counts = [int(cell.value or 0) for cell in (complaints, escalations)]
            hotspots.append(
                {
                    "channel_id": channel, "complaint_count": counts[0], "escalation_count": counts[1],
                    "tone_count": flagged - sum(counts), "total_count": total, "hotspot_ratio": ratio.value,
                }
            )  # fmt: skip
    return hotspots


_CHANNEL = {"channel": "channel"}

TABLES: tuple[Table, ...] = (
    Table(
        "agg_message_counts_hourly", "hourly_message_counts", Grain.HOUR, {"count": "messages"},
        by={"channel": "channel", "direction": "direction"}, words={"direction": DIRECTIONS},
    ),
    Table(
        "agg_response_times_hourly", "hourly_response_times", Grain.HOUR,
        {
            "avg_response_ms": "response_ms.avg", "p50_response_ms": "response_ms.p50", "p95_response_ms": "response_ms.p95",
            "count": "response_ms.count",
        },
        by=_CHANNEL,
    ),
    Table(
        "agg_conversation_metrics_daily", "daily_conversation_metrics", Grain.DAY,
        {
            "conversations_started": "conversations_started", "conversations_resolved": "conversations_resolved",
            "conversations_escalated": "conversations_escalated",
            **{f"{mean}_first_response_ms": f"first_response_ms.{mean}" for mean in ("avg", "p50", "p95")},
            **{f"{mean}_resolution_minutes": f"resolution_ms.{mean}" for mean in ("avg", "p50", "p95")},
            "ai_handled_count": "ai_handled", "ai_escalated_count": "ai_escalated",
        },
        by=_CHANNEL, over={f"{mean}_resolution_minutes": MINUTE for mean in ("avg", "p50", "p95")},
    ),
    Table(
        "agg_staff_performance_daily", "daily_staff_performance", Grain.DAY,
        {
            "conversations_handled": "conversations_handled", "tasks_completed": "tasks_completed",
            "avg_response_time_ms": "response_ms.avg", "satisfaction_avg": "rating_avg", "satisfaction_count": "ratings",
        },
        by={"staff_id": "staff_id"}, named=True,
    ),
    Table(
        "agg_intent_distribution_daily", "daily_intent_distribution", Grain.DAY,
        {
            "count": "intents", "avg_confidence": "intent_confidence", "action_taken_count": "intent_actions",
            "escalated_count": "intents_escalated",
        },
        by={"intent": "intent"},
    ),
    Table(
        "agg_satisfaction_weekly", "weekly_satisfaction_trends", Grain.WEEK,
        {
            "surveys_sent": "surveys_sent", "responses_received": "ratings",
            **{f"rating_{n}": f"rating_{n}" for n in range(1, 6)}, "avg_rating": "rating_avg", "nps_score": "nps_score",
        },
        by=_CHANNEL,
    ),
    Table(
        "agg_monthly_summary", "monthly_summary", Grain.MONTH,
        {
            "total_conversations": "conversations_started", "total_messages": "messages", "total_tasks": "tasks_created",
            "ai_resolution_rate": "ai_resolution_rate", "avg_satisfaction": "rating_avg",
            "avg_response_time_minutes": "response_ms.avg",
        },
        over={"avg_response_time_minutes": MINUTE},
        spreads={
            "top_intents": Spread(("intents",), "intent", _top_intents),
            "channel_breakdown": Spread(("messages",), "channel", _all_counts),
        },
    ),
    Table(
        "communication_trends", "trend-aggregation", Grain.DAY,
        {"total_classifications": "classifications", "avg_confidence": "topic_confidence"},
        spreads={
            "topic_distribution": Spread(("classifications",), "topic", _counts),
            "sentiment_distribution": Spread(("classifications",), "sentiment", _counts),
            "escalation_counts": Spread(("escalation_alerts",), "severity", _counts),
            "channel_hotspots": Spread(
                ("hotspot_ratio", "complaints", "classified_escalations"), "channel_id", _hotspots
            ),
        },
        fixed={"trend_period": "daily"},
    ),
)  # fmt: skip


def table_of(name: str) -> Table:
    """Return the table of a name or job. Raises BadQuestionError."""
    known = {key: table for table in TABLES for key in (table.name, table.job)}
    if name not in known:
        raise BadQuestionError(f"there is no published table {name[:80]!r}{nearest(name, list(known))}")
    return known[name]

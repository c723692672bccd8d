"""The targets in force on the days of an answer: for shares within a target, breaches, and the waits that targets judge.

An answer lists them beside its rows, so that a chart can draw them as lines. `targets.py` judges wait by wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from hubbub.metrics.catalogue import RequestedMetric, find
from hubbub.metrics.definition import Unit
from hubbub.metrics.targets import WAITS
from hubbub.model.question import Question
from hubbub.model.target import Aim, Target, only_target
from hubbub.model.tenant import Tenant

_WITHIN_A_CHANNEL = frozenset({"channel", "channel_id", "account_id", "staff_id", "responder"})
"""Dimensions that a question may have. With them a row's target depends only on its channel; with priorities it would not."""


@dataclass(frozen=True, slots=True)
class TargetInForce:
    """The days on which one target judges all waits that a metric counts."""

    metric: str
    """Its name in the question."""
    channel: str | None
    """The channel whose rows it judges, where the question is split by channel; null: it judges all rows."""
    from_: str
    """First day, in the tenant's zone."""
    to: str
    """The day after the last."""
    id: str
    aim: Aim
    minutes: int
    """A wait of exactly this many minutes is within the target."""
    business: bool
    """Whether only minutes of the business hours count."""
    share: float | None
    """The share of waits that should be within it; null: not set."""


def targets_in_force(
    tenant: Tenant, question: Question, slices: Iterable[Sequence[str | None]]
) -> tuple[TargetInForce, ...]:
    """Return the targets of a question's metrics by metric, channel and day; `slices`: the dimension values of its rows.

    Left out are days on which several targets judge what a metric counts, by channel or priority, and metrics that count another
    time (business hours or all) than the target.
    """
    if not tenant.targets or not _WITHIN_A_CHANNEL.issuperset((*question.by, *question.where)):
        return ()
    channels, days = _channels(question, slices), _days(tenant, question)
    return tuple(
        row
        for metric in map(find, question.metrics)
        if (judge := _judge(metric)) is not None
        for channel, shown in channels
        for row in _stretches(tenant.targets, metric.name, judge, channel, shown, days)
    )


def _judge(metric: RequestedMetric) -> tuple[Aim, bool | None] | None:
    """Return the aim that judges a metric, and whether the metric counts business hours (None: as its target does), if any."""
    if metric.rollup.aim is not None:
        return metric.rollup.aim, None
    is_wait = metric.unit is Unit.MS and metric.statistic != "sum"
    return WAITS.get(metric.name.partition(".")[0]) if is_wait else None


def _channels(question: Question, slices: Iterable[Sequence[str | None]]) -> list[tuple[str | None, str | None]]:
    """Return each channel of the rows, and how the rows name it (None: not at all); none where a row counts several channels."""
    if "channel" in question.by:
        place = question.by.index("channel")
        return [(channel, channel) for channel in sorted({dims[place] or "" for dims in slices} - {""})]
    named = question.where.get("channel", ())
    return [(named[0] if named else None, None)] if len(named) <= 1 else []


def _days(tenant: Tenant, question: Question) -> tuple[date, date]:
    """Return the first local day of a question, and the day after its last."""

    def day(moment: datetime) -> date:
        return moment.astimezone(tenant.tz).date()

    return day(question.start), day(question.end - timedelta(microseconds=1)) + timedelta(days=1)


def _stretches(
    targets: Sequence[Target], metric: str, judge: tuple[Aim, bool | None], channel: str | None, shown: str | None,
    days: tuple[date, date],
) -> Iterator[TargetInForce]:  # fmt: skip
    aim, business = judge
    changes = {day for target in targets for day in (target.valid_from, target.valid_to) if day is not None}
    edges = [days[0], *sorted(day for day in changes if days[0] < day < days[1]), days[1]]
    joined: list[tuple[date, date, Target]] = []
    for first, after in pairwise(edges):
        target = only_target(targets, aim, first, channel)
        if target is None or business not in (None, target.business):
            continue
        if joined and joined[-1][1:] == (first, target):
            first = joined.pop()[0]
        joined.append((first, after, target))
    for first, after, target in joined:
        yield TargetInForce(
            metric,
            shown,
            first.isoformat(),
            after.isoformat(),
            target.id,
            aim,
            target.minutes,
            target.business,
            target.share,
        )

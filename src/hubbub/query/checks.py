"""Checks of a question before anything is read: its range, its windows, and the dimensions of its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import RequestedMetric, askable
from hubbub.model.event import nearest
from hubbub.model.question import Question, check_order
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, local_midnight
from hubbub.query.compare import PERIODS

MAX_WINDOWS = 20_000
_SECONDS = {Grain.HOUR: 3600, Grain.DAY: 86_400, Grain.WEEK: 7 * 86_400, Grain.MONTH: 30 * 86_400}


def check(question: Question, metrics: Sequence[RequestedMetric], tenant: Tenant) -> None:
    """Raise BadQuestionError for an invalid question: an empty range, too many windows, an unknown or forbidden dimension."""
    if not metrics:
        raise BadQuestionError("ask for at least one metric; 'hubbub metrics' lists them")
    if question.compare not in (None, *PERIODS):
        raise BadQuestionError(f"compare {str(question.compare)[:40]!r} is not one of {', '.join(PERIODS)}")
    check_range(question, tenant)
    _check_windows(question)
    for metric in metrics:
        _check_dimensions(question, metric)
    if len(set(question.by)) != len(question.by):
        raise BadQuestionError("a dimension occurs twice in 'by'")


def check_range(question: Question, tenant: Tenant) -> None:
    """Raise BadQuestionError for a range that is empty, or where no event can be."""
    check_order(question.start, question.end)
    first, after = (local_midnight(date(year, 1, 1), tenant.tz) for year in (2000, 2101))
    if question.start < first or question.end >= after:
        raise BadQuestionError("the range must be between 2000 and 2100")


def _check_windows(question: Question) -> None:
    span = (question.end - question.start).total_seconds()
    count = int(span / _SECONDS.get(question.grain, span))
    if count > MAX_WINDOWS:
        raise BadQuestionError(
            f"the range has about {count} windows of grain {question.grain}, {MAX_WINDOWS} are allowed; take a coarser grain"
        )


def _check_dimensions(question: Question, metric: RequestedMetric) -> None:
    allowed = askable(metric.rollup)
    for name in (*question.by, *question.where):
        if name not in allowed:
            raise BadQuestionError(
                f"metric '{metric.name}' has no dimension {name[:80]!r}{nearest(name, allowed)} "
                f"(it has {', '.join(sorted(allowed)) or 'none'})"
            )

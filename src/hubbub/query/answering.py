"""Answers one question: checks it, cuts its range into windows, reads facts, lays out columns, marks gaps, compares periods.

All is read from one tenant's facts at one moment; `queries.py` provides them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from hubbub.facts.moments import micros
from hubbub.metrics.catalogue import RequestedMetric, find
from hubbub.model.coverage import Gap
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window, windows
from hubbub.query.checks import check
from hubbub.query.compare import compared, earlier
from hubbub.query.gaps import with_gaps
from hubbub.query.layout import Gone, laid_out
from hubbub.query.reader import read
from hubbub.query.result import Answer
from hubbub.query.select import Context
from hubbub.storage.transaction import Reading

Ask = Callable[[Question], Answer]
"""Answers questions at one moment."""


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """A tenant's facts at one moment: what its questions are answered from."""

    reading: Reading
    tenant: Tenant
    now: datetime
    gaps: Sequence[Gap]
    """Gaps of its sources."""
    behind: str | None
    """Why the latest events are not counted; None: they are."""

    def answer(self, question: Question) -> Answer:
        """Answer a question. Raises BadQuestionError for unknown names and ranges without an answer."""
        metrics = [find(name) for name in question.metrics]
        check(question, metrics, self.tenant)
        gone = self._gone()
        if question.compare is None:
            answer = self._over_range(question, metrics, gone)
        else:
            start, end = earlier(question, self.tenant, self.now)
            past = replace(question, compare=None, start=start, end=end)
            now, before = (self._over_range(period, metrics, gone) for period in (question, past))
            answer = compared(now, before, self.tenant)
        return replace(answer, freshness=replace(answer.freshness, behind=self.behind)) if self.behind else answer

    def _over_range(self, question: Question, metrics: Sequence[RequestedMetric], gone: Gone | None) -> Answer:
        context = Context(self.reading, self.tenant, question, windows_of(question, self.tenant), micros(self.now))
        cells = read(context, metrics)
        answer = laid_out(context, metrics, cells, self.now, gone)
        return with_gaps(answer, self.tenant, metrics, context.windows, self.gaps, self.now)

    def _gone(self) -> Gone | None:
        """Return the range of facts past retention, if any."""
        rows = self.reading.rows(
            "SELECT gone_from, since FROM kept WHERE tenant = ? AND what = 'facts'", (self.tenant.no,)
        )
        return rows[0] if rows else None


def windows_of(question: Question, tenant: Tenant) -> list[Window]:
    """Return the windows of a question: between its own edges, or those of its grain, clipped to the range."""
    if question.edges:
        return [Window(*pair) for pair in pairwise(question.edges)]
    start, end = question.start, question.end
    return [
        Window(max(each.start, start), min(each.end, end)) for each in windows(start, end, question.grain, tenant.tz)
    ]

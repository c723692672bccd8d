"""Answers: questions, explanations, what changed, news, dashboards, trends, and the catalogue.

Every answer comes from one reader of facts (`query/queries.py`), so that no two can disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from hubbub.control.control import Control
from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import MetricEntry, entries
from hubbub.model.name import KIND_OF
from hubbub.model.page import Page
from hubbub.model.plain import JsonRow
from hubbub.model.question import Question, parse_grain, parse_moment, parse_range
from hubbub.model.tenant import Tenant
from hubbub.news.answer import JudgedNumbers, NewsAnswer, answer_of, numbers_of
from hubbub.news.news import LONGEST, News, check_dimensions, news, numbers_beside_usual
from hubbub.query.cached import Part, cacheable
from hubbub.query.changes import TOP, Changes, changes
from hubbub.query.checks import check_range
from hubbub.query.dashboard import Dashboard, States, dashboard, states
from hubbub.query.explain import PAGE, Explanation, explain
from hubbub.query.queries import Queries
from hubbub.query.result import Rows
from hubbub.query.targets_in_force import targets_in_force
from hubbub.query.trends import HOTSPOT_MIN, HOTSPOT_RATIO, Hotspots, Trends, hotspots, trends
from hubbub.query.usual import UsualTable, usual
from hubbub.services.names import NameService

Moment = str | datetime
"""A date (a day of the tenant's zone) or RFC 3339 time, or an aware moment."""
Where = Mapping[str, str | Sequence[str]]
"""Filters: by dimension the values that count."""


class AnswerService:
    """Answers questions about one tenant. Ranges are `[start, end)`. Raises BadQuestionError for invalid questions."""

    def __init__(self, control: Control, queries: Queries, names: NameService) -> None:
        self._control, self._queries, self._names = control, queries, names

    @cacheable("realtime", Part.NUMBERS, Part.EVENTS)  # a question may be about an event sent a moment ago
    def query(
        self,
        tenant: str,
        metrics: str | Sequence[str],
        start: Moment,
        end: Moment,
        grain: str = "total",
        by: Sequence[str] = (),
        where: Where | None = None,
        compare: str | None = None,
        include_bots: bool = False,
        as_of: Moment | None = None,
        *,
        details: bool = False,
        names: bool = False,
    ) -> Rows:
        """Answer a question in windows of a grain, split by dimensions.

        `compare` selects the earlier period; `as_of` answers with what was known at that moment. `details` adds the parts of each
        number; `names` adds the names of ids, as `<dimension>.name`, where any has one. `targets` of the answer are those in
        force over its days.
        """
        owner = self._control.tenant(tenant)
        question = _question(owner, metrics, start, end, grain, by, where, compare, include_bots, as_of)
        answer = self._queries.answer(owner, question)
        public = replace(answer.public(details=details), targets=targets_in_force(owner, question, answer.dims) or None)
        return replace(public, rows=self._with_names(owner, public.rows)) if names else public

    def _with_names(self, tenant: Tenant, rows: Sequence[JsonRow]) -> list[dict[str, Any]]:
        """Return rows with names after the dimensions that hold ids, where any of these has one."""
        fields = [field for field in (rows[0] if rows else ()) if field in KIND_OF]
        known = self._names.called(
            tenant, {KIND_OF[field]: {row[field] for row in rows if row[field]} for field in fields}
        )
        kinds = {kind for kind, _ in known}
        return [
            {
                name: value
                for field, held in row.items()
                for name, value in ((field, held), (f"{field}.name", known.get((KIND_OF.get(field, ""), str(held)))))
                if name == field or KIND_OF.get(field) in kinds
            }
            for row in rows
        ]

    def explain(
        self,
        tenant: str,
        metric: str,
        start: Moment,
        end: Moment,
        where: Where | None = None,
        *,
        as_of: Moment | None = None,
        limit: int = PAGE,
        cursor: str | None = None,
        part: str = "",
    ) -> Explanation:
        """Explain one number down to event ids, a page of them; with `as_of` as it was known at that moment.

        `part`: only the events in the `numerator` of a share, or the `rest`.
        """
        owner = self._control.tenant(tenant)
        question = _question(owner, metric, start, end, where=where, as_of=as_of)
        return explain(self._queries, owner, question, limit=limit, cursor=cursor, part=part)

    @cacheable("period", Part.NUMBERS)
    def changes(
        self,
        tenant: str,
        metrics: str | Sequence[str],
        start: Moment,
        end: Moment,
        by: Sequence[str] = (),
        where: Where | None = None,
        compare: str | None = None,
        include_bots: bool = False,
        *,
        as_of: Moment | None = None,
        limit: int = TOP,
    ) -> Changes:
        """Return the contributions to the difference of one metric between two periods, up to `limit` values of a dimension."""
        owner = self._control.tenant(tenant)
        question = _question(
            owner, metrics, start, end, by=by, where=where, compare=compare, include_bots=include_bots, as_of=as_of
        )
        return changes(self._queries, owner, question, limit=limit)

    @cacheable("period", Part.NUMBERS)
    def usual(
        self,
        tenant: str,
        metrics: str | Sequence[str],
        start: Moment,
        end: Moment,
        grain: str = "day",
        by: Sequence[str] = (),
        where: Where | None = None,
        include_bots: bool = False,
        *,
        as_of: Moment | None = None,
    ) -> UsualTable:
        """Return one metric's windows (hours, days or weeks) with the usual range of each: from the last eight settled weeks."""
        owner = self._control.tenant(tenant)
        question = _question(owner, metrics, start, end, grain, by, where, include_bots=include_bots, as_of=as_of)
        return usual(self._queries, owner, question).public(owner)

    @cacheable("period", Part.NUMBERS)
    def news(
        self,
        tenant: str,
        start: Moment,
        end: Moment,
        metrics: Sequence[str] = (),
        grain: str = "total",
        by: Sequence[str] = (),
        where: Where | None = None,
        compare: str | None = None,
        include_bots: bool = False,
        *,
        as_of: Moment | None = None,
    ) -> NewsAnswer:
        """Return the unusual numbers of a range of days, the worst first, each with its cause, and every judged number.

        `metrics` are judged beside the declared ones. A `grain` adds their values by window, `by` those of each dimension value.
        """
        owner = self._control.tenant(tenant)
        question = _question(owner, metrics, start, end, grain, by, where, compare, include_bots, as_of)
        return answer_of(self.news_of(owner, question), owner)

    @cacheable("period", Part.NUMBERS)
    def judged(
        self, tenant: str, start: Moment, end: Moment, metrics: Sequence[str], grain: str = "total", by: Sequence[str] = (),
        where: Where | None = None, compare: str | None = None, include_bots: bool = False,
    ) -> JudgedNumbers:  # fmt: skip
        """Return metrics of a range of days with their usual range, as `news` does for its `metrics`; with `by` the slices."""
        owner = self._control.tenant(tenant)
        question = _question(owner, metrics, start, end, grain, by, where, compare, include_bots)
        self._check_news(owner, question)
        with self._queries.asking(owner) as (ask, reading, now):
            return numbers_of(*numbers_beside_usual(ask, reading, owner, question, now), owner)

    @staticmethod
    def _check_news(tenant: Tenant, question: Question) -> None:
        check_range(question, tenant)
        check_dimensions(question)
        if question.end - question.start > LONGEST:
            raise BadQuestionError(f"news cover up to {LONGEST.days} days: eight weeks are too few to judge more")

    def news_of(self, tenant: Tenant, question: Question) -> News:
        """Return the news of a question's range."""

        def label(dimension: str, value: str) -> str:
            kind = KIND_OF.get(dimension, "")
            return self._names.called(tenant, {kind: [value]} if kind else {}).get((kind, value), value)

        self._check_news(tenant, question)
        with self._queries.counting(tenant, question.as_of) as (ask, reading, now):
            return news(ask, reading, tenant, question, now, label)

    @cacheable("dashboard", Part.NUMBERS, tier_of_days="period")
    def dashboard(
        self, tenant: str, days: int = 1, against: str = "yesterday", account: str | None = None, at: str | None = None
    ) -> Dashboard:
        """Return today so far (or some days) with an equally long earlier range, and the states now, or at a moment."""
        owner = self._control.tenant(tenant)
        return dashboard(self._queries, owner, days=days, against=against, account=account, at=_past(at, owner))

    @cacheable("realtime", Part.NUMBERS)
    def states(self, tenant: str, account: str | None = None, at: str | None = None) -> States:
        """Return the states now, or at a moment."""
        owner = self._control.tenant(tenant)
        return states(self._queries, owner, account=account, at=_past(at, owner))

    @cacheable("period", Part.NUMBERS)
    def trends(
        self, tenant: str, start: str, end: str, grain: str = "day", tones: Sequence[str] | None = None
    ) -> Trends:
        """Return topics, tones, escalations and hotspots by window; `tones` count as complaints (None: the tenant's)."""
        owner = self._control.tenant(tenant)
        return trends(self._queries, owner, *parse_range(start, end, owner.zone), parse_grain(grain), tones=tones)

    @cacheable("period", Part.NUMBERS)
    def hotspots(
        self,
        tenant: str,
        start: str,
        end: str,
        minimum: int = HOTSPOT_MIN,
        ratio: float = HOTSPOT_RATIO,
        tones: Sequence[str] | None = None,
    ) -> Hotspots:
        """Return channels by their share of complaints, escalations and messages in `tones` (None: the tenant's)."""
        owner = self._control.tenant(tenant)
        return hotspots(
            self._queries, owner, *parse_range(start, end, owner.zone), minimum=minimum, ratio=ratio, tones=tones
        )

    def metrics(self) -> Page[MetricEntry]:
        """Return the catalogue."""
        return Page(entries())


def _question(
    tenant: Tenant,
    metrics: str | Sequence[str],
    start: Moment,
    end: Moment,
    grain: str = "total",
    by: Sequence[str] = (),
    where: Where | None = None,
    compare: str | None = None,
    include_bots: bool = False,
    as_of: Moment | None = None,
) -> Question:
    """Build a question from plain values; dates are days of the tenant's zone. Raises BadQuestionError."""

    def moment(value: Moment) -> datetime:
        return parse_moment(value if isinstance(value, str) else value.isoformat(), tenant.zone)

    return Question(
        metrics=(metrics,) if isinstance(metrics, str) else tuple(metrics),
        start=moment(start),
        end=moment(end),
        grain=parse_grain(grain),
        by=tuple(by),
        where={k: (v,) if isinstance(v, str) else tuple(v) for k, v in (where or {}).items()},
        compare=compare,
        include_bots=include_bots,
        as_of=moment(as_of) if as_of is not None else None,
    )


def _past(at: str | None, tenant: Tenant) -> datetime | None:
    return parse_moment(at, tenant.zone) if at is not None else None

"""The engine's operations that answer: questions, explanations, what changed, news, dashboards, trends, and the catalogue.

`Engine` (app.py) inherits them. Every answer comes from one reader of facts (`query/queries.py`), so that no two can disagree.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hubbub.control.control import Control
from hubbub.errors import BadQuestionError
from hubbub.metrics import catalogue
from hubbub.model.name import KIND_OF
from hubbub.model.question import Question, parse_grain, parse_moment
from hubbub.model.tenant import Tenant
from hubbub.news.news import LONGEST, News, check_dimensions, news
from hubbub.query.changes import TOP, changes
from hubbub.query.dashboard import dashboard, states
from hubbub.query.explain import PAGE, explain
from hubbub.query.queries import Queries, check_range
from hubbub.query.trends import HOTSPOT_MIN, HOTSPOT_RATIO, hotspots, trends
from hubbub.query.usual import usual
from hubbub.services.names import NameService

OPERATIONS = ("query", "explain", "changes", "usual", "news", "dashboard", "states", "trends", "hotspots", "metrics")
"""Those that a command beside a running server may ask it to do."""

Where = Mapping[str, str | Sequence[str]]


class AnswerOperations(ABC):
    """What an engine answers."""

    control: Control
    queries: Queries
    names: NameService

    def question(
        self,
        tenant: Tenant,
        metrics: str | Sequence[str],
        start: str | datetime,
        end: str | datetime,
        grain: str = "total",
        by: Sequence[str] = (),
        where: Where | None = None,
        compare: str | None = None,
        include_bots: bool = False,
        as_of: str | datetime | None = None,
    ) -> Question:
        """Build a question from plain values; dates are days of the tenant's zone. Raises BadQuestionError."""

        def moment(value: str | datetime) -> datetime:
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

    def query(self, tenant: str, *, details: bool = False, names: bool = False, **question: Any) -> dict[str, Any]:
        """Answer a question: metrics, start, end, and optionally grain, by, where, compare, include_bots, as_of.

        `names` puts what ids are called beside them, as `<dimension>.name`, where any has a name.
        """
        one = self.control.tenant(tenant)
        answer = self.queries.answer(one, self.question(one, **question)).public(details=details)
        if names:
            answer["rows"] = self._with_names(one, answer["rows"])
        return answer

    def _with_names(self, tenant: Tenant, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return rows with names behind the dimensions that hold ids, where any of these has one."""
        fields = [field for field in (rows[0] if rows else ()) if field in KIND_OF]
        known = self.names.called(
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
        start: str,
        end: str,
        where: Where | None = None,
        *,
        as_of: str | datetime | None = None,
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Explain one number down to event ids; `as_of` as it was known at a moment."""
        one = self.control.tenant(tenant)
        question = self.question(one, metric, start, end, where=where, as_of=as_of)
        return explain(self.queries, one, question, limit=limit, cursor=cursor)

    def changes(self, tenant: str, *, limit: int = TOP, **question: Any) -> dict[str, Any]:
        """Say what contributed to the difference of one metric between two periods; see `query.changes`."""
        one = self.control.tenant(tenant)
        return changes(self.queries, one, self.question(one, **question), limit=limit)

    def usual(self, tenant: str, **question: Any) -> dict[str, Any]:
        """Return one metric's windows beside what is usual of each: the last eight settled weeks; see `query.usual`."""
        one = self.control.tenant(tenant)
        return usual(self.queries, one, self.question(one, **question)).public(one)

    def news(self, tenant: str, **question: Any) -> dict[str, Any]:
        """Return what is unusual of a range of days, the worst first, each with its cause, and every number that was judged.

        `metrics` are judged beside the declared ones; see `news.news`.
        """
        one = self.control.tenant(tenant)
        return self.news_of(one, self.question(one, **{"metrics": (), **question})).public(one)

    def news_of(self, tenant: Tenant, question: Question) -> News:
        """Return the news of a question's range."""

        def label(dimension: str, value: str) -> str:
            kind = KIND_OF.get(dimension, "")
            return self.names.called(tenant, {kind: [value]} if kind else {}).get((kind, value), value)

        check_range(question, tenant)
        check_dimensions(question)
        if question.end - question.start > LONGEST:
            raise BadQuestionError(f"news are of up to {LONGEST.days} days; eight weeks say nothing of more")
        with self.queries.asking(tenant, question.as_of) as (ask, reading, now):
            return news(ask, reading, tenant, question, now, label)

    def dashboard(
        self, tenant: str, days: int = 1, against: str = "yesterday", account: str | None = None, at: str | None = None
    ) -> dict[str, Any]:
        """Return today so far (or some days) against as much before, and what is the case now, or was at a moment."""
        one = self.control.tenant(tenant)
        moment = parse_moment(at, one.zone) if at is not None else None
        return dashboard(self.queries, one, days=days, against=against, account=account, at=moment)

    def states(self, tenant: str, account: str | None = None, at: str | None = None) -> dict[str, Any]:
        """Return what is the case now, or was at a moment."""
        one = self.control.tenant(tenant)
        moment = parse_moment(at, one.zone) if at is not None else None
        return states(self.queries, one, account=account, at=moment)

    def trends(
        self, tenant: str, start: str, end: str, grain: str = "day", tones: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Return topic and tone distributions, escalations and hotspots per window; `tones` are flagged beside complaints
        (None: those of the tenant's `hotspot_tones`)."""
        one = self.control.tenant(tenant)
        return trends(self.queries, one, *self._range(one, start, end), parse_grain(grain), tones=tones)

    def hotspots(
        self,
        tenant: str,
        start: str,
        end: str,
        minimum: int = HOTSPOT_MIN,
        ratio: float = HOTSPOT_RATIO,
        tones: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Return channels by their share of complaints, escalations and messages in `tones` (None: the tenant's)."""
        one = self.control.tenant(tenant)
        return hotspots(self.queries, one, *self._range(one, start, end), minimum=minimum, ratio=ratio, tones=tones)

    @staticmethod
    def _range(tenant: Tenant, start: str, end: str) -> tuple[datetime, datetime]:
        low, high = parse_moment(start, tenant.zone), parse_moment(end, tenant.zone)
        if low >= high:
            raise BadQuestionError("'from' must lie before 'to': the range is [from, to)")
        return low, high

    @staticmethod
    def metrics() -> dict[str, Any]:
        """Return the catalogue."""
        return {"rows": catalogue.entries()}

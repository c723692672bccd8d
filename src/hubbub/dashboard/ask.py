"""How widgets ask: answers of the engine, cached like the API's, under the days and filters of the view.

Pages and API agree because they call the same operation: `Ask.query` is `POST /v1/query`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable
from urllib.parse import urlencode

from hubbub.app import Engine
from hubbub.dashboard.answer_rows import PageAnswer, PageRow
from hubbub.dashboard.base_path import at
from hubbub.dashboard.person import Person
from hubbub.dashboard.view import FILTERS, View
from hubbub.dashboard.written import written
from hubbub.errors import HubbubError
from hubbub.facts.moments import micros, moment
from hubbub.metrics.catalogue import MEMBERS_ALLOWED, dimensions_of, find
from hubbub.metrics.definition import Rollup
from hubbub.metrics.wording import COMMON, WORDINGS, Wording, kind_of
from hubbub.model.name import KIND_OF, KINDS
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of
from hubbub.query.freshness import Freshness
from hubbub.query.gaps import sentences
from hubbub.query.reported import needed, unreported

T = TypeVar("T")
P = ParamSpec("P")
BUSINESS = {name: name.replace("_ms", "_business_ms") for name in ("response_ms", "first_response_ms", "resolution_ms")}
"""Measures that also exist in business hours."""
UNREPORTED = {
    "conversation": "any conversation",
    "satisfaction": "surveys or ratings", "task": "tasks", "campaign": "campaigns", "staff": "who is online",
    "receipt": "what became of sent messages",
}  # fmt: skip
"""What sources may report (`query.reported`) -> its name in sentences."""
NEWEST = 1000
"""Newest events whose channels say which words a tenant uses."""


Form = Mapping[str, str]


@dataclass(frozen=True)
class Refused:
    """A refused form, to show again with the typed values and the error."""

    action: str
    form: Form
    error: HubbubError


@runtime_checkable
class HasFreshness(Protocol):
    """An answer that says how fresh it is."""

    @property
    def freshness(self) -> Freshness:
        """How far it is complete."""


class Ask:
    """The questions of a request. `tenant` is None on pages about the whole installation."""

    def __init__(
        self, engine: Engine, person: Person, tenant: Tenant | None, view: View, page: str, now: datetime,
        refused: Refused | None = None,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.person = person
        self._tenant = tenant
        self.view = view
        self.page = page
        self.now = now
        self.freshness: Freshness | None = None
        """Of the newest answer, for the header."""
        self.kept_from = ""
        """Where facts begin (RFC 3339), if an answer of this widget reaches back before."""
        self.gaps: list[str] = []
        """Gaps of sources in the answers of this widget, in words."""
        self.lost: list[str] = []
        """The same without days that are not over."""
        self.missing: list[str] = []
        """Gaps of sources in the answers of the whole page, without days that are not over."""
        self.named_gaps: Sequence[str] = ()
        """Gaps that the page names on top, so that its parts need not."""
        self._known: dict[str, Any] = {}
        self.ended: date | None = None
        """The last day with data, if the view was moved there because the last four weeks have none."""
        self.refused = refused
        """A form that was just refused; None once it is shown again."""

    @property
    def tenant(self) -> Tenant:
        """The tenant of the page. Raises LookupError on a page without one."""
        if self._tenant is None:
            raise LookupError("this page is not about a single tenant")
        return self._tenant

    @property
    def of_tenant(self) -> bool:
        """Whether the page is about a single tenant."""
        return self._tenant is not None

    @property
    def period_after(self) -> View | None:
        """The view of the next period, if it has begun."""
        after = self.view.moved(1)
        return after if after.first <= day_of(self.now, self.tenant.tz) else None

    def param(self, name: str, default: str = "") -> str:
        """Return a parameter of the page."""
        return self.view.rest.get(name, default)

    # --- answers

    def query(
        self,
        metrics: Sequence[str],
        *,
        grain: str = "total",
        by: Sequence[str] = (),
        compare: str | None = None,
        where: Mapping[str, Sequence[str]] | None = None,
        span: tuple[date, date] | None = None,
    ) -> PageAnswer:
        """Ask under the view. Metrics without a filter's dimension are left out, and named."""
        wanted = {
            **{name: list(values) for name, values in self.view.where.items()},
            **{k: list(v) for k, v in (where or {}).items()},
        }
        unfiltered = {name: missing for name in metrics if (missing := self.unfiltered(name, wanted))}
        known = [name for name in metrics if name not in unfiltered]
        if not known:
            return PageAnswer([], None, unfiltered)
        first, after = span or (self.view.first, self.view.after)
        answer = self.kept(
            self.engine.answers.query, known, first.isoformat(), after.isoformat(), grain, list(by), wanted, compare,
            self.view.bots, details=True,
        )  # fmt: skip
        self.freshness = answer.freshness
        return PageAnswer([PageRow(row) for row in answer.rows], answer.freshness, unfiltered, answer.targets or ())

    def kept(self, method: Callable[Concatenate[str, P], T], /, *args: P.args, **params: P.kwargs) -> T:
        """Ask a method of a service whose answers are cached (`query.cached.cacheable`), of this tenant."""
        cached = self.engine.cached
        answer = cached.value(cached.call(method, self.tenant.id, *args, **params))
        if isinstance(answer, HasFreshness):
            self.see(answer.freshness)
        return answer

    def see(self, freshness: Freshness) -> None:
        """Note where facts begin, if an answer reaches back before that, and the gaps that it overlaps."""
        self.kept_from = freshness.kept_from or self.kept_from
        self.gaps += [text for text in sentences(freshness) if text not in self.gaps]
        lost = sentences(freshness, daily=False)
        self.lost += [text for text in lost if text not in self.lost]
        self.missing += [text for text in lost if text not in self.missing]

    def next_part(self) -> None:
        """Begin the next widget: what was seen of gaps and facts is of that alone."""
        self.kept_from, self.gaps, self.lost = "", [], []

    def once(self, name: str, work_out: Callable[[], T]) -> T:
        """Return a value that several widgets of a page need, computed by the first."""
        if name not in self._known:
            self._known[name] = work_out()
        value: T = self._known[name]
        return value

    def unfiltered(self, metric: str, where: Mapping[str, Sequence[str]] | None = None) -> str:
        """Return the title of the first filter (of the view, or `where`) that a metric does not have, or nothing."""
        rollup = find(metric).rollup
        known = {name for name, column in dimensions_of(rollup).items() if _asked_by(rollup, column)}
        missing = (n for n in (self.view.where if where is None else where) if n not in known)
        return self.in_words(next((FILTERS.get(n, n) for n in missing), ""))

    @cached_property
    def unreported(self) -> frozenset[str]:
        """What no source of the tenant ever reported: see `query.reported`."""
        return unreported(self.engine.queries, self.tenant)

    def reported(self, metrics: Iterable[str]) -> list[str]:
        """Return the metrics of events that a source of the tenant ever reported: of others nobody knows that they are 0."""
        return [name for name in metrics if not self._missing(name)]

    def not_reported(self, metrics: Iterable[str]) -> str:
        """Return a sentence on what no source reported of the events of some metrics; empty where all are reported."""
        return self.never(*(what for name in metrics if (what := self._missing(name))))

    def never(self, *what: str) -> str:
        """Return a sentence on which of some things (keys of `UNREPORTED`, or empty) no source ever reported; empty for none."""
        names = sorted({UNREPORTED[name] for name in what if name and name in self.unreported}, key=len)
        listed = " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
        if not names:
            return ""
        self.query(["messages"])  # notes where facts begin: what was reported before that is not known
        return self.in_words(f"No source here reports {listed}.")

    def _missing(self, metric: str) -> str:
        """Return what a metric needs if no source ever reported it, else nothing."""
        what = needed(metric)
        return what if what and what in self.unreported else ""

    def timed(self, metric: str) -> str:
        """Return a wait's metric in the view's time: all hours, or business hours."""
        name, dot, statistic = metric.partition(".")
        return (BUSINESS.get(name, name) if self.view.business else name) + dot + statistic

    @property
    def grain(self) -> str:
        """The view's grain of a chart."""
        return self.view.grain

    @cached_property
    def oldest(self) -> datetime | None:
        """The moment of the tenant's first event (UTC without zone), or None when there is none."""
        return first_event(self.engine, self.tenant)

    def called(self, wanted: Mapping[str, Iterable[str]]) -> Mapping[tuple[str, str], str]:
        """Return the names of ids, given by kind (`model.name.KINDS`); other kinds, and ids without a name, are left out."""
        if self._tenant is None:
            return {}
        return self.engine.names.called(self._tenant, {kind: ids for kind, ids in wanted.items() if kind in KINDS})

    def label(self, dimension: str, value: str) -> str:
        """Return the name of a dimension's value, or the value as people write it."""
        kind = KIND_OF.get(dimension, "")
        return self.called({kind: [value]}).get((kind, value)) or written(self.wording, dimension, value)

    @property
    def complete(self) -> str:
        """How far the newest answer is complete, in words: 17:00 today, or Sun 29 Nov, 24:00; empty without an answer."""
        if self.freshness is None:
            return ""
        at, now = datetime.fromisoformat(self.freshness.complete_to), self.now.astimezone(self.tenant.tz)
        if at.date() == now.date():
            return f"{at:%H:%M} today"
        year = f" {at.year}" if at.year != now.year else ""
        return f"{at:%a} {at.day} {at:%b}{year}, {at:%H:%M}"

    @cached_property
    def silent(self) -> str:
        """Which source has sent nothing since when, far longer than usual; empty for none, and for days before."""
        cached, tz = self.engine.cached, self.tenant.tz
        found = cached.value(cached.call(self.engine.monitoring.silent, self.tenant.id))
        sources = [(one.source, datetime.fromisoformat(one.since)) for one in found]
        now = [(source, since) for source, since in sources if since.date() < self.view.after]
        if not now:
            return ""
        source, at = now[0]
        day = "" if at.date() == self.now.astimezone(tz).date() else f"{at:%a} {at.day} {at:%b}, "
        more = f", nor from {len(now) - 1} more" if len(now) > 1 else ""
        return f"No events from {source} since {day}{at:%H:%M}{more}"

    # --- words

    @cached_property
    def wording(self) -> Wording:
        """The words of the tenant's kind, which its newest messages tell; the common ones on pages without a tenant."""
        return WORDINGS[kind_of(newest_channels(self.engine, self._tenant)) if self._tenant else COMMON]

    def in_words(self, text: str) -> str:
        """Return one of our texts, without names from outside, in the tenant's words."""
        return self.wording.text(text)

    def title(self, metric: str) -> str:
        """Return the title of a metric in the tenant's words."""
        return self.wording.title(metric)

    @property
    def filters(self) -> Mapping[str, str]:
        """The filters of the page with their titles; without that by channel where the tenant has only one."""
        return {
            name: self.in_words(title) for name, title in FILTERS.items()
            if name != "channel" or not self.wording.only_channel or name in self.view.where
        }  # fmt: skip

    # --- addresses

    @property
    def base(self) -> str:
        """The beginning of every address of this tenant's pages."""
        if self.person.share:
            return at(f"/s/{self.person.share}")
        return at(f"/t/{self.tenant.id}" if self._tenant is not None else "/operate")

    def link(self, page: str = "", view: View | None = None, **changes: str | None) -> str:
        """Return the address of a page (empty: this one) under a view (None: this one's).

        Empty where a shared link shows only another page.
        """
        if page and self.person.only not in ("", page):
            return ""
        shown = view or (self.view if not page or page == self.page else self.view.on(rest={}))
        return f"{self.base}/{page or self.page}?{shown.query(**changes)}"

    @staticmethod
    def address(path: str, params: Mapping[str, str]) -> str:
        """Return the address of a page about the whole installation."""
        return f"{path}?{urlencode(params)}" if params else path

    def explained(
        self,
        metric: str,
        span: tuple[date | datetime, date | datetime] | None = None,
        where: Mapping[str, str | None] = MappingProxyType({}),
    ) -> str:
        """Return the address of a number's explanation, for the view's days or others, with dimension values.

        Empty where a shared link shows one page: the explanation page can show any number.
        """
        if self.person.only:
            return ""
        view = self.view
        first, after = span or (view.first, view.after)
        pairs = [("metric", metric), ("start", first.isoformat()), ("end", after.isoformat())]
        for name, value in where.items():
            if name in FILTERS and value is not None:
                view = view.on(where={**view.where, name: (value,)})
            elif value is not None:
                pairs.append((f"d.{name}", value))
        return f"{self.base}/explain?{view.on(rest={}).query()}&{urlencode(pairs)}"


def last_event(engine: Engine, tenant: Tenant) -> datetime | None:
    """Return the time of a tenant's last stored event up to now (UTC without zone), or None."""
    with engine.queries.reading(tenant) as (reading, now):
        last: int | None = reading.value(
            "SELECT max(time) FROM event WHERE tenant = ? AND time <= ?", (tenant.no, micros(now))
        )
    return moment(last).replace(tzinfo=None) if last is not None else None


def newest_channels(engine: Engine, tenant: Tenant) -> list[str]:
    """Return the channels of a tenant's newest events that have one."""
    with engine.queries.reading(tenant) as (reading, _):
        rows = reading.rows(
            "SELECT DISTINCT channel FROM (SELECT channel FROM event WHERE tenant = ? AND channel IS NOT NULL "
            "ORDER BY time DESC LIMIT ?) AS newest", (tenant.no, NEWEST),
        )  # fmt: skip
    return [channel for (channel,) in rows]


def _asked_by(rollup: Rollup, column: str) -> bool:
    """Whether a question may split by a dimension's column: not by the counted entities."""
    return column not in rollup.hidden or column in MEMBERS_ALLOWED


def first_event(engine: Engine, tenant: Tenant) -> datetime | None:
    """Return the time of a tenant's first stored event (UTC without zone), or where facts begin; None without events."""
    with engine.queries.reading(tenant) as (reading, _):
        first: int | None = reading.value(
            "SELECT since FROM kept WHERE tenant = :no AND what = 'facts' "
            "UNION ALL SELECT min(time) FROM event WHERE tenant = :no LIMIT 1", {"no": tenant.no},
        )  # fmt: skip
    return moment(first).replace(tzinfo=None) if first is not None else None


def first_day(engine: Engine, tenant: Tenant) -> date | None:
    """Return a tenant's first local day with data, or None without events."""
    first = first_event(engine, tenant)
    return day_of(first.replace(tzinfo=UTC), tenant.tz) if first is not None else None


def begins(engine: Engine, tenant: Tenant, day: date) -> bool:
    """Whether a tenant has no event before a local day."""
    first = first_day(engine, tenant)
    return first is not None and first >= day

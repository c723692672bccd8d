"""Coverage: which days and ranges of each source are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date as date_
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.coverage import Coverage, Range, zone_of
from hubbub.control.integrations import FETCHED as WORKING
from hubbub.control.integrations import Integration, Integrations, State
from hubbub.errors import BadQuestionError
from hubbub.facts.moments import HOUR as US_HOUR
from hubbub.facts.moments import micros, moment
from hubbub.facts.refresh import refresh
from hubbub.ingest.providers import PROVIDERS
from hubbub.ingest.receivers.base import Gap as Lost
from hubbub.ingest.silence import WEEKS, silences
from hubbub.model.coverage import WORDS, Day, Gap, Reason
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.question import parse_date
from hubbub.model.window import day_of, utc_naive
from hubbub.storage.store import Store

HOUR = timedelta(hours=1)
WATCHED = 48
"""Hours that are looked at for silences."""

SHOWN = 28
"""Days that are shown when none are asked for."""
MOST_DAYS = 400


@dataclass(frozen=True, slots=True)
class GapView:
    """A range of a source of which something is not there."""

    from_: datetime
    to: datetime
    reason: Reason
    message: str
    action: str | None
    """What a person can do."""


@dataclass(frozen=True, slots=True)
class CoveredDay:
    """A day of a source."""

    date: date_
    state: Literal["fetched", "empty", "partial", "missing", "not_over", "before"]
    """Empty: it is there, and nothing was in it; before: the integration was not connected yet."""
    found: int | None
    """Events in it; null where nobody fetched it."""
    reason: Reason | None
    message: str | None
    tried_at: datetime | None


@dataclass(frozen=True, slots=True)
class Covered:
    """What is there of an integration."""

    tenant: str
    integration: str
    name: str
    provider: str
    state: State
    reason: str | None
    action: str | None
    zone: str
    """Its days are cut in it."""
    since: date_ | None
    complete_to: datetime
    """Up to here nothing is missing."""
    gaps: Sequence[GapView]
    days: Sequence[CoveredDay]


@dataclass(frozen=True, slots=True)
class Watched:
    """What a look for silences found."""

    silences: int


class CoverageService:
    """Knows how complete sources are."""

    def __init__(
        self, clock: Clock, store: Store, control: Control, integrations: Integrations, ledger: Coverage
    ) -> None:
        self._clock, self._store, self._control, self._integrations, self._ledger = (
            clock,
            store,
            control,
            integrations,
            ledger,
        )

    def of(
        self,
        tenant: str | None = None,
        start: str | None = None,
        end: str | None = None,
        integration: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Covered]:
        """Return which days `[start, end)` (dates; the last 28 when None) of each integration are there, page by page.

        A day is `fetched`, `empty` (there, and nothing in it), `partial`, `missing`, `not_over`, or `before` its integration was
        connected; `gaps` are the ranges that are open now, with reason and what to do. Raises BadQuestionError, NotFoundError.
        """
        after, now = (place_of(cursor, str) or ("",))[0], self._clock()
        _check_days(start, end)
        if tenant is not None:
            self._control.tenant(tenant)
        self._control.keep_up()
        if integration is not None:
            found = [self._integrations.get(self._named(tenant), integration)]
        else:
            found = self._integrations.page(tenant, None, None, after, check_limit(limit) + 1)
        return paged(
            found, limit, lambda one: (one.id,), lambda one: self._covered(one, _days(one, start, end, now), now)
        )

    @staticmethod
    def _named(tenant: str | None) -> str:
        if tenant is None:
            raise BadQuestionError("an integration is asked for by its id and its tenant: name the tenant too")
        return tenant

    def note(self, integration: Integration, gaps: Iterable[Lost]) -> None:
        """Note what a service says that it did not deliver."""
        for gap in gaps:
            self._ledger.note(integration, gap.from_, gap.to, gap.reason)

    def watch(self) -> Watched:
        """Look for silences of all integrations that send by themselves, and note them as gaps."""
        found, after = 0, ""
        while page := self._integrations.page(state=WORKING, after=after):
            after = page[-1].id
            for one in page:
                if PROVIDERS[one.provider].receives(one.secret_names):
                    found += self._watch(one)
        return Watched(found)

    def _watch(self, one: Integration) -> int:
        """Note the silences of an integration's source in the last hours that are over."""
        end = micros(self._clock()) // US_HOUR
        first = end - WEEKS * 7 * 24 - WATCHED
        tenant = self._control.tenant(one.tenant)
        refresh(self._store, tenant.no)
        with self._store.facts.read() as reading:
            rows = reading.rows(
                "SELECT time / 3600000000, count(*) FROM event "
                "WHERE tenant = ? AND source = ? AND time >= ? AND time < ? GROUP BY 1",
                (tenant.no, one.provider, first * US_HOUR, end * US_HOUR),
            )
        by_hour = dict(rows)
        known = [by_hour.get(hour, 0) for hour in range(min(by_hour, default=end), end)]
        silent = silences(known, WATCHED)
        for begin, after in silent:
            start = moment((end - len(known) + begin) * US_HOUR)
            self._ledger.note(
                one, start, start + (after - begin) * HOUR, Reason.SILENT, action="See whether the service still sends"
            )
        return len(silent)

    def _covered(self, one: Integration, days: Sequence[date_], now: datetime) -> Covered:
        gaps = [gap for gap in self._ledger.gaps(one.tenant, now) if gap.integration == one.id]
        known = self._ledger.page(one.tenant, one.id, days[0], days[-1] + timedelta(days=1), zone_of(one))
        by_day = {row.day: row for row in known if row.day is not None}
        open_ = [gap for gap in gaps if gap.reason is not Reason.NOT_OVER]
        return Covered(
            one.tenant, one.id, one.name, one.provider, one.state, one.reason or None, one.action or None, zone_of(one),
            one.since, min([now, *(gap.start for gap in gaps)]).astimezone(ZoneInfo(zone_of(one))),
            [_gap(gap) for gap in sorted(open_, key=lambda gap: gap.start)],
            [_day(one, day, by_day.get(day), gaps) for day in days],
        )  # fmt: skip


def _check_days(start: str | None, end: str | None) -> None:
    """Raise BadQuestionError for what is no date, and an empty range: also where there is nothing to look at."""
    first, after = (parse_date(text) if text is not None else None for text in (start, end))
    if first is not None and after is not None and first >= after:
        raise BadQuestionError("'from' must lie before 'to': the range is [from, to)")


def _days(one: Integration, start: str | None, end: str | None, now: datetime) -> list[date_]:
    """Return the days that are asked for, in the integration's zone."""
    after = parse_date(end) if end is not None else day_of(now, ZoneInfo(zone_of(one))) + timedelta(days=1)
    first = parse_date(start) if start is not None else after - timedelta(days=SHOWN)
    if first >= after:
        raise BadQuestionError("'from' must lie before 'to': the range is [from, to)")
    if (after - first).days > MOST_DAYS:
        raise BadQuestionError(f"the range holds {(after - first).days} days, {MOST_DAYS} are allowed")
    return [first + timedelta(days=n) for n in range((after - first).days)]


def _day(one: Integration, day: date_, row: Range | None, gaps: Sequence[Gap]) -> CoveredDay:
    """Return what is known of a day: what the ledger says, and else which gap it lies in."""
    if row is not None:
        reason = Reason(row.reason) if row.reason else None
        words = ": ".join(filter(None, (WORDS[reason] if reason else "", row.detail)))
        return CoveredDay(day, row.state, row.found, reason, words or None, row.tried_at)
    span = Day.of(day, zone_of(one))
    mine = [gap.reason for gap in gaps if gap.start < span.end and gap.end > span.start]
    if one.since is not None and day < one.since:
        return CoveredDay(day, "before", None, None, None, None)
    if not mine:
        return CoveredDay(day, "fetched", None, None, None, None)
    state: Literal["not_over", "missing"] = "not_over" if mine[0] is Reason.NOT_OVER else "missing"
    return CoveredDay(day, state, None, mine[0], WORDS[mine[0]], None)


def _gap(gap: Gap) -> GapView:
    words = f"{WORDS[gap.reason]}{f': {gap.detail}' if gap.detail else ''}"
    return GapView(utc_naive(gap.start), utc_naive(gap.end), gap.reason, words, gap.action or None)

"""Coverage: complete days and gaps of each source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import date as date_
from typing import Literal
from zoneinfo import ZoneInfo

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.coverage import MISSING, Coverage, Range, zone_of
from hubbub.control.deliveries import KEY_LENGTH, READ, Deliveries
from hubbub.control.integrations import FETCHED as WORKING
from hubbub.control.integrations import Integration, Integrations, State
from hubbub.control.presence import Presence
from hubbub.control.sequences import Sequences
from hubbub.errors import BadQuestionError
from hubbub.facts.moments import HOUR as US_HOUR
from hubbub.facts.moments import micros, moment
from hubbub.facts.refresh import refresh
from hubbub.ingest.providers import PROVIDERS
from hubbub.ingest.receivers.base import Gap as Lost
from hubbub.ingest.refused import why_missing
from hubbub.ingest.silence import WEEKS, silences
from hubbub.model.coverage import WORDS, Day, Gap, Reason
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.question import check_order, parse_date
from hubbub.model.window import day_of, utc_naive
from hubbub.storage.store import Store

HOUR = timedelta(hours=1)
WATCHED = 48
"""Hours that are checked for silences."""

MINUTE = timedelta(minutes=1)
LOOKED, LATELY = timedelta(minutes=90), timedelta(minutes=3)
"""How far back a server searches for refused bodies: in its first check, and in later ones."""
SECOND, OUT_OF_ORDER = timedelta(seconds=1), timedelta(minutes=2)
"""The shortest gap of a hole between two numbers, and how long a missing number may still arrive after a later one."""
QUARTERS = 4
"""Quarters of an hour: events are counted by quarter, because the days of every zone begin on one."""
SENT_AGAIN = (Reason.DOWN, Reason.NOT_TAKEN, Reason.UNVERIFIED, Reason.PAUSED)
"""Reasons of refused bodies that their service may send again."""
CHECK_SECRET = "Compare the secret with the service's: hubbub integrations rotate; for a forged body: close-gaps"
STILL_SENDS = "Check whether the service still sends"
READ_AGAIN = "Nothing: it is fetched from the service's API within the hour"
SENDS_AGAIN = "Nothing: the service sends refused bodies again"
CLOSE = "If nothing is missing, close it: hubbub integrations close-gaps"
SENT_LATER = f"It may still be sent again. {CLOSE}"
NOTHING_CAME = "nothing arrived, and nothing shows whether anything was sent"
DayState = Literal["fetched", "empty", "partial", "missing", "unknown", "not_over", "before"]
SHOWN = 28
"""Days that are shown by default."""
MOST_DAYS = 400


@dataclass(frozen=True, slots=True)
class GapView:
    """A range of a source with missing data."""

    from_: datetime
    to: datetime
    reason: Reason
    message: str
    action: str | None
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class CoveredDay:
    """A day of a source."""

    date: date_
    state: DayState
    """Empty: fetched without events; unknown: nothing arrived, and nothing shows whether anything was sent; before: the
    integration was not connected yet.
    """
    found: int | None
    """Events of the day; null when unknown."""
    reason: Reason | None
    message: str | None
    tried_at: datetime | None


@dataclass(frozen=True, slots=True)
class Covered:
    """The coverage of an integration."""

    tenant: str
    integration: str
    name: str
    provider: str
    state: State
    reason: str | None
    action: str | None
    zone: str
    """The zone of its days."""
    since: date_ | None
    complete_to: datetime
    """The source is complete up to this moment."""
    gaps: Sequence[GapView]
    days: Sequence[CoveredDay]


@dataclass(frozen=True, slots=True)
class Watched:
    """The result of a check of sending sources."""

    silences: int
    closed: int = 0
    """Closed gaps: the service sent again, or its events came late."""


@dataclass(frozen=True, slots=True)
class ClosedGaps:
    """Gaps of an integration that a person closed."""

    integration: str
    closed: int


class CoverageService:
    """Keeps the ledger of sources: complete days and gaps."""

    def __init__(
        self, clock: Clock, store: Store, control: Control, integrations: Integrations, ledger: Coverage, presence: Presence,
        delivered: Deliveries, sequences: Sequences,
    ) -> None:  # fmt: skip
        self._clock, self._store, self._control = clock, store, control
        self._integrations, self._ledger, self._presence, self._delivered = integrations, ledger, presence, delivered
        self._sequences = sequences
        self._looked: datetime | None = None

    def of(
        self,
        tenant: str | None = None,
        start: str | None = None,
        end: str | None = None,
        integration: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Covered]:
        """Return the days `[start, end)` (dates; the last 28 when None) of each integration, page by page.

        A day is `fetched`, `empty` (fetched without events), `partial`, `missing`, `unknown` (nothing arrived, which proves
        nothing), `not_over`, or `before` its integration was connected; `gaps` are the open ranges, with reason and action.
        Raises BadQuestionError, NotFoundError.
        """
        after, now = (place_of(cursor, str) or ("",))[0], self._clock()
        _check_days(start, end)
        if tenant is not None:
            self._control.tenant(tenant)
        self._control.keep_up()
        if integration is not None:
            integrations = [self._integrations.get(self._named(tenant), integration)]
        else:
            integrations = self._integrations.page(tenant, None, None, after, check_limit(limit) + 1)
        return paged(
            integrations,
            limit,
            lambda source: (source.id,),
            lambda source: self._covered(source, _days(source, start, end, now), now),
        )

    @staticmethod
    def _named(tenant: str | None) -> str:
        if tenant is None:
            raise BadQuestionError("an integration needs its id and its tenant: name the tenant too")
        return tenant

    def note(self, integration: Integration, gaps: Iterable[Lost]) -> None:
        """Note gaps that a service reports."""
        for gap in gaps:
            self._ledger.note(integration, gap.from_, gap.to, gap.reason)

    def close(self, tenant: str, integration: str) -> ClosedGaps:
        """Close the gaps in an integration's webhooks; days to fetch stay as they are.

        For facts that a person knows: a forged body, hours without messages, or data that are lost for good.
        """
        self._control.tenant(tenant)
        source = self._integrations.get(tenant, integration)
        gaps = self._ledger.lacking(source)
        for gap in gaps:
            start, end = gap.span
            self._ledger.close(source, start, end, sum(self._events(source, start, end).values()))
        return ClosedGaps(source.id, len(gaps))

    def here(self) -> None:
        """Note that a server runs to receive deliveries; the time without one, and later refusals, become gaps.

        A server calls this every `Presence` seconds. Raises errors of the control database.
        """
        now = self._clock()
        since = self._presence.note(now)
        if since is not None:
            for source in self._sending():
                self._ledger.note(source, since, now, Reason.DOWN, action=_remedy(source, now - since))
        looked, self._looked = self._looked or now - LOOKED, now - LATELY
        self._note_refused(looked)
        self._note_holes(utc_naive(now - OUT_OF_ORDER))

    def _note_holes(self, until: datetime) -> None:
        """Note holes in numbered deliveries whose next number came by a time (UTC without zone); a filled hole is no gap."""
        for name, kind in PROVIDERS.items():
            setup = kind.receiver.setup if kind.receiver is not None else None
            if setup is not None and setup.renumbers:
                for source in self._integrations.all(provider=name):
                    holes = self._sequences.holes(source, setup.renumbers)
                    ranges = {
                        (hole.start, max(hole.end, hole.start + SECOND)): f"{hole.count}"
                        for hole in holes
                        if hole.end <= until
                    }
                    self._ledger.hold(source, Reason.SKIPPED, ranges, SENT_LATER)

    def _note_refused(self, since: datetime) -> None:
        """Note the minutes since a moment with refused bodies that may be the service's."""
        for row in self._delivered.unread(since):
            reason = why_missing(row.status, row.outcome, row.reason)
            source = self._of_key(row.tenant, row.key) if reason is not None and row.tenant else None
            if reason is not None and source is not None:
                at = row.minute.replace(tzinfo=UTC)
                action = CHECK_SECRET if reason is Reason.UNVERIFIED else _remedy(source, MINUTE)
                self._ledger.note(source, at - MINUTE, at + MINUTE, reason, action=action)

    def _of_key(self, tenant: str, key: str) -> Integration | None:
        """Return the integration of a row of the delivery log; None for an API key, and a removed one."""
        return next((source for source in self._integrations.all(tenant) if source.id[-KEY_LENGTH:] == key), None)

    def _sending(self) -> Iterator[Integration]:
        """Yield the sending integrations that have sent something readable."""
        for source in self._integrations.all():
            kind = PROVIDERS[source.provider]
            sends = kind.receives(source.secret_names) or kind.listens(source.secret_names)
            if sends and any(latest.outcome in READ for latest in self._delivered.latest(source.id[-KEY_LENGTH:])):
                yield source

    def watch(self) -> Watched:
        """Note silences of all sending integrations as gaps, and close gaps that are over."""
        silent = closed = 0
        for source in self._integrations.all():
            if PROVIDERS[source.provider].receives(source.secret_names):
                closed += self._close_retried(source)
                if source.state in WORKING:
                    new, ended = self._watch(source)
                    silent, closed = silent + new, closed + ended
        return Watched(silent, closed)

    def _close_retried(self, source: Integration) -> int:
        """Close the gaps of an integration that its service has closed by sending again; returns their number.

        Of a range shorter than the service's retries, every body was sent again after it. Where bodies were refused, one must
        have been accepted since: else they may still be refused.
        """
        receiver = PROVIDERS[source.provider].receiver
        retries = receiver.setup.retries if receiver is not None else timedelta(0)
        now, count = utc_naive(self._clock()), 0
        taken = [source.minute for source in self._delivered.latest(source.id[-KEY_LENGTH:]) if source.outcome in READ]
        for gap in self._ledger.lacking(source):
            over = gap.end - gap.start < retries and gap.end + retries < now
            mended = gap.reason == Reason.DOWN or any(minute >= gap.end for minute in taken)
            if gap.reason in SENT_AGAIN and over and mended:
                start, end = gap.span
                self._ledger.close(source, start, end, sum(self._events(source, start, end).values()))
                count += 1
        return count

    def _watch(self, source: Integration) -> tuple[int, int]:
        """Note the silences of an integration in the last hours; close those in which events came late."""
        end = micros(self._clock()) // US_HOUR
        first = end - WEEKS * 7 * 24 - WATCHED
        by_hour: Counter[int] = Counter()
        for quarter, count in self._events(source, moment(first * US_HOUR), moment(end * US_HOUR)).items():
            by_hour[quarter // QUARTERS] += count
        known = [by_hour[hour] for hour in range(min(by_hour, default=end), end)]
        runs = [
            (moment((end - len(known) + begin) * US_HOUR), moment((end - len(known) + after) * US_HOUR))
            for begin, after in silences(known, WATCHED)
        ]
        for start, after in runs:
            self._ledger.note(source, start, after, Reason.SILENT, action=STILL_SENDS)
        return len(runs), self._close_late(source, moment((end - WATCHED) * US_HOUR), by_hour)

    def _close_late(self, source: Integration, since: datetime, by_hour: Mapping[int, int]) -> int:
        """Close the silences after a moment that have events by now; returns their number."""
        count = 0
        for gap in self._ledger.lacking(source):
            start, end = gap.span
            hours = range(micros(start) // US_HOUR, micros(end) // US_HOUR)
            if gap.reason == Reason.SILENT and start >= since and all(by_hour.get(hour) for hour in hours):
                self._ledger.close(source, start, end, sum(by_hour[hour] for hour in hours))
                count += 1
        return count

    def _events(self, source: Integration, start: datetime, end: datetime) -> dict[int, int]:
        """Return the number of an integration's events in a range, by number of the quarter hour since 1970."""
        tenant = self._control.tenant(source.tenant)
        refresh(self._store, tenant.no)
        with self._store.facts.read() as reading:
            rows = reading.rows(
                "SELECT time / 900000000, count(*) FROM event "
                "WHERE tenant = ? AND source = ? AND time >= ? AND time < ? GROUP BY 1",
                (tenant.no, source.provider, micros(start), micros(end)),
            )
        return dict(rows)

    def _covered(self, source: Integration, days: Sequence[date_], now: datetime) -> Covered:
        gaps = [gap for gap in self._ledger.gaps(source.tenant, now) if gap.integration == source.id]
        known = self._ledger.page(source.tenant, source.id, days[0], days[-1] + timedelta(days=1), zone_of(source))
        by_day = {row.day: row for row in known if row.day is not None}
        came = self._events_by_day(source, days) if PROVIDERS[source.provider].receives(source.secret_names) else None
        open_ = [gap for gap in gaps if gap.reason is not Reason.NOT_OVER]
        return Covered(
            source.tenant, source.id, source.name, source.provider, source.state, source.reason or None,
            source.action or None, zone_of(source), source.since,
            min([now, *(gap.start for gap in gaps)]).astimezone(ZoneInfo(zone_of(source))),
            [_gap(gap) for gap in sorted(open_, key=lambda gap: gap.start)],
            [_day(source, day, by_day.get(day), gaps, came, now) for day in days],
        )  # fmt: skip

    def _events_by_day(self, source: Integration, days: Sequence[date_]) -> Counter[date_]:
        """Return the number of an integration's events by day."""
        zone = zone_of(source)
        counts: Counter[date_] = Counter()
        for quarter, count in self._events(source, Day.of(days[0], zone).start, Day.of(days[-1], zone).end).items():
            counts[day_of(moment(quarter * US_HOUR // QUARTERS), ZoneInfo(zone))] += count
        return counts


def _check_days(start: str | None, end: str | None) -> None:
    """Raise BadQuestionError for an invalid date, and an empty range, even without integrations."""
    first, after = (parse_date(text) if text is not None else None for text in (start, end))
    if first is not None and after is not None:
        check_order(first, after)


def _days(source: Integration, start: str | None, end: str | None, now: datetime) -> list[date_]:
    """Return the selected days, in the integration's zone."""
    after = parse_date(end) if end is not None else day_of(now, ZoneInfo(zone_of(source))) + timedelta(days=1)
    first = parse_date(start) if start is not None else after - timedelta(days=SHOWN)
    check_order(first, after)
    if (after - first).days > MOST_DAYS:
        raise BadQuestionError(f"the range holds {(after - first).days} days, {MOST_DAYS} are allowed")
    return [first + timedelta(days=n) for n in range((after - first).days)]


def _day(
    source: Integration,
    day: date_,
    row: Range | None,
    gaps: Sequence[Gap],
    came: Mapping[date_, int] | None,
    now: datetime,
) -> CoveredDay:
    """Return a day's coverage: from the ledger, else from its gap, else from its events.

    `came`: events by day of a sending source, None for others.
    """
    if row is not None:
        reason = Reason(row.reason) if row.reason else None
        words = ": ".join(filter(None, (WORDS[reason] if reason else "", row.detail)))
        counted = row.found if row.state != MISSING or row.found else None
        return CoveredDay(day, row.state, counted, reason, words or None, row.tried_at)
    span = Day.of(day, zone_of(source))
    overlapping = [gap for gap in gaps if gap.start < span.end and gap.end > span.start]
    count = came.get(day) if came is not None else None
    if source.since is not None and day < source.since:
        return CoveredDay(day, "before", None, None, None, None)
    if any(gap.reason is Reason.NOT_OVER for gap in overlapping) or span.end > now:
        return CoveredDay(
            day, "not_over", count, Reason.NOT_OVER, WORDS[Reason.NOT_OVER] if came is None else None, None
        )
    if overlapping:
        state: DayState = "partial" if count else "missing"
        return CoveredDay(day, state, count, overlapping[0].reason, WORDS[overlapping[0].reason], None)
    if came is None or count:
        return CoveredDay(day, "fetched", count, None, None, None)
    return CoveredDay(day, "unknown", None, None, NOTHING_CAME, None)


def _remedy(source: Integration, lost: timedelta) -> str:
    """Return what to do about lost deliveries of an integration, by how they are sent or fetched again."""
    kind = PROVIDERS[source.provider]
    if kind.mends(source.secret_names):
        return READ_AGAIN
    again = (
        kind.receiver.setup.retries
        if kind.receiver is not None and kind.receives(source.secret_names)
        else timedelta(0)
    )
    return SENDS_AGAIN if lost < again else f"{kind.title} does not send again. {CLOSE}"


def _gap(gap: Gap) -> GapView:
    words = f"{WORDS[gap.reason]}{f': {gap.detail}' if gap.detail else ''}"
    return GapView(utc_naive(gap.start), utc_naive(gap.end), gap.reason, words, gap.action or None)

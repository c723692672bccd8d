"""Coverage: which days and ranges of each source are there."""

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
from hubbub.model.question import parse_date
from hubbub.model.window import day_of, utc_naive
from hubbub.storage.store import Store

HOUR = timedelta(hours=1)
WATCHED = 48
"""Hours that are looked at for silences."""

MINUTE = timedelta(minutes=1)
LOOKED, LATELY = timedelta(minutes=90), timedelta(minutes=3)
"""How far back a server looks for refused bodies when it begins, and after that."""
QUARTERS = 4
SENT_AGAIN = (Reason.DOWN, Reason.NOT_TAKEN, Reason.UNVERIFIED, Reason.PAUSED)
"""Why bodies were not taken that their service may send again."""
CHECK_SECRET = (
    "Compare the secret here with the service's: hubbub integrations rotate; where somebody forged a body: close-gaps"
)
STILL_SENDS = "See whether the service still sends"
READ_AGAIN = "Nothing: it is read again from the service's API within the hour"
SENDS_AGAIN = "Nothing: the service sends again what was not taken"
CLOSE = "Where nothing is missing, close it: hubbub integrations close-gaps"
NOTHING_CAME = "nothing came, and nobody looked whether there was something"
DayState = Literal["fetched", "empty", "partial", "missing", "unknown", "not_over", "before"]
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
    state: DayState
    """Empty: it is there, and nothing was in it; unknown: nothing came by itself, and nobody looked whether there was something;
    before: the integration was not connected yet."""
    found: int | None
    """Events in it; null where that is not known."""
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
    """What a look at sources that send by themselves found."""

    silences: int
    closed: int = 0
    """Gaps that are none any more: the service has sent again, or its events came late."""


@dataclass(frozen=True, slots=True)
class ClosedGaps:
    """Gaps of an integration that a person closed."""

    integration: str
    closed: int


class CoverageService:
    """Knows how complete sources are."""

    def __init__(
        self, clock: Clock, store: Store, control: Control, integrations: Integrations, ledger: Coverage, presence: Presence,
        delivered: Deliveries,
    ) -> None:  # fmt: skip
        self._clock, self._store, self._control = clock, store, control
        self._integrations, self._ledger, self._presence, self._delivered = integrations, ledger, presence, delivered
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
        """Return which days `[start, end)` (dates; the last 28 when None) of each integration are there, page by page.

        A day is `fetched`, `empty` (there, and nothing in it), `partial`, `missing`, `unknown` (nothing came by itself, which
        proves nothing), `not_over`, or `before` its integration was connected; `gaps` are the ranges that are open now, with
        reason and what to do. Raises BadQuestionError, NotFoundError.
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

    def close(self, tenant: str, integration: str) -> ClosedGaps:
        """Say that nothing is missing of what an integration's service sent: its gaps are closed, days to fetch stay as they are.

        For what a person knows: a body that somebody else forged, hours in which nobody wrote, or what is lost for good.
        """
        self._control.tenant(tenant)
        one = self._integrations.get(tenant, integration)
        gaps = self._ledger.lacking(one)
        for gap in gaps:
            start, end = gap.start.replace(tzinfo=UTC), gap.end.replace(tzinfo=UTC)
            self._ledger.close(one, start, end, sum(self._events(one, start, end).values()))
        return ClosedGaps(one.id, len(gaps))

    def here(self) -> None:
        """Say that a server is there to take what services send; what came while none was, or was refused since, is a gap.

        A server calls this every `Presence` seconds. Raises what the control database raises.
        """
        now = self._clock()
        since = self._presence.note(now)
        if since is not None:
            for one in self._sending():
                self._ledger.note(one, since, now, Reason.DOWN, action=_remedy(one, now - since))
        looked, self._looked = self._looked or now - LOOKED, now - LATELY
        self._note_refused(looked)

    def _note_refused(self, since: datetime) -> None:
        """Note the minutes since a moment in which bodies were refused that their service may have meant."""
        for row in self._delivered.unread(since):
            reason = why_missing(row["status"], row["outcome"], row["reason"])
            one = self._of_key(row["tenant"], row["key"]) if reason is not None and row["tenant"] else None
            if reason is not None and one is not None:
                at = row["minute"].replace(tzinfo=UTC)
                action = CHECK_SECRET if reason is Reason.UNVERIFIED else _remedy(one, MINUTE)
                self._ledger.note(one, at - MINUTE, at + MINUTE, reason, action=action)

    def _of_key(self, tenant: str, key: str) -> Integration | None:
        """Return the integration that a row of the delivery log is of; None for an API key, and one that was removed."""
        return next((one for one in self._all(tenant) if one.id[-KEY_LENGTH:] == key), None)

    def _all(self, tenant: str | None = None) -> Iterator[Integration]:
        after = ""
        while page := self._integrations.page(tenant, after=after):
            after = page[-1].id
            yield from page

    def _sending(self) -> Iterator[Integration]:
        """Yield the integrations whose service sends by itself, and has sent something that was read."""
        for one in self._all():
            kind = PROVIDERS[one.provider]
            sends = kind.receives(one.secret_names) or kind.listens(one.secret_names)
            if sends and any(latest.outcome in READ for latest in self._delivered.latest(one.id[-KEY_LENGTH:])):
                yield one

    def watch(self) -> Watched:
        """Look for silences of all integrations that send by themselves, note them as gaps, and close those that are none now."""
        silent = closed = 0
        for one in self._all():
            if PROVIDERS[one.provider].receives(one.secret_names):
                closed += self._close_retried(one)
                if one.state in WORKING:
                    found, ended = self._watch(one)
                    silent, closed = silent + found, closed + ended
        return Watched(silent, closed)

    def _close_retried(self, one: Integration) -> int:
        """Close the gaps of an integration that its service has closed by sending again; returns how many.

        Of a stretch shorter than a service goes on trying, every body was tried once more after it. Where bodies were refused, one
        has to have been taken since: else they may be refused still.
        """
        receiver = PROVIDERS[one.provider].receiver
        retries = receiver.setup.retries if receiver is not None else timedelta(0)
        now, count = utc_naive(self._clock()), 0
        taken = [one.minute for one in self._delivered.latest(one.id[-KEY_LENGTH:]) if one.outcome in READ]
        for gap in self._ledger.lacking(one):
            over = gap.end - gap.start < retries and gap.end + retries < now
            mended = gap.reason == Reason.DOWN or any(minute >= gap.end for minute in taken)
            if gap.reason in SENT_AGAIN and over and mended:
                start, end = gap.start.replace(tzinfo=UTC), gap.end.replace(tzinfo=UTC)
                self._ledger.close(one, start, end, sum(self._events(one, start, end).values()))
                count += 1
        return count

    def _watch(self, one: Integration) -> tuple[int, int]:
        """Note the silences of an integration's source in the last hours that are over; close those in which events came late."""
        end = micros(self._clock()) // US_HOUR
        first = end - WEEKS * 7 * 24 - WATCHED
        by_hour: Counter[int] = Counter()
        for quarter, count in self._events(one, moment(first * US_HOUR), moment(end * US_HOUR)).items():
            by_hour[quarter // QUARTERS] += count
        known = [by_hour[hour] for hour in range(min(by_hour, default=end), end)]
        runs = [
            (moment((end - len(known) + begin) * US_HOUR), moment((end - len(known) + after) * US_HOUR))
            for begin, after in silences(known, WATCHED)
        ]
        for start, after in runs:
            self._ledger.note(one, start, after, Reason.SILENT, action=STILL_SENDS)
        return len(runs), self._close_late(one, moment((end - WATCHED) * US_HOUR), by_hour)

    def _close_late(self, one: Integration, since: datetime, by_hour: Mapping[int, int]) -> int:
        """Close the silences that began after a moment and that are none any more; returns how many."""
        count = 0
        for gap in self._ledger.lacking(one):
            start, end = gap.start.replace(tzinfo=UTC), gap.end.replace(tzinfo=UTC)
            hours = range(micros(start) // US_HOUR, micros(end) // US_HOUR)
            if gap.reason == Reason.SILENT and start >= since and all(by_hour.get(hour) for hour in hours):
                self._ledger.close(one, start, end, sum(by_hour[hour] for hour in hours))
                count += 1
        return count

    def _events(self, one: Integration, start: datetime, end: datetime) -> dict[int, int]:
        """Return how many events of an integration's source lie in a range, by number of the quarter hour since 1970."""
        tenant = self._control.tenant(one.tenant)
        refresh(self._store, tenant.no)
        with self._store.facts.read() as reading:
            rows = reading.rows(
                "SELECT time / 900000000, count(*) FROM event "
                "WHERE tenant = ? AND source = ? AND time >= ? AND time < ? GROUP BY 1",
                (tenant.no, one.provider, micros(start), micros(end)),
            )
        return dict(rows)

    def _covered(self, one: Integration, days: Sequence[date_], now: datetime) -> Covered:
        gaps = [gap for gap in self._ledger.gaps(one.tenant, now) if gap.integration == one.id]
        known = self._ledger.page(one.tenant, one.id, days[0], days[-1] + timedelta(days=1), zone_of(one))
        by_day = {row.day: row for row in known if row.day is not None}
        came = self._came(one, days) if PROVIDERS[one.provider].receives(one.secret_names) else None
        open_ = [gap for gap in gaps if gap.reason is not Reason.NOT_OVER]
        return Covered(
            one.tenant, one.id, one.name, one.provider, one.state, one.reason or None, one.action or None, zone_of(one),
            one.since, min([now, *(gap.start for gap in gaps)]).astimezone(ZoneInfo(zone_of(one))),
            [_gap(gap) for gap in sorted(open_, key=lambda gap: gap.start)],
            [_day(one, day, by_day.get(day), gaps, came, now) for day in days],
        )  # fmt: skip

    def _came(self, one: Integration, days: Sequence[date_]) -> Counter[date_]:
        """Return how many events of an integration's source there are of each day."""
        zone = zone_of(one)
        found: Counter[date_] = Counter()
        for quarter, count in self._events(one, Day.of(days[0], zone).start, Day.of(days[-1], zone).end).items():
            found[day_of(moment(quarter * US_HOUR // QUARTERS), ZoneInfo(zone))] += count
        return found


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


def _day(
    one: Integration,
    day: date_,
    row: Range | None,
    gaps: Sequence[Gap],
    came: Mapping[date_, int] | None,
    now: datetime,
) -> CoveredDay:
    """Return what is known of a day: what the ledger says, else which gap it lies in, else whether anything came that day.

    `came`: events by day of a source that sends by itself, None for one that does not.
    """
    if row is not None:
        reason = Reason(row.reason) if row.reason else None
        words = ": ".join(filter(None, (WORDS[reason] if reason else "", row.detail)))
        counted = row.found if row.state != MISSING or row.found else None
        return CoveredDay(day, row.state, counted, reason, words or None, row.tried_at)
    span = Day.of(day, zone_of(one))
    mine = [gap for gap in gaps if gap.start < span.end and gap.end > span.start]
    found = came.get(day) if came is not None else None
    if one.since is not None and day < one.since:
        return CoveredDay(day, "before", None, None, None, None)
    if any(gap.reason is Reason.NOT_OVER for gap in mine) or span.end > now:
        return CoveredDay(
            day, "not_over", found, Reason.NOT_OVER, WORDS[Reason.NOT_OVER] if came is None else None, None
        )
    if mine:
        state: DayState = "partial" if found else "missing"
        return CoveredDay(day, state, found, mine[0].reason, WORDS[mine[0].reason], None)
    if came is None or found:
        return CoveredDay(day, "fetched", found, None, None, None)
    return CoveredDay(day, "unknown", None, None, NOTHING_CAME, None)


def _remedy(one: Integration, lost: timedelta) -> str:
    """Say how deliveries of an integration that were lost for so long come back, or that they do not."""
    kind = PROVIDERS[one.provider]
    if kind.mends(one.secret_names):
        return READ_AGAIN
    again = (
        kind.receiver.setup.retries if kind.receiver is not None and kind.receives(one.secret_names) else timedelta(0)
    )
    return SENDS_AGAIN if lost < again else f"{kind.title} does not send again. {CLOSE}"


def _gap(gap: Gap) -> GapView:
    words = f"{WORDS[gap.reason]}{f': {gap.detail}' if gap.detail else ''}"
    return GapView(utc_naive(gap.start), utc_naive(gap.end), gap.reason, words, gap.action or None)

"""The engine's operations about which days and ranges of each source are there. `Engine` (app.py) inherits them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hubbub.clock import Clock
from hubbub.errors import BadQuestionError
from hubbub.facts.moments import HOUR as US_HOUR
from hubbub.facts.moments import micros, moment
from hubbub.facts.refresh import refresh
from hubbub.ingest.providers import PROVIDERS
from hubbub.ingest.receivers.base import Gap as Lost
from hubbub.ingest.silence import WEEKS, silences
from hubbub.model.coverage import WORDS, Day, Gap, Reason
from hubbub.model.page import check_limit, cut, place_of
from hubbub.model.question import parse_date
from hubbub.model.window import day_of
from hubbub.storage.store import Store
from hubbub.store.control import Control
from hubbub.store.coverage import Coverage, Range, zone_of
from hubbub.store.integrations import FETCHED as WORKING
from hubbub.store.integrations import Integration, Integrations

OPERATIONS = ("coverage", "watch_sources")
"""Those that a command, a page or a job may ask for."""

HOUR = timedelta(hours=1)
WATCHED = 48
"""Hours that are looked at for silences."""

SHOWN = 28
"""Days that are shown when none are asked for."""
MOST_DAYS = 400
BEFORE, NOT_OVER, MISSING, FETCHED = "before", "not_over", "missing", "fetched"


class CoverageOperations:
    """What an engine knows of its sources' completeness."""

    clock: Clock
    store: Store
    control: Control
    integration_store: Integrations
    ledger: Coverage

    def coverage(
        self,
        tenant: str | None = None,
        start: str | None = None,
        end: str | None = None,
        integration: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> dict[str, Any]:
        """Return which days `[start, end)` (dates; the last 28 when None) of each integration are there, page by page.

        A day is `fetched`, `empty` (there, and nothing in it), `partial`, `missing`, `not_over`, or `before` its integration was
        connected; `gaps` are the ranges that are open now, with reason and what to do. Raises BadQuestionError, NotFoundError.
        """
        after, now = (place_of(cursor, str) or ("",))[0], self.clock()
        if tenant is not None:
            self.control.tenant(tenant)
        self.control.keep_up()
        if integration is not None:
            found = [self.integration_store.get(self._named(tenant), integration)]
        else:
            found = self.integration_store.page(tenant, None, None, after, check_limit(limit) + 1)
        rows, following = cut(found, limit, lambda one: (one.id,))
        return {"rows": [self._covered(one, _days(one, start, end, now), now) for one in rows], "next": following}

    @staticmethod
    def _named(tenant: str | None) -> str:
        if tenant is None:
            raise BadQuestionError("an integration is asked for by its id and its tenant: name the tenant too")
        return tenant

    def note_gaps(self, integration: Integration, gaps: Iterable[Lost]) -> None:
        """Note what a service says that it did not deliver."""
        for gap in gaps:
            self.ledger.note(integration, gap.from_, gap.to, gap.reason)

    def watch_sources(self) -> dict[str, Any]:
        """Look for silences of all integrations that send by themselves, and note them as gaps; returns how many there are."""
        found, after = 0, ""
        while page := self.integration_store.page(state=WORKING, after=after):
            after = page[-1].id
            for one in page:
                if PROVIDERS[one.provider].receives(one.secret_names):
                    found += self._watch(one)
        return {"silences": found}

    def _watch(self, one: Integration) -> int:
        """Note the silences of an integration's source in the last hours that are over."""
        end = micros(self.clock()) // US_HOUR
        first = end - WEEKS * 7 * 24 - WATCHED
        tenant = self.control.tenant(one.tenant)
        refresh(self.store, tenant.no)
        with self.store.facts.read() as reading:
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
            self.ledger.note(
                one, start, start + (after - begin) * HOUR, Reason.SILENT, action="See whether the service still sends"
            )
        return len(silent)

    def _covered(self, one: Integration, days: Sequence[date], now: datetime) -> dict[str, Any]:
        gaps = [gap for gap in self.ledger.gaps(one.tenant, now) if gap.integration == one.id]
        known = self.ledger.page(one.tenant, one.id, days[0], days[-1] + timedelta(days=1), zone_of(one))
        by_day = {row.day: row for row in known if row.day is not None}
        open_ = [gap for gap in gaps if gap.reason is not Reason.NOT_OVER]
        return {
            "tenant": one.tenant, "integration": one.id, "name": one.name, "provider": one.provider, "state": one.state,
            "reason": one.reason or None, "action": one.action or None, "zone": zone_of(one),
            "since": one.since.isoformat() if one.since else None,
            "complete_to": min([now, *(gap.start for gap in gaps)]).astimezone(ZoneInfo(zone_of(one))).isoformat(),
            "gaps": [_gap(gap) for gap in sorted(open_, key=lambda gap: gap.start)],
            "days": [_day(one, day, by_day.get(day), gaps) for day in days],
        }  # fmt: skip


def _days(one: Integration, start: str | None, end: str | None, now: datetime) -> list[date]:
    """Return the days that are asked for, in the integration's zone."""
    after = parse_date(end) if end is not None else day_of(now, ZoneInfo(zone_of(one))) + timedelta(days=1)
    first = parse_date(start) if start is not None else after - timedelta(days=SHOWN)
    if first >= after:
        raise BadQuestionError("'from' must lie before 'to': the range is [from, to)")
    if (after - first).days > MOST_DAYS:
        raise BadQuestionError(f"the range holds {(after - first).days} days, {MOST_DAYS} are allowed")
    return [first + timedelta(days=n) for n in range((after - first).days)]


def _day(one: Integration, day: date, row: Range | None, gaps: Sequence[Gap]) -> dict[str, Any]:
    """Return what is known of a day: what the ledger says, and else which gap it lies in."""
    if row is not None:
        words = WORDS[Reason(row.reason)] if row.reason else None
        return {
            "date": day.isoformat(), "state": row.state, "found": row.found, "reason": row.reason or None,
            "message": f"{words}: {row.detail}" if words and row.detail else words or row.detail or None,
            "tried_at": row.tried_at.isoformat() + "Z",
        }  # fmt: skip
    span = Day.of(day, zone_of(one))
    mine = [gap for gap in gaps if gap.start < span.end and gap.end > span.start]
    state, reason = FETCHED, None
    if one.since is not None and day < one.since:
        state = BEFORE
    elif mine:
        reason = mine[0].reason
        state = NOT_OVER if reason is Reason.NOT_OVER else MISSING
    return {
        "date": day.isoformat(), "state": state, "found": None, "reason": reason, "message": WORDS[reason] if reason else None,
        "tried_at": None,
    }  # fmt: skip


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "from": _utc(gap.start), "to": _utc(gap.end), "reason": gap.reason.value,
        "message": f"{WORDS[gap.reason]}{f': {gap.detail}' if gap.detail else ''}", "action": gap.action or None,
    }  # fmt: skip


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"

"""Fetching: complete days of integrations, one by one.

A night fetches the last day of each, then its missing days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date as date_
from datetime import datetime, timedelta
from functools import partial

import structlog

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.coverage import ANY, PARTIAL, Coverage, Range, zone_of
from hubbub.control.integrations import FETCHED, Integration, Integrations
from hubbub.control.payloads import Payloads
from hubbub.errors import BadInputError, HubbubError, UpstreamRefusedError
from hubbub.ingest.accept import Outcome
from hubbub.ingest.connectors.base import Notes
from hubbub.ingest.connectors.catalogue import CONNECTORS
from hubbub.ingest.daily import DayFetch, changed
from hubbub.ingest.providers import PROVIDERS
from hubbub.ingest.receivers.texts import kind_of
from hubbub.model.coverage import Day, Feed, Reason
from hubbub.model.event import Item
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.plain import plain
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window
from hubbub.outgoing.http import Outgoing
from hubbub.services.labels import LabelService, without_texts
from hubbub.services.names import NameService
from hubbub.storage.store import Store
from hubbub.telemetry import log

AGAIN = timedelta(days=28)
"""How long a partial day is tried again."""
CATCH_UP = 31
"""Most days of an integration that one night fetches."""
NIGHT = 6 * 3600.0
"""Seconds that a service may delay one day of a catch-up."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DueDays:
    """Missing or partial past days of an integration, newest first."""

    tenant: str
    integration_id: str
    dates: Sequence[date_]


@dataclass(frozen=True, slots=True)
class Lacking:
    """An integration with missing deliveries."""

    tenant: str
    integration_id: str


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The result of reading an integration's missing deliveries again."""

    tenant: str
    integration_id: str
    closed: int
    """Ranges that are complete now."""
    stored: int
    """New events."""


@dataclass(frozen=True, slots=True)
class FetchedDay:
    """A fetched day: counts of events, and the reason of missing parts."""

    tenant: str
    integration_id: str
    date: date_
    stored: int
    duplicates: int
    corrected: int
    rejected: Mapping[str, int]
    """By code."""
    pages: int
    state: str
    reason: str | None
    action: str | None


class FetchService:
    """Fetches days. `accept` stores read events."""

    def __init__(
        self, clock: Clock, store: Store, control: Control, http: Outgoing, integrations: Integrations, ledger: Coverage,
        payloads: Payloads, names: NameService, labels: LabelService, accept: Callable[..., Outcome],
    ) -> None:  # fmt: skip
        self._clock, self._store, self._control, self._http = clock, store, control, http
        self._integrations, self._ledger, self._payloads = integrations, ledger, payloads
        self._names, self._labels, self._accept = names, labels, accept

    def due(self, cursor: str | None = None, limit: int = 100, tenant: str | None = None) -> Page[DueDays]:
        """Return the fetched integrations, each with the days for a night, `CATCH_UP` at most."""
        after, now = (place_of(cursor, str) or ("",))[0], self._clock()
        integrations = self._integrations.page(tenant, FETCHED, None, after, check_limit(limit) + 1)
        return paged(
            integrations,
            limit,
            lambda source: (source.id,),
            lambda source: DueDays(source.tenant, source.id, self._ledger.due(source, now, AGAIN)[:CATCH_UP]),
        )

    def day(
        self, tenant: str, integration: str, date: str, *, is_backfill: bool = False, catching_up: bool = False
    ) -> FetchedDay:
        """Fetch and store one day (YYYY-MM-DD) of an integration; repeating it changes nothing.

        Replies to older threads and counters of older posts are fetched too. `catching_up` leaves them out, since a newer day has
        fetched them, and waits as long as the service wants. `is_backfill` accepts events older than the tenant's raw retention.
        Raises UpstreamUnavailableError (try again) or UpstreamRefusedError, after which the integration is broken, and not
        fetched until it is resumed or gets another secret.
        """
        owner = self._control.tenant(tenant)
        source = self._integrations.get(tenant, integration)
        if source.state not in FETCHED:
            raise UpstreamRefusedError(
                f"integration {source.id} is {source.state}" + (f": {source.reason}" if source.reason else ""),
                action=source.action or f"Resume it: hubbub integrations resume {source.id} --tenant {tenant}",
            )
        if not PROVIDERS[source.provider].fetches(source.secret_names):
            raise BadInputError(f"integration {source.id} has no token: it only receives")
        day = Day.of(_date(date), zone_of(source))
        if day.start > self._clock():
            raise BadInputError(f"date {date}: this day has not begun")
        with structlog.contextvars.bound_contextvars(tenant=tenant, integration_id=source.id, date=date):
            fetched = self._fetch(owner, source, day, history=is_backfill, catching_up=catching_up)
            row = plain(fetched)
            log.info(
                "day fetched", **{name: row[name] for name in row if name not in ("tenant", "integration_id", "date")}
            )
        return fetched

    def _fetch(self, tenant: Tenant, source: Integration, day: Day, *, history: bool, catching_up: bool) -> FetchedDay:
        """Fetch a day; the ledger and the integration's state note the outcome."""
        notes = Notes(memory={**source.memory}, patience=NIGHT if catching_up else 0.0)
        fetch = self._day_fetch(
            tenant, source, day, None if catching_up else self._earlier(source, day), notes, history
        )
        try:
            state = fetch.run(self._clock())
        except UpstreamRefusedError as error:
            self._integrations.broken(source, error.reason, error.action)
            self._ledger.fail(source, day, Reason.REFUSED, error.reason, error.action)
            log.warning("integration broken", reason=error.reason, action=error.action)
            raise
        except HubbubError as error:
            self._ledger.fail(source, day, Reason.FAILED, error.message)
            raise
        self._integrations.worked(source, notes.reason, notes.action, notes.memory, whole=notes.whole)
        if state != PARTIAL:
            self._integrations.fetched(source, day.on)
            if PROVIDERS[source.provider].mends(source.secret_names):  # lost deliveries of this day are fetched now
                self._ledger.close(source, day.start, day.end, fetch.done.stored)
        done = fetch.done
        return FetchedDay(
            tenant.id, source.id, day.on, done.stored, done.duplicates, done.corrected, done.rejected, done.pages, state,
            notes.reason or None, notes.action or None,
        )  # fmt: skip

    def _day_fetch(
        self, tenant: Tenant, source: Integration, day: Day, earlier: Window | None, notes: Notes, history: bool
    ) -> DayFetch:
        kind = CONNECTORS[source.provider]
        select = partial(changed, self._store, tenant) if kind.observes else list
        return DayFetch(
            kind(self._http), source, self._integrations.secret(source), day, earlier, self._ledger, select,
            partial(self._accept_fetched, tenant.id, source, history), partial(self._names.take, tenant.id), notes,
        )  # fmt: skip

    def lacking(self) -> list[Lacking]:
        """Return the integrations with missing deliveries and an API to fetch them from."""
        rows = []
        for tenant, id_ in self._ledger.lacking_of():
            source = self._integrations.get(tenant, id_)
            if source.state in FETCHED and PROVIDERS[source.provider].mends(source.secret_names):
                rows.append(Lacking(tenant, id_))
        return rows

    def reconcile(self, tenant: str, integration: str) -> Reconciled:
        """Fetch the ranges with lost deliveries of an integration through its service's API, and close them.

        A range with an unreadable part stays open; an interrupted one continues where it stopped. Raises
        UpstreamUnavailableError (try again), UpstreamRefusedError, after which the integration is broken, NotFoundError, and
        BadInputError without such an API.
        """
        owner, source = self._control.tenant(tenant), self._integrations.get(tenant, integration)
        if not PROVIDERS[source.provider].mends(source.secret_names):
            raise BadInputError(f"integration {source.id} has no API to fetch lost deliveries from")
        stored = closed = 0
        for lost in self._ledger.lacking(source):
            try:
                outcome, complete = self._read_again(owner, source, lost)
            except UpstreamRefusedError as error:
                self._integrations.broken(source, error.reason, error.action)
                raise
            stored, closed = stored + outcome, closed + complete
        return Reconciled(owner.id, source.id, closed, stored)

    def _read_again(self, tenant: Tenant, source: Integration, lost: Range) -> tuple[int, bool]:
        """Store a service's events of a range; returns the number of new ones, and whether the range is closed now."""
        span = Window(*lost.span)
        notes = Notes(memory={**source.memory}, patience=NIGHT, lost=True)
        day = Day(span.start.date(), span.start, span.end)
        fetch = self._day_fetch(tenant, source, day, span, notes, history=False)
        fetch.read(lost)
        if notes.whole:
            self._ledger.close(source, span.start, span.end, fetch.found)
        else:
            self._ledger.advance(source, day, None, 0)  # the next attempt begins again, with what could not be read
        stored = fetch.done.stored
        log.info("deliveries read again", tenant=tenant.id, integration_id=source.id, stored=stored, whole=notes.whole)
        return stored, notes.whole

    def _accept_fetched(self, tenant: str, source: Integration, history: bool, items: list[Item]) -> Outcome:
        """Store fetched events; where the integration is labelled, label them by texts that are not stored."""
        labelled = source.settings.get("labels") == "yes"
        outcome = self._accept(
            tenant, without_texts(items) if labelled else items, history=history, origin=source.provider
        )
        if labelled:
            self._labels.label_arrived(tenant, items)
        return outcome

    def _earlier(self, source: Integration, day: Day) -> Window:
        """Return the range whose later replies are fetched: from the oldest due day to the end of a day."""
        due = self._ledger.due(source, self._clock(), AGAIN)
        first = min([day.on, *due[:CATCH_UP]])
        return Window(Day.of(first, zone_of(source)).start, day.end)

    def forget_texts(self) -> int:
        """Delete texts of messages past their integration's days; returns their number."""
        return sum(
            self._payloads.delete_older(self._clock() - int(days) * DAY, kind_of(source.id))
            for source in self._integrations.all()
            if (days := source.settings.get("keep_text_days"))
        )


def feed_of(integration: Integration) -> Feed:
    """Return what an integration can bring: its connector's feed, where days are fetched."""
    kind = PROVIDERS.get(integration.provider)
    if kind is not None and kind.connector is not None and kind.fetches(integration.secret_names):
        return replace(kind.connector.feed(integration), live=kind.receives(integration.secret_names))
    return ANY


def _date(text: str) -> date_:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except (ValueError, TypeError):
        raise BadInputError(f"date {str(text)[:40]!r} is not a date like 2026-08-01") from None

"""Fetching: the days of integrations that are over, one by one.

A night fetches the last day of each, and goes on with what is still not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from datetime import date as date_
from functools import partial

import structlog

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.coverage import ANY, PARTIAL, Coverage, zone_of
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
from hubbub.model.event import Event, Item
from hubbub.model.name import Name
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
"""A day of which a part could not be read is tried again for so long."""
CATCH_UP = 31
"""Days of an integration that one night fetches at most."""
NIGHT = 6 * 3600.0
"""Seconds that a service may keep one day of a catch-up waiting."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DueDays:
    """Days of an integration that are over and not there whole, newest first."""

    tenant: str
    integration_id: str
    dates: Sequence[date_]


@dataclass(frozen=True, slots=True)
class Lacking:
    """An integration of whose deliveries some are missing."""

    tenant: str
    integration_id: str


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What came of reading again what an integration did not deliver."""

    tenant: str
    integration_id: str
    closed: int
    """Ranges of which nothing is missing any more."""
    stored: int
    """Events that were not there."""


@dataclass(frozen=True, slots=True)
class FetchedDay:
    """A day that was fetched: how many events were what, and what could not be read."""

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
        """Return the integrations that are fetched from, each with the days that a night has to fetch, `CATCH_UP` at most."""
        after, now = (place_of(cursor, str) or ("",))[0], self._clock()
        found = self._integrations.page(tenant, FETCHED, None, after, check_limit(limit) + 1)
        return paged(
            found,
            limit,
            lambda one: (one.id,),
            lambda one: DueDays(one.tenant, one.id, self._ledger.due(one, now, AGAIN)[:CATCH_UP]),
        )

    def day(
        self, tenant: str, integration: str, date: str, *, is_backfill: bool = False, catching_up: bool = False
    ) -> FetchedDay:
        """Fetch and store one day (YYYY-MM-DD) of an integration; doing it again changes nothing.

        Replies to older threads and counters of older posts are looked for too; not when `catching_up`, which is done after a
        newer day was fetched, and takes all the time that the service wants. `is_backfill` takes what is older than the tenant
        keeps raw events. Raises UpstreamUnavailableError (try again) or UpstreamRefusedError, after
        which the integration is broken, and not fetched from until it is resumed or gets another secret.
        """
        one = self._control.tenant(tenant)
        found = self._integrations.get(tenant, integration)
        if found.state not in FETCHED:
            raise UpstreamRefusedError(
                f"integration {found.id} is {found.state}" + (f": {found.reason}" if found.reason else ""),
                action=found.action or f"Resume it: hubbub integrations resume {found.id} --tenant {tenant}",
            )
        if not PROVIDERS[found.provider].fetches(found.secret_names):
            raise BadInputError(f"integration {found.id} has no token: nothing is fetched from it, it receives only")
        day = Day.of(_date(date), zone_of(found))
        if day.start > self._clock():
            raise BadInputError(f"date {date}: this day has not begun")
        with structlog.contextvars.bound_contextvars(tenant=tenant, integration_id=found.id, date=date):
            fetched = self._fetch(one, found, day, history=is_backfill, catching_up=catching_up)
            row = plain(fetched)
            log.info(
                "day fetched", **{name: row[name] for name in row if name not in ("tenant", "integration_id", "date")}
            )
        return fetched

    def _fetch(self, tenant: Tenant, found: Integration, day: Day, *, history: bool, catching_up: bool) -> FetchedDay:
        """Fetch a day; the ledger and the integration's state say how it went."""
        kind = CONNECTORS[found.provider]
        notes = Notes(memory={**found.memory}, patience=NIGHT if catching_up else 0.0)
        whole = partial(changed, self._store, tenant) if kind.observes else list
        fetch = DayFetch(
            kind(self._http), found, self._integrations.secret(found), day, None if catching_up else self._earlier(found, day),
            self._ledger, whole, partial(self._accept_fetched, tenant.id, found, history),
            partial(self._names.take, tenant.id), notes,
        )  # fmt: skip
        try:
            state = fetch.run(self._clock())
        except UpstreamRefusedError as error:
            self._integrations.broken(found, error.reason, error.action)
            self._ledger.fail(found, day, Reason.REFUSED, error.reason, error.action)
            log.warning("integration broken", reason=error.reason, action=error.action)
            raise
        except HubbubError as error:
            self._ledger.fail(found, day, Reason.FAILED, error.message)
            raise
        self._integrations.worked(found, notes.reason, notes.action, notes.memory, whole=notes.whole)
        if state != PARTIAL:
            self._integrations.fetched(found, day.on)
            if PROVIDERS[found.provider].mends(
                found.secret_names
            ):  # what a service did not send of this day is there now
                self._ledger.close(found, day.start, day.end, fetch.done.stored)
        done = fetch.done
        return FetchedDay(
            tenant.id, found.id, day.on, done.stored, done.duplicates, done.corrected, done.rejected, done.pages, state,
            notes.reason or None, notes.action or None,
        )  # fmt: skip

    def lacking(self) -> list[Lacking]:
        """Return the integrations of whose deliveries some are missing, and that have an API to read them again from."""
        found = []
        for tenant, id_ in self._ledger.lacking_of():
            one = self._integrations.get(tenant, id_)
            if one.state in FETCHED and PROVIDERS[one.provider].mends(one.secret_names):
                found.append(Lacking(tenant, id_))
        return found

    def reconcile(self, tenant: str, integration: str) -> Reconciled:
        """Read again, through its service's API, the ranges in which deliveries of an integration were lost, and close them.

        A range of which a part cannot be read stays open. Raises UpstreamUnavailableError (try again), UpstreamRefusedError, after
        which the integration is broken, NotFoundError, and BadInputError where there is no such API.
        """
        one, found = self._control.tenant(tenant), self._integrations.get(tenant, integration)
        if not PROVIDERS[found.provider].mends(found.secret_names):
            raise BadInputError(f"integration {found.id} has no API here that what it did not deliver can be read from")
        stored = closed = 0
        for lost in self._ledger.lacking(found):
            window = Window(lost.start.replace(tzinfo=UTC), lost.end.replace(tzinfo=UTC))
            try:
                outcome, whole = self._read_again(one, found, window)
            except UpstreamRefusedError as error:
                self._integrations.broken(found, error.reason, error.action)
                raise
            stored, closed = stored + outcome, closed + whole
        return Reconciled(one.id, found.id, closed, stored)

    def _read_again(self, tenant: Tenant, found: Integration, lost: Window) -> tuple[int, bool]:
        """Store what a service has of a range; returns how many events were new, and whether the range is closed now."""
        notes = Notes(memory={**found.memory}, patience=NIGHT)
        stored = inside = 0
        connector = CONNECTORS[found.provider](self._http)
        for batch in connector.reconcile(found, self._integrations.secret(found), lost, notes):
            self._names.take(tenant.id, [item for item in batch if isinstance(item, Name)])
            items = [item for item in batch if not isinstance(item, Name)]
            inside += sum(isinstance(item, Event) and lost.start <= item.time < lost.end for item in items)
            if items:
                stored += self._accept_fetched(tenant.id, found, history=False, items=items).stored
        if notes.whole:
            self._ledger.close(found, lost.start, lost.end, inside)
        log.info("deliveries read again", tenant=tenant.id, integration_id=found.id, stored=stored, whole=notes.whole)
        return stored, notes.whole

    def _accept_fetched(self, tenant: str, found: Integration, history: bool, items: list[Item]) -> Outcome:
        """Store what was fetched; where its integration says so, label it by texts that are not stored."""
        labelled = found.settings.get("labels") == "yes"
        outcome = self._accept(
            tenant, without_texts(items) if labelled else items, history=history, origin=found.provider
        )
        if labelled:
            self._labels.label_arrived(tenant, items)
        return outcome

    def _earlier(self, found: Integration, day: Day) -> Window:
        """Return the stretch whose later replies are looked for: from the oldest day that is due up to the end of a day."""
        due = self._ledger.due(found, self._clock(), AGAIN)
        first = min([day.on, *due[:CATCH_UP]])
        return Window(Day.of(first, zone_of(found)).start, day.end)

    def forget_texts(self) -> int:
        """Delete texts of messages that their integrations keep no longer; returns how many."""
        deleted, after = 0, ""
        while some := self._integrations.page(after=after):
            after = some[-1].id
            for one in some:
                if days := one.settings.get("keep_text_days"):
                    deleted += self._payloads.delete_older(self._clock() - int(days) * DAY, kind_of(one.id))
        return deleted


def feed_of(integration: Integration) -> Feed:
    """Return what an integration can bring: what its connector says, where days are fetched from it."""
    kind = PROVIDERS.get(integration.provider)
    if kind is not None and kind.connector is not None and kind.fetches(integration.secret_names):
        return replace(kind.connector.feed(integration), live=kind.receives(integration.secret_names))
    return ANY


def _date(text: str) -> date_:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except (ValueError, TypeError):
        raise BadInputError(f"date {str(text)[:40]!r} is not a date like 2026-08-01") from None

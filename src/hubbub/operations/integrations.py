"""The engine's operations that reach outside: integrations, fetching their days, suggested replies.

`Engine` (app.py) inherits them. Each is a function of plain values that a job, a route or a command calls. Tenants come first
in every one: what belongs to another tenant is not found, in the same words as what does not exist.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from hubbub.clock import Clock
from hubbub.errors import BadInputError, HubbubError, UpstreamRefusedError
from hubbub.ingest.accept import Outcome
from hubbub.ingest.connectors.base import Notes
from hubbub.ingest.connectors.catalogue import CONNECTORS
from hubbub.ingest.daily import DayFetch, changed
from hubbub.ingest.providers import PROVIDERS
from hubbub.ingest.providers import provider as provider_of
from hubbub.ingest.receivers.base import Delivery, Setup
from hubbub.ingest.receivers.receive import Receiving
from hubbub.ingest.receivers.slack_socket import SlackSocket
from hubbub.ingest.receivers.sockets import Socket, Sockets
from hubbub.ingest.receivers.texts import kind_of
from hubbub.model.coverage import Day, Feed, Reason
from hubbub.model.event import Item
from hubbub.model.page import check_limit, cut, place_of
from hubbub.model.question import parse_date, parse_moment
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window, day_of
from hubbub.operations.labels import Labels, without_texts
from hubbub.operations.names import NameService
from hubbub.outgoing.http import Outgoing
from hubbub.outgoing.slack import BASE_URL as SLACK
from hubbub.replies.reply import Replies
from hubbub.settings import Settings
from hubbub.storage.store import Store
from hubbub.store.control import Control
from hubbub.store.coverage import ANY, PARTIAL, Coverage, zone_of
from hubbub.store.database import Database
from hubbub.store.deliveries import KEY_LENGTH, REFUSED, Deliveries, state_of, why_refused
from hubbub.store.deliveries import Delivery as Noted
from hubbub.store.integrations import FETCHED, STATES, TOKEN, Integration, Integrations
from hubbub.store.payloads import Payloads, Promise
from hubbub.store.repeats import Repeats
from hubbub.store.vault import Vault
from hubbub.telemetry import log

OPERATIONS = (
    "add_integration", "integrations", "integration", "pause_integration", "resume_integration", "rotate_integration",
    "remove_integration", "integration_setup", "integration_setups", "ingest_day", "due_days", "prepare_reply", "reply",
    "suggestion", "forget_replies", "forget_payloads",
)  # fmt: skip
"""Those that a command or a worker beside a running server may ask it to do."""

DAY = timedelta(days=1)
AGAIN = timedelta(days=28)
"""A day of which a part could not be read is tried again for so long."""
CATCH_UP = 31
"""Days of an integration that one night fetches at most."""
NIGHT = 6 * 3600.0
"""Seconds that a service may keep one day of a catch-up waiting."""


def _unheard(_: int) -> None:
    pass


class OutsideOperations(ABC):
    """What an engine does with other services."""

    names: NameService
    settings: Settings
    clock: Clock
    store: Store
    control: Control
    delivered: Deliveries
    labels: Labels

    def _open_outside(self, database: Database) -> None:
        self.vault = vault = Vault(self.settings.data, self.settings.secret_key.get_secret_value())
        self.http = Outgoing(self.settings.allow_private_hosts)
        self.integration_store = Integrations(database, vault)
        self.ledger = Coverage(database, self.integration_store, feed_of)
        self.control.followers.append(self.ledger.follow)
        self.payload_store = Payloads(database, vault)
        self.repeats = Repeats(database, vault)
        self.receiving = Receiving(
            self.integration_store, self.payload_store, self.store, self.control.tenant,
            lambda tenant, items, origin: self.accept(tenant, items, origin=origin),
            lambda tenant, names: self.names.take(tenant, names),
            lambda one, gap: self.ledger.note(one, gap.from_, gap.to, Reason.RATE_LIMITED, gap.reason),
            lambda tenant, items: self.labels.label_arrived(tenant, items),
        )  # fmt: skip
        self.sockets = Sockets(self.integration_store, self.socket_of)
        self.replies = Replies(
            self.http, self.settings.ai, self.payload_store, self.integration_store, self.record, self.clock
        )

    @abstractmethod
    def record(self, tenant: str, events: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Store one event or several."""

    @abstractmethod
    def accept(self, tenant: str, items: Iterable[Item], *, history: bool = False, origin: str = "api") -> Outcome:
        """Store read events."""

    # --- integrations

    def add_integration(
        self,
        tenant: str,
        provider: str,
        secret: str = "",
        name: str = "",
        settings: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Connect an account of a service (see `PROVIDERS` for settings and secrets); secrets are never shown again.

        `secret` is the token, `secrets` all by name. Those that were made here are in the answer once, as `made`.
        """
        one, kind = self.control.tenant(tenant), provider_of(provider)
        checked = kind.check_settings(settings or {})
        given, made = kind.check_secrets({TOKEN: secret, **(secrets or {})} if secret else secrets or {})
        today = day_of(self.clock(), ZoneInfo(checked.get("zone", "UTC")))
        since = parse_date(checked["since"]) if "since" in checked else today
        row = self._row(self.integration_store.add(one.id, provider, name or provider, checked, given, since))
        return {**row, "made": made} if made else row

    def integrations(
        self,
        tenant: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
        provider: str | None = None,
    ) -> dict[str, Any]:
        """Return a page of integrations, oldest first, of a tenant or all; `next` is the cursor of the page after, or None.

        `state` is one of theirs, or `fetched`: those that are fetched from.
        """
        if state not in (None, "fetched", *STATES):
            raise BadInputError(f"state {str(state)[:40]!r} is not one of fetched, {', '.join(STATES)}")
        if tenant is not None:
            self.control.tenant(tenant)
        after = (place_of(cursor, str) or ("",))[0]
        states = FETCHED if state == "fetched" else state
        found = self.integration_store.page(tenant, states, provider, after, check_limit(limit) + 1)
        rows, following = cut(found, limit, lambda one: (one.id,))
        return {"rows": [self._row(one) for one in rows], "next": following}

    def integration(self, tenant: str, integration_id: str) -> dict[str, Any]:
        """Return one integration, without its secret."""
        return self._row(self.integration_store.get(tenant, integration_id))

    def integration_setup(self, tenant: str, integration_id: str) -> dict[str, Any]:
        """Return what to do at an integration's service, and whether it has sent anything yet.

        `state` is waiting, received or refused (what came last could not be verified or taken, `reason` says why); `received_at`
        is the minute of the newest body that was taken within the last 30 days.
        """
        one = self.integration_store.get(tenant, integration_id)
        if not _receives(one):
            raise BadInputError(f"integration {one.id} only fetches: nothing is to be set up at its service")
        return self._setup(one)

    def integration_setups(
        self, tenant: str | None = None, cursor: str | None = None, limit: int = 100
    ) -> dict[str, Any]:
        """Return what `integration_setup` says of each integration that receives, of a tenant or all, page by page."""
        after = (place_of(cursor, str) or ("",))[0]
        found = self.integration_store.page(tenant, after=after, limit=check_limit(limit) + 1)
        some, following = cut(found, limit, lambda one: (one.id,))
        return {"rows": [self._setup(one) for one in some if _receives(one)], "next": following}

    def _setup(self, one: Integration) -> dict[str, Any]:
        row, receiver = self._row(one), PROVIDERS[one.provider].receiver
        setup = receiver.setup if receiver is not None else Setup("", (), ())
        steps = setup.steps if row["address"] is not None else setup.connected
        seen = self.delivered.latest(one.id[-KEY_LENGTH:])
        taken = [latest.minute for latest in seen if state_of(latest.outcome) != REFUSED]
        refused = next((latest for latest in seen if latest.minute not in taken), None)
        refused = refused if refused is not None and (not taken or refused.minute > taken[0]) else None
        return {
            "id": one.id, "tenant": one.tenant, "provider": one.provider, "name": one.name, "title": setup.title,
            "address": row["address"], "scopes": list(setup.scopes),
            "steps": [step.format_map(_Shown(address=row["address"] or "")) for step in steps],
            "state": "refused" if refused is not None else "received" if taken else "waiting",
            "received_at": f"{taken[0].isoformat()}Z" if taken else None,
            "reason": why_refused(refused.outcome, refused.reason) if refused is not None else "",
        }  # fmt: skip

    def pause_integration(self, tenant: str, integration_id: str) -> dict[str, Any]:
        """Fetch nothing from it until it is resumed."""
        return self._row(self.integration_store.pause(tenant, integration_id))

    def resume_integration(self, tenant: str, integration_id: str) -> dict[str, Any]:
        """Fetch from it again, also when it was broken."""
        return self._row(self.integration_store.resume(tenant, integration_id))

    def rotate_integration(
        self, tenant: str, integration_id: str, secret: str = "", secrets: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Give it a new token, or new secrets by name; a broken one is active again."""
        kind = PROVIDERS[self.integration_store.get(tenant, integration_id).provider]
        given = {TOKEN: secret, **(secrets or {})} if secret else secrets or {}
        kind.check_names(given)
        return self._row(self.integration_store.rotate(tenant, integration_id, given))

    def remove_integration(self, tenant: str, integration_id: str) -> dict[str, Any]:
        """Delete it with its secrets and the texts of its messages; events that it brought stay."""
        self.integration_store.remove(tenant, integration_id)
        self.payload_store.delete_older(self.clock() + DAY, kind_of(integration_id))
        self.ledger.forget(integration_id)
        return {"removed": integration_id}

    def _row(self, one: Integration) -> dict[str, Any]:
        """Return the public form of an integration; `address` is where its service sends to, null for one that only fetches."""
        kind = PROVIDERS[one.provider]
        return {
            "id": one.id, "tenant": one.tenant, "provider": one.provider, "name": one.name, "state": one.state,
            "settings": dict(one.settings), "reason": one.reason, "action": one.action,
            "last_ok": one.last_ok.isoformat() if one.last_ok else None, "since": one.since.isoformat() if one.since else None,
            "created_at": one.created_at.isoformat() + "Z", "changed_at": one.changed_at.isoformat() + "Z",
            "fetches": kind.fetches(one.secret_names),
            "address": self.settings.address(f"/v1/hooks/{one.provider}/{one.id}") if kind.receives(one.secret_names) else None,
        }  # fmt: skip

    def socket_of(self, one: Integration) -> Socket:
        """Return the connection over which an integration's service sends, not open yet."""
        token, base_url = self.integration_store.secrets(one)["app_token"], str(one.settings.get("base_url", SLACK))
        return SlackSocket(self.http, token, base_url, partial(self._take_over_socket, one), self.clock)

    def _take_over_socket(self, one: Integration, delivery: Delivery) -> None:
        """Store what came over a connection, and note it in the delivery log."""
        outcome = self.receiving.take_trusted(one, delivery).outcome
        self.delivered.note(
            Noted(
                200, "accepted" if not outcome.rejected else "partly_refused", one.id[-KEY_LENGTH:], one.tenant,
                bytes=len(delivery.body), accepted=outcome.accepted, duplicates=outcome.duplicates, corrected=outcome.corrected,
                rejected=len(outcome.rejected), origin=one.provider,
            )
        )  # fmt: skip

    # --- a day of an integration

    def due_days(self, cursor: str | None = None, limit: int = 100, tenant: str | None = None) -> dict[str, Any]:
        """Return a page of integrations that are fetched from, with the days that are over and not there whole, newest first.

        A night fetches at most `CATCH_UP` of them. `next` is the cursor of the page after, or None.
        """
        after, now = (place_of(cursor, str) or ("",))[0], self.clock()
        found = self.integration_store.page(tenant, FETCHED, None, after, check_limit(limit) + 1)
        rows, following = cut(found, limit, lambda one: (one.id,))
        due = [
            {
                "tenant": one.tenant, "integration_id": one.id,
                "dates": [day.isoformat() for day in self.ledger.due(one, now, AGAIN)[:CATCH_UP]],
            }
            for one in rows
        ]  # fmt: skip
        return {"rows": due, "next": following}

    def ingest_day(
        self, tenant: str, integration_id: str, date: str, is_backfill: bool = False, catching_up: bool = False
    ) -> dict[str, Any]:
        """Fetch and store one day (YYYY-MM-DD) of an integration; doing it again changes nothing.

        Replies to older threads and counters of older posts are looked for too; not when `catching_up`, which is done after a
        newer day was fetched, and takes all the time that the service wants. `is_backfill` takes what is older than the tenant
        keeps raw events. Returns counts of stored, duplicates, corrected, rejected by code, and pages, the day's `state`, and what
        could not be read as `reason` and `action`. Raises UpstreamUnavailableError (try again) or UpstreamRefusedError, after
        which the integration is broken, and not fetched from until it is resumed or gets another secret.
        """
        one = self.control.tenant(tenant)
        found = self.integration_store.get(tenant, integration_id)
        if found.state not in FETCHED:
            raise UpstreamRefusedError(
                f"integration {found.id} is {found.state}" + (f": {found.reason}" if found.reason else ""),
                action=found.action or f"Resume it: hubbub integrations resume {found.id} --tenant {tenant}",
            )
        if not PROVIDERS[found.provider].fetches(found.secret_names):
            raise BadInputError(f"integration {found.id} has no token: nothing is fetched from it, it receives only")
        day = Day.of(_date(date), zone_of(found))
        if day.start > self.clock():
            raise BadInputError(f"date {date}: this day has not begun")
        with structlog.contextvars.bound_contextvars(tenant=tenant, integration_id=found.id, date=date):
            answer = self._fetch(one, found, day, history=is_backfill, catching_up=catching_up)
            log.info("day fetched", **answer)
        return {"tenant": tenant, "integration_id": found.id, "date": date, **answer}

    def _fetch(
        self, tenant: Tenant, found: Integration, day: Day, *, history: bool, catching_up: bool
    ) -> dict[str, Any]:
        """Fetch a day; the ledger and the integration's state say how it went."""
        kind = CONNECTORS[found.provider]
        notes = Notes(memory={**found.memory}, patience=NIGHT if catching_up else 0.0)
        whole = partial(changed, self.store, tenant) if kind.observes else list
        fetch = DayFetch(
            kind(self.http), found, self.integration_store.secret(found), day, None if catching_up else self._earlier(found, day),
            self.ledger, whole, partial(self._accept_fetched, tenant.id, found, history),
            partial(self.names.take, tenant.id), notes,
        )  # fmt: skip
        try:
            state = fetch.run(self.clock())
        except UpstreamRefusedError as error:
            self.integration_store.broken(found, error.reason, error.action)
            self.ledger.fail(found, day, Reason.REFUSED, error.reason, error.action)
            log.warning("integration broken", reason=error.reason, action=error.action)
            raise
        except HubbubError as error:
            self.ledger.fail(found, day, Reason.FAILED, error.message)
            raise
        self.integration_store.worked(found, notes.reason, notes.action, notes.memory, whole=notes.whole)
        if state != PARTIAL:
            self.integration_store.fetched(found, day.on)
            if "message" in kind.subjects:  # what a service did not send of this day is there now
                self.ledger.close(found, day.start, day.end, fetch.done.stored)
        return {**fetch.done.answer(), "state": state, "reason": notes.reason or None, "action": notes.action or None}

    def _accept_fetched(self, tenant: str, found: Integration, history: bool, items: list[Item]) -> Outcome:
        """Store what was fetched; where its integration says so, label it by texts that are not stored."""
        labelled = found.settings.get("labels") == "yes"
        outcome = self.accept(
            tenant, without_texts(items) if labelled else items, history=history, origin=found.provider
        )
        if labelled:
            self.labels.label_arrived(tenant, items)
        return outcome

    def _earlier(self, found: Integration, day: Day) -> Window:
        """Return the stretch whose later replies are looked for: from the oldest day that is due up to the end of a day."""
        due = self.ledger.due(found, self.clock(), AGAIN)
        first = min([day.on, *due[:CATCH_UP]])
        return Window(Day.of(first, zone_of(found)).start, day.end)

    # --- replies

    def prepare_reply(self, tenant: str, payload: Mapping[str, Any], promise: Promise | None = None) -> str:
        """Check and store what a reply is asked for, and a promise of its job; returns the reference that `reply` takes.

        Raises BadRequestError.
        """
        return self.replies.prepare(self.control.tenant(tenant).id, payload, promise)

    def reply(self, tenant: str, reference: str, progress: Callable[[int], object] = _unheard) -> dict[str, Any]:
        """Write the reply of a reference, store it as a suggestion, count it, hand it to Slack.

        `progress` hears 90 and 100. Running it again writes, counts and delivers nothing that is done. Raises
        NotFoundError, UpstreamUnavailableError (try again), UpstreamRefusedError (a person has to act).
        """
        return self.replies.reply(self.control.tenant(tenant).id, reference, progress)

    def suggestion(self, tenant: str, suggestion_id: str) -> dict[str, Any]:
        """Return a stored suggestion with its text."""
        return self.replies.suggestion(tenant, suggestion_id)

    def forget_replies(self, references: Sequence[str]) -> dict[str, Any]:
        """Delete requests for replies with what was made from them."""
        return {"deleted": self.replies.forget(references)}

    def forget_texts(self) -> dict[str, Any]:
        """Delete texts of messages that their integrations keep no longer."""
        deleted, after = 0, ""
        while some := self.integration_store.page(after=after):
            after = some[-1].id
            for one in some:
                if days := one.settings.get("keep_text_days"):
                    before = self.clock() - int(days) * DAY
                    deleted += self.payload_store.delete_older(before, kind_of(one.id))
        return {"deleted": deleted}

    def forget_payloads(self, before: str) -> dict[str, Any]:
        """Delete all payloads stored before a moment (date or RFC 3339 time, UTC)."""
        return {"deleted": self.payload_store.delete_older(parse_moment(before, "UTC"))}


def _receives(one: Integration) -> bool:
    """Say whether an integration's service sends by itself: to an address, or over a connection of ours."""
    kind = PROVIDERS[one.provider]
    return kind.receives(one.secret_names) or kind.listens(one.secret_names)


class _Shown(dict[str, str]):
    """What is put into a step: a secret that was made here by its name, since its value is shown but once."""

    def __missing__(self, name: str) -> str:
        return f"the {name}"


def feed_of(integration: Integration) -> Feed:
    """Return what an integration can bring: what its connector says, where days are fetched from it."""
    kind = PROVIDERS.get(integration.provider)
    if kind is not None and kind.connector is not None and kind.fetches(integration.secret_names):
        return replace(kind.connector.feed(integration), live=kind.receives(integration.secret_names))
    return ANY


def _date(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except (ValueError, TypeError):
        raise BadInputError(f"date {str(text)[:40]!r} is not a date like 2026-08-01") from None

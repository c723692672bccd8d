"""Digests of days, weeks and months, sent automatically.

A due digest waits up to some hours until its period is complete; after that it is sent with what is missing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from hubbub.alerts.notice import Notice
from hubbub.alerts.rules import GRACE
from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.database import new_id
from hubbub.control.outbox import Draft, Outbox
from hubbub.control.subscriptions import NewSubscription, Subscription, Subscriptions
from hubbub.errors import BadInputError, HubbubError, NotFoundError
from hubbub.model.answers import Removed
from hubbub.model.page import Page
from hubbub.model.tenant import Tenant, check_zone
from hubbub.reports import formats as formats_
from hubbub.reports import sections as sections_
from hubbub.reports.digest import digest
from hubbub.reports.document import Document
from hubbub.reports.layout import summary_rows
from hubbub.reports.period import KINDS, Period, period_of
from hubbub.reports.remarks import missing
from hubbub.services.reports import ReportService
from hubbub.settings import Settings
from hubbub.telemetry import log

LONGEST_WAIT = 24
"""Hours."""
_HOUR = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")


@dataclass(frozen=True, slots=True)
class Digests:
    """The result of a round: digests written and waiting, and errors by digest."""

    written: int
    waiting: int
    errors: Mapping[str, str]


class SubscriptionService:
    """Sends digests of days, weeks and months: each is a stored report in a few lines."""

    def __init__(
        self, settings: Settings, clock: Clock, control: Control, outbox: Outbox, reports: ReportService
    ) -> None:
        self._settings, self._clock, self._control = settings, clock, control
        self._outbox, self._reports = outbox, reports
        self._store = Subscriptions(control.database)

    def add(
        self, tenant: str, destination: str, kind: str, zone: str | None = None, at: str = "07:00", wait_hours: int = 4,
        sections: Sequence[str] = (), formats: Sequence[str] = (),
    ) -> Subscription:  # fmt: skip
        """Send a digest of every period (kind daily, weekly, monthly) that ends from now on to a destination.

        It is sent at `at` in `zone` (None: the tenant's) on the day after the period, or up to `wait_hours` later for an
        incomplete period. `sections`: sections of its report (none: all); `formats`: files attached to a mail.
        """
        owner = self._control.tenant(tenant)
        return self._store.add(self.checked(owner, destination, kind, zone, at, wait_hours, sections, formats))

    def checked(
        self, owner: Tenant, destination: str, kind: str, zone: str | None, at: str, wait_hours: int, sections: Sequence[str],
        formats: Sequence[str],
    ) -> NewSubscription:  # fmt: skip
        """Return a checked digest; the first one sent is of the period that ends next. Raises BadInputError with the field."""
        target = self._outbox.destination(owner.id, destination)
        if kind not in KINDS:
            raise BadInputError(f"kind {kind[:40]!r} is not one of {', '.join(KINDS)}")
        if not 0 <= wait_hours <= LONGEST_WAIT:
            raise BadInputError(f"wait_hours: 0 to {LONGEST_WAIT}")
        if formats and target.kind != "mail":
            raise BadInputError("formats: only mails can have files")
        chosen = tuple(section.name for section in sections_.chosen(list(sections) or None)) if sections else ()
        written = tuple(format_.name for format_ in formats_.writable(list(formats))) if formats else ()
        return NewSubscription(
            new_id("sub"), owner.id, destination, kind, check_zone(zone or owner.zone), _hour(at), wait_hours, chosen, written,
            period_of(owner, kind, self._clock()).end,
        )  # fmt: skip

    def of(self, tenant: str) -> Page[Subscription]:
        """Return a tenant's digests, oldest first: times, last period sent, and what each waits for."""
        return Page(self._store.of(self._control.tenant(tenant).id))

    def stop(self, tenant: str, subscription: str) -> Subscription:
        """Stop a digest."""
        stored = self._store.get(self._control.tenant(tenant).id, subscription)
        self._store.stop(stored.id)
        return self._store.get(stored.tenant, stored.id)

    def remove(self, tenant: str, subscription: str) -> Removed:
        """Delete a digest."""
        self._store.remove(self._control.tenant(tenant).id, subscription)
        return Removed(subscription)

    # --- by the link of a message, without signing in

    def unsubscribe(self, token: str, *, stop: bool = False) -> Subscription:
        """Return the digest of a message's link, and stop it if `stop`. Raises NotFoundError."""
        id_, _, mac = token.partition(".")
        if not hmac.compare_digest(mac, self._mac(id_)):
            raise NotFoundError("this link belongs to no digest: part of it may be missing")
        self._store.find(id_)
        if stop:
            self._store.stop(id_)
        return self._store.find(id_)

    def _mac(self, id_: str) -> str:
        key = self._control.derived("unsubscribe")
        return hmac.new(key, id_.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:40]

    # --- due digests

    def send(self) -> Digests:
        """Write due digests into the outbox."""
        self._control.follow()
        states: Counter[str] = Counter()
        errors: dict[str, str] = {}
        for subscription in self._store.active():
            tenant = self._control.tenants().get(subscription.tenant)
            if tenant is None:
                continue
            try:
                states[self._send(subscription, tenant)] += 1
            except HubbubError as error:
                errors[subscription.id] = error.message
                self._store.waits(subscription.id, error.message)
        return Digests(states["written"], states["waiting"], errors)

    def _send(self, subscription: Subscription, tenant: Tenant) -> str:
        """Write the digest of the last complete period, if it is due, complete or late enough; returns the outcome."""
        now, zone = self._clock(), ZoneInfo(subscription.zone)
        period = period_of(tenant, subscription.kind, now)
        due = max(datetime.combine(period.end, _time(subscription.at), zone), period.window(tenant).end + GRACE)
        if period.end <= subscription.done_to or now < due:
            return ""
        report = _report_id(subscription, period, tenant)
        document = self._document(subscription, period, report)
        lacking = document.introduction.behind or missing(document)
        if lacking and now < due + timedelta(hours=subscription.wait_hours):
            self._reports.delete(tenant.id, report)
            self._store.waits(subscription.id, lacking)
            return "waiting"
        notes = _notes(subscription, due.astimezone(zone), now.astimezone(zone), lacking)
        notice = self._notice(subscription, tenant, document, notes)
        draft = Draft(
            f"{subscription.id}.{period.start}",
            tenant.id,
            subscription.destination,
            notice.type,
            notice.document(),
            now,
            now,
            subscription.id,
            report,
        )
        if not self._store.sent(subscription, period.end, draft):
            return ""
        log.info("digest written", tenant=tenant.id, subscription=subscription.id, report=report)
        return "written"

    def _document(self, subscription: Subscription, period: Period, report: str) -> Document:
        """Return the report of a digest, made if it does not exist."""
        sections = list(dict.fromkeys(["summary", *subscription.sections])) if subscription.sections else None
        formats = list(dict.fromkeys(["json", "html", *subscription.formats]))
        self._reports.make(
            subscription.tenant, subscription.kind, start=period.start.isoformat(), end=period.end.isoformat(), sections=sections,
            formats=formats, report=report,
        )  # fmt: skip
        return self._reports.document(subscription.tenant, report)

    def _notice(self, subscription: Subscription, tenant: Tenant, document: Document, notes: Sequence[str]) -> Notice:
        path, stop = f"/t/{tenant.id}/reports", f"/unsubscribe/{subscription.id}.{self._mac(subscription.id)}"
        base, report = self._settings.address("") if self._settings.public_url else "", str(document.about["id"])
        message = digest(document, notes, base, f"{base}{stop}" if base else "")
        content = {
            "tenant": tenant.id, "kind": subscription.kind, "from": document.data.from_, "to": document.data.to,
            "report": report,
            "numbers": [
                {name: row[name] for name in ("metric", "unit", "value", "previous", "state")} for row in summary_rows(document)
            ],
        }  # fmt: skip
        files = tuple((report, format_) for format_ in subscription.formats)
        return Notice("digest", message.title, message.lines, path, content, message.html, stop, files)


def _notes(subscription: Subscription, due: datetime, now: datetime, lacking: str) -> list[str]:
    """Return the notes about a digest's delay and missing data."""
    notes = []
    if now - due >= timedelta(minutes=15):
        why = f": {subscription.waits_for}" if subscription.waits_for and not lacking else ""
        notes.append(f"Sent at {now:%H:%M} instead of {due:%H:%M}{why}.")
    if lacking:
        notes.append(f"It was sent without waiting longer; {lacking.rstrip('.')}.")
    return notes


def _report_id(subscription: Subscription, period: Period, tenant: Tenant) -> str:
    """Return the only id of a subscription's report of a period; ids sort by the end of the period."""
    ended = int(period.window(tenant).end.timestamp() * 1000)
    return f"rep_{ended:012x}{hashlib.sha256(f'{subscription.id} {period.start}'.encode()).hexdigest()[:12]}"


def _hour(text: str) -> str:
    _time(text)
    return text


def _time(text: str) -> time:
    match = _HOUR.match(text)
    if match is None:
        raise BadInputError(f"at: {text[:20]!r} is not a time of day like 07:00")
    return time(int(match[1]), int(match[2]))

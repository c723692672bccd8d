"""The engine's operations on subscriptions: digests of days, weeks and months that arrive by themselves.

`Engine` (app.py) inherits them. A digest that is due waits until its period is complete, up to some hours, and then
says what is not.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hubbub.alerts.notice import Notice
from hubbub.alerts.rules import GRACE
from hubbub.clock import Clock
from hubbub.errors import BadInputError, HubbubError, NotFoundError
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant, check_zone
from hubbub.news.news import News
from hubbub.query.queries import Queries
from hubbub.reports import formats as formats_
from hubbub.reports import sections as sections_
from hubbub.reports.digest import digest, missing
from hubbub.reports.period import KINDS, Period, period_of
from hubbub.settings import Settings
from hubbub.store.alerts import new_id
from hubbub.store.control import Control
from hubbub.store.outbox import Draft, Outbox
from hubbub.store.subscriptions import Subscription, Subscriptions
from hubbub.telemetry import log

OPERATIONS = (
    "add_subscription", "subscriptions", "remove_subscription", "stop_subscription", "send_digests", "unsubscribe",
)  # fmt: skip
"""Those that a command, a route or a worker may ask it to do."""
LONGEST_WAIT = 24
"""Hours."""
_HOUR = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")


class SubscriptionOperations(ABC):
    """What an engine does about subscriptions."""

    settings: Settings
    clock: Clock
    control: Control
    queries: Queries
    outbox: Outbox

    @abstractmethod
    def report(
        self, tenant: str, kind: str, date: str | None = None, start: str | None = None, end: str | None = None,
        sections: Sequence[str] | None = None, formats: Sequence[str] | None = None, report: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Make a report and keep it."""

    @abstractmethod
    def report_file(self, tenant: str, report: str, format: str) -> dict[str, Any]:
        """Return where a report's file is."""

    @abstractmethod
    def delete_report(self, tenant: str, report: str) -> dict[str, Any]:
        """Delete a report."""

    @abstractmethod
    def news_of(self, tenant: Tenant, question: Question) -> News:
        """Return the news of a question's range."""

    def _open_subscriptions(self) -> None:
        self.subscription_store = Subscriptions(self.control.database)

    def add_subscription(
        self, tenant: str, destination: str, kind: str, zone: str | None = None, at: str = "07:00", wait_hours: int = 4,
        sections: Sequence[str] = (), formats: Sequence[str] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """Send a digest of every period (kind daily, weekly, monthly) that ends from now on to a destination.

        It goes out at `at` in `zone` (None: the tenant's) on the day after the period, or up to `wait_hours` later where the
        period is not complete. `sections` are those of the report behind it (none: all), `formats` the files that go with a mail.
        """
        one = self.control.tenant(tenant)
        found = self.outbox.destination(one.id, destination)
        if kind not in KINDS:
            raise BadInputError(f"kind {kind[:40]!r} is not one of {', '.join(KINDS)}")
        if not 0 <= wait_hours <= LONGEST_WAIT:
            raise BadInputError(f"wait_hours: 0 to {LONGEST_WAIT}")
        if formats and found.kind != "mail":
            raise BadInputError("formats: only a mail has files with it")
        chosen = [section.name for section in sections_.chosen(list(sections) or None)] if sections else []
        written = [one.name for one in formats_.writable(list(formats))] if formats else []
        made = self.subscription_store.add(
            new_id("sub"), one.id, destination, kind, check_zone(zone or one.zone), _hour(at), wait_hours, chosen, written,
            period_of(one, kind, self.clock()).end,
        )  # fmt: skip
        return _row(made)

    def subscriptions(self, tenant: str) -> dict[str, Any]:
        """Return a tenant's subscriptions, oldest first: what is sent when, up to which period, and what one waits for."""
        return {"rows": [_row(one) for one in self.subscription_store.of(self.control.tenant(tenant).id)]}

    def stop_subscription(self, tenant: str, subscription_id: str) -> dict[str, Any]:
        """Send nothing more of a subscription."""
        found = self.subscription_store.get(self.control.tenant(tenant).id, subscription_id)
        self.subscription_store.stop(found.id)
        return _row(self.subscription_store.get(found.tenant, found.id))

    def remove_subscription(self, tenant: str, subscription_id: str) -> dict[str, Any]:
        """Delete a subscription."""
        self.subscription_store.remove(self.control.tenant(tenant).id, subscription_id)
        return {"removed": subscription_id}

    # --- without signing in

    def unsubscribe(self, token: str, *, stop: bool = False) -> dict[str, Any]:
        """Return the subscription that a link out of a message names, and stop it if asked to. Raises NotFoundError."""
        id_, _, mac = token.partition(".")
        if not hmac.compare_digest(mac, self._mac(id_)):
            raise NotFoundError("this link names no subscription: it may have been cut")
        found = self.subscription_store.find(id_)
        if stop:
            self.subscription_store.stop(id_)
            found = self.subscription_store.find(id_)
        return _row(found)

    def _mac(self, id_: str) -> str:
        key = self.control.derived("unsubscribe")
        return hmac.new(key, id_.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:40]

    # --- when one is due

    def send_digests(self) -> dict[str, Any]:
        """Write the digests that are due into the outbox; counts them, those that wait, and errors by subscription."""
        self.control.follow()
        counts: dict[str, Any] = {"written": 0, "waiting": 0, "errors": {}}
        for one in self.subscription_store.active():
            tenant = self.control.tenants().get(one.tenant)
            if tenant is None:
                continue
            try:
                state = self._send(one, tenant)
            except HubbubError as error:
                counts["errors"][one.id] = error.message
                self.subscription_store.waits(one.id, error.message)
            else:
                if state:
                    counts[state] += 1
        return counts

    def _send(self, one: Subscription, tenant: Tenant) -> str | None:
        """Write the digest of the last period that is over, if it is due, complete or late enough; says what became of it."""
        now, zone = self.clock(), ZoneInfo(one.zone)
        period = period_of(tenant, one.kind, now)
        due = max(datetime.combine(period.end, _time(one.at), zone), period.window(tenant).end + GRACE)
        if period.end <= one.done_to or now < due:
            return None
        report = _report_id(one, period, tenant)
        data = self._data(one, period, report)
        news = self._news(tenant, period, data)
        lacking = str(news.freshness.get("behind", "")) or missing(data)
        if lacking and now < due + timedelta(hours=one.wait_hours):
            self.delete_report(tenant.id, report)
            self.subscription_store.waits(one.id, lacking)
            return "waiting"
        notes = _notes(one, due.astimezone(zone), now.astimezone(zone), lacking)
        notice = self._notice(one, tenant, report, data, news, notes)
        draft = Draft(
            f"{one.id}.{period.start}",
            tenant.id,
            one.destination,
            notice.type,
            notice.document(),
            now,
            now,
            one.id,
            report,
        )
        if not self.subscription_store.sent(one, period.end, draft):
            return None
        log.info("digest written", tenant=tenant.id, subscription=one.id, report=report)
        return "written"

    def _data(self, one: Subscription, period: Period, report: str) -> dict[str, Any]:
        """Make the report behind a digest, or find it made, and return its data."""
        sections = list(dict.fromkeys(["summary", *one.sections])) if one.sections else None
        formats = list(dict.fromkeys(["json", "html", *one.formats]))
        self.report(
            one.tenant, one.kind, start=period.start.isoformat(), end=period.end.isoformat(), sections=sections,
            formats=formats, report=report,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(
            Path(self.report_file(one.tenant, report, "json")["path"]).read_text("ascii")
        )
        data: dict[str, Any] = found["data"]
        return data

    def _news(self, tenant: Tenant, period: Period, data: Mapping[str, Any]) -> News:
        """Return the news of a period, with what is usual of the numbers of its report."""
        window = period.window(tenant)
        metrics = tuple(
            row["metric"] for section in data["sections"] if section["name"] == "summary" for row in section["rows"]
        )
        return self.news_of(tenant, Question(metrics, window.start, window.end))

    def _notice(
        self, one: Subscription, tenant: Tenant, report: str, data: Mapping[str, Any], news: News, notes: Sequence[str]
    ) -> Notice:
        path, stop = f"/t/{tenant.id}/reports", f"/unsubscribe/{one.id}.{self._mac(one.id)}"
        base = self.settings.address("") if self.settings.public_url else ""
        usual = {number.metric: number.usual for number in news.numbers if not number.dimension}
        made = digest(
            data,
            usual,
            [point.whole for point in news.points] or [news.lead],
            notes,
            f"{base}{path}" if base else "",
            f"{base}{stop}" if base else "",
        )
        rows = [row for section in data["sections"] if section["name"] == "summary" for row in section["rows"]]
        told = {
            "tenant": tenant.id, "kind": one.kind, "from": data["from"], "to": data["to"], "report": report,
            "numbers": [{name: row[name] for name in ("metric", "unit", "value", "previous", "state")} for row in rows],
        }  # fmt: skip
        files = tuple((report, format_) for format_ in one.formats)
        return Notice("digest", made.title, made.lines, path, told, made.html, stop, files)


def _notes(one: Subscription, due: datetime, now: datetime, lacking: str) -> list[str]:
    """Say when a digest is late, and what of it is not complete."""
    notes = []
    if now - due >= timedelta(minutes=15):
        why = f": {one.waits_for}" if one.waits_for and not lacking else ""
        notes.append(f"Sent at {now:%H:%M} instead of {due:%H:%M}{why}.")
    if lacking:
        notes.append(f"It was not waited for any longer; {lacking}.")
    return notes


def _report_id(one: Subscription, period: Period, tenant: Tenant) -> str:
    """Return the one id of a subscription's report of a period; ids sort by the end of the period."""
    ended = int(period.window(tenant).end.timestamp() * 1000)
    return f"rep_{ended:012x}{hashlib.sha256(f'{one.id} {period.start}'.encode()).hexdigest()[:12]}"


def _hour(text: str) -> str:
    _time(text)
    return text


def _time(text: str) -> time:
    found = _HOUR.match(text)
    if found is None:
        raise BadInputError(f"at: {text[:20]!r} is not a time of day like 07:00")
    return time(int(found[1]), int(found[2]))


def _row(one: Subscription) -> dict[str, Any]:
    return {
        "id": one.id, "destination": one.destination, "kind": one.kind, "zone": one.zone, "at": one.at,
        "wait_hours": one.wait_hours, "sections": list(one.sections), "formats": list(one.formats),
        "done_to": one.done_to.isoformat(), "waits_for": one.waits_for or None,
        "state": "stopped" if one.stopped_at else "active", "created_at": one.created_at.isoformat(),
    }  # fmt: skip

"""The engine's operations on alerts: rules are tried, added and judged; incidents are shown, acknowledged and snoozed.

`Engine` (app.py) inherits them. Tenants come first in every one: what is another's is not found, in the same words as what does not
exist.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from hubbub.alerts.evaluate import Broken, evaluate
from hubbub.alerts.notice import notice_of, reminder
from hubbub.alerts.notifications import after_quiet, notify, summary
from hubbub.alerts.replay import Replay, replay
from hubbub.alerts.rules import plain, rule_from
from hubbub.alerts.run import Run
from hubbub.alerts.series import Facts
from hubbub.clock import Clock
from hubbub.errors import BadInputError, ConflictError, HubbubError, NotFoundError
from hubbub.model.alert import Rule
from hubbub.model.page import check_limit, cut, place_of
from hubbub.model.question import parse_moment
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of, local_midnight
from hubbub.outgoing.http import Outgoing
from hubbub.query.queries import Queries
from hubbub.settings import Settings
from hubbub.store.alerts import KEPT, Alerts, Decision, Entry, Incident, StoredRule, new_id
from hubbub.store.control import Control
from hubbub.store.integrations import Integrations
from hubbub.store.outbox import Draft, Outbox
from hubbub.telemetry import log

OPERATIONS = (
    "add_alert", "try_alert", "alerts", "alert", "change_alert", "remove_alert", "evaluate_alerts", "incidents", "incident",
    "acknowledge_incident", "snooze_incident",
)  # fmt: skip
"""Those that a command, a route or a worker may ask it to do."""
MOST_RUNS = 200
"""Runs of a replay that are shown."""


class AlertOperations(ABC):
    """What an engine does about alerts."""

    settings: Settings
    clock: Clock
    control: Control
    queries: Queries
    http: Outgoing
    integration_store: Integrations
    outbox: Outbox

    def _open_alerts(self) -> None:
        self.alert_store = Alerts(self.control.database)

    # --- rules

    def try_alert(self, tenant: str, rule: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a rule would have done in the past year: when it fires, and how often with other floors. Stores nothing.

        Raises BadInputError and BadQuestionError for a rule that cannot work, with the reason.
        """
        one = self.control.tenant(tenant)
        read = self._read(one, rule)
        return _replayed(self._replay(one, read), one)

    def add_alert(self, tenant: str, rule: Mapping[str, Any]) -> dict[str, Any]:
        """Try a rule on the past year and store it; it judges windows that end from now on. Returns both."""
        one = self.control.tenant(tenant)
        read = self._read(one, rule)
        tried = self._replay(one, read)
        stored = self.alert_store.add(one.id, plain(read), self.clock())
        return {**self._rule_row(stored), "replay": _replayed(tried, one)}

    def alerts(self, tenant: str) -> dict[str, Any]:
        """Return a tenant's rules, oldest first."""
        return {"rows": [self._rule_row(one) for one in self.alert_store.rules(self.control.tenant(tenant).id)]}

    def alert(self, tenant: str, alert_id: str) -> dict[str, Any]:
        """Return a rule, and the windows that it could not judge when their time came, newest first, with the reasons."""
        one = self.control.tenant(tenant)
        stored = self.alert_store.rule(one.id, alert_id)
        skipped = [
            {"window": skip.start.astimezone(one.tz).isoformat(), "slice": skip.slice or None, "why": skip.why}
            for skip in reversed(self.alert_store.skipped(stored.id)[-MOST_RUNS:])
        ]
        return {**self._rule_row(stored), "not_judged": skipped}

    def change_alert(self, tenant: str, alert_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change fields of a rule, or pause it (`paused`); one that is resumed judges windows that end from then on."""
        one = self.control.tenant(tenant)
        stored = self.alert_store.rule(one.id, alert_id)
        fields = {name: value for name, value in changes.items() if name != "paused"}
        paused = changes.get("paused", stored.paused)
        if not isinstance(paused, bool):
            raise BadInputError("paused: true or false")
        values: dict[str, Any] = {"paused": paused}
        if fields:
            read = self._read(one, {**stored.document, **fields})
            self._replay(one, read)
            values["document"] = plain(read)
        resumed = stored.paused and not paused
        return self._rule_row(
            self.alert_store.change(one.id, alert_id, judged_to=self.clock() if resumed else None, **values)
        )

    def remove_alert(self, tenant: str, alert_id: str) -> dict[str, Any]:
        """Delete a rule with its incidents."""
        self.alert_store.remove(self.control.tenant(tenant).id, alert_id)
        return {"removed": alert_id}

    def _read(self, tenant: Tenant, rule: Mapping[str, Any]) -> Rule:
        read = rule_from(rule)
        if "contact_id" in (read.by, *read.where):
            raise BadInputError(
                "by, where: a rule is not about single contacts, whose ids messages would carry elsewhere"
            )
        for id_ in read.destinations:
            self.outbox.destination(tenant.id, id_)
        return read

    def _replay(self, tenant: Tenant, rule: Rule) -> Replay:
        with self.queries.asking(tenant) as (ask, reading, now):
            return replay(Facts(tenant, ask, reading), rule, now)

    def _rule_row(self, stored: StoredRule) -> dict[str, Any]:
        open_ = sum(one.closed_at is None for one in self.alert_store.last(stored.id).values())
        return {
            "id": stored.id, **stored.document, "paused": stored.paused, "judged_to": _utc(stored.judged_to),
            "error": stored.error or None, "open_incidents": open_, "created_at": _utc(stored.created_at),
        }  # fmt: skip

    # --- judging

    def evaluate_alerts(self, tenant: str | None = None) -> dict[str, Any]:
        """Judge what became ripe of every rule, open and close incidents, and write messages into the outbox.

        A rule that cannot be judged stops no other; its error is shown with it. Counts rules, and incidents opened and closed.
        """
        self.control.follow()
        total = {"rules": 0, "opened": 0, "closed": 0}
        errors: dict[str, str] = {}
        for name in self.alert_store.tenants() if tenant is None else [tenant]:
            one = self.control.tenants().get(name)
            if one is None:  # it is being deleted
                continue
            for stored in self.alert_store.rules(one.id):
                if stored.paused:
                    continue
                try:
                    opened, closed = self._evaluate(one, stored)
                except HubbubError as error:
                    errors[stored.id] = error.message
                    self.alert_store.change(one.id, stored.id, error=error.message[:500])
                    continue
                total = {
                    "rules": total["rules"] + 1,
                    "opened": total["opened"] + opened,
                    "closed": total["closed"] + closed,
                }
        self._remind()
        self._sum_up()
        self.alert_store.forget(self.clock() - KEPT)
        return {**total, "errors": errors}

    def _evaluate(self, tenant: Tenant, stored: StoredRule) -> tuple[int, int]:
        rule = rule_from(stored.document)
        broken = [
            Broken(one.id, one.name, one.reason) for one in self.integration_store.page(tenant.id, "broken", limit=1000)
        ]
        with self.queries.asking(tenant) as (ask, reading, now):
            done = evaluate(
                Facts(tenant, ask, reading), stored, rule, self.alert_store.last(stored.id), self.alert_store.skipped(stored.id),
                broken, now,
            )  # fmt: skip
        if done is None:
            return 0, 0
        drafts, entries = notify(
            rule, stored, tenant, done, self.outbox.destinations(tenant.id), self.outbox.count, self.clock()
        )
        decision = Decision(
            done.judged_to,
            list(done.incidents.values()),
            [*done.entries, *entries],
            drafts,
            done.skipped,
            done.caught_up,
        )
        if not self.alert_store.decide(stored, decision):
            return 0, 0
        if done.opened or done.closed:
            log.info("alert judged", tenant=tenant.id, rule=stored.id, opened=len(done.opened), closed=len(done.closed))
        return len(done.opened), len(done.closed)

    def _remind(self) -> None:
        """Tell of snoozed incidents whose snooze is over and that nobody acknowledged."""
        now = self.clock()
        for incident in self.alert_store.snoozed(now):
            with suppress(NotFoundError):
                tenant = self.control.tenant(incident.tenant)
                stored = self.alert_store.rule(tenant.id, incident.rule)
                rule = rule_from(stored.document)
                self.alert_store.note(
                    incident, Entry(incident.id, now, "snoozed", "The snooze is over."), snoozed_until=None
                )
                if incident.acknowledged_at is not None or stored.paused:
                    continue
                notice, at = reminder(rule, tenant, incident), after_quiet(rule, tenant, now)
                for destination in rule.destinations:
                    self.outbox.put(Draft(
                        new_id("msg"), tenant.id, destination, notice.type, notice.document(), now, at, stored.id, incident.id
                    ))  # fmt: skip

    def _sum_up(self) -> None:
        """Send one summary of the messages that were held on days that are over."""
        now = self.clock()
        groups: dict[tuple[str, str, str], list[Any]] = {}
        for held in self.outbox.held(now):
            tenant = self.control.tenants().get(held.tenant)
            if tenant is not None and held.created_at < local_midnight(day_of(now, tenant.tz), tenant.tz):
                groups.setdefault((held.tenant, held.cause, held.destination), []).append(held)
        for (tenant_id, cause, destination), some in groups.items():
            one = self.control.tenant(tenant_id)
            try:
                rule = rule_from(self.alert_store.rule(tenant_id, cause).document)
            except NotFoundError:
                continue
            notice = summary(rule.name, one, [notice_of(held.document).title for held in reversed(some)])
            at = after_quiet(rule, one, now)
            self.outbox.summed_up(some, Draft(
                new_id("msg"), tenant_id, destination, notice.type, notice.document(), now, at, cause
            ))  # fmt: skip

    # --- incidents

    def incidents(
        self,
        tenant: str,
        state: str | None = None,
        alert: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Return a tenant's incidents, newest first, all or those that are `open` or `closed`, and `next`, a cursor or None."""
        if state not in (None, "open", "closed"):
            raise BadInputError(f"state {str(state)[:40]!r} is not one of open, closed")
        one = self.control.tenant(tenant)
        before = (place_of(cursor, str) or ("",))[0]
        is_open = None if state is None else state == "open"
        found = self.alert_store.page(one.id, is_open=is_open, rule=alert, before=before, limit=check_limit(limit) + 1)
        rows, following = cut(found, limit, lambda incident: (incident.id,))
        return {"rows": [incident_row(incident, one) for incident in rows], "next": following}

    def incident(self, tenant: str, incident_id: str) -> dict[str, Any]:
        """Return an incident with what happened, newest first, its rule, and its messages with what became of each."""
        one = self.control.tenant(tenant)
        found = self.alert_store.incident(one.id, incident_id)
        entries = [
            {"at": entry.at.astimezone(one.tz).isoformat(timespec="seconds"), "what": entry.what, "text": entry.text}
            for entry in self.alert_store.entries(found.id)
        ]
        messages = [
            {
                "id": message.id,
                "destination": message.destination,
                "type": message.kind,
                "state": message.state,
                "why": message.why,
            }
            for message in self.outbox.page(one.id, about=found.id)
        ]
        rule = self._rule_row(self.alert_store.rule(one.id, found.rule))
        return {**incident_row(found, one), "alert": rule, "entries": entries, "messages": messages}

    def acknowledge_incident(self, tenant: str, incident_id: str, by: str = "") -> dict[str, Any]:
        """Note that somebody takes care of an open incident; nobody is notified of it again until it closes. `by` names who."""
        one, found, now = self._open_incident(tenant, incident_id)
        text = f"Acknowledged{f' by {by[:100]}' if by else ''}."
        found = self.alert_store.note(
            found, Entry(found.id, now, "acknowledged", text), acknowledged_at=now, snoozed_until=None
        )
        return incident_row(found, one)

    def snooze_incident(self, tenant: str, incident_id: str, until: str) -> dict[str, Any]:
        """Leave an open incident alone until a moment (date or RFC 3339); destinations are notified again if it is open then."""
        one, found, now = self._open_incident(tenant, incident_id)
        moment = parse_moment(until, one.zone)
        if not now < moment <= now + timedelta(days=31):
            raise BadInputError("until: a moment within the next 31 days")
        text = f"Snoozed until {moment.astimezone(one.tz):%a %d %b %H:%M}."
        return incident_row(
            self.alert_store.note(found, Entry(found.id, now, "snoozed", text), snoozed_until=moment), one
        )

    def _open_incident(self, tenant: str, incident_id: str) -> tuple[Tenant, Incident, datetime]:
        one = self.control.tenant(tenant)
        found = self.alert_store.incident(one.id, incident_id)
        if found.closed_at is not None:
            raise ConflictError("this incident is closed")
        return one, found, self.clock()


def incident_row(one: Incident, tenant: Tenant) -> dict[str, Any]:
    """Return an incident as plain values; moments are in the tenant's zone."""

    def text(moment: datetime | None) -> str | None:
        return moment.astimezone(tenant.tz).isoformat(timespec="seconds") if moment is not None else None

    return {
        "id": one.id, "rule": one.rule, "title": one.title, "slice": one.slice or None, "state": one.state,
        "from": text(one.start), "to": text(one.fired_to), "value": one.value, "usual": one.usual, "peak": one.peak,
        "peak_at": text(one.peak_at), "opened_at": text(one.opened_at), "closed_at": text(one.closed_at),
        "acknowledged_at": text(one.acknowledged_at), "snoozed_until": text(one.snoozed_until),
    }  # fmt: skip


def _utc(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _replayed(found: Replay, tenant: Tenant) -> dict[str, Any]:
    def run(one: Run) -> dict[str, Any]:
        return {
            "from": one.start.astimezone(tenant.tz).isoformat(), "to": one.fired_to.astimezone(tenant.tz).isoformat(),
            "slice": one.slice or None, "value": one.value, "usual": one.usual, "peak": one.peak,
        }  # fmt: skip

    return {
        "from": found.start.astimezone(tenant.tz).isoformat(), "to": found.end.astimezone(tenant.tz).isoformat(),
        "incidents": len(found.runs), "rows": [run(one) for one in found.runs[:MOST_RUNS]], "judged": found.judged,
        "not_judged": found.unknown, "variants": [asdict(one) for one in found.variants],
    }  # fmt: skip

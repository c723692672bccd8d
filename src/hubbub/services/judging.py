"""Judging alert rules: complete windows are judged, incidents opened and closed, and messages written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hubbub.alerts.evaluate import Broken, evaluate
from hubbub.alerts.notice import notice_of, reminder
from hubbub.alerts.notifications import after_quiet, notify, summary
from hubbub.alerts.rules import rule_from
from hubbub.alerts.series import Facts
from hubbub.clock import Clock
from hubbub.control.alerts import KEPT, Alerts, Decision, Entry, StoredRule
from hubbub.control.control import Control
from hubbub.control.database import new_id
from hubbub.control.integrations import Integrations
from hubbub.control.outbox import Draft, Outbox
from hubbub.errors import HubbubError, NotFoundError
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of, local_midnight
from hubbub.query.queries import Queries
from hubbub.telemetry import log


@dataclass(frozen=True, slots=True)
class JudgedRules:
    """The result of a round: judged rules, opened and closed incidents, errors by rule."""

    rules: int
    opened: int
    closed: int
    errors: Mapping[str, str]


class JudgingService:
    """Judges alert rules."""

    def __init__(
        self,
        clock: Clock,
        control: Control,
        queries: Queries,
        integrations: Integrations,
        store: Alerts,
        outbox: Outbox,
    ) -> None:
        self._clock, self._control, self._queries, self._integrations = clock, control, queries, integrations
        self._store, self._outbox = store, outbox

    def judge(self, tenant: str | None = None) -> JudgedRules:
        """Judge the newly complete windows of every rule, open and close incidents, and write messages into the outbox.

        A rule that cannot be judged stops no other; its error is stored with it.
        """
        self._control.follow()
        done: list[tuple[int, int]] = []
        errors: dict[str, str] = {}
        for name in self._store.tenants() if tenant is None else [tenant]:
            owner = self._control.tenants().get(name)
            if owner is None:  # it is being deleted
                continue
            for stored in self._store.rules(owner.id):
                if stored.paused:
                    continue
                try:
                    done.append(self._evaluate(owner, stored))
                except HubbubError as error:
                    errors[stored.id] = error.message
                    self._store.change(owner.id, stored.id, error=error.message[:500])
        self._remind()
        self._sum_up()
        self._store.forget(self._clock() - KEPT)
        return JudgedRules(len(done), sum(opened for opened, _ in done), sum(closed for _, closed in done), errors)

    def move_back(self, now: datetime) -> None:
        """Let rules that were judged beyond `now` continue from it, after the clock went back."""
        self._store.move_back(now)

    def _evaluate(self, tenant: Tenant, stored: StoredRule) -> tuple[int, int]:
        rule = rule_from(stored.document)
        broken = [
            Broken(integration.id, integration.name, integration.reason)
            for integration in self._integrations.page(tenant.id, "broken", limit=1000)
        ]
        with self._queries.counting(tenant) as (ask, reading, now):
            done = evaluate(
                Facts(tenant, ask, reading), stored, rule, self._store.last(stored.id), self._store.skipped(stored.id),
                broken, now,
            )  # fmt: skip
        if done is None:
            return 0, 0
        drafts, entries = notify(
            rule, stored, tenant, done, self._outbox.destinations(tenant.id), self._outbox.count, self._clock()
        )
        decision = Decision(
            done.judged_to,
            list(done.incidents.values()),
            [*done.entries, *entries],
            drafts,
            done.skipped,
            done.caught_up,
        )
        if not self._store.decide(stored, decision):
            return 0, 0
        if done.opened or done.closed:
            log.info("alert judged", tenant=tenant.id, rule=stored.id, opened=len(done.opened), closed=len(done.closed))
        return len(done.opened), len(done.closed)

    def _remind(self) -> None:
        """Write messages about snoozed incidents whose snooze is over without an acknowledgement."""
        now = self._clock()
        for incident in self._store.snoozed(now):
            with suppress(NotFoundError):
                tenant = self._control.tenant(incident.tenant)
                stored = self._store.rule(tenant.id, incident.rule)
                rule = rule_from(stored.document)
                self._store.note(
                    incident, Entry(incident.id, now, "snoozed", "The snooze is over."), snoozed_until=None
                )
                if incident.acknowledged_at is not None or stored.paused:
                    continue
                notice, at = reminder(rule, tenant, incident), after_quiet(rule, tenant, now)
                for destination in rule.destinations:
                    self._outbox.put(Draft(
                        new_id("msg"), tenant.id, destination, notice.type, notice.document(), now, at, stored.id, incident.id
                    ))  # fmt: skip

    def _sum_up(self) -> None:
        """Write one summary of the messages held on past days."""
        now = self._clock()
        groups: dict[tuple[str, str, str], list[Any]] = {}
        for held in self._outbox.held(now):
            tenant = self._control.tenants().get(held.tenant)
            if tenant is not None and held.created_at < local_midnight(day_of(now, tenant.tz), tenant.tz):
                groups.setdefault((held.tenant, held.cause, held.destination), []).append(held)
        for (tenant_id, cause, destination), messages in groups.items():
            owner = self._control.tenant(tenant_id)
            try:
                rule = rule_from(self._store.rule(tenant_id, cause).document)
            except NotFoundError:
                continue
            notice = summary(rule.name, owner, [notice_of(held.document).title for held in reversed(messages)])
            at = after_quiet(rule, owner, now)
            self._outbox.summed_up(messages, Draft(
                new_id("msg"), tenant_id, destination, notice.type, notice.document(), now, at, cause
            ))  # fmt: skip

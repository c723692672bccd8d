"""Alert rules: tried on the past year, added, changed and removed.

`tenant` is the first parameter of every method; another tenant's rule is not found, with the same error as an unknown one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hubbub.alerts.replay import Replay, Variant, replay
from hubbub.alerts.rules import changed, plain, rule_from
from hubbub.alerts.series import Facts
from hubbub.clock import Clock
from hubbub.control.alerts import Alerts, StoredRule
from hubbub.control.control import Control
from hubbub.control.outbox import Outbox
from hubbub.errors import BadInputError
from hubbub.model.alert import Rule
from hubbub.model.answers import Removed
from hubbub.model.page import Page
from hubbub.model.plain import JsonObject
from hubbub.model.tenant import Tenant
from hubbub.model.window import utc_naive
from hubbub.query.queries import Queries

MOST_RUNS = 200
"""Most runs of a replay in an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView(Rule):
    """A rule."""

    id: str
    paused: bool
    judged_to: datetime
    """Windows that ended before are judged."""
    error: str | None
    """Why it cannot be judged now."""
    open_incidents: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A window that could not be judged in time."""

    window: datetime
    slice: str | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OneAlert(AlertView):
    """A rule with the windows that it could not judge."""

    not_judged: Sequence[NotJudged]


@dataclass(frozen=True, slots=True)
class RunView:
    """An incident that a rule would have opened."""

    from_: datetime
    to: datetime
    slice: str | None
    value: float
    usual: float | None
    peak: float


@dataclass(frozen=True, slots=True)
class Tried:
    """The incidents that a rule would have opened in the past year."""

    metric: str
    """What it watches: values and limits are in its unit."""
    from_: datetime
    to: datetime
    incidents: int
    rows: Sequence[RunView]
    """Newest first, 200 at most."""
    judged: int
    """Windows that could be judged."""
    not_judged: Mapping[str, int]
    """Windows that could not be judged, by reason."""
    variants: Sequence[Variant]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAlert(AlertView):
    """An added rule, and what it would have opened in the past year."""

    replay: Tried


class AlertService:
    """Stores alert rules."""

    def __init__(self, clock: Clock, control: Control, queries: Queries, store: Alerts, outbox: Outbox) -> None:
        self._clock, self._control, self._queries = clock, control, queries
        self._store, self._outbox = store, outbox

    def try_(self, tenant: str, rule: JsonObject) -> Tried:
        """Return the incidents that a rule would have opened in the past year, and how many with other floors. Stores nothing.

        Raises BadInputError and BadQuestionError for a rule that cannot work, with the reason.
        """
        owner = self._control.tenant(tenant)
        checked, replayed = self.checked(owner, rule)
        return _tried(checked, replayed, owner)

    def add(self, tenant: str, rule: JsonObject) -> NewAlert:
        """Try a rule on the past year and store it; it judges windows that end from now on. Returns both."""
        owner = self._control.tenant(tenant)
        checked, replayed = self.checked(owner, rule)
        stored = self._store.add(owner.id, plain(checked), self._clock())
        return NewAlert(**self._shown(stored), replay=_tried(checked, replayed, owner))

    def checked(self, tenant: Tenant, rule: JsonObject) -> tuple[Rule, Replay]:
        """Return a rule that can work, and its replay on the past year. Raises BadInputError and BadQuestionError."""
        checked = self._read(tenant, rule)
        return checked, self._replay(tenant, checked)

    def of(self, tenant: str) -> Page[AlertView]:
        """Return a tenant's rules, oldest first."""
        return Page([self.view(stored) for stored in self._store.rules(self._control.tenant(tenant).id)])

    def get(self, tenant: str, alert: str) -> OneAlert:
        """Return a rule, and the windows that it could not judge in time, newest first, with the reasons."""
        owner = self._control.tenant(tenant)
        stored = self._store.rule(owner.id, alert)
        skipped = [
            NotJudged(skip.start.astimezone(owner.tz), skip.slice or None, skip.why)
            for skip in reversed(self._store.skipped(stored.id)[-MOST_RUNS:])
        ]
        return OneAlert(**self._shown(stored), not_judged=skipped)

    def change(self, tenant: str, alert: str, changes: JsonObject) -> AlertView:
        """Change fields of a rule, or pause it (`paused`); a resumed rule judges windows that end from then on.

        None sets a field back to its default. Raises BadInputError, BadQuestionError naming the field.
        """
        owner = self._control.tenant(tenant)
        stored = self._store.rule(owner.id, alert)
        new_fields = {name: value for name, value in changes.items() if name != "paused"}
        paused = changes.get("paused", stored.paused)
        if not isinstance(paused, bool):
            raise BadInputError("paused: true or false")
        values: dict[str, Any] = {"paused": paused}
        if new_fields:
            values["document"] = plain(self.checked(owner, changed(stored.document, new_fields))[0])
        resumed = stored.paused and not paused
        return self.view(self._store.change(owner.id, alert, judged_to=self._clock() if resumed else None, **values))

    def remove(self, tenant: str, alert: str) -> Removed:
        """Delete a rule with its incidents."""
        self._store.remove(self._control.tenant(tenant).id, alert)
        return Removed(alert)

    def view(self, stored: StoredRule) -> AlertView:
        """Return the public form of a rule."""
        return AlertView(**self._shown(stored))

    def _read(self, tenant: Tenant, rule: JsonObject) -> Rule:
        checked = rule_from(rule)
        if "contact_id" in (checked.by, *checked.where):
            raise BadInputError(
                "by, where: a rule cannot watch single contacts, since its messages would send their ids outside Hubbub"
            )
        for id_ in checked.destinations:
            self._outbox.destination(tenant.id, id_)
        return checked

    def _replay(self, tenant: Tenant, rule: Rule) -> Replay:
        with self._queries.counting(tenant) as (ask, reading, now):
            return replay(Facts(tenant, ask, reading), rule, now)

    def _shown(self, stored: StoredRule) -> JsonObject:
        """Return the fields of an `AlertView`; those of the rule as stored, so that 10 does not become 10.0."""
        return {
            **stored.document,
            "id": stored.id,
            "paused": stored.paused,
            "judged_to": utc_naive(stored.judged_to).replace(microsecond=0),
            "error": stored.error or None,
            "open_incidents": sum(incident.closed_at is None for incident in self._store.last(stored.id).values()),
            "created_at": utc_naive(stored.created_at).replace(microsecond=0),
        }


def _tried(rule: Rule, replayed: Replay, tenant: Tenant) -> Tried:
    runs = [
        RunView(
            run.start.astimezone(tenant.tz), run.fired_to.astimezone(tenant.tz), run.slice or None, run.value, run.usual, run.peak
        )
        for run in replayed.runs[:MOST_RUNS]
    ]  # fmt: skip
    return Tried(
        rule.metric, replayed.start.astimezone(tenant.tz), replayed.end.astimezone(tenant.tz), len(replayed.runs), runs,
        replayed.judged, replayed.unknown, replayed.variants,
    )  # fmt: skip

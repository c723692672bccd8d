"""Rule sets: a tenant's alert rules, digests and targets as one document, exported and imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from hubbub.alerts.rules import plain, rule_from
from hubbub.clock import Clock
from hubbub.control.alerts import Alerts, StoredRule, add_rule, change_rule
from hubbub.control.control import Control
from hubbub.control.database import Write
from hubbub.control.outbox import Outbox
from hubbub.control.subscriptions import add_subscription, remove_subscription
from hubbub.control.targets import put
from hubbub.errors import BadInputError, BadQuestionError
from hubbub.model.alert import Rule
from hubbub.model.plain import JsonObject
from hubbub.model.plain import plain as as_json
from hubbub.model.rule_set import (
    ImportedRule,
    Outcome,
    RuleKind,
    RuleSet,
    SavedAlert,
    SavedSubscription,
    read_rule_set,
)  # fmt: skip
from hubbub.model.target import Target, TargetTerms
from hubbub.model.tenant import Tenant
from hubbub.services.alerts import AlertService
from hubbub.services.subscriptions import SubscriptionService
from hubbub.services.targets import TargetService

MOST_NAMED = 20
"""Items that an error names."""
_OF_TARGET = tuple(field.name for field in fields(TargetTerms))
_OF_SUBSCRIPTION = tuple(field.name for field in fields(SavedSubscription) if field.name != "destination")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did with each item of a rule set."""

    rows: Sequence[ImportedRule]
    added: int
    changed: int
    unchanged: int


class RuleSetService:
    """Exports and imports rule sets; an import deletes nothing, and a repeated one changes nothing."""

    def __init__(
        self, clock: Clock, control: Control, outbox: Outbox, rules: Alerts, alerts: AlertService,
        subscriptions: SubscriptionService, targets: TargetService,
    ) -> None:  # fmt: skip
        self._clock, self._control, self._outbox, self._rules = clock, control, outbox, rules
        self._alerts, self._subscriptions, self._targets = alerts, subscriptions, targets

    def export(self, tenant: str) -> RuleSet:
        """Return a tenant's rule set; digests that were stopped are left out."""
        owner = self._control.tenant(tenant)
        names = {each.id: f"{each.kind}: {each.name}" for each in self._outbox.destinations(owner.id)}
        return RuleSet(
            alerts=[_saved_alert(stored, names) for stored in self._rules.rules(owner.id)],
            subscriptions=[
                SavedSubscription(
                    destination=names[each.destination], **{name: getattr(each, name) for name in _OF_SUBSCRIPTION}
                )
                for each in self._subscriptions.of(owner.id).rows
                if each.state == "active" and each.destination in names
            ],
            targets=[TargetTerms(**{name: getattr(each, name) for name in _OF_TARGET}) for each in owner.targets],
        )

    def import_(self, tenant: str, document: Mapping[str, Any]) -> Imported:
        """Add the items of a rule set that a tenant does not have, and change those that differ: all of them, or none.

        Every item is checked first; what is written is written in one transaction. Raises BadInputError naming each invalid
        item and its place in the document; nothing is stored then.
        """
        owner, rules = self._control.tenant(tenant), read_rule_set(document)
        ids = self._ids(owner.id, rules)
        _check_identities(rules)
        steps = self._checked(owner, rules, ids)
        if any(step.writes for step in steps):
            self._write(owner, steps)
        outcomes = Counter(step.item.outcome for step in steps)
        return Imported(
            [step.item for step in steps], outcomes["added"], outcomes["changed"], outcomes["unchanged"]
        )  # fmt: skip

    def _checked(self, owner: Tenant, rules: RuleSet, ids: Mapping[str, str]) -> list[_Step]:
        """Return the step for each item. Raises BadInputError naming all invalid items."""
        steps, refused = [], []
        for place, check in self._items(owner, rules, ids):
            try:
                steps.append(check())
            except (BadInputError, BadQuestionError) as error:
                refused.append(f"{place}: {error.message}")
        if refused:
            more = f"; and {len(refused) - MOST_NAMED} more" if len(refused) > MOST_NAMED else ""
            raise BadInputError(f"nothing was imported: {'; '.join(refused[:MOST_NAMED])}{more}")
        return steps

    def _write(self, owner: Tenant, steps: Sequence[_Step]) -> None:
        with self._control.changing(owner.id) as con:
            for step in steps:
                for write in step.writes:
                    write(con)

    def _ids(self, tenant: str, rules: RuleSet) -> dict[str, str]:
        """Return the ids of the destinations that a rule set names. Raises BadInputError for unknown and ambiguous ones."""
        known = [(f"{each.kind}: {each.name}", each.id) for each in self._outbox.destinations(tenant)]
        counts = Counter(name for name, _ in known)
        wanted = [name for alert in rules.alerts for name in alert.destinations]
        for name in (*wanted, *(each.destination for each in rules.subscriptions)):
            if counts[name] == 0:
                raise BadInputError(
                    f"destinations: there is no {name[:200]!r}; add it first with this kind and name (hubbub destinations add)"
                )
            if counts[name] > 1:
                raise BadInputError(f"destinations: {counts[name]} are called {name[:200]!r}; remove all but one")
        return dict(known)

    def _items(
        self, owner: Tenant, rules: RuleSet, ids: Mapping[str, str]
    ) -> Iterator[tuple[str, Callable[[], _Step]]]:
        """Yield each item's place in the document, and the function that checks it."""
        for no, target in enumerate(rules.targets, 1):
            yield f"targets, item {no}", partial(self._target, owner, target)
        for no, alert in enumerate(rules.alerts, 1):
            yield f"alerts, item {no} ({alert.name[:200]!r})", partial(self._alert, owner, alert, ids)
        for no, each in enumerate(rules.subscriptions, 1):
            yield f"subscriptions, item {no}", partial(self._subscription, owner, each, ids[each.destination])

    def _target(self, owner: Tenant, saved: TargetTerms) -> _Step:
        target = self._targets.checked(owner, Target(**{name: getattr(saved, name) for name in _OF_TARGET}))
        name = " ".join(str(part) for part in _identity(target) if part)
        same = [replace(each, id=target.id) for each in owner.targets if _identity(each) == _identity(target)]
        if target in same:
            return _step("target", name, "unchanged")
        return _step("target", name, "changed" if same else "added", partial(put, tenant=owner.id, target=target))

    def _alert(self, owner: Tenant, saved: SavedAlert, ids: Mapping[str, str]) -> _Step:
        values = {name: value for name, value in as_json(saved).items() if name != "paused"}
        values["destinations"] = [ids[name] for name in saved.destinations]
        rule = rule_from(values)
        same = [stored for stored in self._rules.rules(owner.id) if stored.document["name"] == saved.name]
        if len(same) > 1:
            raise BadInputError(f"{len(same)} rules have this name; remove all but one")
        if same and rule_from(same[0].document) == rule and same[0].paused == saved.paused:
            return _step("alert", saved.name, "unchanged")
        document, now = plain(self._alerts.checked(owner, values)[0]), self._clock()
        if not same:
            add = partial(_add_rule, owner.id, document, now, saved.paused)
            return _step("alert", saved.name, "added", add)
        resumed = now if same[0].paused and not saved.paused else None
        change = partial(
            change_rule, tenant=owner.id, id_=same[0].id, judged_to=resumed, document=document, paused=saved.paused
        )
        return _step("alert", saved.name, "changed", change)

    def _subscription(self, owner: Tenant, saved: SavedSubscription, destination: str) -> _Step:
        name = f"{saved.kind} to {saved.destination}"
        values = {name: getattr(saved, name) for name in _OF_SUBSCRIPTION} | {"zone": saved.zone or owner.zone}
        new = self._subscriptions.checked(owner, destination, **values)
        same = [
            each for each in self._subscriptions.of(owner.id).rows
            if (each.destination, each.kind) == (destination, saved.kind)
        ]  # fmt: skip
        active = [each for each in same if each.state == "active"]
        if same and not active:
            return _step("subscription", name, "stopped")
        if any(all(getattr(each, field) == value for field, value in values.items()) for each in active):
            return _step("subscription", name, "unchanged")
        removals = [partial(remove_subscription, tenant=owner.id, id_=each.id) for each in active]
        add = partial(add_subscription, new=new)
        return _step("subscription", name, "changed" if active else "added", *removals, add)


@dataclass(frozen=True, slots=True)
class _Step:
    """A checked item: its outcome, and the writes that bring it about."""

    item: ImportedRule
    writes: tuple[Write, ...]


def _step(kind: RuleKind, name: str, outcome: Outcome, *writes: Write) -> _Step:
    return _Step(ImportedRule(kind, name, outcome), writes)


def _add_rule(tenant: str, document: JsonObject, now: datetime, paused: bool, con: Connection) -> None:
    add_rule(con, tenant, document, now, paused=paused)


def _saved_alert(stored: StoredRule, names: Mapping[str, str]) -> SavedAlert:
    rule = rule_from(stored.document)
    own = {field.name: getattr(rule, field.name) for field in fields(Rule) if field.name != "destinations"}
    kept = tuple(names[id_] for id_ in rule.destinations if id_ in names)
    return SavedAlert(**own, destinations=kept, paused=stored.paused)


def _identity(target: TargetTerms) -> tuple[str, str, str, date]:
    return target.aim.value, target.channel or "", (target.priority or "").lower(), target.valid_from


def _check_identities(rules: RuleSet) -> None:
    """Raise BadInputError if two items of a rule set have the same identity."""
    identities: tuple[tuple[str, list[object]], ...] = (
        ("alerts", [each.name for each in rules.alerts]),
        ("subscriptions", [f"{each.kind} to {each.destination}" for each in rules.subscriptions]),
        ("targets", [_identity(each) for each in rules.targets]),
    )
    for part, items in identities:
        for identity, count in Counter(items).items():
            if count > 1:
                raise BadInputError(f"{part}: {count} items are {identity!r}; an import tells items apart by this")

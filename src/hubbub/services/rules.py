"""Rule sets: a tenant's alert rules, subscriptions and targets as one document, exported and imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import partial
from typing import Any

from hubbub.alerts.rules import plain, rule_from
from hubbub.control.alerts import Alerts, StoredRule
from hubbub.control.control import Control
from hubbub.control.outbox import Outbox
from hubbub.errors import BadInputError, BadQuestionError
from hubbub.model.alert import Rule
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
        self, control: Control, outbox: Outbox, rules: Alerts, alerts: AlertService, subscriptions: SubscriptionService,
        targets: TargetService,
    ) -> None:  # fmt: skip
        self._control, self._outbox, self._rules = control, outbox, rules
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
        """Add the items of a rule set that a tenant does not have, and change those that differ.

        Names and destinations are checked before anything is written. Raises BadInputError naming the item; those
        before it are stored then, and the repaired document can be imported again.
        """
        owner, rules = self._control.tenant(tenant), read_rule_set(document)
        ids = self._ids(owner.id, rules)
        _check_identities(rules)
        rows: list[ImportedRule] = []
        for kind, name, store in self._steps(owner, rules, ids):
            try:
                rows.append(ImportedRule(kind, name, store()))
            except (BadInputError, BadQuestionError) as error:
                raise BadInputError(f"{kind} {name[:200]!r}: {error.message}") from None
        outcomes = Counter(row.outcome for row in rows)
        return Imported(rows, outcomes["added"], outcomes["changed"], outcomes["unchanged"])

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

    def _steps(
        self, owner: Tenant, rules: RuleSet, ids: Mapping[str, str]
    ) -> Iterator[tuple[RuleKind, str, Callable[[], Outcome]]]:
        """Yield each item's kind and name, and what stores it."""
        for target in rules.targets:
            yield (
                "target",
                " ".join(str(part) for part in _identity(target) if part),
                partial(self._put_target, owner, target),
            )
        for alert in rules.alerts:
            yield "alert", alert.name, partial(self._put_alert, owner.id, alert, ids)
        for each in rules.subscriptions:
            name = f"{each.kind} to {each.destination}"
            yield "subscription", name, partial(self._put_subscription, owner, each, ids[each.destination])

    def _put_target(self, owner: Tenant, saved: TargetTerms) -> Outcome:
        target = Target(**{name: getattr(saved, name) for name in _OF_TARGET})
        same = [replace(each, id="") for each in owner.targets if _identity(each) == _identity(target)]
        if target in same:
            return "unchanged"
        self._targets.put(owner.id, target)
        return "changed" if same else "added"

    def _put_alert(self, tenant: str, saved: SavedAlert, ids: Mapping[str, str]) -> Outcome:
        values = {name: value for name, value in as_json(saved).items() if name != "paused"}
        rule = rule_from({**values, "destinations": [ids[name] for name in saved.destinations]})
        same = [stored for stored in self._rules.rules(tenant) if stored.document["name"] == saved.name]
        if len(same) > 1:
            raise BadInputError(f"{len(same)} rules have this name; remove all but one")
        if not same:
            added = self._alerts.add(tenant, plain(rule))
            if saved.paused:
                self._alerts.change(tenant, added.id, {"paused": True})
            return "added"
        if rule_from(same[0].document) == rule and same[0].paused == saved.paused:
            return "unchanged"
        self._alerts.change(tenant, same[0].id, {**plain(rule), "paused": saved.paused})
        return "changed"

    def _put_subscription(self, owner: Tenant, saved: SavedSubscription, destination: str) -> Outcome:
        values = {name: getattr(saved, name) for name in _OF_SUBSCRIPTION} | {"zone": saved.zone or owner.zone}
        same = [
            each for each in self._subscriptions.of(owner.id).rows
            if (each.destination, each.kind) == (destination, saved.kind)
        ]  # fmt: skip
        active = [each for each in same if each.state == "active"]
        if same and not active:
            return "stopped"
        if any(all(getattr(each, name) == value for name, value in values.items()) for each in active):
            return "unchanged"
        self._subscriptions.add(owner.id, destination, **values)
        for each in active:
            self._subscriptions.remove(owner.id, each.id)
        return "changed" if active else "added"


def _saved_alert(stored: StoredRule, names: Mapping[str, str]) -> SavedAlert:
    rule = rule_from(stored.document)
    own = {field.name: getattr(rule, field.name) for field in fields(Rule) if field.name != "destinations"}
    kept = tuple(names[id_] for id_ in rule.destinations if id_ in names)
    return SavedAlert(**own, destinations=kept, paused=stored.paused)


def _identity(target: TargetTerms) -> tuple[str, str, str, date]:
    return target.aim.value, target.channel or "", (target.priority or "").lower(), target.valid_from


def _check_identities(rules: RuleSet) -> None:
    """Raise BadInputError where two items of a rule set are the same one."""
    identities: tuple[tuple[str, list[object]], ...] = (
        ("alerts", [each.name for each in rules.alerts]),
        ("subscriptions", [f"{each.kind} to {each.destination}" for each in rules.subscriptions]),
        ("targets", [_identity(each) for each in rules.targets]),
    )
    for part, items in identities:
        for identity, count in Counter(items).items():
            if count > 1:
                raise BadInputError(f"{part}: {count} items are {identity!r}; an import tells items apart by this")

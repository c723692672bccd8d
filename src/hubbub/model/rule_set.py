"""A rule set: what a tenant watches, and whom it notifies, as one document to carry to another tenant or keep in a repository.

It names a destination by kind and name, like "mail: Marta", and not by address or id: addresses are secrets, and ids belong to one
tenant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import msgspec

from hubbub.errors import BadInputError
from hubbub.model.alert import Rule
from hubbub.model.event import nearest
from hubbub.model.target import TargetTerms

RuleKind = Literal["alert", "subscription", "target"]
Outcome = Literal["added", "changed", "unchanged", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAlert(Rule):
    """An alert rule; its name is its identity."""

    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSubscription:
    """A digest; its destination and kind are its identity."""

    destination: str
    kind: str
    """daily, weekly or monthly."""
    zone: str | None = None
    """null: the tenant's."""
    at: str = "07:00"
    wait_hours: int = 4
    sections: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """The alert rules, digests and targets of a tenant; aim, channel, priority and first day are a target's identity."""

    alerts: Sequence[SavedAlert] = ()
    subscriptions: Sequence[SavedSubscription] = ()
    targets: Sequence[TargetTerms] = ()


@dataclass(frozen=True, slots=True)
class ImportedRule:
    """An item of a rule set, and the outcome of its import."""

    kind: RuleKind
    name: str
    outcome: Outcome
    """stopped: its recipient has unsubscribed and gets no messages."""


def read_rule_set(document: Mapping[str, Any]) -> RuleSet:
    """Read a rule set from plain values. Raises BadInputError naming the item and the field."""
    _check_names("the rule set", document, RuleSet)
    for part, kind in (("alerts", SavedAlert), ("subscriptions", SavedSubscription), ("targets", TargetTerms)):
        items = document.get(part) or ()
        for number, item in enumerate(items if isinstance(items, list | tuple) else ()):
            if isinstance(item, Mapping):
                _check_names(f"{part}, item {number + 1}", item, kind)
    try:
        return msgspec.convert(document, RuleSet)
    except msgspec.ValidationError as error:
        raise BadInputError(f"the rule set: {error}") from None


def _check_names(where: str, values: Mapping[str, Any], kind: type[Any]) -> None:
    known = [field.name for field in fields(kind)]
    for name in values:
        if name not in known:
            raise BadInputError(f"{where}: there is no field {str(name)[:80]!r}{nearest(str(name), known)}")

"""Targets of a tenant, in minutes, for answering and resolving: added, listed and ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.targets import end, new_id, put
from hubbub.errors import BadInputError, NotFoundError
from hubbub.model.page import Page
from hubbub.model.question import parse_date
from hubbub.model.target import Target, aim_of, checked
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of


@dataclass(frozen=True, slots=True)
class TargetView:
    """A target, and the days on which it is in force."""

    id: str
    aim: str
    """first_response, next_response or resolution."""
    minutes: int
    business: bool
    """Whether only minutes of the business hours count."""
    channel: str | None
    """null: all."""
    priority: str | None
    """null: all."""
    share: float | None
    """The share of waits to be within it, 0 to 1; null: not set."""
    valid_from: str
    """Its first local day."""
    valid_to: str | None
    """The first local day after it; null: no end."""


@dataclass(frozen=True, slots=True)
class RemovedTarget:
    """A target that was ended or deleted."""

    removed: str
    """Its id."""
    valid_to: str | None
    """The first local day after it; null: it had not judged a whole day, and is deleted."""


class TargetService:
    """Stores targets. The past stays: a wait is judged by the target in force when it began."""

    def __init__(self, clock: Clock, control: Control) -> None:
        self._clock, self._control = clock, control

    def of(self, tenant: str) -> Page[TargetView]:
        """Return a tenant's targets, by aim and first day, including ended and replaced ones."""
        owner = self._control.tenant(tenant)
        return Page([_view(owner, target) for target in owner.targets])

    def add(
        self, tenant: str, aim: str, minutes: int, channel: str | None = None, priority: str | None = None, *,
        business: bool = False, share: float | None = None, valid_from: str | None = None,
    ) -> TargetView:  # fmt: skip
        """Set a target (aim first_response, next_response or resolution) from a local day on; None: today.

        It replaces the target with the same aim, channel and priority from that day on. `business` counts only minutes of the
        business hours; `share` is the share of waits to be within it. Raises BadInputError naming the field.
        """
        owner = self._control.tenant(tenant)
        first_day = parse_date(valid_from) if valid_from is not None else self._today(owner)
        return self.put(
            owner.id,
            Target(
                aim=aim_of(aim), minutes=minutes, business=business, channel=channel or None, priority=priority or None,
                share=share, valid_from=first_day,
            ),
        )  # fmt: skip

    def put(self, tenant: str, target: Target) -> TargetView:
        """Store a target under a new id, in place of that with the same aim, channel, priority and first day.

        Raises BadInputError naming the field.
        """
        owner = self._control.tenant(tenant)
        target = self.checked(owner, target)
        with self._control.changing(owner.id) as con:
            put(con, owner.id, target)
        return _view(self._control.tenant(owner.id), target)

    @staticmethod
    def checked(tenant: Tenant, target: Target) -> Target:
        """Return a target that a tenant can have, under a new id. Raises BadInputError naming the field."""
        target = checked(replace(target, id=new_id()))
        if target.business and not tenant.calendar:
            raise BadInputError(
                "business: this tenant has no business hours; set them first (docs/howto/business-hours.md)"
            )
        return target

    def remove(self, tenant: str, target: str) -> RemovedTarget:
        """End a target today; one that begins today or later is deleted. Raises NotFoundError."""
        owner = self._control.tenant(tenant)
        same_id = [each for each in owner.targets if each.id == target]
        if not same_id:
            raise NotFoundError(f"there is no target {target[:40]!r}")
        with self._control.changing(owner.id) as con:
            end(con, owner.id, same_id[0], self._today(owner))
        remaining = [each for each in self._control.tenant(owner.id).targets if each.id == target]
        return RemovedTarget(target, _text(remaining[0].valid_to) if remaining else None)

    def _today(self, tenant: Tenant) -> date:
        return day_of(self._clock(), tenant.tz)


def _view(tenant: Tenant, target: Target) -> TargetView:
    """Return a target with its last day, which is at most the day before its successor's first."""
    later = (
        each.valid_from for each in tenant.targets
        if each.aim is target.aim and each.scope == target.scope and each.valid_from > target.valid_from
    )  # fmt: skip
    ends = min([*later, *([target.valid_to] if target.valid_to else [])], default=None)
    return TargetView(
        target.id, target.aim.value, target.minutes, target.business, target.channel, target.priority, target.share,
        target.valid_from.isoformat(), _text(ends),
    )  # fmt: skip


def _text(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None

"""States over time: in which state an entity was from when to when. One row a stretch; a state at a moment is a look-up.

An event counts from just after its own moment on: a stretch holds at every moment t with since < t <= until.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hubbub.storage.schema import FOREVER


class Stretch(NamedTuple):
    """An entity in a state; columns of `state` after tenant, entity and id. `began`: when what the state means began."""

    state: str
    since: int
    until: int
    channel: str | None
    account_id: str | None
    began: int | None


class States:
    """Collects the stretches of one entity while its events are read in order."""

    __slots__ = ("_ended", "_open", "entity")

    def __init__(self, entity: str) -> None:
        self.entity = entity
        self._open: dict[str, tuple[int, int | None]] = {}
        self._ended: list[tuple[str, int, int, int | None]] = []

    def begin(self, state: str, time: int, began: int | None = None) -> None:
        """The entity is in a state from `time` on; nothing changes when it is already."""
        if state not in self._open:
            self._open[state] = time, began

    def end(self, state: str, time: int) -> None:
        """The entity leaves a state; a stretch without length is none."""
        open_ = self._open.pop(state, None)
        if open_ is not None and open_[0] < time:
            self._ended.append((state, open_[0], time, open_[1]))

    def set(self, state: str, is_in: bool, time: int, began: int | None = None) -> None:
        """Say whether the entity is in a state from `time` on; another beginning is another stretch."""
        if not is_in:
            self.end(state, time)
        elif state not in self._open:
            self._open[state] = time, began
        elif self._open[state][1] != began:
            self.end(state, time)
            self._open[state] = time, began

    def become(self, state: str, time: int) -> None:
        """The entity leaves all other states and is in this one."""
        for other in [one for one in self._open if one != state]:
            self.end(other, time)
        self.begin(state, time)

    def going_on(self) -> list[tuple[str, int, int | None]]:
        """Return the states that the entity is in, each with its `since` and `began`."""
        return [(state, since, began) for state, (since, began) in self._open.items()]

    def stretches(self, channel: str | None, account_id: str | None) -> list[Stretch]:
        """Return all stretches, with what is known of the entity."""
        going_on = [(state, since, FOREVER, began) for state, since, began in self.going_on()]
        return [
            Stretch(s, since, until, channel, account_id, began) for s, since, until, began in (*self._ended, *going_on)
        ]


class Transition(NamedTuple):
    """An event that sets the state of a task, campaign, staff member or contact."""

    time: int
    seq: int
    ident: int
    type: str
    status: str | None
    channel: str | None
    account_id: str | None


RANK = {
    "task.created": 0, "task.assigned": 1, "task.completed": 2, "campaign.created": 0, "campaign.started": 1,
    "campaign.completed": 2, "campaign.failed": 2, "staff.login": 0, "staff.status_changed": 1, "staff.logout": 2,
    "contact.created": 0,
}  # fmt: skip
"""The order of transitions of the same moment, as a life goes; blocked and unblocked as they arrived. Then the ident decides."""

_STATES = {
    "task.created": "pending", "task.assigned": "pending", "task.completed": "done", "campaign.created": "created",
    "campaign.started": "active", "campaign.completed": "completed", "campaign.failed": "failed", "staff.login": "online",
    "staff.logout": "offline", "contact.created": "active", "contact.blocked": "blocked", "contact.unblocked": "active",
}  # fmt: skip
_ONLINE = ("online", "active", "available", "busy")
TYPES = {
    "task": ("task.created", "task.assigned", "task.completed"),
    "campaign": ("campaign.created", "campaign.started", "campaign.completed", "campaign.failed"),
    "staff": ("staff.login", "staff.logout", "staff.status_changed"),
    "contact": ("contact.created", "contact.updated", "contact.blocked", "contact.unblocked"),
}


def state_set(one: Transition) -> str | None:
    """Return the state that an event sets, or None for one that says nothing."""
    if one.type == "staff.status_changed" and one.status:
        status = one.status.lower()
        return "online" if status in _ONLINE else status
    if one.type == "contact.updated":
        return one.status.lower() if one.status else None
    return _STATES.get(one.type)


def in_order(transitions: Iterable[Transition]) -> list[Transition]:
    """Return transitions as they follow on each other."""
    return sorted(transitions, key=lambda one: (one.time, RANK.get(one.type, 1), one.seq, one.ident))


def fold(entity: str, transitions: Iterable[Transition]) -> list[Stretch]:
    """Fold the transitions of a task, campaign or staff member: `known` since the first, and one state at a time."""
    states, known = States(entity), States(entity)
    channel = account_id = None
    for one in in_order(transitions):
        channel, account_id = channel or one.channel, account_id or one.account_id
        known.begin("known", one.time)
        state = state_set(one)
        if state is not None:
            states.become(state, one.time)
    return [*known.stretches(channel, account_id), *states.stretches(channel, account_id)]


def carry(transitions: Iterable[Transition]) -> list[Transition]:
    """Return what a fold of later transitions needs of these: the first, knowing all that is known, and what set the state."""
    ordered = in_order(transitions)
    if not ordered:
        return []
    first = ordered[0]._replace(
        channel=next((one.channel for one in ordered if one.channel), None),
        account_id=next((one.account_id for one in ordered if one.account_id), None),
    )
    last = setting(ordered)
    return [first] if last in (None, ordered[0]) else [first, *([last] if last else [])]


def setting(transitions: Iterable[Transition]) -> Transition | None:
    """Return the transition that set the state in which an entity is after all of these."""
    found, held = None, None
    for one in in_order(transitions):
        state = state_set(one)
        if state is not None and state != held:
            found, held = one, state
    return found


class Sight(NamedTuple):
    """When a contact was first heard of by a channel and account, and when it first wrote or was created there."""

    channel: str | None
    account_id: str | None
    known: int
    seen: int | None


def merged(sights: Iterable[Sight]) -> list[Sight]:
    """Return one sight for each channel and account, the first of each kind."""
    found: dict[tuple[str | None, str | None], Sight] = {}
    for one in sights:
        held = found.get((one.channel, one.account_id), one)
        seen = [moment for moment in (held.seen, one.seen) if moment is not None]
        found[one.channel, one.account_id] = held._replace(
            known=min(held.known, one.known), seen=min(seen, default=None)
        )
    return list(found.values())


def fold_contact(sights: Sequence[Sight], transitions: Iterable[Transition]) -> list[Stretch]:
    """Fold a contact: `known` by each channel and account (`began`: first seen there), `seen` first of all, and its status.

    Of whom a source tells before any channel or account does, the first that does is the one that saw it.
    A status holds for the contact everywhere; its row names the channel and account that set it.
    """
    rows = [Stretch("known", one.known, FOREVER, one.channel, one.account_id, one.seen) for one in sights]
    seen = sorted(
        (one for one in sights if one.seen is not None),
        key=lambda one: (one.seen or 0, one.channel or "", one.account_id or ""),
    )
    if seen:
        channel = next((one.channel for one in seen if one.channel is not None), None)
        account = next((one.account_id for one in seen if one.account_id is not None), None)
        rows.append(Stretch("seen", seen[0].seen or 0, FOREVER, channel, account, None))
    open_: tuple[str, int, str | None, str | None] | None = None
    for one in in_order(transitions):
        state = state_set(one)
        if state is None or (open_ is not None and open_[0] == state):
            continue
        if open_ is not None and open_[1] < one.time:
            rows.append(Stretch(f"is {open_[0]}", open_[1], one.time, open_[2], open_[3], None))
        open_ = state, one.time, one.channel, one.account_id
    if open_ is not None:
        rows.append(Stretch(f"is {open_[0]}", open_[1], FOREVER, open_[2], open_[3], None))
    return rows

"""States over time: one row for each stretch in which an entity was in a state; a state at a moment is a look-up.

An event takes effect just after its time: a stretch covers every moment t with since < t <= until.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from hubbub.storage.schema import FOREVER


class Stretch(NamedTuple):
    """An entity in a state; columns of `state` after tenant, entity and id.

    `began`: when the wait that a state is about began. `heard`, only of states that silence ends: the conversation's last sound
    within the stretch; before it, the conversation was never silent for longer than a day.
    """

    state: str
    since: int
    until: int
    channel: str | None
    account_id: str | None
    began: int | None
    priority: str | None = None
    """The latest priority of a conversation."""
    heard: int | None = None


class States:
    """Collects the stretches of one entity while its events are read in order. `silenced` are states that silence ends."""

    __slots__ = ("_ended", "_open", "_silenced", "entity", "heard")

    def __init__(self, entity: str, silenced: Collection[str] = ()) -> None:
        self.entity = entity
        self.heard: int | None = None
        self._silenced = silenced
        self._open: dict[str, tuple[int, int | None]] = {}
        self._ended: list[tuple[str, int, int, int | None, int | None]] = []

    def begin(self, state: str, time: int, began: int | None = None) -> None:
        """Enter a state at `time`; nothing changes if the entity is in it."""
        if state not in self._open:
            self._open[state] = time, began

    def end(self, state: str, time: int) -> None:
        """Leave a state at `time`; a stretch without length is dropped."""
        open_ = self._open.pop(state, None)
        if open_ is not None and open_[0] < time:
            self._ended.append((state, open_[0], time, open_[1], self._heard_in(state)))

    def _heard_in(self, state: str) -> int | None:
        return self.heard if state in self._silenced else None

    def holds(self, state: str) -> bool:
        """Whether the entity is in a state."""
        return state in self._open

    def hear(self, time: int, *, longest: int) -> None:
        """Begin new stretches of the states that silence ends if the last sound is more than `longest` microseconds ago.

        Call it before the states of this moment are set, and set `heard` after them.
        """
        if self.heard is not None and time - self.heard > longest:
            for state in [state for state in self._open if state in self._silenced]:
                began = self._open[state][1]
                self.end(state, time)
                self._open[state] = time, began

    def set(self, state: str, is_in: bool, time: int, began: int | None = None) -> None:
        """Enter or leave a state at `time`; another `began` starts a new stretch."""
        if not is_in:
            self.end(state, time)
        elif state not in self._open:
            self._open[state] = time, began
        elif self._open[state][1] != began:
            self.end(state, time)
            self._open[state] = time, began

    def become(self, state: str, time: int) -> None:
        """Leave all other states and enter this one, at `time`."""
        for other in [current for current in self._open if current != state]:
            self.end(other, time)
        self.begin(state, time)

    def going_on(self) -> list[tuple[str, int, int | None]]:
        """Return the current states, each with its `since` and `began`."""
        return [(state, since, began) for state, (since, began) in self._open.items()]

    def stretches(self, channel: str | None, account_id: str | None, priority: str | None = None) -> list[Stretch]:
        """Return all stretches, with the entity's channel, account and priority."""
        going_on = [(state, since, FOREVER, began, self._heard_in(state)) for state, since, began in self.going_on()]
        return [
            Stretch(state, since, until, channel, account_id, began, priority, heard)
            for state, since, until, began, heard in (*self._ended, *going_on)
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
"""The order of transitions of the same moment (1 if not listed); those of one rank are ordered by arrival, then by ident."""

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


def state_set(transition: Transition) -> str | None:
    """Return the state that an event sets, or None."""
    if transition.type == "staff.status_changed" and transition.status:
        status = transition.status.lower()
        return "online" if status in _ONLINE else status
    if transition.type == "contact.updated":
        return transition.status.lower() if transition.status else None
    return _STATES.get(transition.type)


def in_order(transitions: Iterable[Transition]) -> list[Transition]:
    """Return transitions in order."""
    return sorted(
        transitions,
        key=lambda transition: (transition.time, RANK.get(transition.type, 1), transition.seq, transition.ident),
    )


def fold(entity: str, transitions: Iterable[Transition]) -> list[Stretch]:
    """Fold the transitions of a task, campaign or staff member: `known` since the first, and one state at a time."""
    states, known = States(entity), States(entity)
    channel = account_id = None
    for transition in in_order(transitions):
        channel, account_id = channel or transition.channel, account_id or transition.account_id
        known.begin("known", transition.time)
        state = state_set(transition)
        if state is not None:
            states.become(state, transition.time)
    return [*known.stretches(channel, account_id), *states.stretches(channel, account_id)]


def carry(transitions: Iterable[Transition]) -> list[Transition]:
    """Return the transitions that a later fold needs: the first, with channel and account, and the one that set the state."""
    ordered = in_order(transitions)
    if not ordered:
        return []
    first = ordered[0]._replace(
        channel=next((transition.channel for transition in ordered if transition.channel), None),
        account_id=next((transition.account_id for transition in ordered if transition.account_id), None),
    )
    last = setting(ordered)
    return [first] if last in (None, ordered[0]) else [first, *([last] if last else [])]


def setting(transitions: Iterable[Transition]) -> Transition | None:
    """Return the transition that set the entity's last state, None if none did."""
    last, held = None, None
    for transition in in_order(transitions):
        state = state_set(transition)
        if state is not None and state != held:
            last, held = transition, state
    return last


class Sight(NamedTuple):
    """When a contact first appeared in a channel and account, and when it first wrote or was created there."""

    channel: str | None
    account_id: str | None
    known: int
    seen: int | None


def merged(sights: Iterable[Sight]) -> list[Sight]:
    """Return one sight for each channel and account, with the earliest times."""
    first: dict[tuple[str | None, str | None], Sight] = {}
    for sight in sights:
        held = first.get((sight.channel, sight.account_id), sight)
        seen = [moment for moment in (held.seen, sight.seen) if moment is not None]
        first[sight.channel, sight.account_id] = held._replace(
            known=min(held.known, sight.known), seen=min(seen, default=None)
        )
    return list(first.values())


def fold_contact(sights: Sequence[Sight], transitions: Iterable[Transition]) -> list[Stretch]:
    """Fold a contact: `known` in each channel and account (`began`: first seen there), `seen` first anywhere, and its status.

    If the first sight has no channel or account, `seen` takes it from the earliest sight that has one.
    A status is valid for the contact everywhere; its row names the channel and account that set it.
    """
    rows = [Stretch("known", sight.known, FOREVER, sight.channel, sight.account_id, sight.seen) for sight in sights]
    seen = sorted(
        (sight for sight in sights if sight.seen is not None),
        key=lambda sight: (sight.seen or 0, sight.channel or "", sight.account_id or ""),
    )
    if seen:
        channel = next((sight.channel for sight in seen if sight.channel is not None), None)
        account = next((sight.account_id for sight in seen if sight.account_id is not None), None)
        rows.append(Stretch("seen", seen[0].seen or 0, FOREVER, channel, account, None))
    open_: tuple[str, int, str | None, str | None] | None = None
    for transition in in_order(transitions):
        state = state_set(transition)
        if state is None or (open_ is not None and open_[0] == state):
            continue
        if open_ is not None and open_[1] < transition.time:
            rows.append(Stretch(f"is {open_[0]}", open_[1], transition.time, open_[2], open_[3], None))
        open_ = state, transition.time, transition.channel, transition.account_id
    if open_ is not None:
        rows.append(Stretch(f"is {open_[0]}", open_[1], FOREVER, open_[2], open_[3], None))
    return rows

"""The beats of a server: it refreshes what is due, and leaves out the beats that another process's refresh made needless."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hubbub.app import Engine
from hubbub.errors import StoreBusyError
from hubbub.web.app import Heart


class Shared:
    """What several servers share: the newest event, how far it is folded, and how often by whom."""

    newest = settled = changes = 0
    busy = False
    folding: dict[str, str]

    def __init__(self) -> None:
        self.folding = {}


class Process:
    """As much of an engine as a heart asks."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.refreshes = 0
        self.control = self.store = self

    @property
    def changes(self) -> int:
        """How often tenants were changed."""
        return self._shared.changes

    def follow(self) -> None:
        """Nothing is kept, so nothing has to be forgotten."""

    def last_seq(self) -> int:
        """Return the newest event's number."""
        return self._shared.newest

    def settled_to(self) -> int:
        """Return up to where it is folded."""
        return self._shared.settled

    def refresh(self, *, wait: bool) -> dict[str, Any]:
        """Fold all there is, unless somebody else does."""
        assert not wait
        if self._shared.busy:
            raise StoreBusyError
        self.refreshes += 1
        self._shared.settled = self._shared.newest
        return {"up_to": self._shared.newest, "errors": self._shared.folding}


@pytest.fixture
def shared() -> Shared:
    """One store."""
    return Shared()


def servers(shared: Shared) -> tuple[list[Process], list[Heart]]:
    """Two servers on a store with an event, which have beaten once each: who starts refreshes."""
    shared.newest = 1
    processes = [Process(shared), Process(shared)]
    hearts = [Heart(cast(Engine, process), 10) for process in processes]
    for heart in hearts:
        heart.beat()
    for process in processes:
        process.refreshes = 0
    return processes, hearts


def beats(shared: Shared, hearts: list[Heart], periods: int, events: int = 1) -> None:
    """Let so many periods go by, in each of which events come before every server beats."""
    for _ in range(periods):
        shared.newest += events
        for heart in hearts:
            heart.beat()


def test_one_of_two_servers_refreshes_in_a_period(shared: Shared) -> None:
    """Whatever comes is folded once: the other server's beat is left out, also the one after it when nothing new came."""
    processes, hearts = servers(shared)
    beats(shared, hearts, 5)
    assert sum(process.refreshes for process in processes) == 5
    beats(shared, hearts, 3, events=0)
    assert sum(process.refreshes for process in processes) == 5
    assert [heart.up_to for heart in hearts] == [6, 6]


def test_when_one_server_is_gone_the_other_refreshes(shared: Shared) -> None:
    """Who left out beats does not once nobody else has refreshed since the last."""
    processes, hearts = servers(shared)
    beats(shared, hearts, 2)
    before = processes[1].refreshes
    beats(shared, hearts[1:], 3)
    assert shared.settled == shared.newest
    assert processes[1].refreshes == before + 3


def test_a_beat_while_another_process_refreshes_is_no_error(shared: Shared) -> None:
    """The turn is taken: this beat is left out, and what came is folded by the next."""
    processes, hearts = servers(shared)
    shared.busy = True
    beats(shared, hearts[:1], 1)
    assert (processes[0].refreshes, hearts[0].error) == (0, None)
    shared.busy = False
    beats(shared, hearts[:1], 1, events=0)
    assert (processes[0].refreshes, shared.settled) == (1, shared.newest)


def test_a_changed_tenant_is_followed_without_an_event(shared: Shared) -> None:
    """A zone or business hours that changed, here or elsewhere, are folded by though nothing came."""
    processes, hearts = servers(shared)
    shared.changes += 1
    beats(shared, hearts[:1], 2, events=0)
    assert processes[0].refreshes == 1


def test_failed_tenants_are_tried_again(shared: Shared) -> None:
    """What could not be folded is told, and tried again in each beat until it can."""
    processes, hearts = servers(shared)
    shared.folding = {"acme": "no"}
    beats(shared, hearts[:1], 1)
    assert hearts[0].error is not None
    beats(shared, hearts[:1], 1, events=0)
    assert processes[0].refreshes == 2
    shared.folding = {}
    beats(shared, hearts[:1], 2, events=0)
    assert processes[0].refreshes == 3
    assert [heart.error for heart in hearts] == [None, None]

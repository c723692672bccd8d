"""What somebody must do, as counts beside the names of pages: who waits, open incidents, labels to review.

Each is the number that its page opens with. A count of 0, or one that is not known, is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from hubbub.dashboard.ask import Ask, last_event
from hubbub.dashboard.person import Role
from hubbub.model.label import LabelSet
from hubbub.query.dashboard import States

DATA_DAYS = timedelta(days=28)
"""Age of the last event from which nobody counts as waiting: the data ended."""
MOST = 99
"""Highest count that is written out."""


PAST_TARGET = "past their target"


@dataclass(frozen=True, slots=True)
class ToDo:
    """A count with what it counts, for titles and screen readers; `urgent`: people wait, or a number is not as usual."""

    count: int
    what: str
    urgent: bool = True

    @property
    def shown(self) -> str:
        """The count as it stands beside a page's name."""
        return str(self.count) if self.count <= MOST else f"{MOST}+"


def to_do(ask: Ask) -> Mapping[str, ToDo]:
    """Return the counts of pages that the person may open, by page; none on pages without a tenant and for guests."""
    if not ask.of_tenant or not ask.person.session:
        return {}
    counts = {}
    for page, (role, count) in _COUNTS.items():
        if ask.person.may_open(page, role):
            with suppress(Exception):  # a count that fails is absent: the page itself says why
                counts[page] = count(ask)
    return {page: one for page, one in counts.items() if one.count}


def waiters(states: States) -> tuple[int | None, str]:
    """Return how many conversations wait past their target, or without targets for a reply; None: not known."""
    past, waiting = (states.now.get(name) for name in ("waiting_past_target", "waiting_conversations"))
    count, how = (past, PAST_TARGET) if past is not None else (waiting, "for a reply")
    return (count if isinstance(count, int) else None), how


def _waiting(ask: Ask) -> ToDo:
    last = last_event(ask.engine, ask.tenant)
    if last is None or ask.now.replace(tzinfo=None) - last > DATA_DAYS:
        return ToDo(0, "")
    cached = ask.engine.cached
    count, how = waiters(cached.value(cached.call(ask.engine.answers.states, ask.tenant.id)))
    one = count == 1
    return ToDo(
        count or 0,
        ask.in_words(f"conversation{'s' * (not one)} wait{'s' * one} {how.replace('their', 'its') if one else how}"),
    )


def open_incidents(ask: Ask) -> ToDo:
    """Return the count of open incidents."""
    count = len(ask.engine.incidents.of(ask.tenant.id, "open", limit=MOST + 1).rows)
    return ToDo(count, f"open incident{'s' * (count != 1)}")


def _labels(ask: Ask) -> ToDo:
    cached, left = ask.engine.cached, ask.engine.labels.review.left
    here = ask.page == "labels"  # what was just reviewed is no longer counted
    count = (
        cached.value(cached.call(left, ask.tenant.id, LabelSet.TOPIC))
        if not here
        else left(ask.tenant.id, LabelSet.TOPIC)
    )
    return ToDo(count, f"label{'s' * (count != 1)} to review", urgent=False)


_COUNTS: Mapping[str, tuple[Role, Callable[[Ask], ToDo]]] = {
    "live": (Role.VIEWER, _waiting), "incidents": (Role.ANALYST, open_incidents), "labels": (Role.ANALYST, _labels),
}  # fmt: skip

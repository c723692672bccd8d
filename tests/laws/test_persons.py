"""Laws of persons: many links, in any order and in any batches, give what joining sets in plain Python gives."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from hubbub.facts.verify import verify
from hubbub.model.event import Event
from hubbub.model.tenant import Tenant
from tests.extent import ALL
from tests.laws.conftest import Lab
from tests.laws.oracle import utc

START, END = utc(2026, 3, 1), utc(2026, 4, 1)
NAMES = ("active_contacts", "new_contacts", "total_contacts", "blocked_contacts")


class Sets:
    """A union-find over ids."""

    def __init__(self) -> None:
        self.parent: dict[str, str] = {}

    def root(self, id_: str) -> str:
        """Return the id that represents a set."""
        while (above := self.parent.get(id_, id_)) != id_:
            id_ = above
        return id_

    def join(self, one: str, other: str) -> None:
        """Join two sets."""
        self.parent[self.root(one)] = self.root(other)


def joined(links: Iterable[Event]) -> Sets:
    """Join the ids whose latest event is a link."""
    last: dict[frozenset[str], Event] = {}
    for one in sorted(links, key=lambda e: (e.time, e.type)):
        last[frozenset((one.contact_id or "", one.name or ""))] = one
    sets = Sets()
    for one in last.values():
        if one.type == "contact.linked":
            sets.join(one.contact_id or "", one.name or "")
    return sets


def link(id_: str, at: datetime, one: str, other: str, *, joins: bool = True) -> Event:
    """Return a link of two ids, or an unlink."""
    return Event(type="contact.linked" if joins else "contact.unlinked", id=id_, time=at, contact_id=one, name=other)


def world(rng: random.Random, people: int, links: int) -> list[Event]:
    """Return messages, blocks, and links between random people, some of which are unlinked later."""
    found = []
    for n in range(people):
        at = START + timedelta(hours=rng.randrange(24 * 28))
        found.append(Event(type="message.received", id=f"m{n}", time=at, contact_id=f"k{n}", conversation_id=f"c{n}"))
        if n % 5 == 0:
            found.append(Event(type="contact.blocked", id=f"b{n}", time=at + timedelta(hours=1), contact_id=f"k{n}"))
    for n in range(links):
        one, other = rng.sample(range(people), 2)
        at = START + timedelta(minutes=rng.randrange(60 * 24 * 28))
        found.append(link(f"l{n}", at, f"k{one}", f"k{other}"))
        if n % 3 == 0:
            later = at + timedelta(minutes=rng.randrange(60 * 24))
            found.append(link(f"u{n}", later, f"k{other}", f"k{one}", joins=False))
    return found


def counted(lab: Lab, tenant: Tenant, start: datetime, end: datetime) -> dict[str, int]:
    """Return the counts of a range."""
    (row,) = lab.ask(tenant, list(NAMES), start, end).rows
    return {name: int(row.cells[name].value or 0) for name in NAMES}


def right(events: list[Event], start: datetime, end: datetime) -> dict[str, int]:
    """Return the same counts in plain Python."""
    sets = joined(e for e in events if e.type.endswith("linked"))
    first: dict[str, datetime] = {}
    active, blocked = set(), set()
    for event in events:
        who = sets.root(event.contact_id or "")
        if event.type == "message.received":
            first[who] = min(event.time, first.get(who, event.time))
            active |= {who} if start <= event.time < end else set()
        elif event.type == "contact.blocked" and event.time < end:
            blocked.add(who)
    known = sum(at < end for at in first.values())
    return dict(
        zip(NAMES, (len(active), sum(start <= at < end for at in first.values()), known, len(blocked)), strict=True)
    )


@pytest.mark.parametrize("seed", range(4 if ALL else 1))
def test_a_thousand_links_in_any_order_join_the_right_persons(lab: Lab, seed: int) -> None:
    """Active, new, total and blocked contacts after 1,000 links and 334 unlinks, in any order and batches, are those of
    joined sets; verify is clean.
    """
    rng = random.Random(seed)
    lab.empty()
    tenant, events = lab.tenant(), world(rng, 900, 1_000)
    order = rng.sample(events, len(events))
    while order:
        some, order = order[: (size := rng.choice((1, 40, 900)))], order[size:]
        lab.send(tenant, some)
        lab.refresh()
    for low, high in ((START, END), (START + timedelta(days=9), START + timedelta(days=10))):
        assert counted(lab, tenant, low, high) == right(events, low, high)
    assert verify(lab.store, [tenant]).clean


def test_an_action_of_a_linked_id_answers_a_message_to_another(lab: Lab) -> None:
    """An action of a linked id counts for a message to the other id, until they are unlinked."""
    lab.empty()
    tenant = lab.tenant()
    lab.send(tenant, [
        Event(type="message.sent", id="1", time=START, contact_id="phone", channel="sms", message_id="m"),
        Event(type="message.delivered", id="2", time=START, contact_id="phone", channel="sms", message_id="m"),
        Event(type="contact.converted", id="3", time=START + timedelta(days=1), contact_id="mail"),
    ])  # fmt: skip

    def shares() -> list[object]:
        (row,) = lab.ask(tenant, ["conversion_rate", "engagement_rate"], START, END).rows
        return [row.cells[name].value for name in ("conversion_rate", "engagement_rate")]

    lab.refresh()
    assert shares() == [0, 0]
    lab.send(tenant, [link("4", START + timedelta(days=20), "mail", "phone")])
    lab.refresh()
    assert shares() == [1, 1]
    lab.send(tenant, [link("5", START + timedelta(days=21), "phone", "mail", joins=False)])
    lab.refresh()
    assert shares() == [0, 0]

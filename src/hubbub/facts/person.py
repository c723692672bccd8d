"""Persons: contacts that are the same somebody. `contact.linked` and `contact.unlinked` name two ids, `contact_id` and `name`.

Of two ids the latest event says whether they are linked; of the same moment, that they are not. All that are linked to each
other, by whatever way, are one person, and its root is the smallest of their ids. Facts keep the ids as they were sent: who is
counted once is worked out on reading, so a link refolds nothing, before retention or after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

TYPES = ("contact.linked", "contact.unlinked")


class Link(NamedTuple):
    """What one event says of two ids."""

    time: int
    type: str
    contact_id: str
    name: str


def latest(links: Iterable[Link]) -> dict[frozenset[str], Link]:
    """Return the event that holds for each two ids."""
    found: dict[frozenset[str], Link] = {}
    for one in sorted(links, key=lambda link: (link.time, link.type)):
        found[frozenset((one.contact_id, one.name))] = one
    return found


def linked(contact: str, links: Iterable[Link]) -> set[str]:
    """Return the contacts that one is linked to, from all that was said of it."""
    return {
        other
        for pair, one in latest(links).items()
        if one.type == "contact.linked"
        for other in pair
        if other != contact
    }


def carry(links: Iterable[Link]) -> list[Link]:
    """Return what a fold of later events needs of these: the links that hold."""
    return [one for one in latest(links).values() if one.type == "contact.linked"]


def roots(contact: str, linked_to: Callable[[str], set[str]]) -> dict[str, str]:
    """Return the root of every contact that is the same person as one, itself among them."""
    found, new = {contact}, {contact}
    while new:
        new = set().union(*map(linked_to, new)) - found
        found |= new
    return dict.fromkeys(found, min(found))


def person_of(column: str) -> str:
    """Return SQL for the root of a contact's id in a column; the parameter `tenant` is whose."""
    return f"coalesce((SELECT p.root FROM person AS p WHERE p.tenant = :tenant AND p.contact_id = {column}), {column})"

"""Persons: contacts that are the same person. `contact.linked` and `contact.unlinked` name two ids, `contact_id` and `name`.

The latest event of two ids decides whether they are linked; at the same moment, unlinked wins. All ids linked directly or through
others are one person; its root is the smallest id. Facts keep the ids as sent and reading counts persons, so a link folds no other
fact again, before retention or after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from hubbub.storage.dialect import Dialect

TYPES = ("contact.linked", "contact.unlinked")


class Link(NamedTuple):
    """An event that links or unlinks two ids."""

    time: int
    type: str
    contact_id: str
    name: str


def latest(links: Iterable[Link]) -> dict[frozenset[str], Link]:
    """Return the latest event of each pair of ids, which is the valid one."""
    latest_of: dict[frozenset[str], Link] = {}
    for link in sorted(links, key=lambda event: (event.time, event.type)):
        latest_of[frozenset((link.contact_id, link.name))] = link
    return latest_of


def linked(contact: str, links: Iterable[Link]) -> set[str]:
    """Return the contacts linked to a contact, from all its link events."""
    return {
        other
        for pair, link in latest(links).items()
        if link.type == "contact.linked"
        for other in pair
        if other != contact
    }


def carry(links: Iterable[Link]) -> list[Link]:
    """Return the events that a fold of later events needs: the valid links."""
    return [link for link in latest(links).values() if link.type == "contact.linked"]


def roots(contact: str, linked_to: Callable[[str], set[str]]) -> dict[str, str]:
    """Return contact -> root for all contacts of one contact's person; `linked_to` returns the contacts linked to one."""
    same, new = {contact}, {contact}
    while new:
        new = set().union(*map(linked_to, new)) - same
        same |= new
    return dict.fromkeys(same, min(same))


def person_of(column: str, dialect: Dialect) -> str:
    """Return SQL for the root of the contact id in a column; it uses the parameter `tenant`."""
    return f"coalesce({dialect.looked_up('person', 'contact_id', 'root', column)}, {column})"

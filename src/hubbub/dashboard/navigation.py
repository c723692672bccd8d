"""The navigation: the pages that a person may open, by group, with addresses."""

from __future__ import annotations

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.base_path import at
from hubbub.dashboard.components import Group, Page
from hubbub.dashboard.number_pages import NUMBERS
from hubbub.dashboard.person import Role
from hubbub.dashboard.registry import OPERATOR, TENANT


def navigation(ask: Ask, page: Page) -> list[tuple[str, list[tuple[Page, str]]]]:
    """Return the pages that the person may open, with addresses, by group."""
    ways = [
        (other, _way_to(other, ask, page))
        for other in TENANT.values()
        if page.tenant and ask.person.may_open(other.name, other.role)
    ]
    if ask.person.may(Role.OPERATOR):
        ways += [(other, at(f"/operate/{other.name}")) for other in OPERATOR.values()]
    grouped = [(group.value, [way for way in ways if way[0].group is group]) for group in Group]
    return [(title, links) for title, links in grouped if links]


def _way_to(other: Page, ask: Ask, page: Page) -> str:
    """Return the address of another page; if it needs the page of numbers before, with that as a parameter."""
    of = page.name if page.name in NUMBERS else ask.param("of")
    params = {"of": of, "metric": ask.param("metric") or None} if other.comes_from and of else {}
    return ask.link(other.name, None, **params)

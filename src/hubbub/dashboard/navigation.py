"""What the navigation of a page names: the pages that somebody may open, by group, with their addresses."""

from __future__ import annotations

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.base import at
from hubbub.dashboard.components import Group, Page, Role
from hubbub.dashboard.registry import OPERATOR, TENANT
from hubbub.dashboard.shareable import NUMBERS


def navigation(ask: Ask, page: Page) -> list[tuple[str, list[tuple[Page, str]]]]:
    """Return the pages that somebody may open from one, with their addresses, by group."""
    ways = [(one, _way_to(one, ask, page)) for one in TENANT.values() if page.tenant and ask.person.may_open(one)]
    if ask.person.may(Role.OPERATOR):
        ways += [(one, at(f"/operate/{one.name}")) for one in OPERATOR.values()]
    grouped = [(group.value, [way for way in ways if way[0].group is group]) for group in Group]
    return [(title, there) for title, there in grouped if there]


def _way_to(other: Page, ask: Ask, page: Page) -> str:
    """Return the address of another page; if that wants to know, with the page of numbers that this is, or was come from."""
    of = page.name if page.name in NUMBERS else ask.param("of")
    told = {"of": of, "metric": ask.param("metric") or None} if other.comes_from and of else {}
    return ask.link(other.name, None, **told)

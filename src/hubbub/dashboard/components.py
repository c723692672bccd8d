"""The parts of a page: independent widgets, and tables, which are also the other view and the CSV of every chart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.person import Role

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Group(StrEnum):
    """Groups of the navigation, in this order."""

    NOW = "Now"
    NUMBERS = "Numbers"
    ROWS = "Rows"
    SET_UP = "Set up"
    OPERATOR = "Operator"


@dataclass(frozen=True)
class Column:
    """A column of a table: `unit` as in `reports.formatting.shown`, or `text`, `moment` (a window), `instant` (the time of
    an event), `date` (a day; all untrusted texts).

    In tables with actions (`forms.data_table`) also `utc`, `state`, and `long` for wide texts.
    """

    name: str
    title: str
    unit: str = "text"
    of: str = ""
    """The dimension of its ids, if not its name."""
    within: str = ""
    """The column whose cells show its values, small; the CSV has it as a column of its own."""

    @property
    def holds(self) -> str:
        """The dimension of its values."""
        return self.of or self.name


Cells = Mapping[str, Any]
"""A row by the names of columns: what a template prints. A page chooses the columns, so no class has them."""


@dataclass(frozen=True)
class Table:
    """Rows by column name. `links`: addresses of cells, as `links[row number][column]`."""

    columns: Sequence[Column]
    rows: Sequence[Cells]
    links: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class Shown:
    """The content of a widget: a template of `templates/parts/` with data, the same as a table, and a summary for screen readers.

    `empty`: why there is nothing to show, in place of the rest. `note`: a remark below. `more`: links behind either, as title and
    address; one without an address is left out.
    """

    part: str = "table"
    data: Mapping[str, Any] = field(default_factory=dict)
    table: Table | None = None
    summary: str = ""
    note: str = ""
    empty: str = ""
    more: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Widget:
    """A part of a page with its own answer and its own failure.

    `lazy`: loaded after the page, which reserves its place by `size` (a class of the style sheet: small, chart, tall, wide).
    """

    name: str
    title: str
    answer: Callable[[Ask], Shown]
    size: str = "chart"
    lazy: bool = False
    wide: bool = False
    about: str = ""
    role: Role = Role.VIEWER
    still: bool = False
    """Not refreshed with the page: typed input would be lost."""
    fact: Callable[[Ask], str] | None = None
    """A title that says what these days show; where it is empty, `title` stands."""


@dataclass(frozen=True)
class Done:
    """The result of an action: a sentence, and the next address (empty: the same page).

    `secret` is shown once and never stored; one that begins with / as an address of this server. `failed`: nothing was done, and
    the sentence says why.
    """

    message: str
    to: str = ""
    secret: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Page:
    """A page: widgets, and actions of its forms. `tenant` False: about the whole installation."""

    name: str
    title: str
    widgets: tuple[Widget, ...]
    role: Role = Role.VIEWER
    tenant: bool = True
    header: bool = True
    """Whether it has controls for days, filters and comparison."""
    dated: bool = True
    """Whether it shows days; else the present, with filters only."""
    comes_from: bool = False
    """Whether links to it carry the page of numbers before (`of`) and its chosen number (`metric`)."""
    group: Group | None = None
    """Its group in the navigation, with the icon of its name in `icons.html`; None: reached from other pages."""
    under: str = ""
    """The page that lists what it shows one of, linked above its title."""
    actions: Mapping[str, Callable[[Ask, Form], Done]] = field(default_factory=dict)
    acts: Role = Role.ADMIN
    """The role for its forms."""
    subject: str = ""
    """What all its numbers are of (`query.reported`): a tenant whose sources never reported it sees a sentence."""
    fresh_seconds: int = 0
    """Seconds between refreshes; 0: none."""
    called: Callable[[Ask], str] | None = None
    """The name of the one thing that it shows, as its heading; else `title` is."""

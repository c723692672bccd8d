"""What a page is made of: widgets that answer for themselves, and tables, which are also every chart's other view and its CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any

from hubbub.errors import HubbubError

if TYPE_CHECKING:
    from hubbub.dashboard.ask import Ask


WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Role(IntEnum):
    """What somebody may see and do; each may do what those before it may."""

    VIEWER = 1
    """Numbers of one tenant."""
    ANALYST = 2
    """The rows behind them too: conversations, events, exports, reports."""
    ADMIN = 3
    """A tenant's people, links, keys and sources too."""
    OPERATOR = 4
    """All tenants, and what runs."""


class Group(StrEnum):
    """Where the navigation names a page, in this order."""

    NOW = "Now"
    NUMBERS = "Numbers"
    ROWS = "Rows"
    SET_UP = "Set up"
    OPERATOR = "Operator"


@dataclass(frozen=True)
class Column:
    """A column of a table: `unit` as in `reports.words.shown`, or `text`, `moment`, texts from outside alike.

    Of a table to work with (`forms.data_table`) also `utc`, `state`, and `long` for texts that need room.
    """

    name: str
    title: str
    unit: str = "text"
    of: str = ""
    """The dimension whose ids its cells are, where its name does not say so."""

    @property
    def holds(self) -> str:
        """The dimension whose values its cells are."""
        return self.of or self.name


@dataclass(frozen=True)
class Table:
    """Rows by column name. `links` leads a cell to where its number comes from: `links[row number][column]`."""

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    links: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class Shown:
    """What a widget shows: a template of `templates/parts/` with its data, the same as a table, and a sentence for who hears it.

    `empty` says in place of all that why there is nothing, `note` beside it what a reader must know.
    """

    part: str = "table"
    data: Mapping[str, Any] = field(default_factory=dict)
    table: Table | None = None
    summary: str = ""
    note: str = ""
    empty: str = ""


@dataclass(frozen=True)
class Widget:
    """A part of a page with an answer of its own, whose failure is its own too.

    `lazy`: it comes after the page, which holds its place by `size` (a class of the style sheet: small, chart, tall, wide).
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
    """Not asked for again while a page keeps itself fresh: what was typed into it would be gone."""


@dataclass(frozen=True)
class Done:
    """What became of an action: a sentence, and where to go on (the page itself when empty).

    `secret` is shown this once, and nowhere kept; one that begins with / as an address of this server. `failed`: nothing was
    done, and the sentence says why.
    """

    message: str
    to: str = ""
    secret: str = ""
    failed: bool = False


Form = Mapping[str, str]


@dataclass(frozen=True)
class Refused:
    """A form that was answered with an error, to be shown as it was typed, with what was wrong."""

    action: str
    form: Form
    error: HubbubError


@dataclass(frozen=True)
class Page:
    """A page: its widgets, and the actions that its forms post. `tenant` False: it is about the whole installation."""

    name: str
    title: str
    widgets: tuple[Widget, ...]
    role: Role = Role.VIEWER
    tenant: bool = True
    header: bool = True
    """Whether days, filters and comparison are chosen on it."""
    dated: bool = True
    """Whether it shows days; else the present, and only filters are chosen."""
    comes_from: bool = False
    """Whether links to it say which page of numbers they stand on (`of`), and the number that was chosen there (`metric`)."""
    group: Group | None = None
    """Where the navigation names it, under the drawing of its name in `icons.html`; None: other pages lead to it."""
    actions: Mapping[str, Callable[[Ask, Form], Done]] = field(default_factory=dict)
    acts: Role = Role.ADMIN
    """Who may do what its forms post."""
    fresh_seconds: int = 0
    """How often it asks again by itself; 0: only when it is opened."""

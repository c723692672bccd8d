"""Tables that one can do something with: what stands in them, what chooses among it, and the forms and buttons beside it.

A form is declared by what it asks and what it sends along; the page's `actions` name what it does. Every one carries the session's
form token, and posts to its page under the view, so that one comes back to where one was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Column, Shown, Table

WAYS = {
    "received": "good", "completed": "good", "fresh": "good", "active": "good", "works": "good", "open": "good", "ok": "good",
    "accepted": "good", "refused": "bad", "partly refused": "bad",
    "failed": "bad", "parked": "bad", "retrying": "bad", "dirty": "bad", "broken": "bad", "look": "bad",
}  # fmt: skip
"""Which states are well and which need somebody; all others are neither."""


@dataclass(frozen=True)
class Field:
    """One thing that a form asks: `kind` as HTML calls it (text, date, number, checkbox), or `select` among `options`."""

    name: str
    title: str
    kind: str = "text"
    value: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    required: bool = False
    hint: str = ""
    fault: bool = False
    """Whether what was typed here is what an error is about."""


@dataclass(frozen=True)
class Act:
    """A form, or with no fields a button: the action it posts to, and what it sends along.

    `title` folds a form away until it is asked for. `danger`: what it does is hard to undo. `error`: why it was refused.
    """

    name: str
    button: str
    sends: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()
    title: str = ""
    danger: bool = False
    error: str = ""


@dataclass(frozen=True)
class Fact:
    """One line of what is known of one thing."""

    title: str
    value: Any
    unit: str = "text"
    link: str = ""


def choice(ask: Ask, name: str, title: str, options: Mapping[str, str]) -> Field:
    """Return what chooses one of `options`, or all, by the parameter `name` of the address."""
    return Field(name, title, "select", ask.param(name), {"": "All", **options})


def asked(ask: Ask, name: str, known: Mapping[str, Any] | Sequence[str] | None = None) -> str | None:
    """Return a parameter of the address; None when it is absent, or none of those that are known."""
    found = ask.param(name)
    return found if found and (known is None or found in known) else None


def as_typed(ask: Ask, act: Act) -> Act:
    """Return a form as it was typed, with what was wrong, when it is the one that was just refused; else as it is.

    Only what it asks comes back, and no password. A message about a field, or about those that share the beginning of a name,
    begins with that or its title; where none does the first field has the fault.
    """
    refused = ask.refused
    if refused is None or not act.fields or refused.action != act.name:
        return act
    if any(refused.form.get(name) != value for name, value in act.sends.items()):
        return act
    ask.refused = None
    said = refused.error.message.lower()
    faults = [one.name for one in act.fields if said.startswith((one.name.partition("-")[0], one.title.lower()))]
    fault = (faults or [act.fields[0].name])[0]
    fields = tuple(
        replace(one, value="" if one.kind == "password" else refused.form.get(one.name, ""), fault=one.name == fault)
        for one in act.fields
    )
    return replace(act, fields=fields, error=refused.error.message)


def data_table(
    ask: Ask,
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    *,
    links: Sequence[Mapping[str, str]] = (),
    acts: Sequence[Sequence[Act]] = (),
    forms: Sequence[Act] = (),
    choices: Sequence[Field] = (),
    nothing: str = "",
    following: str | None = None,
    cursor: str = "cursor",
    note: str = "",
) -> Shown:
    """Show rows with what can be done to each (`acts`, by row) and to all (`forms`); `nothing` says why there are none.

    `following` is the cursor of the next page, for the address's parameter `cursor`.
    """
    if not (rows or forms or choices):
        return Shown(empty=nothing)
    chosen = {one.name for one in choices} | {cursor}
    data = {
        "acts": [[as_typed(ask, act) for act in row] for row in acts], "forms": [as_typed(ask, act) for act in forms],
        "choices": choices, "nothing": nothing, "ways": WAYS,
        "stays": [(name, value) for name, value in ask.view.rest.items() if name not in chosen],
        "next": _here(ask, cursor, following) if following else "",
        "first": _here(ask, cursor, None) if ask.param(cursor) else "",
    }  # fmt: skip
    summary = f"{len(rows)} on this page" if following or ask.param(cursor) else f"{len(rows)} in all"
    return Shown("data_table", data, Table(columns, rows, links), summary, note)


def _here(ask: Ask, name: str, value: str | None) -> str:
    return f"{ask.base}/{ask.page}?{ask.view.query(**{name: value})}"


def facts(
    ask: Ask,
    found: Sequence[Fact],
    *,
    forms: Sequence[Act] = (),
    texts: Mapping[str, str] | None = None,
    note: str = "",
) -> Shown:
    """Show what is known of one thing, with longer `texts` by their titles, and what can be done with it."""
    rows = [{"what": one.title, "value": one.value, "unit": one.unit} for one in found]
    table = Table([Column("what", "What"), Column("value", "Value", "row")], rows)
    typed = [as_typed(ask, act) for act in forms]
    return Shown("facts", {"facts": found, "forms": typed, "texts": texts or {}, "ways": WAYS}, table, note=note)

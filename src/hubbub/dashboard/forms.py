"""Tables with actions: rows, filters, and forms and buttons beside them.

A form is declared by its fields and fixed values; the page's `actions` hold its function. It carries the session's form token, and
posts to its page under the view, so that the person returns to the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column, Shown, Table

WAYS = {
    "received": "good", "completed": "good", "fresh": "good", "active": "good", "works": "good", "ok": "good", "open": "warn",
    "accepted": "good", "refused": "bad", "partly refused": "bad",
    "failed": "bad", "parked": "bad", "retrying": "bad", "dirty": "bad", "broken": "bad", "look": "bad",
}  # fmt: skip
"""States that are good or bad; all others are neutral."""


@dataclass(frozen=True)
class Field:
    """A field of a form: `kind` as in HTML (text, date, number, checkbox), or `select` among `options`;
    of a text they are suggestions.
    """

    name: str
    title: str
    kind: str = "text"
    value: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    required: bool = False
    hint: str = ""
    after: str = ""
    """Words behind the field, in a form that is a sentence."""
    fault: bool = False
    """Whether an error is about this field."""


@dataclass(frozen=True)
class Act:
    """A form, or without fields a button: its action, and the values it sends.

    `title`: the form is folded under it. `danger`: hard to undo. `error`: why it was refused. `sentence`: fields and their titles
    are read as one sentence.
    """

    name: str
    button: str
    sends: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()
    title: str = ""
    danger: bool = False
    error: str = ""
    sentence: bool = False


@dataclass(frozen=True)
class Fact:
    """A titled value."""

    title: str
    value: Any
    unit: str = "text"
    link: str = ""


@cache
def zones() -> Mapping[str, str]:
    """Return the time zones that a field suggests."""
    return {zone: zone for zone in sorted(available_timezones()) if "/" in zone and not zone.startswith("Etc/")}


def choice(ask: Ask, name: str, title: str, options: Mapping[str, str]) -> Field:
    """Return a field that chooses one of `options`, or all, by the parameter `name` of the address."""
    return Field(name, title, "select", ask.param(name), {"": "All", **options})


def parameter(ask: Ask, name: str, known: Mapping[str, Any] | Sequence[str] | None = None) -> str | None:
    """Return a parameter of the address; None if absent or not in `known`."""
    value = ask.param(name)
    return value if value and (known is None or value in known) else None


def as_typed(ask: Ask, act: Act) -> Act:
    """Return a form; if it was just refused, with the typed values and the error.

    Passwords do not come back. The message begins with the name or title of the faulty field (or of fields that share a prefix);
    otherwise the first field has the fault.
    """
    refused = ask.refused
    if refused is None or not act.fields or refused.action != act.name:
        return act
    if any(refused.form.get(name) != value for name, value in act.sends.items()):
        return act
    ask.refused = None
    message = refused.error.message.lower()
    faults = [f.name for f in act.fields if message.startswith((f.name.partition("-")[0], f.title.lower()))]
    fault = (faults or [act.fields[0].name])[0]
    fields = tuple(
        replace(
            field_,
            value="" if field_.kind == "password" else refused.form.get(field_.name, ""),
            fault=field_.name == fault,
        )
        for field_ in act.fields
    )
    return replace(act, fields=fields, error=refused.error.message)


def data_table(
    ask: Ask,
    columns: Sequence[Column],
    rows: Sequence[Cells],
    *,
    links: Sequence[Mapping[str, str]] = (),
    acts: Sequence[Sequence[Act]] = (),
    forms: Sequence[Act] = (),
    choices: Sequence[Field] = (),
    nothing: str = "",
    following: str | None = None,
    cursor: str = "cursor",
    note: str = "",
    more: Sequence[tuple[str, str]] = (),
) -> Shown:
    """Show rows with the actions of each (`acts`, by row) and of all (`forms`).

    `nothing`: text without rows. `more`: links behind it, or behind the note. A column without any value is in the CSV alone.

    `following`: cursor of the next page, for the parameter `cursor` of the address.
    """
    if not (rows or forms or choices):
        return Shown(empty=nothing, more=more)
    chosen = {field_.name for field_ in choices} | {cursor}
    data = {
        "filled": [c.name for n, c in enumerate(columns) if not n or any(row.get(c.name) not in (None, "") for row in rows)],
        "acts": [[as_typed(ask, act) for act in row] for row in acts], "forms": [as_typed(ask, act) for act in forms],
        "choices": choices, "nothing": nothing, "ways": WAYS,
        "stays": [(name, value) for name, value in ask.view.rest.items() if name not in chosen],
        "next": _here(ask, cursor, following) if following else "",
        "first": _here(ask, cursor, None) if ask.param(cursor) else "",
    }  # fmt: skip
    summary = f"{len(rows)} on this page" if following or ask.param(cursor) else f"{len(rows)} in all"
    if following and not ask.param(cursor):
        note = f"{note} These are the first {len(rows)}.".lstrip()
    return Shown("data_table", data, Table(columns, rows, links), summary, note, more=more)


def _here(ask: Ask, name: str, value: str | None) -> str:
    return f"{ask.base}/{ask.page}?{ask.view.query(**{name: value})}"


def facts(
    ask: Ask,
    known: Sequence[Fact],
    *,
    forms: Sequence[Act] = (),
    texts: Mapping[str, str] | None = None,
    note: str = "",
) -> Shown:
    """Show facts about a thing, with longer `texts` by title, and its actions."""
    rows = [{"what": fact.title, "value": fact.value, "unit": fact.unit} for fact in known]
    table = Table([Column("what", "What"), Column("value", "Value", "row")], rows)
    typed = [as_typed(ask, act) for act in forms]
    return Shown("facts", {"facts": known, "forms": typed, "texts": texts or {}, "ways": WAYS}, table, note=note)

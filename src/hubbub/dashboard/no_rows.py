"""A page whose filters have nothing: which filter has how much by itself, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.view import FILTERS
from hubbub.reports.formatting import in_sentence

COUNTED: Mapping[str, str] = {"staff_id": "responses", "topic": "classifications"}
"""What is counted to see whether a filter has rows; of all others messages."""


@dataclass(frozen=True, slots=True)
class NoRows:
    """What has no rows, why, and an address without each filter (title and address)."""

    what: str
    why: str
    ways: Sequence[tuple[str, str]]


def counted(dimension: str) -> str:
    """Return the metric that is counted by a filter's dimension."""
    return COUNTED.get(dimension, "messages")


def no_rows(ask: Ask) -> NoRows | None:
    """Return what to say where the filters of a dated page have nothing in its days; None where they have something.

    A filter is looked at by itself; several of messages also together.
    """
    view = ask.view
    if not view.where:
        return None
    alone = {name: _count(ask, counted(name), {name: values}) for name, values in view.where.items()}
    together = {name: values for name, values in view.where.items() if counted(name) == "messages"}
    if all(alone.values()) and (len(together) < 2 or _count(ask, "messages", together)):
        return None
    ways = [
        (f"{ask.in_words(FILTERS[name])}: {ask.label(name, value)}", ask.link(view=view.without(name, value)))
        for name, values in view.where.items() if name not in view.locked for value in values
    ]  # fmt: skip
    named = " and ".join(_named(ask, name) for name in view.where)
    each = ", ".join(
        f"{_named(ask, name)} has {n:,} {in_sentence(ask.title(counted(name)))}" for name, n in alone.items()
    )
    return NoRows(f"Nothing of {named} in {view.dates}.", f"In these days {each}.", ways)


def _named(ask: Ask, name: str) -> str:
    values = " or ".join(ask.label(name, value) for value in ask.view.where[name])
    return f"{ask.in_words(FILTERS[name]).lower()} {values}"


def _count(ask: Ask, metric: str, where: Mapping[str, Sequence[str]]) -> int:
    """Return a metric of the view's days under these filters alone."""
    first, after = ask.view.first.isoformat(), ask.view.after.isoformat()
    filters = {name: list(values) for name, values in where.items()}
    answer = ask.kept(ask.engine.answers.query, [metric], first, after, "total", [], filters, None, ask.view.bots)
    return sum(row[metric] or 0 for row in answer.rows)

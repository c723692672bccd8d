"""Why: the causes of a change in the chosen number, by one dimension, with bars."""

from __future__ import annotations

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column, Shown, Table
from hubbub.dashboard.sparks import middle_bar
from hubbub.dashboard.view import FILTERS
from hubbub.dashboard.widgets import unit_of
from hubbub.errors import BadQuestionError
from hubbub.metrics.definition import Unit
from hubbub.news.causes import Cause, causes, made_of
from hubbub.news.number import NewsNumber
from hubbub.news.sentences import step
from hubbub.query.changes import Changes
from hubbub.reports.formatting import near

LEAST = {
    Unit.SHARE.value: 0.0005,
    Unit.MS.value: 1000.0,
    Unit.COUNT.value: 0.5,
    Unit.NUMBER.value: 0.005,
    Unit.SCORE.value: 0.005,
    Unit.INDEX.value: 0.05,
}
"""Smallest rest that a row of all others shows, by unit."""


def why(ask: Ask, metric: str, number: NewsNumber | None) -> Shown:
    """Show the causes of a metric's change between the view's days and the compared ones."""
    if ask.view.compared is None:
        if ask.view.begins:
            return Shown(empty="The data begins in these days: there is nothing before them to compare with.")
        nothing = "All time has no period before it." if ask.view.range == "all" else "Choose a comparison."
        return Shown(empty=f"{nothing} Causes need two periods: choose a comparison.")
    name, answer = metric, None
    try:
        for name in made_of(metric, (number.previous or number.value) if number else None, ask.tenant.targets):
            answer = ask.kept(
                ask.engine.answers.changes, metrics=name, start=ask.view.first.isoformat(), end=ask.view.after.isoformat(),
                where={k: list(v) for k, v in ask.view.where.items()}, compare=ask.view.compared, include_bots=ask.view.bots,
                limit=100,
            )  # fmt: skip
            if answer.difference is not None:
                break
    except BadQuestionError as error:
        return Shown(empty=error.message)
    if answer is None or answer.difference is None:
        return Shown(empty="There is nothing to compare with.")
    moved, unit = causes(answer), unit_of(name)
    left_out = ask.in_words(moved.left_out)
    summary = _summary(ask, name, answer, unit)
    if answer.difference and number is not None and number.verdict == "usual":
        summary = f"{summary}, which is within its usual range"
    if not moved.rows:
        return Shown(empty=f"{summary}. {left_out}" if left_out else f"{summary}.")
    top = max(abs(row.contribution) for row in moved.rows)
    rows = [_row(ask, row, unit, top) for row in moved.rows]
    columns = [
        Column("what", FILTERS.get(moved.dimension, moved.dimension).capitalize(), of=moved.dimension),
        Column("before", "Before", unit), Column("after", "Now", unit), Column("n", "n", "count"),
        Column("moved", "Contribution", unit),
    ]  # fmt: skip
    links = [{"what": ask.link(view=ask.view.with_filter(row.dimension, row.value))} for row in moved.rows]
    rest = answer.difference - sum(row.contribution for row in moved.rows)
    if abs(rest) >= LEAST.get(unit, 0.005):
        rows.append(_others(rest, unit, top))
        links.append({})
    data = {"unit": unit, "left_out": left_out}
    return Shown("why", data, Table(columns, rows, links), summary)


def _summary(ask: Ask, name: str, answer: Changes, unit: str) -> str:
    difference = answer.difference
    moved = f"from {near(answer.before, unit)} to {near(answer.after, unit)}"
    return (
        f"{ask.title(name)} went {moved}, {step(difference, unit)}" if difference else f"{ask.title(name)}: no change"
    )


def _row(ask: Ask, row: Cause, unit: str, top: float) -> Cells:
    return {
        "what": row.value, "before": _whole(row.before, unit), "after": _whole(row.after, unit), "n": row.n,
        "moved": _whole(row.contribution, unit), "bar": middle_bar(row.contribution / top),
        "same": ask.label("channel", row.same) if row.same else "", "shown": _signed(row.contribution, unit),
    }  # fmt: skip


def _others(rest: float, unit: str, top: float) -> Cells:
    """Return the row of all that is not shown, so that the contributions add up to the change."""
    return {
        "what": "all others together", "before": None, "after": None, "n": None, "moved": _whole(rest, unit), "same": "",
        "bar": middle_bar(max(-1.0, min(1.0, rest / top))), "shown": _signed(rest, unit),
    }  # fmt: skip


def _signed(value: float, unit: str) -> str:
    """Write a contribution in the unit of the change: points for shares, else the number's unit."""
    sign = "+" if value > 0 else "−"
    return f"{sign}{100 * abs(value):.1f}" if unit == Unit.SHARE else f"{sign}{near(abs(value), unit)}"


def _whole(value: float | None, unit: str) -> float | int | None:
    """Return a count as a whole number; contributions are fractions."""
    return round(value) if value is not None and unit == Unit.COUNT and value == round(value) else value

"""Numbers of a page beside their usual range: noise decides which change has a color. None for more than a year of days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hubbub.dashboard.ask import Ask
from hubbub.errors import BadQuestionError
from hubbub.metrics.definition import Unit
from hubbub.model.question import NONE
from hubbub.model.window import Grain
from hubbub.news.direction import way_beyond
from hubbub.news.judge import Verdict
from hubbub.news.number import CourseRow, NewsNumber
from hubbub.query.usual import GRAINS


def judged(ask: Ask, metrics: Sequence[str], grain: str = "") -> dict[str, NewsNumber]:
    """Return metrics of the view's days with their course, by name; those that do not have a filter are left out.

    `grain`: of the course, if not the view's.
    """
    grain = grain or (ask.grain if ask.grain in GRAINS else Grain.TOTAL.value)
    return {number.metric: number for number in _answer(ask, metrics, grain, (), {})}


def ways_of_slices(
    ask: Ask, metrics: Sequence[str], dimension: str, where: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str], str]:
    """Return how the change of each slice of a dimension looks, by metric and value: empty within its noise."""
    numbers = _answer(ask, metrics, Grain.TOTAL.value, (dimension,), where)
    return {(number.metric, NONE if number.slice is None else number.slice): way_beyond(number) for number in numbers}


def so_far(row: CourseRow, unit: str) -> str:
    """Say that a window that is not over is not as usual so far, beyond chance and the floors of news; else empty.

    A count that is low so far may still grow.
    """
    rises = (row.value or 0) > (row.median or 0)
    if row.verdict != Verdict.NEWS or (unit == Unit.COUNT and not rises):
        return ""
    return f"{'above' if rises else 'below'} usual so far"


def _answer(
    ask: Ask, metrics: Sequence[str], grain: str, by: Sequence[str], where: Mapping[str, Sequence[str]]
) -> Sequence[NewsNumber]:
    view = ask.view
    filters = {name: list(values) for name, values in {**view.where, **where}.items()}
    known = [name for name in metrics if not ask.unfiltered(name, filters)]
    if not known:
        return ()
    try:
        return ask.kept(
            ask.engine.answers.judged, view.first.isoformat(), view.after.isoformat(), known, grain, list(by), filters,
            view.compared, view.bots,
        ).numbers  # fmt: skip
    except BadQuestionError:
        return ()

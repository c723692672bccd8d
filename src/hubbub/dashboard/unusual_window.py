"""The most unusual day or week of days that are too many to have a usual range as a whole."""

from __future__ import annotations

from datetime import datetime, timedelta

from hubbub.dashboard.ask import Ask
from hubbub.metrics.definition import Unit
from hubbub.metrics.wording import WORDINGS
from hubbub.model.window import Grain
from hubbub.news.answer import NewsAnswer
from hubbub.news.judge import FURTHEST, Verdict
from hubbub.news.number import CourseRow, NewsNumber
from hubbub.news.sentences import amount, beside_usual
from hubbub.reports.formatting import in_sentence, near

LENGTHS = {Grain.DAY: timedelta(days=1), Grain.WEEK: timedelta(weeks=1)}
"""Grains that have unusual windows, and their length on the calendar."""


def unusual_window(ask: Ask, answer: NewsAnswer) -> tuple[str, str] | None:
    """Return the window farthest from its usual range, how many others were outside theirs, and the address of its days.

    None where the days as a whole have usual ranges, or no window has one.
    """
    numbers = [number for number in answer.numbers if number.dimension is None]
    windows = [(number, row) for number in numbers for row in number.course or () if row.low is not None]
    grain = Grain(ask.grain)
    if grain not in LENGTHS or not windows or any(number.verdict != Verdict.UNKNOWN for number in numbers):
        return None
    count = len({row.window for _, row in windows})
    unusual = [(number, row) for number, row in windows if row.verdict == Verdict.NEWS]
    if not unusual:
        return f"None of {count:,} {grain}s was clearly outside its usual range.", ""
    number, row = max(unusual, key=lambda one: _distance(one[1]))
    first = datetime.fromisoformat(row.window).date()
    of_year = "" if ask.view.first.year == (ask.view.after - timedelta(days=1)).year else f" {first.year}"
    when = f"{'The week of ' if grain is Grain.WEEK else ''}{first.day} {first:%B}{of_year}"
    text = f"{when} stood out: {_in_words(ask, answer, number, row)}."
    if others := len({row.window for _, row in unusual}) - 1:
        verb = "was" if others == 1 else "were"
        text += f" {others:,} more of {count:,} {grain}s {verb} clearly outside the usual range."
    return text, ask.link(view=ask.view.on(range="custom", first=first, after=first + LENGTHS[grain], rest={}))


def _distance(row: CourseRow) -> float:
    """Return how far a window lies from its median, in half widths of its usual range."""
    half = ((row.high or 0.0) - (row.low or 0.0)) / 2
    return abs((row.value or 0.0) - (row.median or 0.0)) / half if half else FURTHEST


def _in_words(ask: Ask, answer: NewsAnswer, number: NewsNumber, row: CourseRow) -> str:
    """Return a window's number beside its usual range: "123 messages (usual 0 – 20)", "satisfied 54.3% (usual 70 – 90%)"."""
    wording = WORDINGS[answer.wording]
    title = in_sentence(wording.title(number.metric))
    counts = number.unit == Unit.COUNT
    what = amount(number.metric, row.value, wording) if counts else f"{title} {near(row.value, number.unit)}"
    return f"{what} ({beside_usual(row.low, row.high, number.unit, '')})"

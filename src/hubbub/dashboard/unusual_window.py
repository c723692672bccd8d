"""The day or week to look at of days that have no usual range as a whole: the most unusual one, or else that of most messages."""

from __future__ import annotations

from datetime import datetime, timedelta

from hubbub.dashboard.ask import Ask
from hubbub.metrics.definition import Unit
from hubbub.metrics.wording import WORDINGS
from hubbub.model.window import Grain
from hubbub.news.answer import NewsAnswer
from hubbub.news.judge import FURTHEST, Verdict
from hubbub.news.number import CourseRow, NewsNumber
from hubbub.news.sentences import AMOUNTS, amount, beside_usual
from hubbub.reports.formatting import in_sentence, near

LENGTHS = {Grain.DAY: timedelta(days=1), Grain.WEEK: timedelta(weeks=1)}
"""Grains that have unusual windows, and their length on the calendar."""


def unusual_window(ask: Ask, answer: NewsAnswer) -> tuple[str, str] | None:
    """Return a window in words, and the address of its days.

    It is the one farthest from its usual range, with the number of others outside theirs; where no window has a range, the one
    with most messages. None where the days as a whole have usual ranges.
    """
    numbers = [number for number in answer.numbers if number.dimension is None]
    windows = [(number, row) for number in numbers for row in number.course or () if row.value is not None]
    grain = Grain(ask.grain)
    if grain not in LENGTHS or not windows or any(number.verdict != Verdict.UNKNOWN for number in numbers):
        return None
    known = {row.window for _, row in windows if row.low is not None}
    if not known:
        return _with_most_messages(ask, answer, windows, grain)
    unusual = [(number, row) for number, row in windows if row.verdict == Verdict.NEWS]
    if not unusual:
        return f"None of {len(known):,} {grain}s was clearly outside its usual range.", ""
    number, row = max(unusual, key=lambda one: _distance(one[1]))
    usual = beside_usual(row.low, row.high, number.unit, "")
    text = f"{_when(ask, row, grain)} stood out: {_in_words(answer, number, row)} ({usual})."
    if others := len({row.window for _, row in unusual}) - 1:
        verb = "was" if others == 1 else "were"
        text += f" {others:,} more of {len(known):,} {grain}s {verb} clearly outside the usual range."
    return text, _address(ask, row, grain)


def _with_most_messages(
    ask: Ask, answer: NewsAnswer, windows: list[tuple[NewsNumber, CourseRow]], grain: Grain
) -> tuple[str, str] | None:
    messages = [(number, row) for number, row in windows if number.metric == AMOUNTS[0]]
    if len(messages) < 2:
        return None
    number, row = max(messages, key=lambda one: one[1].value or 0)
    return f"{_when(ask, row, grain)} had most: {_in_words(answer, number, row)}.", _address(ask, row, grain)


def _when(ask: Ask, row: CourseRow, grain: Grain) -> str:
    """Return a window's day or week, with the year if the page has several."""
    first, last = datetime.fromisoformat(row.window), ask.view.after - timedelta(days=1)
    year = f" {first.year}" if ask.view.first.year != last.year else ""
    return (
        f"The week of {first.day} {first:%B}{year}"
        if grain is Grain.WEEK
        else f"{first:%A} {first.day} {first:%B}{year}"
    )


def _address(ask: Ask, row: CourseRow, grain: Grain) -> str:
    first = datetime.fromisoformat(row.window).date()
    return ask.link(view=ask.view.on(range="custom", first=first, after=first + LENGTHS[grain], rest={}))


def _distance(row: CourseRow) -> float:
    """Return how far a window lies from its median, in half widths of its usual range."""
    half = ((row.high or 0.0) - (row.low or 0.0)) / 2
    return abs((row.value or 0.0) - (row.median or 0.0)) / half if half else FURTHEST


def _in_words(answer: NewsAnswer, number: NewsNumber, row: CourseRow) -> str:
    """Return a window's number with its name: "123 messages", "satisfied 54.3%"."""
    wording = WORDINGS[answer.wording]
    if number.unit == Unit.COUNT:
        return amount(number.metric, row.value, wording)
    return f"{in_sentence(wording.title(number.metric))} {near(row.value, number.unit)}"

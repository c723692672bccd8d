"""The news in words: how a point begins, how large it is beside usual, what made it so, and what is within its usual range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hubbub.metrics.catalogue import STATISTICS
from hubbub.metrics.definition import WITHIN, Unit
from hubbub.news.candidates import CANDIDATES, Candidate
from hubbub.news.causes import Cause
from hubbub.news.judge import Verdict
from hubbub.reports.formatting import near, plain

if TYPE_CHECKING:
    from hubbub.news.news import Number, Point

QUIET = "Nothing unusual"
_CALLED = {one.metric: one.name for one in CANDIDATES if not one.by}


def head(candidate: Candidate, number: Number, named: str, *, rises: bool) -> str:
    """Return the beginning of a point: what happened, with the value."""
    text = candidate.up if rises else candidate.down
    value = near(number.cell.value, number.unit)
    return plain(text.replace("{value}", value).replace("{slice}", spoken(named)))


def spoken(name: str) -> str:
    """Return the name of a topic as a sentence begins with it: air_conditioning is “Air conditioning”."""
    text = name.replace("_", " ").strip()
    return f"“{text[:1].upper()}{text[1:]}”"


def change(number: Number) -> str:
    """Say how far a point is from the period before; empty where there is none, or it is the same."""
    value, previous = number.cell.value, number.previous
    return (
        ""
        if value is None or previous is None or value == previous
        else f"{step(value - previous, number.unit)} than before"
    )


def expected(number: Number) -> str:
    """Say what was expected, of a point that has no period before to be held against."""
    low, high = (about(one, number.unit) for one in (number.usual.low, number.usual.high))
    return f"where {low} – {high} is usual"


def usual(candidate: Candidate, number: Number) -> str:
    """Say what is usual of a point, and of how many things it is."""
    low, high, unit, n = number.usual.low, number.usual.high, number.unit, number.cell.n
    of = f"; {n:,} {candidate.things}" if candidate.things and n is not None else ""
    return f"Usual is {about(low, unit)} – {about(high, unit)}{of}"


def step(difference: float, unit: str) -> str:
    """Return a difference in words: 10.9 points less, 52 s longer, 172 more."""
    far = abs(difference)
    if unit == Unit.SHARE:
        return f"{100 * far:.1f} points {'more' if difference > 0 else 'less'}"
    if unit == Unit.MS:
        return f"{about(far, unit)} {'longer' if difference > 0 else 'shorter'}"
    return f"{about(far, unit)} {'more' if difference > 0 else 'less'}"


def about(value: float | None, unit: str) -> str:
    """Write a number that need not be exact: a duration of minutes without its seconds."""
    if value is None or unit != Unit.MS or value < 600_000:
        return near(value, unit)
    minutes = round(value / 60_000)
    return near(minutes * 60_000, unit) if minutes >= 60 else f"{minutes} min"


def because(cause: Cause, named: str, by: str) -> str:
    """Say what made a number so; `by` is what says so of a number that is not made of parts."""
    part = "all" if cause.share >= 0.95 else f"{cause.share:.0%}"
    return f"{plain(named)} explains {part} of it{f', by {by}' if by else ''}"


def within(metric: str) -> str:
    """Return what a metric that stands for a percentile is called in a sentence."""
    statistic = metric.rpartition(".")[2]
    return f"answers {STATISTICS[statistic]}" if statistic in WITHIN else "the mean"


def lead(points: Sequence[Point], known: Sequence[Number]) -> str:
    """Return the sentence on top: the first point with its cause, or that nothing is unusual."""
    if points:
        return points[0].sentence
    if not known:
        return "What is usual is not known yet: that takes four weeks before these days."
    count = "The one number" if len(known) == 1 else f"All {len(known)} numbers"
    verb = "is within its usual range" if len(known) == 1 else "are within their usual range"
    if beyond := [_called(one) for one in known if one.judged.verdict is Verdict.BEYOND]:
        lies = "lie beyond their usual range" if _many(beyond) else "lies beyond its usual range"
        return f"{QUIET}. {_sentence(beyond)} {lies}, by little or of few things."
    return f"{QUIET}. {count} {verb}."


def rest(points: Sequence[Point], known: Sequence[Number]) -> str:
    """Say, beside points, which other numbers are unusual, and which within their usual range; empty where there is no point."""
    if not points:
        return ""
    said = {_kind(point.number.metric) for point in points}
    news = [_called(one) for one in known if one.judged.verdict is Verdict.NEWS and _kind(one.metric) not in said]
    usual_ = [_CALLED[one.metric] for one in known if one.judged.verdict is Verdict.USUAL and one.metric in _CALLED]
    texts = ((news, "unusual, too"), (usual_, "within the usual range"))
    return " ".join(f"{_sentence(names)} {'are' if _many(names) else 'is'} {text}." for names, text in texts if names)


def _called(number: Number) -> str:
    return _CALLED.get(number.metric, number.metric)


def _kind(metric: str) -> str:
    """Return what statistics of a metric have in common: one of them is a point, and stands for the others."""
    return metric.partition(".")[0]


def _many(names: Sequence[str]) -> bool:
    """Whether a verb of these names is in the plural."""
    return len(names) > 1 or names[0].endswith("s")


def _sentence(names: Sequence[str]) -> str:
    """Return names as the beginning of a sentence."""
    text = ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
    return text[:1].upper() + text[1:]

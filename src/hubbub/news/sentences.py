"""The texts of the news: the head of a point, its change, its cause, and sentences about the other numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta, tzinfo

from hubbub.metrics.catalogue import STATISTICS, find
from hubbub.metrics.definition import WITHIN, Unit
from hubbub.metrics.wording import Wording
from hubbub.news.burst import Burst
from hubbub.news.candidates import CANDIDATES, Candidate
from hubbub.news.causes import Cause
from hubbub.news.judge import Verdict, reason
from hubbub.news.number import NewsNumber, Number
from hubbub.news.point import Point
from hubbub.query.result import State
from hubbub.query.usual import Usual
from hubbub.reports.formatting import about, between, in_sentence, in_words, near, plain

QUIET = "Nothing unusual"
NO_NEWS = "Outside the usual range, but not clearly"
SAME = "in the same days"
AMOUNTS = ("messages", "conversations_started")
"""Numbers that say how much there was."""
LACKING = (State.INCOMPLETE, State.NOT_FETCHED)
"""States of numbers with missing data."""
_WHERE = {
    "channel": "in the channel ", "channel_id": "in the room ", "account_id": "in the account ", "topic": "about the topic ",
    "intent": "with the intent ", "staff_id": "with ",
}  # fmt: skip
"""Text before the value of a dimension."""
_PARTS = ((0.995, "all"), (0.9, "almost all"), (0.5, "mostly"), (0.0, "in part"))
"""Least share of a change that a cause explains -> text for it."""
_LEVELS = {Unit.COUNT: ("few", "many"), Unit.MS: ("short", "long")}
_LEVEL = ("low", "high")
"""Texts for days below and above usual, for units that are not in `_LEVELS`."""
_CALLED = {candidate.metric: candidate.name for candidate in CANDIDATES if not candidate.by}


def words_of(
    candidate: Candidate,
    number: Number,
    burst: Burst | None,
    named: str,
    zone: tzinfo,
    days: int,
    *,
    same: bool = False,
) -> tuple[str, str, str]:
    """Return the head of a point of some days, its change, and the usual range if the change does not have it.

    `same`: the point before it has the days of this burst, so that they are not said again.
    """
    if burst is not None:
        head_ = burst_head(candidate, number, burst, named, SAME if same else _days(burst, zone))
        return (
            head_,
            burst_change(number, burst, zone),
            of_all_days(candidate, number, burst, "" if same else _over(burst, zone), days),
        )
    different = change(number)
    return (
        head(candidate, number, named),
        different or expected(number),
        usual(candidate, number, days, "" if number.dimension else candidate.name) if different else "",
    )


def head(candidate: Candidate, number: Number, named: str) -> str:
    """Return the head of a point: what happened, with the value."""
    text = candidate.up if number.rises else candidate.down
    value = near(number.cell.value, number.unit)
    return plain(text.replace("{value}", value).replace("{slice}", quoted(named)))


def burst_head(candidate: Candidate, number: Number, burst: Burst, named: str, days: str) -> str:
    """Return the head of a point with a burst: the days and their number."""
    words = {
        "{was}": "has been" if burst.lasts else "was", "{were}": "have been" if burst.lasts else "were",
        "{level}": _LEVELS.get(number.unit, _LEVEL)[number.rises], "{days}": days,
        "{value}": near(burst.cell.value, number.unit), "{slice}": quoted(named),
    }  # fmt: skip
    return plain(re.sub(r"\{\w+\}", lambda place: words[place[0]], candidate.burst))


def _days(burst: Burst, zone: tzinfo) -> str:
    """Return the days of a burst as text: from 12 to 16 November, on 3 March, since 24 November."""
    first, last = burst.start.astimezone(zone), (burst.end - timedelta(microseconds=1)).astimezone(zone)
    if burst.lasts:
        return f"since {first.day} {first:%B}"
    if first.date() == last.date():
        return f"on {first.day} {first:%B}"
    month = "" if first.month == last.month else f" {first:%B}"
    return f"from {first.day}{month} to {last.day} {last:%B}"


def burst_change(number: Number, burst: Burst, zone: tzinfo) -> str:
    """Return the usual range of as many days and things as a burst has, as text."""
    days = (burst.end.astimezone(zone).date() - burst.start.astimezone(zone).date()).days
    return f"where {_range(burst.usual, number.unit)} is usual for {f'{days} days' if days > 1 else 'such a day'}"


def _over(burst: Burst, zone: tzinfo) -> str:
    """Return since when a burst is over as text, or the only day after it; empty if it lasts."""
    back = burst.end.astimezone(zone)
    if burst.lasts:
        return ""
    day = f"{back.day} {back:%B}"
    return f"Back to the usual range {'on' if burst.days_since == 1 else 'since'} {day}. "


def of_all_days(candidate: Candidate, number: Number, burst: Burst, over: str, days: int) -> str:
    """Return `over`, the number of all days, unless it is the burst's, and its usual range."""
    if number.cell.value == burst.cell.value:
        return f"{over}{usual(candidate, number, days)}"
    different = change(number)
    value = f"{near(number.cell.value, number.unit)}{f', {different}' if different else ''}"
    subject = _sentence([candidate.name]) if not number.dimension else "Messages about it"
    return f"{over}{subject} over all {days} days: {value}. {usual(candidate, number, days)}"


def quoted(topic: str) -> str:
    """Return a topic name inside a sentence: air_conditioning is “air conditioning”."""
    return f"“{in_words('topic', plain(topic)).strip()}”"


def change(number: Number) -> str:
    """Return the difference from the compared period as text; empty without one or without a difference."""
    value, previous = number.cell.value, number.previous
    return (
        ""
        if value is None or previous is None or value == previous
        else f"{step(value - previous, number.unit)} than before"
    )


def expected(number: Number) -> str:
    """Return the usual range of a point without a compared period, as text."""
    return f"where {_range(number.usual, number.unit)} is usual"


def usual(candidate: Candidate, number: Number, days: int, name: str = "") -> str:
    """Return the usual range of a point of some days, with a name, if given, and its number of things, as text."""
    n = number.cell.n
    of = f"; {n:,} {candidate.things}" if candidate.things and n is not None else ""
    of_days = f"{days} days" if days > 1 else "such a day"
    return f"Usual{f' {name}' if name else ''} for {of_days}: {_range(number.usual, number.unit)}{of}"


def _range(usual_: Usual, unit: Unit) -> str:
    assert usual_.low is not None and usual_.high is not None
    return between(usual_.low, usual_.high, unit)


def step(difference: float, unit: str) -> str:
    """Return a difference as text: 10.9 points less, 52 s longer, 172 more."""
    far = abs(difference)
    if unit == Unit.SHARE:
        return f"{100 * far:.1f} points {'more' if difference > 0 else 'less'}"
    if unit == Unit.MS:
        return f"{about(far, unit)} {'longer' if difference > 0 else 'shorter'}"
    return f"{about(far, unit)} {'more' if difference > 0 else 'fewer' if unit == Unit.COUNT else 'less'}"


def moved(number: NewsNumber, wording: Wording) -> str:
    """Return the change from the compared days as a title: "Why satisfaction fell 10.9 points"; empty without compared days.

    A change within the usual range has no "Why": "Messages rose by 19, within the usual range".
    """
    if number.value is None or number.previous is None:
        return ""
    if number.value == number.previous:
        return f"No change in {called(number.metric, wording)}"
    difference = number.value - number.previous
    far = (
        f"{100 * abs(difference):.1f} points"
        if number.unit == Unit.SHARE
        else f"by {about(abs(difference), number.unit)}"
    )
    text = f"{called(number.metric, wording)} {'rose' if difference > 0 else 'fell'} {far}"
    return f"{_sentence([text])}, within the usual range" if number.verdict == Verdict.USUAL else f"Why {text}"


def because(cause: Cause, named: str, there: str, wording: Wording) -> str:
    """Return the cause as text. `there`: its values of another measure; empty if the change has the same measure."""
    where = in_part(cause.share, cause.dimension, named, wording)
    return f"{where} ({there})" if there else where


def in_part(share: float, dimension: str, named: str, wording: Wording) -> str:
    """Return how much of something belongs to a dimension's value: "almost all in the channel WhatsApp"."""
    part = next(words for least, words in _PARTS if share >= least)
    return f"{part} {wording.text(_WHERE.get(dimension, ''))}{plain(named)}"


def there(cause: Cause, metric: str, days: int | None) -> str:
    """Return a cause's values of the metric that explains a percentile: "34% answered within 15 min, before 84%".

    `days`: number of all days, where the sentence is about some of them.
    """
    unit, statistic = find(metric).unit, metric.rpartition(".")[2]
    now, before = (
        f"{value:.0%}" if unit is Unit.SHARE and value is not None else about(value, unit)
        for value in (cause.after, cause.before)
    )
    within = (
        "within the target"
        if metric.endswith("_within_target")
        else STATISTICS[statistic]
        if statistic in WITHIN
        else ""
    )
    measure = f"{now} answered {within}" if within else f"on average {now}"
    measure += f" over all {days} days" if days is not None else ""
    return measure if cause.before is None else f"{measure}, before {before}"


def at_the_same_time(messages: int, topic: str, room: str) -> str:
    """Return the topic of a point as text; `room`: the room of its messages, if the sentence does not name it yet."""
    where = f" in {plain(room)}" if room else ""
    return f"at the same time, {messages:,} messages{where} were about {quoted(topic)}"


def lead(points: Sequence[Point], numbers: Sequence[Number], wording: Wording, *, too_long: bool = False) -> str:
    """Return the lead: the first point with its cause; else a sentence about what is unusual, missing, or that nothing is.

    Where nothing is known to be usual, it says how much there was. Numbers that are outside their usual range, but no news, are
    in `rest`. `numbers`: those of the whole. `too_long`: no usual range reaches so far.
    """
    if points:
        return points[0].sentence
    known = [number for number in numbers if number.judged.verdict is not Verdict.UNKNOWN]
    if not known:
        return amounts(numbers, wording) or unknown(too_long=too_long)
    if unusual := [number for number in known if number.judged.verdict is Verdict.NEWS]:
        return _and_more(unusual, wording)
    lacking = sum(number.cell.state in LACKING for number in known)
    if lacking:
        return f"{QUIET} so far: {lacking} of {len(known)} numbers {'is' if lacking == 1 else 'are'} not complete."
    count = {1: "The only number", 2: "Both numbers"}.get(len(known), f"All {len(known)} numbers")
    verb = "is within its usual range" if len(known) == 1 else "are within their usual range"
    return f"{QUIET}." if _outside(known, wording) else f"{QUIET}. {count} {verb}."


def unknown(*, too_long: bool) -> str:
    """Return why nothing is known to be usual."""
    if too_long:
        return "So many days have no usual range: the longest is that of eight weeks."
    return "Too early to say what is usual: that takes four weeks of data before these days."


def amounts(numbers: Sequence[Number], wording: Wording) -> str:
    """Return how much there was as a sentence: "340 messages, 262 more than before, and 39 new threads."; empty for nothing."""
    at = {number.metric: number for number in numbers}
    there = [number for name in AMOUNTS if (number := at.get(name)) and number.cell.value]
    first, *others = [amount(number.metric, number.cell.value, wording) for number in there] or [""]
    different = change(there[0]) if there else ""
    sentence = f"{first}, {different}," if different else first
    return f"{' and '.join([sentence, *others]).rstrip(',')}." if there else ""


def amount(metric: str, value: float | None, wording: Wording) -> str:
    """Return a count with its name: "340 messages", "1 new thread"."""
    name = in_sentence(wording.title(metric))
    if value == 1:
        name = re.sub(r"s\b", "", name, count=1)
    return f"{near(value, Unit.COUNT)} {name}"


def _and_more(unusual: Sequence[Number], wording: Wording) -> str:
    """Return a text with the number farthest from usual, then further unusual ones."""
    first, *others = sorted(unusual, key=lambda number: -number.judged.size)
    text = f"{wording.title(first.metric)}: {near(first.cell.value, first.unit)}, {expected(first)}."
    return _joined(text, _too(others, wording))


def _too(numbers: Sequence[Number], wording: Wording) -> str:
    """Return a sentence with further unusual numbers and their usual ranges; empty if none."""
    return f"Also unusual: {_listed([_beside(number, wording) for number in numbers])}." if numbers else ""


def _outside(known: Sequence[Number], wording: Wording) -> str:
    """Return a sentence with the numbers that are outside their usual range but no news, and the reasons; empty if none."""
    names = [_beside(number, wording) for number in known if number.judged.verdict is Verdict.BEYOND]
    return f"{NO_NEWS}: {_listed(names)}." if names else ""


def _beside(number: Number, wording: Wording) -> str:
    """Return a number with its usual range, and why it is no news: "messages 4,411 (usual 3,640 – 4,207, by little)"."""
    name, value = called(number.metric, wording), near(number.cell.value, number.unit)
    held = reason(number.judged.held)
    return f"{name} {value} ({beside_usual(number.usual.low, number.usual.high, number.unit, held)})"


def beside_usual(low: float | None, high: float | None, unit: str, held: str) -> str:
    """Return a usual range as text, with a text of why a number outside it is no news; empty if unknown."""
    if low is None or high is None:
        return ""
    return ", ".join(filter(None, (f"usual {between(low, high, unit)}", held)))


def _joined(*texts: str) -> str:
    return " ".join(filter(None, texts))


def rest(points: Sequence[Point], numbers: Sequence[Number], wording: Wording, *, too_long: bool = False) -> str:
    """Return a text about other numbers that are unusual, outside or, beside points, within their usual range.

    Where nothing is known to be usual, and the lead says how much there was, it says why.
    """
    known = [number for number in numbers if number.judged.verdict is not Verdict.UNKNOWN]
    if not points:
        return _outside(known, wording) if known or not amounts(numbers, wording) else unknown(too_long=too_long)
    kinds = {_kind(point.number.metric) for point in points}
    news = [n for n in known if n.judged.verdict is Verdict.NEWS and _kind(n.metric) not in kinds]
    usual_ = [called(n.metric, wording) for n in known if n.judged.verdict is Verdict.USUAL and n.metric in _CALLED]
    quiet = f"{_sentence(usual_)} {'are' if _many(usual_) else 'is'} within the usual range." if usual_ else ""
    return _joined(_too(news, wording), _outside(known, wording), quiet)


def called(metric: str, wording: Wording) -> str:
    """Return the name of a metric inside a sentence."""
    return wording.text(_CALLED[metric]) if metric in _CALLED else in_sentence(wording.title(metric))


def _kind(metric: str) -> str:
    """Return the metric without its statistic: a point with one statistic represents the others."""
    return metric.partition(".")[0]


def _many(names: Sequence[str]) -> bool:
    """Say whether these names take a plural verb."""
    return len(names) > 1 or names[0].endswith("s")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


def _sentence(names: Sequence[str]) -> str:
    """Return a list of names for the start of a sentence."""
    text = _listed(names)
    return text[:1].upper() + text[1:]

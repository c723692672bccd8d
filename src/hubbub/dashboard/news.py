"""The news on top of the Overview, and the judged numbers for its cards and charts.

All widgets ask the operation `news` with the same parameters, so they share one cached answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hubbub.dashboard.ask import Ask, newest_channels
from hubbub.dashboard.components import Cells, Column, Shown, Table
from hubbub.dashboard.incidents import still_open
from hubbub.dashboard.marked_days import MarkedDays
from hubbub.dashboard.person import Role
from hubbub.dashboard.to_do import PAST_TARGET, open_incidents, waiters
from hubbub.dashboard.unusual_window import unusual_window
from hubbub.dashboard.view import COMPARED, PRESETS
from hubbub.dashboard.widgets import NOTHING_HERE
from hubbub.dashboard.within_target import misses, share_within
from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import askable, find
from hubbub.metrics.definition import Unit
from hubbub.metrics.wording import SLACK, WORDINGS, Wording
from hubbub.model.plain import plain
from hubbub.model.window import Grain, day_of
from hubbub.news.answer import NewsAnswer, NewsPoint
from hubbub.news.candidates import FEW, candidate_of
from hubbub.news.judge import Verdict, reason
from hubbub.news.number import CourseRow, NewsNumber
from hubbub.news.sentences import AMOUNTS, NO_NEWS, amount, beside_usual, in_part
from hubbub.query.usual import GRAINS
from hubbub.reports.formatting import in_sentence, near
from hubbub.reports.formatting import plain as plain_text

PAGES: Mapping[str, str] = {
    "csat": "satisfaction", "first_response": "speed", "response_ms": "speed", "resolution_ms": "speed",
    "classifications": "topics",
}  # fmt: skip
"""The page of numbers of a kind, by the beginning of their metric; of all others the Overview."""

UNANSWERED = "questions_unanswered"
NumberOfDay = tuple[NewsNumber, CourseRow]
"""A number, and its day."""


def found(ask: Ask, metrics: Sequence[str]) -> NewsAnswer | None:
    """Return the news of the view's days, with the course of some metrics; None for too many days."""
    try:
        return ask.once("news", lambda: _asked(ask, metrics))
    except BadQuestionError:
        return None


def _asked(ask: Ask, metrics: Sequence[str], by: Sequence[str] = ()) -> NewsAnswer:
    view = ask.view
    grain = ask.grain if ask.grain in GRAINS else Grain.TOTAL.value
    answer = ask.kept(
        ask.engine.answers.news, view.first.isoformat(), view.after.isoformat(), list(metrics), grain, list(by),
        {name: list(values) for name, values in view.where.items()}, view.compared, view.bots,
    )  # fmt: skip
    ask.freshness = answer.freshness
    return answer


def sliced(ask: Ask, metrics: Sequence[str], by: Sequence[str]) -> dict[tuple[str, str | None, str | None], NewsNumber]:
    """Return numbers of slices beside their usual range, by metric, dimension and value; empty for too many days."""
    try:
        answer = _asked(ask, metrics, by)
    except BadQuestionError:
        return {}
    return {(n.metric, n.dimension, n.slice): n for n in answer.numbers if n.dimension in by}


def by_metric(answer: NewsAnswer | None) -> dict[str, NewsNumber]:
    """Return the numbers of the whole in an answer, by metric."""
    return {number.metric: number for number in answer.numbers if number.dimension is None} if answer else {}


def leading(answer: NewsAnswer | None, metrics: Sequence[str]) -> str | None:
    """Return the first of some metrics that has a point in the news, or None."""
    metrics_of_points = [point.metric for point in answer.points if point.dimension is None] if answer else []
    return next((name for name in metrics_of_points if name in metrics), None)


def shown(ask: Ask, answer: NewsAnswer | None) -> Shown:
    """Show the news: lead, up to two more points, usual ranges, and open incidents."""
    if answer is None or not answer.numbers:
        return Shown(empty=_nothing(ask, answer))
    if ask.view.where and not any(number.value for number in by_metric(answer).values()):
        return Shown(empty=NOTHING_HERE)
    points = [_point(ask, point) for point in answer.points]
    columns = [Column("what", "What"), Column("value", "Value", "row"), Column("low", "Usual from", "row"),
               Column("high", "to", "row"), Column("verdict", "Verdict")]  # fmt: skip
    rows = [
        {"what": WORDINGS[answer.wording].title(n.metric), "value": n.value, **plain(n.usual), "unit": n.unit, "verdict": n.verdict}
        for n in answer.numbers if n.dimension is None
    ]  # fmt: skip
    incidents = _incidents(ask)
    data = {
        "when": _when(ask, answer), "points": points, "lead": answer.lead, "rest": answer.rest,
        "missed": missed_target(ask), "yesterday": yesterday(ask, answer), "day_before": _day_before(ask),
        "unusual": unusual_window(ask, answer),
        "now": waiting_now(ask, WORDINGS[answer.wording], quiet=not points),
        "questions": open_questions(ask) if answer.wording == SLACK else None,
        "incidents": incidents, "open": open_incidents(ask) if incidents else None,
    }  # fmt: skip
    return Shown("news", data, Table(columns, rows), answer.lead)


def _incidents(ask: Ask) -> list[Cells]:
    """Return the open incidents beside the news, for those who may see them."""
    return still_open(ask) if ask.person.may(Role.ANALYST) and ask.person.session else []


def marked_days(ask: Ask, answer: NewsAnswer | None, metric: str) -> list[MarkedDays]:
    """Return what the chart of a metric marks: days that the news name, and those of the open incidents beside the news.

    A point with a topic names its days for every number, another only for its own.
    """
    found = []
    for point in answer.points if answer else ():
        days = point.burst or point.topic
        topic = point.topic.name if point.topic else point.slice if point.dimension == "topic" else None
        if days is None or not (topic or (point.metric, point.dimension) == (metric, None)):
            continue
        name = ask.label("topic", topic) if topic else f"unusually {'high' if _is_high(point) else 'low'}"
        start, end = (datetime.fromisoformat(text) for text in (days.from_, days.to))
        found.append(MarkedDays(f"{name[:1].upper()}{name[1:]}", start, end, point.way or ""))
    for one in _incidents(ask):
        start, end = (datetime.fromisoformat(one[name]) for name in ("from", "to"))
        found.append(MarkedDays(one["title"], start, end))
    return found


def _is_high(point: NewsPoint) -> bool:
    value, usual = (point.burst.value, point.burst.usual.median) if point.burst else (None, None)
    return (value or 0) > (usual or 0)


def missed_target(ask: Ask) -> str:
    """Return that fewer waits than wanted were within their target; empty without one, and where chance explains it (95 %)."""
    name = share_within(ask)
    number = ask.query([name]).number(name) if name else None
    if name is None or number is None or not misses(number):
        return ""
    assert number.value is not None and number.goal is not None and number.n
    share, goal = near(number.value, Unit.SHARE), round(100 * number.goal, 1)
    within = f"{share} ({round(number.value * number.n):,} of {number.n:,})"
    return f"{ask.title(name)}: {within}, below the {goal:g}% wanted{_lowest(ask, name, number.value)}."


def _lowest(ask: Ask, name: str, whole: float) -> str:
    """Return the room, or else the channel, with the lowest share of enough waits, if it is below that of the whole."""
    for by in ("channel_id", "channel"):
        if by not in askable(find(name).rollup):
            continue
        answer = ask.query([name], by=[by])
        shares = {
            where: row.value(name) or 0.0
            for row in answer.rows
            if (row.number(name).n or 0) >= FEW and (where := row.dim(by))
        }
        if len(shares) > 1:
            worst = min(shares, key=lambda where: shares[where])
            lowest = f"; lowest in {plain_text(ask.label(by, worst))}: {near(shares[worst], Unit.SHARE)}"
            return lowest if shares[worst] < whole else ""
    return ""


def yesterday(ask: Ask, answer: NewsAnswer) -> str:
    """Return how the day before today went, beside what is usual for its weekday; empty where the page does not show it."""
    day = day_of(ask.now, ask.tenant.tz) - timedelta(days=1)
    known = [
        (number, row) for number in answer.numbers if number.dimension is None for row in number.course or ()
        if ask.grain == "day" and row.window[:10] == day.isoformat() and row.value is not None and row.low is not None
    ]  # fmt: skip
    if not known or (day + timedelta(days=1)) == ask.view.after:  # days that end with yesterday are judged above
        return ""
    wording = WORDINGS[answer.wording]
    beyond, small, usual = (
        [(number, row) for number, row in known if row.verdict == verdict]
        for verdict in (Verdict.NEWS, Verdict.BEYOND, Verdict.USUAL)
    )
    if not beyond and not answer.points:  # a quiet morning is one line
        return ""
    outside = "; ".join(_beside_usual(number, row, wording) for number, row in beyond)
    little = "; ".join(_beside_usual(number, row, wording) for number, row in small)
    others = "The other" if beyond or small else "All"
    words = [
        _counted(known, [*beyond, *small], wording), f"{outside[:1].upper()}{outside[1:]}",
        f"{NO_NEWS}: {little}" if little else "",
        f"{others} {len(usual)} numbers were within their usual range" if len(usual) > 1 else "",
    ]  # fmt: skip
    return " ".join(f"{part}." for part in words if part)


def _beside_usual(number: NewsNumber, row: CourseRow, wording: Wording) -> str:
    """Return a number of a day beside its usual range, in words."""
    happened = _happened(number, row.value, wording)
    return f"{happened} ({beside_usual(row.low, row.high, number.unit, reason(row.held))})"


def _counted(known: Sequence[NumberOfDay], beyond: Sequence[NumberOfDay], wording: Wording) -> str:
    """Return how many messages and conversations a day had, as far as they are not said to be unusual."""
    unusual = {number.metric for number, _ in beyond}
    values = {number.metric: row.value for number, row in known if number.metric not in unusual}
    return ", ".join(amount(name, values[name], wording) for name in AMOUNTS if name in values)


def _happened(number: NewsNumber, value: float | None, wording: Wording) -> str:
    """Return a day's number in words: "1 in 10 waited longer than 2 h 5 min for a first response", or its title and value."""
    written, candidate = near(value, number.unit), candidate_of(number.metric)
    both_ways = candidate.up if candidate and candidate.up == candidate.down else ""
    title = wording.title(number.metric)
    return wording.text(both_ways).replace("{value}", written) or f"{in_sentence(title)}: {written}"


def waiting_now(ask: Ask, wording: Wording, *, quiet: bool) -> tuple[str, bool] | None:
    """Return who waits for a reply now, past the target if there is one, and whether anybody does; None for days without today.

    `quiet`: nothing else is news, and only conversations past their target are; nor is it said that nobody waits.
    """
    view, today = ask.view, day_of(ask.now, ask.tenant.tz)
    if view.where or not view.first <= today < view.after:
        return None
    states = ask.kept(ask.engine.answers.states)
    (count, how), longest = waiters(states), states.now.get("oldest_waiting_ms")
    past = how == PAST_TARGET
    if count == 0 and not quiet:
        return f"Nobody waits {how.replace('their', 'the')}.", False
    if not count or not isinstance(longest, int | float) or (quiet and not past):
        return None
    where = _most_wait(ask, "waiting_past_target" if past else "waiting_conversations", count, wording)
    if count == 1:
        return (
            f"{wording.text('1 conversation waits')} {how.replace('their', 'its')}, for {near(longest, Unit.MS)}.",
            True,
        )
    who = wording.text(f"{count:,} conversations wait")
    return f"{who} {how}{where}, the longest for {near(longest, Unit.MS)}.", True


def _most_wait(ask: Ask, metric: str, count: int, wording: Wording) -> str:
    """Return the channel where most of the waiting conversations are; empty where it is less than half, or the only channel."""
    today = day_of(ask.now, ask.tenant.tz)
    rows = ask.query([metric], by=["channel"], span=(today, today + timedelta(days=1))).rows
    most = max(rows, key=lambda row: row.value(metric) or 0, default=None)
    share = (most.value(metric) or 0) / count if most is not None else 0.0
    channel = most.dim("channel") if most is not None else None
    if count == 1 or share < 0.5 or channel is None or len(newest_channels(ask.engine, ask.tenant)) < 2:
        return ""
    share = share if share == 1 else min(share, 0.99)  # not "all" where one waits elsewhere
    return f", {in_part(share, 'channel', ask.label('channel', channel), wording)}"


def open_questions(ask: Ask) -> tuple[str, str] | None:
    """Return how many questions of these days have no answer, and the address that lists them; None where none is open."""
    counts = ask.query([UNANSWERED])
    count = 0 if counts.unfiltered else counts.number(UNANSWERED).value
    if not count:
        return None
    of = "" if ask.view.after > day_of(ask.now, ask.tenant.tz) else " of these days"
    text = f"{count:,} questions{of} have no answer." if count > 1 else f"1 question{of} has no answer."
    return text, ask.explained(UNANSWERED)


def _nothing(ask: Ask, answer: NewsAnswer | None) -> str:
    if answer is None:
        return "News cover up to a year: choose fewer days."
    if ask.view.where:
        return "News are not known by these filters."
    return "These days have not begun."


def _point(ask: Ask, point: NewsPoint) -> dict[str, Any]:
    """Return a point with its head split around the value, and the link to its rows."""
    value = near(point.burst.value if point.burst else point.value, point.unit)
    start, _, rest = point.head.rpartition(value)
    where = {
        name: values[0] for name, values in point.where.items() if tuple(values) != tuple(ask.view.where.get(name, ()))
    }
    things = f"{point.n:,} {point.things}" if point.things and point.n else "Explain"
    return {
        "start": start, "value": value, "end": rest, "change": point.change, "because": point.because,
        "usual": (point.in_words or "").partition(";")[0], "way": point.way or "", "things": things,
        "dot": "" if point.burst and not point.burst.lasts else point.way or "",
        "rows": ask.explained(point.metric, where=where), "page": _page(ask, point),
    }  # fmt: skip


def _page(ask: Ask, point: NewsPoint) -> str:
    """Return the address that shows a point's cause: the page of its metric, its filters, and of a burst its days."""
    view, page = ask.view, next((page for begins, page in PAGES.items() if point.metric.startswith(begins)), ask.page)
    parts = [(point.dimension, point.slice), *([(point.cause.dimension, point.cause.value)] if point.cause else [])]
    for name, value in parts:
        if name is not None and name in ask.filters and value is not None:
            view = view.with_filter(name, value)
    if point.burst and "range" not in view.locked:
        first, after = (
            day_of(datetime.fromisoformat(text), ask.tenant.tz) for text in (point.burst.from_, point.burst.to)
        )
        view = view.on(range="custom", first=first, after=after)
    return ask.link(page, view.on(rest={})) if (view, page) != (ask.view, ask.page) else ""


def _day_before(ask: Ask) -> str:
    """Return the address of yesterday's numbers; empty where the days are fixed."""
    return "" if "range" in ask.view.locked else ask.link(view=ask.view.on(range="yesterday", rest={}))


def _when(ask: Ask, answer: NewsAnswer) -> str:
    """Return moment, days and compared days in words."""
    now = ask.now.astimezone(ask.tenant.tz)
    days = PRESETS[ask.view.range].lower() if ask.view.range in PRESETS else ask.view.title
    words = f"{now:%A} {now.day} {now:%B} {now.year}, {now:%H:%M} · {days}"
    if answer.before is None or ask.view.begins:
        return words
    first, last = (datetime.fromisoformat(text) for text in answer.before)
    against = _span(first, last - timedelta(microseconds=1), now.year)
    same = f" ({COMPARED[ask.view.compare].lower()})" if ask.view.compare not in ("previous", "none") else ""
    return f"{words} against {against}{same}"


def _span(first: datetime, last: datetime, year: int) -> str:
    """Return days in words, with the year unless it is this one."""
    of = "" if last.year == year else f" {last.year}"
    if first.date() == last.date():
        return f"{first.day} {first:%b}{of}"
    start = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else f"{first.day} {first:%b}"
    start += f" {first.year}" if first.year != last.year else ""
    return f"{start} – {last.day} {last:%b}{of}"

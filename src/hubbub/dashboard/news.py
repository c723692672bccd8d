"""The news on top of the Overview, and the numbers that it judged, which its cards and charts are drawn from.

All parts of the page ask the operation `news` with the same words, so that one answer, cached, is behind all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Column, Role, Shown, Table
from hubbub.dashboard.incidents import still_open
from hubbub.dashboard.view import COMPARED, FILTERS, PRESETS
from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import title_of
from hubbub.model.plain import plain
from hubbub.model.window import Grain
from hubbub.news.answer import NewsAnswer, NewsNumber, NewsPoint
from hubbub.query.usual import GRAINS
from hubbub.reports.formatting import near


def found(ask: Ask, metrics: Sequence[str]) -> NewsAnswer | None:
    """Return the news of the view's days, with the course of some metrics; None where the days are too many for news."""
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
    """Return numbers of slices beside what is usual, by metric, dimension and value; none where the days are too many for news."""
    try:
        answer = _asked(ask, metrics, by)
    except BadQuestionError:
        return {}
    return {(one.metric, one.dimension, one.slice): one for one in answer.numbers if one.dimension in by}


def by_metric(answer: NewsAnswer | None) -> dict[str, NewsNumber]:
    """Return the whole's numbers of an answer by metric."""
    return {one.metric: one for one in answer.numbers if one.dimension is None} if answer else {}


def leading(answer: NewsAnswer | None, metrics: Sequence[str]) -> str | None:
    """Return the first of some metrics that the news are about: it is shown first."""
    metrics_of_points = [one.metric for one in answer.points if one.dimension is None] if answer else []
    return next((name for name in metrics_of_points if name in metrics), None)


def shown(ask: Ask, answer: NewsAnswer | None) -> Shown:
    """Show the news: the sentence on top, up to two points more, what is usual, and open incidents beside."""
    if answer is None or not answer.numbers:
        return Shown(empty=_nothing(ask, answer))
    if ask.view.where and not any(one.value for one in by_metric(answer).values()):
        return _no_rows(ask)
    points = [_point(ask, one) for one in answer.points]
    columns = [Column("what", "What"), Column("value", "Value", "row"), Column("low", "Usual from", "row"),
               Column("high", "to", "row"), Column("verdict", "Verdict")]  # fmt: skip
    rows = [
        {"what": title_of(one.metric), "value": one.value, **plain(one.usual), "unit": one.unit, "verdict": one.verdict}
        for one in answer.numbers if one.dimension is None
    ]  # fmt: skip
    data = {
        "when": _when(ask, answer), "points": points, "lead": answer.lead, "rest": answer.rest,
        "incidents": still_open(ask) if ask.person.may(Role.ANALYST) and ask.person.session else [],
    }  # fmt: skip
    return Shown("news", data, Table(columns, rows), answer.lead)


def _no_rows(ask: Ask) -> Shown:
    """Say which filters have no rows in these days, and offer the way back from each."""
    view = ask.view
    ways = [
        (f"{FILTERS[name]}: {ask.label(name, value)}", ask.link(view=view.without(name, value)))
        for name, values in view.where.items() if name not in view.locked for value in values
    ]  # fmt: skip
    what = " and ".join(
        f"{FILTERS[name].lower()} {' or '.join(ask.label(name, value) for value in values)}"
        for name, values in view.where.items()
    )
    said = f"Nothing of {what} in these days"
    return Shown("no_rows", {"said": said, "ways": ways}, summary=said)


def _nothing(ask: Ask, answer: NewsAnswer | None) -> str:
    if answer is None:
        return "News cover up to a year: take fewer days to see what is unusual."
    if ask.view.where:
        return "What is unusual is not known by these filters."
    return "These days have not begun."


def _point(ask: Ask, one: NewsPoint) -> dict[str, Any]:
    """Return a point with its head cut around its value, and the way to its rows."""
    value = near(one.value, one.unit)
    start, _, rest = one.head.rpartition(value)
    where = {
        name: values[0] for name, values in one.where.items() if tuple(values) != tuple(ask.view.where.get(name, ()))
    }
    things = f"{one.n:,} {one.things}" if one.things and one.n else "Its rows"
    return {
        "start": start, "value": value, "end": rest, "change": one.change, "because": one.because,
        "usual": (one.in_words or "").partition(";")[0], "way": one.way or "", "things": things,
        "rows": ask.explained(one.metric, where=where),
    }  # fmt: skip


def _when(ask: Ask, answer: NewsAnswer) -> str:
    """Say at what moment this is so, of which days, and against which."""
    now = ask.now.astimezone(ask.tenant.tz)
    days = PRESETS[ask.view.range].lower() if ask.view.range in PRESETS else ask.view.title
    said = f"{now:%A} {now.day} {now:%B}, {now:%H:%M} · {days}"
    if answer.before is None:
        return said
    first, last = (datetime.fromisoformat(text) for text in answer.before)
    against = _span(first, last - timedelta(microseconds=1))
    same = f" ({COMPARED[ask.view.compare].lower()})" if ask.view.compare not in ("previous", "none") else ""
    return f"{said} against {against}{same}"


def _span(first: datetime, last: datetime) -> str:
    if first.date() == last.date():
        return f"{first.day} {first:%b}"
    start = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else f"{first.day} {first:%b}"
    return f"{start} – {last.day} {last:%b}"

"""Cards: numbers with their change, direction, sparkline, usual range and n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from markupsafe import Markup

from hubbub.calculations import change
from hubbub.dashboard.answer_rows import Moved, PageNumber
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Column, Shown, Table
from hubbub.dashboard.sparks import sparkline
from hubbub.dashboard.usual_ranges import judged, so_far
from hubbub.dashboard.widgets import THIS, change_in_words, open_window, unit_of
from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Score, Unit
from hubbub.news.candidates import FEW
from hubbub.news.direction import way_beyond
from hubbub.news.judge import Verdict, held_back
from hubbub.news.number import NewsNumber
from hubbub.news.sentences import beside_usual
from hubbub.query.result import UNKNOWN, Number, State
from hubbub.reports.formatting import FEWEST, of_few, shown

SCALES = {
    "contact_engagement_score": "0 to 100", "campaign_score": "0 to 100", "rating_avg": "1 to 5", "nps_score": "−100 to 100",
    "nps10_score": "−100 to 100",
}  # fmt: skip
"""Scores -> their scale, which the number alone does not tell."""


@dataclass(frozen=True, slots=True)
class Card:
    """A number as `parts/cards.html` draws it."""

    name: str
    title: str
    value: Number
    unit: str
    explained: str
    """Address of the number's explanation."""
    previous: Number = None
    n: int | None = None
    state: str = ""
    why: str = ""
    """Why the number is unknown."""
    spark: str = ""
    unfiltered: str = ""
    """A filter of the page that the metric does not have."""
    chosen: bool = False
    """Whether the chart below shows it."""
    chart: str = ""
    """Address that chooses it for the chart."""
    change: str = ""
    way: str = ""
    """Class of the change's color."""
    foot: str | None = None
    """What stands below in place of n."""
    aim: str = ""
    """Distance from the target, before the foot."""
    aim_way: str = ""
    """Class of its color: worse where the target is missed."""

    @property
    def shown(self) -> str:
        """The value for people; a share of fewer than five as a count."""
        return of_few(self.value, self.n, self.unit) or shown(self.value, self.unit)

    @property
    def incomplete(self) -> bool:
        """Whether a source has a gap in these days."""
        return self.state == State.INCOMPLETE


def cards(
    ask: Ask,
    metrics: Sequence[str],
    *,
    driving: str | None = None,
    page: str = "",
    beside: Mapping[str, NewsNumber] = MappingProxyType({}),
) -> Shown:
    """Show metrics with change, direction, sparkline, usual range and n. `driving`: the metric of the chart below.

    `beside`: the same numbers from the news, if known. Noise decides the color of a change. Numbers of what no source ever reported
    are left out, and a note says so.
    """
    shown_, missing = ask.reported(metrics), ask.not_reported(metrics)
    if not shown_:
        return Shown(empty=missing)
    metrics, beside = shown_, beside or judged(ask, shown_)
    totals = _totals(ask, metrics, beside)
    lines = _sparks(ask, [name for name in metrics if name not in beside]) | _courses(ask, beside)
    drawn = [_card(ask, name, totals[name], lines.get(name, ""), driving, page) for name in metrics]
    judged_ = [_judged(card, beside[card.name], ask) if card.name in beside else card for card in drawn]
    judged_ = [_scaled(card) for card in judged_]
    return replace(shown_cards(judged_), note=" ".join(filter(None, (_which_usual(ask, judged_), missing))))


def _scaled(card: Card) -> Card:
    """Return the card of a score with its scale before the foot."""
    if card.name not in SCALES:
        return card
    n = f"n\u00a0=\u00a0{card.n:,}" if card.n is not None else ""
    return replace(card, foot=" · ".join(filter(None, (SCALES[card.name], n if card.foot is None else card.foot))))


NOT_KNOWN = "usual range not known"


def _which_usual(ask: Ask, cards_: Sequence[Card]) -> str:
    """Say of which days the usual ranges of cards are, and of which the band behind a line; empty without any."""
    feet = [card.foot or "" for card in cards_]
    if not any("usual " in foot and NOT_KNOWN not in foot for foot in feet):
        return ""
    days = ask.view.days
    whole = f"{days} days" if days > 1 else "such a day"
    band = f" The grey band: for one {ask.grain}." if any('class="usual"' in card.spark for card in cards_) else ""
    return f"Usual: what the weeks before suggest for {whole}.{band}"


def _totals(ask: Ask, metrics: Sequence[str], beside: Mapping[str, NewsNumber]) -> Mapping[str, PageNumber]:
    """Return the numbers of all days: from the news, where these have all that the filters allow."""
    if beside and all(name in beside or ask.unfiltered(name) for name in metrics):
        return {name: _of_news(ask, beside[name]) if name in beside else PageNumber() for name in metrics}
    answer = ask.query(metrics, compare=ask.view.compared)
    return {name: answer.number(name) for name in metrics}


def _of_news(ask: Ask, number: NewsNumber) -> PageNumber:
    known = PageNumber(number.value, number.n, number.state)
    if not ask.view.compared:
        return known
    moved = change(number.value, number.previous, number.unit == Unit.SHARE)
    return replace(known, previous=number.previous, moved=Moved(moved.absolute, moved.relative))


def _courses(ask: Ask, beside: Mapping[str, NewsNumber]) -> dict[str, Markup]:
    """Draw the course of numbers over their usual range; without that of all days there is no band."""
    return {
        name: sparkline(
            [row.value for row in number.course], open_window([row.window for row in number.course], ask),
            [(row.low, row.high) for row in number.course] if number.usual.low is not None else (),
        )
        for name, number in beside.items() if number.course
    }  # fmt: skip


def _sparks(ask: Ask, metrics: Sequence[str]) -> dict[str, Markup]:
    drawn = [
        name for name in metrics if not isinstance(find(name).declared, Score)
    ]  # a score has one number at the end
    answer = ask.query(drawn, grain=ask.grain)
    open_at = open_window([row.window for row in answer.rows], ask)
    return {
        name: sparkline([row.value(name) for row in answer.rows], open_at)
        for name in drawn if name not in answer.unfiltered
    }  # fmt: skip


def _card(ask: Ask, name: str, number: PageNumber, spark: str, driving: str | None, page: str) -> Card:
    unit, unfiltered = unit_of(name), ask.unfiltered(name)
    return Card(
        name, ask.title(name), number.value, unit, "" if unfiltered else ask.explained(name), number.previous, number.n,
        number.state, UNKNOWN.get(number.state, ""), spark, unfiltered, name == driving,
        ask.link(page, metric=name) if driving is not None else "", change_in_words(number, unit),
    )  # fmt: skip


def _judged(card: Card, number: NewsNumber, ask: Ask) -> Card:
    """Give a card color and foot: a number outside its usual range has a color, is bold, or says what holds it back."""
    days = ask.view.days
    unit, usual = number.unit, beside_usual(number.usual.low, number.usual.high, number.unit, held_back(number.held))
    if number.verdict == Verdict.UNKNOWN and card.change:  # a large change in grey needs a word
        usual = f"{NOT_KNOWN} for {days} days" if days > 1 else NOT_KNOWN
    if not (card.spark or number.value or number.previous or number.usual.median):  # always 0: nothing to compare
        usual = ""
    n = f"n\u00a0=\u00a0{number.n:,}" if unit != Unit.COUNT and number.n else ""
    if unit == Unit.SHARE and number.n and FEWEST <= number.n < FEW and number.value is not None:
        n = f"{round(number.value * number.n)} of {number.n}"
    return replace(card, way=way_beyond(number), foot=" · ".join(filter(None, (usual, n, _so_far(ask, number)))))


def _so_far(ask: Ask, number: NewsNumber) -> str:
    """Say that the window in progress, the hollow end of the card's line, is not as usual so far; else empty."""
    course = number.course or ()
    open_at = open_window([row.window for row in course], ask)
    far = so_far(course[open_at], number.unit) if open_at is not None and len(course) > 1 else ""
    return f"{THIS[ask.grain]} {far}" if far else ""


def shown_cards(drawn: Sequence[Card]) -> Shown:
    """Show cards with their table and summary."""
    columns = [
        Column("metric", "Metric"), Column("value", "Value", "row"), Column("previous", "Before", "row"),
        Column("n", "n", "count"),
    ]  # fmt: skip
    rows = [
        {"metric": card.title, "value": card.value, "previous": card.previous, "n": card.n, "unit": card.unit}
        for card in drawn
    ]
    summary = "; ".join(", ".join(filter(None, (f"{card.title} {card.shown}", card.change))) for card in drawn)
    return Shown("cards", {"cards": drawn}, Table(columns, rows), summary)

"""Satisfaction: ratings, response rate, by channel and staff."""

from __future__ import annotations

from hubbub.dashboard import charts
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.cards import cards
from hubbub.dashboard.chosen_chart import chosen_chart
from hubbub.dashboard.components import Column, Group, Page, Shown, Table, Widget
from hubbub.dashboard.widgets import breakdown, chosen, chosen_over_time, filter_first

CARDS = ("csat", "rating_avg", "nps_score", "survey_response_rate", "ratings", "surveys_sent")
TRUE_NPS = "nps10_score"
RATINGS = {f"rating_{n}": str(n) for n in range(1, 6)}
NOT_RATED = "There are no ratings in these days and filters."


def _cards(ask: Ask) -> Shown:
    """Show the numbers, with the true NPS if surveys used its scale."""
    nps_answers = ask.query(["nps_answers"]).number("nps_answers").value
    return cards(ask, [*CARDS, TRUE_NPS] if nps_answers else CARDS, driving=_chosen(ask))


def _chosen(ask: Ask) -> str:
    return chosen(ask, (*CARDS, TRUE_NPS))


def _chart(ask: Ask) -> Shown:
    return chosen_chart(ask, _chosen(ask))


def _ratings(ask: Ask) -> Shown:
    answer = ask.query([*RATINGS, "ratings"])
    if answer.unfiltered:
        return filter_first(ask, "ratings", answer)
    whole = answer.number("ratings").value
    if not whole:
        return Shown(empty=NOT_RATED)
    counts = {title: answer.number(name).value or 0 for name, title in RATINGS.items()}
    rows = [
        {"rating": title, "n": n, "n_shown": f"{n:,} ({n / whole:.1%})", "share": n / whole}
        for title, n in counts.items()
    ]
    columns = [Column("rating", "Rating"), Column("n", "Ratings", "count"), Column("share", "Share", "share")]
    links = [{"n": ask.explained(name)} for name in RATINGS]
    summary = f"{whole:,} ratings: " + ", ".join(f"{row['n']:,} of {row['rating']}" for row in rows)
    spec = charts.bars(rows, "rating", "n", "Ratings", order=list(RATINGS.values()))
    return Shown("chart", {"spec": spec}, Table(columns, rows, links), summary)


def _by(ask: Ask, dimension: str) -> Shown:
    names = ["ratings", "csat", "rating_avg", "survey_response_rate"]
    return breakdown(ask, dimension, names, titles={"survey_response_rate": "Answered"}, nothing=NOT_RATED)


def _channels(ask: Ask) -> Shown:
    return _by(ask, "channel")


def _staff(ask: Ask) -> Shown:
    return _by(ask, "staff_id")


PAGE = Page(
    "satisfaction", "Satisfaction",
    (
        Widget("cards", "What people say", _cards, size="cards", wide=True),
        Widget("chart", "Over time", _chart, wide=True, fact=chosen_over_time((*CARDS, TRUE_NPS))),
        Widget("ratings", "Ratings from 1 to 5", _ratings, wide=True),
        Widget("channels", "By channel", _channels, size="list", lazy=True),
        Widget("staff", "By staff", _staff, size="list", lazy=True),
    ),
    group=Group.NUMBERS, subject="satisfaction",
)  # fmt: skip

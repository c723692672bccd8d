"""Contacts: how many people come, act and block; how engaged they are and, for analysts, who most."""

from __future__ import annotations

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.cards import cards
from hubbub.dashboard.chosen_chart import chosen_chart
from hubbub.dashboard.components import Column, Group, Page, Shown, Table, Widget
from hubbub.dashboard.person import Role
from hubbub.dashboard.widgets import NOTHING_HERE, breakdown, chosen, chosen_over_time, filter_first
from hubbub.reports.formatting import shown

SCORE = "contact_engagement_score"
DRIVING = ("active_contacts", "new_contacts", "total_contacts", "blocked_contacts")
TOP = 10


def _cards(ask: Ask) -> Shown:
    return cards(ask, (*DRIVING, SCORE), driving=chosen(ask, (*DRIVING, SCORE)))


def _chart(ask: Ask) -> Shown:
    name = chosen(ask, (*DRIVING, SCORE))
    if name == SCORE:
        return Shown(
            empty="The engagement score is a number at the end of these days: choose another number to see it over time."
        )
    return chosen_chart(ask, name)


def _channels(ask: Ask) -> Shown:
    return breakdown(ask, "channel", ["active_contacts", "new_contacts"])


def _accounts(ask: Ask) -> Shown:
    return breakdown(ask, "account_id", ["active_contacts", "new_contacts"], title="Account")


def _top(ask: Ask) -> Shown:
    answer = ask.query([SCORE], by=["contact_id"])
    if answer.unfiltered:
        return filter_first(ask, SCORE, answer)
    scored = [(row.value(SCORE) or 0, str(row.dim("contact_id"))) for row in answer.rows]
    top = sorted((-score, contact) for score, contact in scored if score)[:TOP]
    if not top:
        return Shown(empty=NOTHING_HERE)
    columns = [Column("contact_id", "Contact"), Column(SCORE, "Score", "index")]
    links = [
        {
            "contact_id": ask.link("conversations", find=contact),
            SCORE: ask.explained(SCORE, where={"contact_id": contact}),
        }
        for _, contact in top
    ]
    rows = [{"contact_id": contact, SCORE: -score} for score, contact in top]
    summary = f"The {len(rows)} most engaged {ask.in_words('contacts')}; the first has {shown(rows[0][SCORE], 'index')} of 100"
    return Shown("table", {}, Table(columns, rows, links), summary)


PAGE = Page(
    "contacts", "Contacts",
    (
        Widget("cards", "People", _cards, size="cards", wide=True),
        Widget("chart", "Over time", _chart, wide=True, fact=chosen_over_time((*DRIVING, SCORE))),
        Widget("channels", "By channel", _channels, size="list", lazy=True,
               about="A contact who writes in two channels is active in both, and new where it was seen first."),
        Widget("accounts", "By account", _accounts, size="list", lazy=True),
        Widget("top", "Most engaged", _top, size="list", lazy=True, role=Role.ANALYST,
               about="By the score (0 to 100) at the end of these days: recent messages, clicks, reads, good "
               "ratings and conversions."),
    ),
    group=Group.ROWS,
)  # fmt: skip

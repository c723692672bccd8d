"""Team: work, speed and ratings of the staff in one table; who is online."""

from __future__ import annotations

from dataclasses import replace

from hubbub.dashboard.agents import agents
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.cards import cards
from hubbub.dashboard.chosen_chart import chosen_chart
from hubbub.dashboard.components import Group, Page, Shown, Widget
from hubbub.dashboard.live import online
from hubbub.dashboard.widgets import chosen, chosen_over_time

CARDS = (
    "conversations_handled", "responses", "tasks_completed", "open_conversations", "waiting_conversations", "staff_online",
)  # fmt: skip

HANDLED = "Handled: conversations that staff answered in these days, whenever they began."


def _cards(ask: Ask) -> Shown:
    drawn = cards(ask, CARDS, driving=chosen(ask, CARDS))
    note = " ".join(filter(None, (ask.in_words(HANDLED), drawn.note)))
    return replace(drawn, note=note, more=[("How it is counted", ask.explained(CARDS[0]))])


def _chart(ask: Ask) -> Shown:
    return chosen_chart(ask, chosen(ask, CARDS))


PAGE = Page(
    "team", "Team",
    (
        Widget("cards", "At a glance", _cards, size="cards", wide=True),
        Widget("agents", "By person", agents, size="list", wide=True,
               about="A change is shown where it is better or worse beyond what is usual."),
        Widget("chart", "Over time", _chart, fact=chosen_over_time(CARDS)),
        Widget("online", "Online now", online, size="list", lazy=True),
    ),
    group=Group.NUMBERS,
)  # fmt: skip

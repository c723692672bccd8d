"""Team: workload, speed and ratings by staff; who is online."""

from __future__ import annotations

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.build import breakdown, cards, chosen
from hubbub.dashboard.components import Group, Page, Shown, Widget
from hubbub.dashboard.driven import driven
from hubbub.dashboard.live import online
from hubbub.dashboard.ranges import ranges

CARDS = (
    "conversations_handled", "responses", "tasks_completed", "open_conversations", "waiting_conversations", "staff_online",
)  # fmt: skip


def _cards(ask: Ask) -> Shown:
    return cards(ask, CARDS, driving=chosen(ask, CARDS))


def _chart(ask: Ask) -> Shown:
    return driven(ask, chosen(ask, CARDS))


def _workload(ask: Ask) -> Shown:
    names = ["conversations_handled", "responses", "tasks_completed", "sla_breaches"]
    return breakdown(ask, "staff_id", names, most=30, nothing="No staff replied or did a task in these days.")


def _speed(ask: Ask) -> Shown:
    titles = {
        ask.timed("response_ms.count"): "Answers", ask.timed("response_ms.p50"): "Median", ask.timed("response_ms.p90"): "90 %",
        ask.timed("first_response_ms.p50"): "First, median",
    }  # fmt: skip
    return breakdown(ask, "staff_id", list(titles), most=30, titles=titles)


def _satisfaction(ask: Ask) -> Shown:
    nothing = "There are no ratings in these days and filters."
    return ranges(ask, "staff_id", "csat", "ratings", ["rating_avg"], nothing)


PAGE = Page(
    "team", "Team",
    (
        Widget("cards", "At a glance", _cards, size="cards", wide=True),
        Widget("workload", "Workload", _workload, size="list", wide=True,
               about="Replies without a person, like those of AI, are (none)."),
        Widget("chart", "Over time", _chart, wide=True),
        Widget("speed", "Speed", _speed, size="list", lazy=True, about="Response times of their replies."),
        Widget("satisfaction", "Satisfaction", _satisfaction, size="list", lazy=True),
        Widget("online", "Online now", online, size="small", lazy=True),
    ),
    group=Group.NUMBERS,
)  # fmt: skip

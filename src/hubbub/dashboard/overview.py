"""Overview: the news with causes, numbers beside their usual range, channels and rooms, and busy hours."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import product
from math import ceil

from hubbub.dashboard import news
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.cards import cards
from hubbub.dashboard.chosen_chart import chosen_chart
from hubbub.dashboard.components import WEEKDAYS, Column, Group, Page, Shown, Table, Widget
from hubbub.dashboard.conversation_rows import days_of_silence
from hubbub.dashboard.places import places
from hubbub.dashboard.questions import asked, unanswered_questions
from hubbub.dashboard.waiting import unanswered
from hubbub.dashboard.why import why
from hubbub.dashboard.widgets import NOTHING_HERE
from hubbub.dashboard.within_target import share_in_time, share_within, with_distance
from hubbub.metrics.catalogue import askable, find
from hubbub.metrics.wording import SLACK, kind_of
from hubbub.model.window import Grain, first_day, next_first_day
from hubbub.news.answer import NewsAnswer
from hubbub.news.number import NewsNumber
from hubbub.news.sentences import called, moved
from hubbub.reports.dates import short_days
from hubbub.reports.formatting import near

CARDS = ("messages", "conversations_started", "active_contacts", "first_response_ms.p50", "escalation_rate", "csat")
FIRST, SLOWEST = "first_response_ms.p50", "first_response_ms.p90"
IN_TIME = "first_response_ms.within_15min"
TEAM = ("messages", "conversations_started", FIRST, IN_TIME, "csat", "ratings")
"""Columns of channels and rooms; with a target the share within it replaces that within 15 minutes."""
FEW_A_DAY = 10
"""Fewest things a day to draw a share by day; with fewer it jumps and is drawn by week."""
ANSWERED, UNANSWERED = "question_answer_rate", "questions_unanswered"
WAITING = "waiting_conversations"
SLACK_CARDS = (
    "messages",
    "conversations_started",
    WAITING,
    "first_response_ms.p50",
    ANSWERED,
    "active_contacts",
)
SLACK_ROOMS = (
    "messages", "conversations_started", "questions", UNANSWERED, "first_response_ms.p50", "first_response_ms.within_1d",
)  # fmt: skip
HEAT_DAYS = 366
"""Most days of the heatmap, up to the last with messages: older habits say little about the present."""
LEVELS = 5


def _is_slack(ask: Ask) -> bool:
    """Whether all messages of these days are from Slack."""

    def only() -> bool:
        answer = ask.query(["messages"], by=["channel"])
        return kind_of([row.dim("channel") for row in answer.rows if row.value("messages")]) == SLACK

    return ask.once("slack", only)


def _news_of(ask: Ask) -> NewsAnswer | None:
    """Return the news of these days, with the course of all cards."""
    within = share_within(ask)
    names = (*(SLACK_CARDS if _is_slack(ask) else CARDS), SLOWEST, *([within] if within else []))
    return news.found(ask, [ask.timed(name) for name in names])


def _metrics(ask: Ask) -> list[str]:
    """Return the metrics of the cards; if the slowest first responses are in the news, they replace the median.

    With a target for first responses, or else for each, the share within it replaces the active contacts.
    """
    swap = {FIRST: SLOWEST} if news.leading(_news_of(ask), [ask.timed(SLOWEST)]) else {}
    if (within := share_within(ask)) is not None:
        swap["active_contacts"] = within
    return ask.reported(ask.timed(swap.get(name, name)) for name in (SLACK_CARDS if _is_slack(ask) else CARDS))


def _chosen(ask: Ask) -> str:
    """Return the metric of the address, else the leading one of the news, else the first."""
    metrics = _metrics(ask)
    metric = ask.timed(ask.param("metric"))
    return metric if metric in metrics else news.leading(_news_of(ask), metrics) or metrics[0]


def _beside(ask: Ask) -> dict[str, NewsNumber]:
    metrics = _metrics(ask)
    known = news.by_metric(_news_of(ask))
    return {name: known[name] for name in metrics if name in known}


def _news(ask: Ask) -> Shown:
    return news.shown(ask, _news_of(ask))


def _cards(ask: Ask) -> Shown:
    drawn = with_distance(ask, cards(ask, _metrics(ask), driving=_chosen(ask), beside=_beside(ask)))
    return _with_counted(ask, drawn) if _is_slack(ask) else drawn


def _with_counted(ask: Ask, drawn: Shown) -> Shown:
    """Add what is counted as a thread, as waiting and as a question: the three numbers differ."""
    silence = days_of_silence(ask)
    closed = f"; after {silence} of silence it counts as closed" if silence else ""
    note = (
        "A thread is a message with replies, and counts where it began. At the end of these days it waits for a reply if nobody "
        f"has replied since its author last wrote{closed}. Questions are counted one by one, in a thread or not."
    )
    ways = [(f"How “{ask.title(name)}” is counted", ask.explained(name)) for name in (WAITING, UNANSWERED)]
    return replace(drawn, note=f"{drawn.note} {note}".strip(), more=[*drawn.more, *ways])


def _chart(ask: Ask) -> Shown:
    name = _chosen(ask)
    return chosen_chart(ask, name, _beside(ask).get(name), news.marked_days(ask, _news_of(ask), name))


def _over_time(ask: Ask) -> str:
    """Return the title of the chart, with the number's name of the news: "Slowest first responses over time"."""
    name = called(_chosen(ask), ask.wording)
    return f"{name[:1].upper()}{name[1:]} over time"


def _why(ask: Ask) -> Shown:
    name = _chosen(ask)
    return why(ask, name, _beside(ask).get(name))


def _moved(ask: Ask) -> str:
    """Return the change of the chosen number as the title of its causes: "Why satisfaction fell 10.9 points"."""
    number = _beside(ask).get(_chosen(ask))
    return moved(number, ask.wording) if number and ask.view.compared else ""


def _places(ask: Ask) -> Shown:
    slack = _is_slack(ask)
    within, title = share_in_time(ask, IN_TIME)
    names = [within if name == IN_TIME else ask.timed(name) for name in (SLACK_ROOMS if slack else TEAM)]
    if (chosen := _chosen(ask)) not in names and "channel" in askable(find(chosen).rollup):
        names.append(chosen)
    return places(ask, ask.reported(names), {within: title} if title else {}, alone=SLACK if slack else "")


def _unanswered(ask: Ask) -> Shown:
    """Show who waits; with Slack alone questions without an answer, or without questions threads that wait for a reply."""
    if not _is_slack(ask):
        return unanswered(ask)
    return unanswered_questions(ask) or unanswered(ask)


def _unanswered_title(ask: Ask) -> str:
    """Return what the panel of those who wait lists with Slack alone: questions, where any was asked."""
    return ask.title(UNANSWERED) if _is_slack(ask) and asked(ask) else ""


def _heat_days(ask: Ask) -> tuple[date, date]:
    """Return the days of the heatmap, `[first, after)`: all, or if too many a year up to the last month with messages."""
    first, after = ask.view.first, ask.view.after
    if (after - first).days > HEAT_DAYS:
        months = ask.query(["messages_received"], grain="month").rows
        busy = [date.fromisoformat(row.window[:10]) for row in months if row.value("messages_received")]
        if busy:
            after = min(after, next_first_day(first_day(busy[-1], Grain.MONTH), Grain.MONTH))
        first = max(first, after - timedelta(days=HEAT_DAYS))
    return first, after


def _heat(ask: Ask) -> Shown:
    span = _heat_days(ask)
    answer = ask.query(["messages_received"], grain="hour", span=span)
    if answer.unfiltered:
        return Shown(empty="Messages are not known by that filter.")
    known: dict[tuple[int, int], list[float]] = {}
    for row in answer.rows:
        if (received := row.value("messages_received")) is not None:  # an unknown hour is left out
            at = datetime.fromisoformat(row.window)
            known.setdefault((at.weekday(), at.hour), []).append(received)
    means = {place: sum(counts) / len(counts) for place, counts in known.items()}
    busiest = max(means, key=lambda place: means[place], default=None)
    if busiest is None or not (top := means[busiest]):
        return Shown(empty=NOTHING_HERE)
    rows = [
        (day, [(sum(known.get(place, ())), ceil(LEVELS * means.get(place, 0) / top)) for place in product((number,), range(24))])
        for number, day in enumerate(WEEKDAYS)
    ]  # fmt: skip
    average = f"{near(top, 'count')} messages received on average"
    summary = f"Busiest: {WEEKDAYS[busiest[0]]} at {busiest[1]}:00 with {average}."
    columns = [Column("day", "Day"), *(Column(str(hour), f"{hour}:00", "count") for hour in range(24))]
    table = Table(columns, [{"day": day, **{str(hour): n for hour, (n, _) in enumerate(hours)}} for day, hours in rows])
    whole = span == (ask.view.first, ask.view.after)
    note = "" if whole else f"{short_days(*span)}: a year up to the last month with messages."
    return Shown("heat", {"rows": rows}, table, summary, note)


PAGE = Page(
    "overview", "Overview",
    (
        Widget("news", "The news", _news, size="news", wide=True),
        Widget("cards", "At a glance", _cards, size="cards", wide=True),
        Widget("chart", "Over time", _chart, fact=_over_time),
        Widget("why", "Why", _why, size="list", lazy=True, fact=_moved),
        Widget(
            "unanswered", "Waiting for a reply", _unanswered, size="list", lazy=True, fact=_unanswered_title,
            about="Of these days, the longest first.",
        ),
        Widget(
            "heat", "When people write", _heat, size="list", lazy=True,
            about="Received by weekday and hour; darker: more on average.",
        ),
        Widget(
            "places", "Channels and rooms", _places, size="list", wide=True, lazy=True,
            about="Only unusual changes are shown.",
        ),
    ),
    group=Group.NOW,
)  # fmt: skip

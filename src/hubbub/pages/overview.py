"""Overview: six numbers with their change, the chosen one over time, where it comes from, when it is busy, what changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import title_of
from hubbub.metrics.definition import Unit
from hubbub.model.question import NONE
from hubbub.model.window import Grain, first_day, next_first_day
from hubbub.pages.ask import Ask
from hubbub.pages.build import NOTHING_HERE, breakdown, cards, chosen, over_time, unit_of
from hubbub.pages.parts import Column, Group, Page, Shown, Table, Widget
from hubbub.pages.view import FILTERS
from hubbub.reports.words import shown

CARDS = ("messages", "conversations_started", "active_contacts", "first_response_ms.p50", "escalation_rate", "csat")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HEAT_DAYS = 366
"""Days that the heatmap shows at most, the last with messages: older habits say little of when people write now."""
LEVELS = 5


def _cards(ask: Ask) -> Shown:
    return cards(ask, [ask.timed(name) for name in CARDS], driving=chosen(ask, CARDS))


def _chart(ask: Ask) -> Shown:
    return over_time(ask, [chosen(ask, CARDS)], compare=True)


def _channels(ask: Ask) -> Shown:
    return breakdown(ask, "channel", ["messages", "conversations_started", ask.timed("first_response_ms.p50")])


def _rooms(ask: Ask) -> Shown:
    return breakdown(ask, "channel_id", ["messages", "conversations_started"])


def _heat_days(ask: Ask) -> tuple[date, date]:
    """Return the days that the heatmap shows, `[first, after)`: all, or of more than it can show a year up to
    the last month with messages."""
    first, after = ask.view.first, ask.view.after
    if (after - first).days > HEAT_DAYS:
        months = ask.query(["messages_received"], grain="month").rows
        busy = [date.fromisoformat(row["window"][:10]) for row in months if row["messages_received"]]
        if busy:
            after = min(after, next_first_day(first_day(busy[-1], Grain.MONTH), Grain.MONTH))
        first = max(first, after - timedelta(days=HEAT_DAYS))
    return first, after


def _heat(ask: Ask) -> Shown:
    span = _heat_days(ask)
    answer = ask.query(["messages_received"], grain="hour", span=span)
    if answer.unfiltered:
        return Shown(empty="Messages are not known by that filter.")
    found: dict[tuple[int, int], int] = {}
    for row in answer.rows:
        if row["messages_received"] is not None:  # an hour that is not known is none of those that are added up
            at = datetime.fromisoformat(row["window"])
            found[at.weekday(), at.hour] = found.get((at.weekday(), at.hour), 0) + row["messages_received"]
    top = max(found.values(), default=0)
    if not top:
        return Shown(empty=NOTHING_HERE)
    rows: list[tuple[str, list[int]]] = [
        (day, [found.get((number, hour), 0) for hour in range(24)]) for number, day in enumerate(WEEKDAYS)
    ]
    busiest = max(found, key=lambda key: found[key])
    said = f"Busiest: {WEEKDAYS[busiest[0]]} at {busiest[1]}:00 with {found[busiest]} messages received."
    columns = [Column("day", "Day"), *(Column(str(hour), f"{hour}:00", "count") for hour in range(24))]
    table = Table(columns, [{"day": day, **{str(hour): n for hour, n in enumerate(hours)}} for day, hours in rows])
    whole = span == (ask.view.first, ask.view.after)
    note = "" if whole else f"From {span[0]} to before {span[1]}: a year up to the last month with messages."
    return Shown("heat", {"rows": rows, "step": top / LEVELS}, table, said, note)


def _changed(ask: Ask) -> Shown:
    name = chosen(ask, CARDS).replace(".p50", ".avg")
    try:
        answer = ask.kept(
            "changes", metrics=name, start=ask.view.first.isoformat(), end=ask.view.after.isoformat(),
            where={k: list(v) for k, v in ask.view.where.items()}, compare=ask.view.compared or "previous",
            include_bots=ask.view.bots, limit=5,
        )  # fmt: skip
    except BadQuestionError as error:
        return Shown(empty=error.message)
    if answer["difference"] is None:
        return Shown(empty="There is nothing to compare with.")
    rows = [
        _contribution(ask, dimension, row, answer["unit"])
        for dimension, found in answer["dimensions"].items()
        for row in found["rows"]
        if row["contribution"]
    ]
    rows.sort(key=lambda row: -abs(row["contribution"]))
    rows = rows[:8]
    unit = unit_of(name)
    said = f"{title_of(name)} went from {shown(answer['before'], unit)} to {shown(answer['after'], unit)}"
    columns = [
        Column("what", "What"),
        *(
            Column(name, title, unit)
            for name, title in (("before", "Before"), ("after", "After"), ("contribution", "Moved it by"))
        ),
    ]
    return Shown("changed", {"said": said, "unit": unit}, Table(columns, rows), said, empty="" if rows else f"{said}.")


def _contribution(ask: Ask, dimension: str, row: Mapping[str, Any], unit: str) -> dict[str, Any]:
    value = ask.label(dimension, row["value"]) if row["value"] is not None else NONE
    return {
        "what": f"{FILTERS.get(dimension, dimension)}: {value}",
        **{name: _whole(row[name], unit) for name in ("before", "after", "contribution")},
    }


def _whole(value: float | None, unit: str) -> float | int | None:
    """Return a count as the whole number that it is; contributions come as fractions."""
    return round(value) if value is not None and unit == Unit.COUNT and value == round(value) else value


PAGE = Page(
    "overview", "Overview",
    (
        Widget("cards", "At a glance", _cards, size="cards", wide=True),
        Widget("chart", "Over time", _chart, wide=True),
        Widget("channels", "Channels", _channels, size="list"),
        Widget("rooms", "Rooms", _rooms, size="list", lazy=True),
        Widget("changed", "What changed", _changed, size="list", lazy=True, about="What moved the chosen number most."),
        Widget("heat", "When people write", _heat, size="list", lazy=True, about="Received, by weekday and hour."),
    ),
    group=Group.NOW,
)  # fmt: skip

"""Coverage: which days of each source are there, as a calendar, and the ranges that are not, with what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import WEEKDAYS, Column, Done, Form, Group, Page, Role, Shown, Table, Widget
from hubbub.dashboard.forms import Act, asked, data_table
from hubbub.model.coverage import Reason
from hubbub.model.window import day_of
from hubbub.services.coverage import Covered, CoveredDay, GapView

WEEKS = 26
"""Weeks that a calendar shows, up to this one."""
PAGE_SIZE = 10
LEVELS = 5
"""Shades of a day with events, as in the style sheet."""
KINDS = {"fetched": "there", "empty": "none", "partial": "failed", "unknown": "missing", "not_over": "open"}
"""Classes of days in the style sheet, by state."""
NAMES = {"fetched": "there", "not_over": "not over yet", "unknown": "not known"}
"""States of days in words, where the name is none."""
SENT = (Reason.DOWN, Reason.NOT_TAKEN, Reason.UNVERIFIED, Reason.SILENT, Reason.RATE_LIMITED, Reason.LOST)
"""Reasons of gaps in what a service sends by itself, which a person may close."""
FAILED = (Reason.FAILED, Reason.REFUSED, Reason.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Square:
    """A day of a calendar: its class in the style sheet, and what is known of it in words."""

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """A source with its weeks as columns: `months` names a month over the week that it begins in, `rows` are weekdays."""

    source: Covered
    months: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Square]]]


def _calendars(ask: Ask) -> Shown:
    today = day_of(ask.now, ask.tenant.tz)
    first = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    page = ask.engine.coverage.of(
        ask.tenant.id, first.isoformat(), (first + timedelta(weeks=WEEKS)).isoformat(), cursor=asked(ask, "cursor"),
        limit=PAGE_SIZE,
    )  # fmt: skip
    if not page.rows:
        return Shown(
            empty="No source is connected: what programs send and what was imported has no days to be fetched."
        )
    columns = [
        Column("source", "Source"), Column("date", "Day"), Column("state", "State"), Column("found", "Events", "count"),
        Column("message", "Why"),
    ]  # fmt: skip
    days = [
        {"source": one.name, "date": day.date.isoformat(), "state": day.state, "found": day.found, "message": day.message}
        for one in page.rows for day in one.days if day.date <= today
    ]  # fmt: skip
    following = ask.link("coverage", ask.view.on(rest={"cursor": page.next})) if page.next else ""
    data = {"calendars": [_calendar(one, today) for one in page.rows], "next": following}
    return Shown("calendar", data, Table(columns, days), "Days of each source, by weekday and week.")


def _calendar(one: Covered, today: date) -> Calendar:
    most = max((day.found or 0 for day in one.days), default=0)
    squares = [_square(day, most) if day.date <= today else Square("", "") for day in one.days]
    mondays = [day.date for day in one.days[::7]]
    return Calendar(one, list(_months(mondays)), [(name, squares[n::7]) for n, name in enumerate(WEEKDAYS)])


def _months(mondays: Sequence[date]) -> Iterator[str]:
    """Yield for each week the month that begins in it, or nothing."""
    for monday in mondays:
        sunday = monday + timedelta(days=6)
        yield sunday.strftime("%b") if sunday.day <= 7 else ""


def _square(day: CoveredDay, most: int) -> Square:
    if day.state == "before":
        return Square("", "")
    if day.state == "missing":
        kind = "failed" if day.reason in FAILED else "missing"
    elif day.state == "fetched" and day.found:
        kind = f"h{max(1, math.ceil(LEVELS * day.found / most))}"
    else:
        kind = KINDS[day.state]
    events = f"{day.found} events" if day.found is not None else NAMES.get(day.state, day.state)
    return Square(kind, f"{day.date}: {day.message or events}")


def _gaps(ask: Ask) -> Shown:
    page = ask.engine.coverage.of(ask.tenant.id, limit=100)
    found = [(one, gap) for one in page.rows for gap in _joined(one.gaps)]
    rows = [
        {"source": one.name, "from": gap.from_.isoformat(), "to": gap.to.isoformat(), "why": gap.message, "do": gap.action}
        for one, gap in found
    ]  # fmt: skip
    columns = [
        Column("source", "Source"), Column("from", "From", "moment"), Column("to", "To", "moment"),
        Column("why", "Why", "long"), Column("do", "What to do", "long"),
    ]  # fmt: skip
    nothing = "No gap is open: of every source all that is over is there." if page.rows else "No source is connected."
    acts = [
        [Act("close", "Nothing is missing", {"integration": one.integration})] if gap.reason in SENT else []
        for one, gap in found
    ]
    return data_table(ask, columns, rows, acts=acts if ask.person.may(Role.ADMIN) else (), nothing=nothing)


def _close(ask: Ask, form: Form) -> Done:
    closed = ask.engine.coverage.close(ask.tenant.id, form.get("integration", "")).closed
    return Done(f"Gaps that were closed: {closed}. Their numbers count as complete from now on.")


def _joined(gaps: Sequence[GapView]) -> list[GapView]:
    """Return gaps with those as one that touch and are of the same kind."""
    found: list[GapView] = []
    for gap in gaps:
        if found and found[-1].to == gap.from_ and replace(gap, from_=found[-1].from_, to=found[-1].to) == found[-1]:
            found[-1] = replace(found[-1], to=gap.to)
        else:
            found.append(gap)
    return found


PAGE = Page(
    "coverage", "Coverage",
    (
        Widget("gaps", "What is not there", _gaps, size="small", wide=True,
               about="Numbers over these ranges are not known, or not complete, and say so."),
        Widget("days", "Day by day", _calendars, size="tall", wide=True, lazy=True,
               about="An outlined day was fetched and had nothing: that is a zero. A hatched day is not known."),
    ),
    role=Role.ANALYST, header=False, group=Group.SET_UP, actions={"close": _close},
)  # fmt: skip

"""Coverage: the fetched days of each source as a calendar, and its gaps, with what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from hubbub.control.integrations import FETCHED
from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.base_path import at
from hubbub.dashboard.components import WEEKDAYS, Column, Done, Group, Page, Shown, Table, Widget
from hubbub.dashboard.conversations import local
from hubbub.dashboard.forms import Act, data_table, parameter
from hubbub.dashboard.person import Role
from hubbub.ingest.connectors.catalogue import CONNECTORS
from hubbub.model.coverage import Reason
from hubbub.model.question import check_order, parse_date
from hubbub.model.window import day_of
from hubbub.services.coverage import Covered, CoveredDay, GapView
from hubbub.services.fetching import CATCH_UP

WEEKS = 26
"""Weeks of a calendar, up to this one."""
PAGE_SIZE = 10
LEVELS = 5
"""Shades of a day with events, as in the style sheet."""
KINDS = {"fetched": "there", "empty": "none", "partial": "failed", "unknown": "missing", "not_over": "open"}
"""Classes of days in the style sheet, by state."""
NAMES = {"fetched": "there", "not_over": "not over yet", "unknown": "not known"}
"""Names of states, where they differ from the state."""
SENT = (
    Reason.DOWN,
    Reason.NOT_TAKEN,
    Reason.UNVERIFIED,
    Reason.SILENT,
    Reason.RATE_LIMITED,
    Reason.LOST,
    Reason.SKIPPED,
)
"""Reasons of gaps in what a service sends by itself, which a person may close."""
ALL_COMPLETE = "Every source is complete."
FETCHABLE = (Reason.NOT_TRIED, Reason.FAILED, Reason.REFUSED, Reason.PAUSED, Reason.UNREADABLE)
"""Reasons of gaps whose days may be fetched."""
FAILED = (Reason.FAILED, Reason.REFUSED, Reason.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Square:
    """A day of a calendar: its class in the style sheet, and a text."""

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """A source with weeks as columns: `months` has the name of a month over its first week, `rows` are weekdays."""

    source: Covered
    complete_to: str
    months: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Square]]]


def _calendars(ask: Ask) -> Shown:
    today = day_of(ask.now, ask.tenant.tz)
    first = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    page = ask.engine.coverage.of(
        ask.tenant.id, first.isoformat(), (first + timedelta(weeks=WEEKS)).isoformat(), cursor=parameter(ask, "cursor"),
        limit=PAGE_SIZE,
    )  # fmt: skip
    if not page.rows:
        return _unconnected(ask)
    columns = [
        Column("source", "Source"), Column("date", "Day", "date"), Column("state", "State"), Column("found", "Events", "count"),
        Column("message", "Why"),
    ]  # fmt: skip
    days = [
        {"source": source.name, "date": day.date.isoformat(), "state": day.state, "found": day.found, "message": day.message}
        for source in page.rows for day in source.days if day.date <= today
    ]  # fmt: skip
    following = ask.link("coverage", ask.view.on(rest={"cursor": page.next})) if page.next else ""
    data = {"calendars": [_calendar(ask, source, today) for source in page.rows], "next": following}
    return Shown("calendar", data, Table(columns, days), "Days of each source, by weekday and week.")


def _unconnected(ask: Ask) -> Shown:
    """Say what is known without a connected source, and how imported events go on."""
    operates = ask.person.may(Role.OPERATOR)
    who = "connect a service" if operates else "ask an operator to connect a service"
    return Shown(
        empty=(
            "No source is connected. Whether something sent or imported is missing is not known: only connected sources have days "
            f"and gaps. Next: import a newer file or export, in which known events are not counted twice, or {who}."
        ),
        more=[("Connect a service", f"{at('/operate/sources')}?tenant={ask.tenant.id}")] if operates else [],
    )


def _calendar(ask: Ask, source: Covered, today: date) -> Calendar:
    most = max((day.found or 0 for day in source.days), default=0)
    squares = [_square(day, most) if day.date <= today else Square("", "") for day in source.days]
    mondays = [day.date for day in source.days[::7]]
    return Calendar(
        source,
        local(ask, source.complete_to),
        list(_months(mondays)),
        [(name, squares[n::7]) for n, name in enumerate(WEEKDAYS)],
    )


def _months(mondays: Sequence[date]) -> Iterator[str]:
    """Yield for each week the month that begins in it, or an empty text."""
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
    first = day_of(ask.now, ask.tenant.tz) - timedelta(weeks=WEEKS)
    page = ask.engine.coverage.of(ask.tenant.id, first.isoformat(), limit=100)
    if not page.rows:
        return _unconnected(ask)
    with_source = [(source, gap) for source in page.rows for gap in _joined(source.gaps)]
    rows = [
        {"source": source.name, "from": local(ask, gap.from_), "to": local(ask, gap.to), "why": gap.message, "do": gap.action}
        for source, gap in with_source
    ]  # fmt: skip
    columns = [
        Column("source", "Source"), Column("from", "From", "instant"), Column("to", "To", "instant"),
        Column("why", "Why", "long"), Column("do", "What to do", "long"),
    ]  # fmt: skip
    unheard = [source.name for source in page.rows if not any(day.found for day in source.days)]
    complete = f"No event has come from {', '.join(unheard)} in the last half year." if unheard else ALL_COMPLETE
    acts = [list(_acts(source, gap)) for source, gap in with_source]
    return data_table(
        ask, columns, rows, acts=acts if ask.person.may(Role.ADMIN) else (), nothing=f"No gap is open. {complete}"
    )


def _acts(source: Covered, gap: GapView) -> Iterator[Act]:
    """Yield what a person may do about a gap: fetch its days, or say that nothing is missing."""
    if gap.reason in SENT:
        yield Act("close", "Nothing is missing", {"integration": source.integration})
    if gap.reason in FETCHABLE and source.provider in CONNECTORS and source.state in FETCHED:
        first, last = (day_of(at, ZoneInfo(source.zone)) for at in (gap.from_, gap.to - timedelta(microseconds=1)))
        sends = {"integration": source.integration, "from": first.isoformat(), "to": last.isoformat()}
        yield Act("fetch", "Fetch this day" if first == last else "Fetch these days", sends)


def _fetch(ask: Ask, form: Form) -> Done:
    """Start the catch-up of the days of a gap, newest first, as many as a night fetches."""
    source = ask.engine.integrations.get(ask.tenant.id, form.get("integration", ""))
    first, last = (parse_date(form.get(name, "")) for name in ("from", "to"))
    check_order(first, last + timedelta(days=1))
    dates = [(last - timedelta(days=back)).isoformat() for back in range(min((last - first).days + 1, CATCH_UP))]
    job = f"catch-up:{ask.tenant.id}:{source.id}:{dates[0]}:{dates[-1]}:{ask.now:%Y%m%d%H%M}"
    ask.engine.jobs.start("catch-up", {"integration_id": source.id, "dates": dates}, ask.tenant.id, job=job)
    days = "1 day is" if len(dates) == 1 else f"{len(dates)} days are"
    return Done(f"{days} fetched by a job, the newest first; this page shows each once it is stored.")


def _close(ask: Ask, form: Form) -> Done:
    closed = ask.engine.coverage.close(ask.tenant.id, form.get("integration", "")).closed
    return Done(f"Gaps that were closed: {closed}. Their numbers count as complete from now on.")


def _joined(gaps: Sequence[GapView]) -> list[GapView]:
    """Merge adjacent gaps of the same kind."""
    merged: list[GapView] = []
    for gap in gaps:
        if (
            merged
            and merged[-1].to == gap.from_
            and replace(gap, from_=merged[-1].from_, to=merged[-1].to) == merged[-1]
        ):
            merged[-1] = replace(merged[-1], to=gap.to)
        else:
            merged.append(gap)
    return merged


PAGE = Page(
    "coverage", "Coverage",
    (
        Widget("gaps", "Gaps", _gaps, size="small", wide=True,
               about="Numbers of these times are missing or incomplete, and every page marks them."),
        Widget("days", "Day by day", _calendars, size="tall", wide=True, lazy=True,
               about="An outlined day was fetched and had no events. Nothing is known of a hatched day."),
    ),
    role=Role.ANALYST, header=False, group=Group.SET_UP, actions={"close": _close, "fetch": _fetch},
)  # fmt: skip

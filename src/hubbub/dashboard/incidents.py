"""Incidents of alert rules; and one incident: its number beside the usual range, who still waits, what happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from hubbub.dashboard import charts
from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Cells, Column, Done, Group, Page, Shown, Table, Widget
from hubbub.dashboard.conversation_rows import CONTACT, MESSAGE, conversation_columns, csv_only, texts_of, ways
from hubbub.dashboard.forms import Act, Fact, Field, choice, data_table, facts, parameter
from hubbub.dashboard.marked_days import TITLE, MarkedDays, marked_in_words, with_incidents
from hubbub.dashboard.person import Role
from hubbub.dashboard.readings import readings
from hubbub.dashboard.view import FILTERS
from hubbub.dashboard.waiting import rows_of, who
from hubbub.dashboard.widgets import usual_of
from hubbub.errors import HubbubError
from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Unit
from hubbub.model.plain import JsonObject, plain
from hubbub.model.question import Question
from hubbub.query.live import members
from hubbub.reports.formatting import moment, shown
from hubbub.services.incidents import IncidentView, OneIncident

PAGE = 50
MOST_WAITING = 50
AROUND = {"hour": timedelta(days=3), "day": timedelta(days=42), "week": timedelta(weeks=26)}
"""Time before an incident in its chart."""
LENGTHS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
OPEN = ("open", "acknowledged", "snoozed")


def _list(ask: Ask) -> Shown:
    state = parameter(ask, "state", ("open", "closed"))
    page = ask.engine.incidents.of(ask.tenant.id, state, limit=PAGE, cursor=parameter(ask, "cursor"))
    units = _units(ask)
    rows = [_row(row, units.get(row.rule, "")) for row in page.rows]
    columns = [
        Column("title", "Incident", "long"), Column("state", "State", "state"), Column("value", "When it opened"),
        Column("usual", "Usual"), Column("peak", "Peak"), Column("from", "From", "instant"), Column("to", "To", "instant"),
    ]  # fmt: skip
    return data_table(
        ask, columns, rows, links=[{"title": ask.link("incident", id=row.id)} for row in page.rows],
        acts=[_acts(row) for row in page.rows], choices=[choice(ask, "state", "State", {"open": "Open", "closed": "Closed"})],
        following=page.next, nothing="There are no incidents. An alert rule opens one when it fires.",
        more=[("Alert rules", ask.link("alerts"))],
    )  # fmt: skip


def _units(ask: Ask) -> dict[str, str]:
    """Return the unit of each rule's metric."""
    return {rule.id: find(rule.metric).unit.value for rule in ask.engine.alerts.of(ask.tenant.id).rows}


def _row(row: IncidentView, unit: str) -> JsonObject:
    return {**plain(row), **{name: _shown(getattr(row, name), unit) for name in ("value", "usual", "peak")}}


def _shown(value: float | None, unit: str) -> str:
    return shown(int(value) if value is not None and float(value).is_integer() else value, unit)


def still_open(ask: Ask, most: int = 3) -> list[Cells]:
    """Return open incidents for other pages, newest first, with links."""
    rows = ask.engine.incidents.of(ask.tenant.id, "open", limit=most).rows
    units = _units(ask) if rows else {}
    return [
        {
            **_row(row, units.get(row.rule, "")),
            "link": ask.link("incident", None, id=row.id),
            "known": row.usual is not None,
        }
        for row in rows
    ]


# --- one incident


def _incident(ask: Ask) -> OneIncident:
    return ask.once("incident", lambda: ask.engine.incidents.get(ask.tenant.id, ask.param("id")))


def _facts(ask: Ask) -> Shown:
    row = _incident(ask)
    unit = find(row.alert.metric).unit.value
    moments = {
        "From": row.from_, "To": row.to, "Opened": row.opened_at, "Closed": row.closed_at,
        "Acknowledged": row.acknowledged_at, "Snoozed until": row.snoozed_until,
    }  # fmt: skip
    known = [
        Fact("Incident", row.title), Fact("State", row.state, "state"), Fact("Rule", row.alert.name),
        Fact("Watches", ask.title(row.alert.metric)), Fact("When it opened", _shown(row.value, unit), link=_explained(ask, row)),
        *([Fact("Usual", _shown(row.usual, unit))] if row.usual is not None else []), Fact("Peak", _shown(row.peak, unit)),
        *(Fact(title, plain(moment), "instant") for title, moment in moments.items()),
    ]  # fmt: skip
    return facts(ask, [fact for fact in known if fact.value is not None], forms=_acts(row, more=True))


def _explained(ask: Ask, row: OneIncident) -> str:
    rule = row.alert
    if rule.kind in ("sla", "source"):
        return ""
    where = {rule.by: row.slice} if rule.by and row.slice else {}
    span = (row.from_, row.to)
    return ask.explained(rule.metric, span, where)


def _acts(row: IncidentView, *, more: bool = False) -> Sequence[Act]:
    """Return the actions of an open incident."""
    if row.state not in OPEN:
        return []
    sends = {"id": row.id}
    acts = [Act("acknowledge", "Acknowledge", sends)] if row.state != "acknowledged" else []
    if more:
        acts += [
            Act("snooze", "Snooze 4 hours", {**sends, "hours": "4"}),
            Act(
                "snooze",
                "Snooze",
                sends,
                (Field("until", "Until", "date", required=True),),
                title="Snooze until a date",
            ),
        ]
    return acts


def _drawn(ask: Ask) -> Shown:
    """Draw the metric around the incident, beside the usual range."""
    row = _incident(ask)
    rule = row.alert
    if rule.kind in ("sla", "source"):
        return Shown(empty="This rule judges the present state, not windows of a metric.")
    first, last = row.from_, row.to
    where = {name: list(values) for name, values in rule.where.items()}
    if rule.by:
        where[rule.by] = [row.slice or "(none)"]
    answer = ask.kept(
        ask.engine.answers.usual, metrics=rule.metric, start=(first - AROUND[rule.grain]).isoformat(),
        end=min(last + AROUND[rule.grain] / 6, ask.now).isoformat(), grain=rule.grain, where=where,
    )  # fmt: skip
    rows = [
        {
            "window": window["window"],
            "at": moment(window["window"]),
            "value": window[rule.metric],
            "value_shown": shown(window[rule.metric], answer.unit),
            "usual": window["usual"]["median"],
            "low": window["usual"]["low"],
            "high": window["usual"]["high"],
        }
        for window in answer.rows
    ]
    unit = answer.unit
    title = ask.title(rule.metric)
    starts = [datetime.fromisoformat(window["window"]) for window in rows]
    ends = [*starts[1:], *(start + LENGTHS[rule.grain] for start in starts[-1:])]
    has_incidents = with_incidents(rows, ends, [MarkedDays("Incident", row.from_, row.to)])
    mark = "bar" if unit == Unit.COUNT else "line"
    spec = charts.over_time(rows, [("value", title)], unit, mark=mark, usual=True)
    columns = [
        Column("window", "Window", "moment"), Column("value", title, unit), Column("usual", "Usual", unit),
        Column("low", "Usual from", unit), Column("high", "to", unit), *([Column("incident", TITLE)] if has_incidents else []),
    ]  # fmt: skip
    summary = ". ".join(
        filter(None, (f"{title} around the incident, beside what was usual", marked_in_words(rows, ends)))
    )
    read = readings(ask, rows, {"value": title}, unit, "minute")
    data = {
        "spec": spec,
        "title": title,
        "mark": mark,
        "before": False,
        "usual": usual_of(rule.grain),
        "readings": plain(read),
    }
    return Shown("chart", data, Table(columns, rows), summary)


def _in_words(ask: Ask, dimensions: Iterable[str]) -> str:
    return " and ".join(ask.in_words(FILTERS.get(name, name)).lower() for name in dimensions)


def _waiting(ask: Ask) -> Shown:
    """Show the conversations of the incident's slice that still wait for an answer."""
    row = _incident(ask)
    rule = row.alert
    where = {name: tuple(values) for name, values in rule.where.items()}
    if rule.by and row.slice:
        where[rule.by] = (row.slice,)
    metric = rule.metric if rule.kind == "sla" else "oldest_waiting_ms"
    question = Question((metric,), ask.now - timedelta(days=1), ask.now, where=where)
    try:
        waiting = members(ask.engine.queries, ask.tenant, question, limit=MOST_WAITING)
    except HubbubError:
        return Shown(empty=f"{ask.in_words('Waiting conversations')} cannot be listed by {_in_words(ask, where)}.")
    if not waiting:
        return Shown(empty=ask.in_words("No conversation waits for a reply."))
    known = texts_of(ask, [member.id for member in waiting])
    rows = [{**row, **who(known.get(row["id"]))} for row in rows_of(waiting, ask.now)]
    columns = conversation_columns(ask, (CONTACT, MESSAGE, Column("waits", "Waits for", "ms")), rows)
    links = [ways(ask, waiter, "waits") for waiter in rows]
    return Shown(
        "table",
        {"beside": csv_only(ask)},
        Table(columns, rows, links),
        ask.in_words(
            "1 conversation waits for a reply"
            if len(rows) == 1
            else f"{len(rows)} conversations wait for a reply, the longest first"
        ),
    )


def _entries(ask: Ask) -> Shown:
    rows = [{**entry, "what": entry["what"].replace("_", " ")} for entry in plain(_incident(ask).entries)]
    columns = [Column("at", "When", "instant"), Column("what", "What"), Column("text", "In words", "long")]
    return Shown(
        "table", {}, Table(columns, rows), f"{len(rows)} {'entries' if len(rows) != 1 else 'entry'}, newest first"
    )


def _messages(ask: Ask) -> Shown:
    rows = plain(_incident(ask).messages)
    if not rows:
        return Shown(empty="Nobody was notified.")
    columns = [
        Column("type", "Message"),
        Column("destination", "To"),
        Column("state", "State", "state"),
        Column("why", "Why", "long"),
    ]
    return Shown("table", {}, Table(columns, rows), f"{len(rows)} message{'s' * (len(rows) != 1)} about it")


# --- actions of the forms


def _acknowledge(ask: Ask, form: Form) -> Done:
    ask.engine.incidents.acknowledge(ask.tenant.id, form.get("id", ""), ask.person.label)
    return Done("It is acknowledged: no reminders are sent.")


def _snooze(ask: Ask, form: Form) -> Done:
    hours = form.get("hours")
    until = (ask.now + timedelta(hours=4)).isoformat() if hours else form.get("until", "")
    ask.engine.incidents.snooze(ask.tenant.id, form.get("id", ""), until)
    return Done("It is snoozed.")


ACTIONS = {"acknowledge": _acknowledge, "snooze": _snooze}

LIST = Page(
    "incidents", "Incidents",
    (Widget("list", "Incidents", _list, size="list", wide=True),),
    role=Role.ANALYST, header=False, actions=ACTIONS, acts=Role.ANALYST, fresh_seconds=60,
    group=Group.NOW,
)  # fmt: skip
ONE = Page(
    "incident", "Incident",
    (
        Widget("facts", "This incident", _facts, size="list", wide=True),
        Widget("drawn", "The number, with its usual range", _drawn, wide=True),
        Widget("waiting", "Still waiting", _waiting, size="list", wide=True),
        Widget("entries", "History", _entries, size="list", wide=True),
        Widget("messages", "Notifications", _messages, size="list", wide=True),
    ),
    role=Role.ANALYST, header=False, under="incidents", actions=ACTIONS, acts=Role.ANALYST, fresh_seconds=60,
)  # fmt: skip

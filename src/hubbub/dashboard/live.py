"""Live: the last half hour by the minute, waiting conversations, staff online. It refreshes itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from hubbub.dashboard import charts
from hubbub.dashboard.answer_rows import PageRow
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.cards import Card, shown_cards
from hubbub.dashboard.components import Cells, Column, Group, Page, Shown, Table, Widget
from hubbub.dashboard.conversation_rows import CONTACT, MESSAGE, conversation_columns, csv_only, texts_of, ways
from hubbub.dashboard.labelled import LABELS, cells
from hubbub.dashboard.person import Role
from hubbub.dashboard.readings import readings
from hubbub.dashboard.sparks import share_bar
from hubbub.dashboard.waiting import rows_of
from hubbub.dashboard.widgets import unit_of
from hubbub.model.plain import plain
from hubbub.model.question import Question
from hubbub.model.window import day_of
from hubbub.query.excerpts import Excerpt
from hubbub.query.live import Member, lately, members
from hubbub.query.waiting import METRIC, Waiting, live
from hubbub.reports.formatting import COUNTDOWN, about

STATES = (
    "waiting_conversations", "waiting_past_target", "oldest_waiting_ms", "unassigned_conversations", "open_conversations",
    "staff_online",
)  # fmt: skip
MESSAGES = ("messages_received", "messages_sent")
MINUTES, MOST, MOST_STAFF = 30, 20, 100
OTHER_DAYS = "This link shows other days than today."
_COLUMNS = (
    CONTACT, MESSAGE, Column("waits", "Waits for", "ms"), Column("target", "Target"), Column("countdown", "Countdown", COUNTDOWN),
    Column("priority", "Priority"), Column("staff_id", "Staff"), *LABELS,
)  # fmt: skip


def _shows_today(ask: Ask) -> bool:
    """Whether the viewer may see today: a shared link can fix other days."""
    return "range" not in ask.view.locked or ask.view.first <= day_of(ask.now, ask.tenant.tz) < ask.view.after


def _today(ask: Ask) -> tuple[Any, Any]:
    today = day_of(ask.now, ask.tenant.tz)
    return today, today + timedelta(days=1)


def _states(ask: Ask) -> tuple[PageRow, Mapping[str, str]]:
    """Return the states, and the filters that metrics do not have.

    Without a filter they are the API's cached answer.
    """
    if not ask.view.where:
        answer = ask.kept(ask.engine.answers.states)
        ask.freshness = answer.freshness
        return PageRow(answer.now), {}
    filtered = ask.query(STATES, span=_today(ask))
    return filtered.rows[0] if filtered.rows else PageRow({}), filtered.unfiltered


def _cards(ask: Ask) -> Shown:
    if not _shows_today(ask):
        return Shown(empty=OTHER_DAYS)
    if not ask.reported(STATES):
        return Shown(empty=ask.not_reported(STATES))
    states, unfiltered = _states(ask)
    return shown_cards([
        Card(
            name, ask.title(name), states.value(name), unit_of(name),
            "" if name in unfiltered else ask.explained(name, _today(ask)), unfiltered=unfiltered.get(name, ""),
            why=states.why(name),
        )
        for name in ask.reported(STATES)
    ])  # fmt: skip


def _question(ask: Ask, metrics: tuple[str, ...], start: datetime, end: datetime) -> Question | None:
    """Return a question about the present under the page's filters; None if a metric does not have one of them."""
    if any(ask.unfiltered(name) for name in metrics):
        return None
    return Question(metrics, start, end, where=ask.view.where, include_bots=ask.view.bots)


def _minutes(ask: Ask) -> Shown:
    end = ask.now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    question = _question(ask, MESSAGES, end - timedelta(minutes=MINUTES), end)
    if not _shows_today(ask):
        return Shown(empty=OTHER_DAYS)
    if question is None:
        return Shown(
            empty=f"Messages are not known by {ask.unfiltered(MESSAGES[0]).lower()}: remove that filter to see them."
        )
    counted = lately(ask.engine.queries, ask.tenant, question)
    rows = [{**minute.values, "window": minute.window, "at": minute.window[11:16]} for minute in counted]
    received, sent = (sum(minute.values[name] for minute in counted) for name in MESSAGES)
    if not received + sent:
        return Shown(empty=f"No message was received or sent in the last {MINUTES} minutes.")
    spec = charts.over_time(rows, [(MESSAGES[0], "Received"), (MESSAGES[1], "Sent")], "count", mark="bar", stacked=True)
    columns = [Column("at", "Minute"), Column(MESSAGES[0], "Received", "count"), Column(MESSAGES[1], "Sent", "count")]
    starts = [datetime.fromisoformat(minute.window) for minute in counted]
    spans = [(start, start + timedelta(minutes=1)) for start in starts]
    links = [{name: ask.explained(name, span) for name in MESSAGES} for span in spans]
    summary = f"Received {received}, sent {sent} in the last {MINUTES} minutes."
    read = readings(ask, rows, {MESSAGES[0]: "Received", MESSAGES[1]: "Sent"}, "count", "minute")
    data = {"spec": spec, "readings": plain(read)}
    return Shown("chart", data, Table(columns, rows, links), summary, summary)


def _named(ask: Ask, metric: str, limit: int) -> list[Member] | None:
    question = _question(ask, (metric,), ask.now - timedelta(days=1), ask.now)
    if question is None:
        return None
    return members(ask.engine.queries, ask.tenant, question, limit=limit)


def _waiting(ask: Ask) -> Shown:
    if not _shows_today(ask):
        return Shown(empty=OTHER_DAYS)
    if missing := ask.not_reported([METRIC]):
        return Shown(empty=missing)
    question = _question(ask, (METRIC,), ask.now - timedelta(days=1), ask.now)
    if question is None:
        return Shown(
            empty=ask.in_words("Waiting conversations cannot be filtered like this: remove the filter to see them.")
        )
    waiting = live(ask.engine.queries, ask.tenant, question, limit=MOST)
    if not waiting.rows:
        return Shown(empty="Nobody waits for an answer.")
    known = texts_of(ask, [conversation.conversation_id for conversation in waiting.rows])
    rows = [_row(conversation, known[conversation.conversation_id]) for conversation in waiting.rows]
    columns = conversation_columns(ask, _COLUMNS, rows)
    links = [ways(ask, row, "waits") for row in rows]
    over = f"{waiting.past_target} are past their target" if waiting.past_target is not None else "no target is set"
    summary = ask.in_words(f"{waiting.waiting} conversations wait for an answer; {over}")
    note = f"The first {MOST} of {waiting.waiting}." if waiting.waiting > MOST else ""
    rest = [(f"Show all {waiting.waiting}", ask.link("conversations", state="waiting"))] if note else []
    return Shown("table", {"beside": csv_only(ask)}, Table(columns, rows, links), summary, note, more=rest)


def _row(waiting: Waiting, excerpt: Excerpt) -> Cells:
    minutes = waiting.target_minutes
    hours = " of business hours" if waiting.business else ""
    return {
        "id": waiting.conversation_id, "waits": waiting.waited_ms, "countdown": waiting.over_ms, "priority": waiting.priority,
        "target": f"{about(minutes * 60_000, 'ms')}{hours}" if minutes is not None else None, "channel": waiting.channel,
        "account_id": waiting.account_id, "contact_id": excerpt.contact_id, "channel_id": excerpt.channel_id,
        "staff_id": excerpt.staff_id, "text": excerpt.text, "bar": _bar(waiting), **cells(waiting.labels),
    }  # fmt: skip


def _bar(waiting: Waiting) -> Markup | None:
    """Draw how much of its target a wait has used; None without a target."""
    if not waiting.target_minutes or waiting.over_ms is None:
        return None
    return share_bar(1 + waiting.over_ms / (waiting.target_minutes * 60_000))


def online(ask: Ask) -> Shown:
    """Show the staff who are logged in."""
    if not _shows_today(ask):
        return Shown(empty=OTHER_DAYS)
    if missing := ask.not_reported(["staff_online"]):
        return Shown(empty=missing)
    staff = _named(ask, "staff_online", MOST_STAFF)
    if staff is None:
        return Shown(empty="Who is online cannot be filtered like this: remove the filter to see it.")
    if not staff:
        return Shown(empty="Nobody is logged in.")
    columns, rows = [Column("id", "Staff", of="staff_id")], rows_of(staff, ask.now)
    if any(row["account_id"] is not None for row in rows):
        columns.append(Column("account_id", "Account"))
    links = [{"id": ask.link("team", ask.view.with_filter("staff_id", member.id).on(rest={}))} for member in staff]
    return Shown("table", {}, Table(columns, rows, links), f"Logged in: {len(staff)}")


PAGE = Page(
    "live", "Live",
    (
        Widget("now", "Right now", _cards, size="cards", wide=True),
        Widget("waiting", "Waiting for an answer", _waiting, size="list", wide=True, role=Role.ANALYST,
               about="Open conversations that wait for a reply: those furthest past their target first, else the longest waiting."),
        Widget("minutes", f"Messages in the last {MINUTES} minutes", _minutes),
        Widget("online", "Staff online", online, size="list"),
    ),
    dated=False, fresh_seconds=30,
    group=Group.NOW,
)  # fmt: skip

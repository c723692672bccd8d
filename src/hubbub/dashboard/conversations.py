"""Conversations: search by people, place and text, newest first; each leads to its timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column, Group, Page, Shown, Table, Widget
from hubbub.dashboard.conversation_rows import (
    CONTACT,
    MESSAGE,
    conversation_columns,
    csv_only,
    days_of_silence,
    texts_of,
    ways,
)
from hubbub.dashboard.labelled import LABELS, cells
from hubbub.dashboard.person import Role
from hubbub.dashboard.widgets import NOTHING_HERE
from hubbub.dashboard.written import STATE, STATES
from hubbub.model.window import local_midnight
from hubbub.query.conversations import ConversationRow, Listed, Wanted, conversations

STATE_TITLES = {
    "": "Any",
    "open": "Open",
    "waiting": "Waiting for an answer",
    "resolved": "Resolved or closed",
    "silent": "Closed by silence",
}
_COLUMNS = (
    CONTACT,
    Column("last_at", "Last event", "instant"),
    MESSAGE,
    Column("staff_id", "Staff"),
    Column("messages", "Messages", "count"),
    Column("escalated", "Escalated"),
    Column("state", "State", of=STATE),
    Column("waits_ms", "Waits", "ms"),
    *LABELS,
)


def local(ask: Ask, moment: datetime) -> str:
    """Return a moment (aware, or in UTC) in the tenant's zone, in the form for `formatting.moment`."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.astimezone(ask.tenant.tz).isoformat(timespec="seconds")


def raw_event(ask: Ask, source: str, id_: str) -> str:
    """Return the address of a stored event."""
    return f"{ask.base}/files/event/json?{urlencode({'source': source, 'id': id_})}"


def _wanted(ask: Ask) -> Wanted:
    view, tz = ask.view, ask.tenant.tz
    return Wanted(
        local_midnight(view.first, tz), local_midnight(view.after, tz), view.where, view.bots, ask.param("find").strip(),
        ask.param("state"),
    )  # fmt: skip


def _search(ask: Ask) -> Shown:
    hidden = parse_qsl(ask.view.query(find=None, state=None, cursor=None))
    everywhere = ask.link(view=ask.view.on(range="all")) if ask.param("find") and ask.view.range != "all" else ""
    return Shown(
        "search",
        {"kept": hidden, "find": ask.param("find"), "state": ask.param("state"), "states": STATE_TITLES, "everywhere": everywhere},
    )  # fmt: skip


def _list(ask: Ask) -> Shown:
    wanted = _wanted(ask)
    page = conversations(ask.engine.queries, ask.tenant, wanted, cursor=ask.param("cursor") or None)
    if not page.rows:
        return Shown(empty=ask.in_words(_why_none(wanted)))
    until = min(wanted.end, ask.now)
    texts = texts_of(ask, [row.conversation_id for row in page.rows])
    rows = [{**_row(ask, row, until), "text": texts[row.conversation_id].text} for row in page.rows]
    columns = conversation_columns(ask, _COLUMNS, rows, "conversation_id")
    links = [ways(ask, row, "last_at", "conversation_id") for row in rows]
    following = ask.link(cursor=page.next) if page.next else ""
    summary = ask.in_words(_how_many(page, rows))
    empty = [column.name for column in _COLUMNS if all(row.get(column.name) is None for row in rows)]
    return Shown(
        "rows",
        {
            "next": following,
            "first": ask.link(cursor=None) if ask.param("cursor") else "",
            "counts": True,
            "beside": (*empty, *csv_only(ask, "conversation_id")),
        },
        Table(columns, rows, links),
        summary,
        ask.in_words(" ".join(filter(None, (_note(wanted), _silence(ask), _without_texts(rows))))),
    )


def _how_many(page: Listed, rows: Sequence[Cells]) -> str:
    """Return which conversations are listed, of how many, and how many of these wait."""
    count = f"{page.total:,} conversation{'s' * (page.total != 1)}"
    if page.total > len(rows):
        count = f"{page.before + 1:,}–{page.before + len(rows):,} of {count}"
    waiting = sum(row["state"] == "waiting" for row in rows)
    waits = f"{waiting} wait{'s' * (waiting == 1)} for an answer" if waiting else "none waits for an answer"
    return f"{count}, the newest first; {waits}{' on this page' * (page.total > len(rows))}"


def _row(ask: Ask, row: ConversationRow, until: datetime) -> Cells:
    waits = (until - row.since.replace(tzinfo=UTC)).total_seconds() * 1000 if row.since is not None else None
    return {
        **asdict(row), "last_at": local(ask, row.last_at), "escalated": "yes" if row.escalated else None, "waits_ms": waits,
        **cells(row.labels),
    }  # fmt: skip


def _why_none(wanted: Wanted) -> str:
    if wanted.text:
        return "No conversation of these days and filters matches. The search covers ids, names, and stored texts."
    state = STATES.get(wanted.state, wanted.state)
    return f"No conversation is {state} at the end of these days." if wanted.state else NOTHING_HERE


def _without_texts(rows: Sequence[Cells]) -> str:
    return "" if any(row["text"] for row in rows) else "No text of these messages is stored."


def _silence(ask: Ask) -> str:
    """Return what closes a silent conversation; empty where silence closes none."""
    if not (days := days_of_silence(ask)):
        return ""
    return f"A conversation without a message for {days} counts as closed by silence; a new message opens it again."


def _note(wanted: Wanted) -> str:
    if wanted.state in ("open", "waiting"):
        return "States are at the end of these days, or now; conversations may have begun long before."
    return "States are at the end of these days, or now."


PAGE = Page(
    "conversations", "Conversations",
    (
        Widget("search", "Find", _search, size="form", wide=True),
        Widget("list", "Conversations", _list, size="tall", lazy=True, wide=True),
    ),
    role=Role.ANALYST,
    group=Group.ROWS, subject="conversation",
)  # fmt: skip

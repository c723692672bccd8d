"""Conversations that began to wait for a reply in the view's days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column, Role, Shown, Table
from hubbub.errors import HubbubError
from hubbub.model.question import Question
from hubbub.model.window import local_midnight
from hubbub.query.live import MOST, Member, members

SHOWN = 8


def rows_of(members: Sequence[Member], now: datetime) -> list[Cells]:
    """Return members of a state as rows of a table, with how long each has been in it until a moment (aware), in ms."""
    end = now.astimezone(UTC).replace(tzinfo=None)
    return [
        {
            "id": member.id, **member.dimensions,
            "waits": (end - member.since).total_seconds() * 1000 if member.since is not None else None,
        }
        for member in members
    ]  # fmt: skip


def unanswered(ask: Ask, what: str) -> Shown:
    """Show conversations (titled `what`) that wait at the end of the view's days, longest first, with their places."""
    first, after = (local_midnight(day, ask.tenant.tz) for day in (ask.view.first, ask.view.after))
    where = {name: tuple(values) for name, values in ask.view.where.items()}
    if why := ask.unfiltered("oldest_waiting_ms"):
        return Shown(empty=f"Waiting conversations are not known by {why.lower()}.")
    if first >= ask.now:
        return Shown(empty="These days have not begun.")
    try:
        waiting = members(
            ask.engine.queries, ask.tenant, Question(("oldest_waiting_ms",), first, after, where=where), limit=MOST
        )
    except HubbubError as error:
        return Shown(empty=error.message)
    begun = first.astimezone(UTC).replace(tzinfo=None)
    since = [member for member in waiting if member.since is not None and member.since >= begun]
    older = len(waiting) - len(since)
    also = f"{older}{'' if len(waiting) < MOST else ' or more'} have waited since before these days." if older else ""
    if not since:
        return Shown(empty=f"No conversation of these days waits for a reply. {also}".strip())
    rows = rows_of(since, min(after, ask.now))
    columns = [Column("id", what), Column("waits", "Waits for", "ms"), Column("channel", "Channel")]
    if any(row.get("account_id") for row in rows):
        columns.append(Column("account_id", "Account"))
    links = [{"id": ask.link("conversation", id=row["id"])} for row in rows] if ask.person.may(Role.ANALYST) else []
    summary = f"{len(rows)} wait, the longest first" if len(rows) > 1 else "1 waits"
    note = f"{len(rows) - SHOWN} more; all are in the CSV. {also}" if len(rows) > SHOWN else also
    return Shown("few", {"most": SHOWN}, Table(columns, rows, links), summary, note.strip())

"""Conversations that began to wait for a reply in the view's days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column, Shown, Table
from hubbub.dashboard.conversation_rows import CONTACT, MESSAGE, conversation_columns, texts_of, ways
from hubbub.dashboard.person import Role
from hubbub.dashboard.source_links import with_source
from hubbub.errors import HubbubError
from hubbub.model.question import Question
from hubbub.model.window import local_midnight
from hubbub.query.excerpts import Excerpt
from hubbub.query.live import MOST, Member, members

SHOWN = 5
_COLUMNS = (CONTACT, MESSAGE, Column("since", "Since", "instant"), Column("waits", "Waits for", "ms"))
_TOO_MANY = ("id", "account_id")
"""Columns of the CSV alone: too many for a panel."""


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


def unanswered(ask: Ask) -> Shown:
    """Show conversations that wait at the end of the view's days, longest first, with their places."""
    first, after = (local_midnight(day, ask.tenant.tz) for day in (ask.view.first, ask.view.after))
    where = {name: tuple(values) for name, values in ask.view.where.items()}
    if missing := ask.not_reported(["oldest_waiting_ms"]):
        return Shown(empty=missing)
    if why := ask.unfiltered("oldest_waiting_ms"):
        return Shown(empty=f"{ask.in_words('Waiting conversations')} are not known by {why.lower()}.")
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
        begun_here = ask.query(["conversations_started"]).number("conversations_started").value
        none = (
            "No conversation of these days waits for a reply." if begun_here else "No conversation began in these days."
        )
        return Shown(empty=ask.in_words(f"{none} {also}".strip()))
    sees_rows = ask.person.may(Role.ANALYST)
    people = texts_of(ask, [member.id for member in since]) if sees_rows else {}
    rows = [
        {**row, "since": _local(ask, member.since), **who(people.get(member.id))}
        for member, row in zip(since, rows_of(since, min(after, ask.now)), strict=True)
    ]  # fmt: skip
    columns = conversation_columns(ask, _COLUMNS, rows)
    links = [ways(ask, row, "since") if sees_rows else {} for row in rows]
    table = with_source(ask, Table(columns, rows, links))
    summary = ask.in_words(f"{len(rows)} conversations wait" if len(rows) > 1 else "1 conversation waits")
    rest = (
        [(f"Show all {len(rows)}", ask.link("conversations", state="waiting"))]
        if len(rows) > SHOWN and sees_rows
        else []
    )
    note = f"The first {SHOWN} of {len(rows)}; all are in the CSV. {also}" if len(rows) > SHOWN else also
    return Shown("few", {"most": SHOWN, "beside": _TOO_MANY}, table, summary, note.strip(), more=rest)


def who(excerpt: Excerpt | None) -> dict[str, str | None]:
    """Return who wrote, where, and the last text if it is stored."""
    if excerpt is None:
        return {}
    return {"text": excerpt.text, "contact_id": excerpt.contact_id, "channel_id": excerpt.channel_id}


def _local(ask: Ask, since: datetime | None) -> str | None:
    """Return a moment (UTC without zone) in the tenant's zone."""
    return since.replace(tzinfo=UTC).astimezone(ask.tenant.tz).isoformat(timespec="seconds") if since else None

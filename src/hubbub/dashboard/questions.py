"""Questions of the view's days that nobody has answered, for tenants with threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from hubbub.dashboard.answer_rows import PageAnswer
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Column, Shown, Table
from hubbub.dashboard.conversation_rows import with_mentions, with_small_print
from hubbub.dashboard.conversations import local, raw_event
from hubbub.dashboard.person import Role
from hubbub.dashboard.source_links import with_source
from hubbub.dashboard.waiting import SHOWN
from hubbub.model.window import local_midnight
from hubbub.query.excerpts import Excerpt, messages
from hubbub.query.explain import PAGE

_COLUMNS = (Column("text", "Question", "long"), Column("asked", "Asked", "instant"), Column("waits", "Open for", "ms"))
_SMALL = (Column("channel_id", "Room"), Column("contact_id", "By"), Column("id", "Question"))


def asked(ask: Ask) -> PageAnswer | None:
    """Return how many questions were asked in these days, and how many have no answer; None without a question."""
    counts = ask.query(["questions", "questions_unanswered"])
    return counts if not counts.unfiltered and counts.number("questions").value else None


def unanswered_questions(ask: Ask) -> Shown | None:
    """Show questions without an answer, the longest first, with their rooms; None where no question was asked in these days."""
    counts = asked(ask)
    if counts is None:
        return None
    unanswered = counts.number("questions_unanswered").value
    if not unanswered:
        return Shown(empty=f"Every question of these days has an answer ({counts.number('questions').value:,}).")
    first, after = (local_midnight(day, ask.tenant.tz) for day in (ask.view.first, ask.view.after))
    explanation = ask.engine.answers.explain(
        ask.tenant.id, "questions_unanswered", first, after, {name: list(values) for name, values in ask.view.where.items()},
        limit=PAGE,
    )  # fmt: skip
    until = min(after, ask.now)
    known = _excerpts(ask, [(datetime.fromisoformat(row["time"]), row["id"]) for row in explanation.events.rows])
    rows = [
        {
            "id": row["id"], "asked": local(ask, datetime.fromisoformat(row["time"])),
            "text": known[row["id"]].text if row["id"] in known else None, "channel_id": row["channel_id"],
            "contact_id": known[row["id"]].contact_id if row["id"] in known else None,
            "waits": (until - datetime.fromisoformat(row["time"])).total_seconds() * 1000,
        }
        for row in explanation.events.rows
    ]  # fmt: skip
    columns = with_small_print(ask, _COLUMNS, rows, _SMALL)
    links = [_links(ask, row["source"], row["id"], known.get(row["id"])) for row in explanation.events.rows]
    table = with_source(ask, Table(columns, rows, links))
    summary = f"{unanswered:,} of {counts.number('questions').value:,} questions have no answer"
    note = "A question is answered when somebody else replies in its thread or reacts with an answering sign, like a check mark."
    ways = [
        (f"Show all {unanswered:,}" if unanswered > SHOWN else "How questions are counted", ask.explained("questions_unanswered")),
        (ask.in_words("Conversations that wait for a reply"), _waiting_threads(ask)),
    ]  # fmt: skip
    return Shown("few", {"most": SHOWN, "beside": ("id",)}, table, summary, note, more=ways)


def _waiting_threads(ask: Ask) -> str:
    """Return the address of the threads that wait; empty for those who see no rows."""
    return ask.link("conversations", state="waiting") if ask.person.may(Role.ANALYST) else ""


def _links(ask: Ask, source: str, id_: str, excerpt: Excerpt | None) -> Mapping[str, str]:
    """Return the links of a question: to its thread, or where it stands in none to its event; none for viewers."""
    if excerpt is None:
        return {}
    thread = excerpt.conversation_id
    way = raw_event(ask, source, id_) if thread is None else ask.link("conversation", id=thread)
    return {"asked": way, **({"text": way} if excerpt.text else {})}


def _excerpts(ask: Ask, ids: Sequence[tuple[datetime, str]]) -> Mapping[str, Excerpt]:
    """Return who asked, and the stored texts of questions, for those who may see rows."""
    if not ask.person.may(Role.ANALYST):
        return {}
    return with_mentions(ask, messages(ask.engine.queries, ask.tenant, ids))

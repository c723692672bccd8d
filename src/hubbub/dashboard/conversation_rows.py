"""Conversations as rows of a table: who wrote comes first and leads to the conversation; the place and the id stand small below.

For a tenant with threads alone the first message comes first where its text is stored, with the room and who began it below; the
id is in the CSV alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column
from hubbub.query.excerpts import Excerpt, excerpts

CONTACT = Column("contact_id", "Contact")
_MENTION = re.compile(r"([@#])([CUW][A-Z0-9]{2,20})\b")
MESSAGE, OPENING = Column("text", "Last message", "long"), Column("text", "First message", "long")
PLACE = (Column("channel_id", "Room"), Column("channel", "Channel"), Column("account_id", "Account"))


def days_of_silence(ask: Ask) -> str:
    """Return after how many days without a message a conversation counts as closed, like "14 days"; empty where none does."""
    days = ask.tenant.threads.silence_days
    return f"{days} day{'s' * (days != 1)}" if days else ""


def texts_of(ask: Ask, conversations: Sequence[str]) -> Mapping[str, Excerpt]:
    """Return excerpts of conversations by id, with the text of the last message, or of a thread's first one."""
    return with_mentions(ask, excerpts(ask.engine.queries, ask.tenant, conversations, first=_threads(ask)))


def with_mentions(ask: Ask, known: Mapping[str, Excerpt]) -> Mapping[str, Excerpt]:
    """Return excerpts with the names of mentioned people and channels of Slack in place of their ids."""
    named = mentions(ask, (excerpt.text for excerpt in known.values()))
    return {
        id_: replace(excerpt, text=named(excerpt.text)) if excerpt.text else excerpt for id_, excerpt in known.items()
    }


def mentions(ask: Ask, texts: Iterable[str | None]) -> Callable[[str], str]:
    """Return a function that writes the names of Slack's people and channels in place of the ids that these texts mention."""
    ids = {id_ for text in texts for _, id_ in _MENTION.findall(text or "")}
    called = ask.called({"contact": ids, "staff": ids, "room": ids}) if ids else {}
    names = {id_: name for (_, id_), name in called.items()}
    return lambda text: _MENTION.sub(lambda one: f"{one[1]}{names.get(one[2], one[2])}", text) if names else text


def conversation_columns(ask: Ask, columns: Sequence[Column], rows: Sequence[Cells], id_: str = "id") -> list[Column]:
    """Return the columns of rows of conversations that have values, with the small ones; `id_`: the name of that with the id."""
    id_column = Column(id_, "Id")
    if not _threads(ask) or all(row.get(OPENING.name) is None for row in rows):
        return with_small_print(ask, columns, rows, (*PLACE, id_column))
    others = [column for column in columns if column not in (CONTACT, MESSAGE)]
    return with_small_print(ask, (OPENING, *others), rows, (PLACE[0], CONTACT, *PLACE[1:], id_column))


def csv_only(ask: Ask, id_: str = "id") -> tuple[str, ...]:
    """Return the columns of rows of conversations that are in the CSV alone: the ids of threads."""
    return (id_,) if _threads(ask) else ()


def _threads(ask: Ask) -> bool:
    return bool(ask.wording.only_channel)


def with_small_print(
    ask: Ask, columns: Sequence[Column], rows: Sequence[Cells], small: Sequence[Column]
) -> list[Column]:
    """Return the columns that have values; those of `small`, like the place and the id, stand below the first one."""
    first, *others = _filled(ask, columns, rows)
    return [first, *(replace(column, within=first.name) for column in _filled(ask, small, rows)), *others]


def _filled(ask: Ask, columns: Sequence[Column], rows: Sequence[Cells]) -> list[Column]:
    """Return the columns that have values; without the channel where the tenant has only one."""
    return [
        column for column in columns
        if any(row.get(column.name) is not None for row in rows)
        and not (column.name == "channel" and ask.wording.only_channel)
    ]  # fmt: skip


def ways(ask: Ask, row: Cells, always: str, id_: str = "id") -> Mapping[str, str]:
    """Return the links of a row: its first column, and the column `always`, which every row has, lead to the conversation."""
    way = ask.link("conversation", id=row[id_])
    first = OPENING.name if _threads(ask) and row.get(OPENING.name) is not None else CONTACT.name
    return {always: way, **({first: way} if row.get(first) is not None else {})}

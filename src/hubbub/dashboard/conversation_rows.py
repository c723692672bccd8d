"""Conversations as rows of a table: who wrote comes first and leads to the conversation; the place and the id stand small below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column

CONTACT = Column("contact_id", "Contact")
MESSAGE = Column("text", "Last message", "long")
PLACE = (Column("channel_id", "Room"), Column("channel", "Channel"), Column("account_id", "Account"))
SMALL = (*PLACE, Column("id", "Id"))


def days_of_silence(ask: Ask) -> str:
    """Return after how many days without a message a conversation counts as closed, like "14 days"; empty where none does."""
    days = ask.tenant.threads.silence_days
    return f"{days} day{'s' * (days != 1)}" if days else ""


def with_small_print(
    ask: Ask, columns: Sequence[Column], rows: Sequence[Cells], small: Sequence[Column] = SMALL
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
    """Return the links of a row: who wrote, and the column `always`, which every row has, lead to the conversation."""
    way = ask.link("conversation", id=row[id_])
    return {always: way, **({CONTACT.name: way} if row.get(CONTACT.name) is not None else {})}

"""Channels and rooms in one table: the rooms under their channel, and a channel with one room as one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hubbub.dashboard.answer_rows import UNASKED, PageAnswer, PageNumber, PageRow
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column, Shown, Table
from hubbub.dashboard.names import labels
from hubbub.dashboard.news import sliced
from hubbub.dashboard.sparks import share_bar
from hubbub.dashboard.widgets import NOTHING_HERE, change_in_words, filter_first, is_few, note_of_few, unit_of
from hubbub.metrics.catalogue import askable, find
from hubbub.model.question import NONE
from hubbub.news.direction import way_beyond
from hubbub.news.number import NewsNumber
from hubbub.query.result import Number
from hubbub.reports.formatting import in_sentence, of_few

MOST = 40
"""Rows shown at first; the table has all."""


@dataclass(frozen=True, slots=True)
class Place:
    """A channel (`level` 0), a room under it (1), or a room of the only channel (2); `numbers` by metric."""

    channel: str
    room: str | None
    level: int
    numbers: Mapping[str, PageNumber]

    def number(self, metric: str) -> PageNumber:
        """Return a metric's number; unknown where it has no rooms."""
        return self.numbers.get(metric, UNASKED)

    def value(self, metric: str) -> Number:
        """Return a metric's value."""
        return self.number(metric).value


def places(ask: Ask, metrics: Sequence[str], titles: Mapping[str, str], *, alone: str = "") -> Shown:
    """Show metrics by channel and room, sorted by the first metric.

    `alone`: the only channel; its rooms are shown without it.
    """
    rank = metrics[0]
    by_channel = ask.query(metrics, by=["channel"], compare=ask.view.compared)
    if rank in by_channel.unfiltered:
        return filter_first(ask, rank, by_channel)
    known = [name for name in metrics if name not in by_channel.unfiltered]
    in_rooms = [name for name in known if _has_rooms(name)]
    by_room = ask.query(in_rooms, by=["channel", "channel_id"], compare=ask.view.compared)
    rows = _rows(by_channel, by_room, rank, known, in_rooms, alone)
    if not rows:
        return Shown(empty=NOTHING_HERE)
    noise = sliced(ask, known, ("channel", "channel_id"))
    top = max(row.value(rank) or 0 for row in rows) or 1
    shown = [_shown(row, known, noise, (row.value(rank) or 0) / top) for row in rows]
    columns = [
        Column("channel", "Channel"), Column("room", "Room", of="channel_id"),
        *(Column(name, titles.get(name) or ask.title(name), unit_of(name)) for name in known),
    ]  # fmt: skip
    links = [_links(ask, row, known) for row in rows]
    called = labels(ask, "channel_id", [row.room for row in rows if row.room])
    summary = f"{len(rows)} row{'s' * (len(rows) != 1)}; most {in_sentence(ask.title(rank))}: " + ", ".join(
        f"{called.get(str(row.room), row.room or row.channel)} {row.value(rank) or 0:,}" for row in rows[:3]
    )
    left = f"{len(rows) - MOST} more in the table below." if len(rows) > MOST else ""
    note = " ".join(filter(None, (left, note_of_few(shown[:MOST]))))
    return Shown("places", {"most": MOST, "rank": rank}, Table(columns, shown, links), summary, note)


def _has_rooms(name: str) -> bool:
    return "channel_id" in askable(find(name).rollup)


def _rows(
    by_channel: PageAnswer, by_room: PageAnswer, rank: str, known: Sequence[str], in_rooms: Sequence[str], alone: str
) -> list[Place]:
    """Return a row for each channel, followed by its rooms; a channel with one room is one row."""
    rooms: dict[str | None, list[PageRow]] = {}
    for row in by_room.rows:
        if row.dim("channel_id") is not None and any(row.value(name) for name in in_rooms):
            rooms.setdefault(row.dim("channel"), []).append(row)
    result: list[Place] = []
    for row in sorted(by_channel.rows, key=lambda item: -(item.value(rank) or 0)):
        if not any(row.value(name) for name in known):
            continue
        channel = row.dim("channel")
        own = sorted(rooms.get(channel, []), key=lambda item: -(item.value(rank) or 0))
        one_room = len(own) == 1 and own[0].value(rank) == row.value(rank)
        room = own[0].dim("channel_id") if one_room else None
        if channel != alone or not own:
            result.append(_place(row, known, channel, room, level=0))
        if not one_room or channel == alone:
            level = 2 if channel == alone else 1
            result += [_place(each, in_rooms, channel, each.dim("channel_id"), level) for each in own]
    return result


def _place(row: PageRow, names: Sequence[str], channel: str | None, room: str | None, level: int) -> Place:
    return Place(channel if channel is not None else NONE, room, level, {name: row.number(name) for name in names})


def _shown(
    place: Place,
    known: Sequence[str],
    noise: Mapping[tuple[str, str | None, str | None], NewsNumber],
    share: float,
) -> Cells:
    """Return a row for display: a change within its noise is hidden, one beyond has a color."""
    dimension, value = ("channel_id", place.room) if place.level or place.room else ("channel", place.channel)
    few = [name for name in known if is_few(place.number(name), name)]
    changes = {}
    for name in known:
        beside = noise.get((name, dimension, value))
        if beside is None and not place.level:
            beside = noise.get((name, "channel", place.channel))
        way = way_beyond(beside) if beside is not None and name in place.numbers and name not in few else ""
        text = change_in_words(place.number(name), unit_of(name))
        changes[name] = {"change": text if way else "", "way": way}
    counts = {name: of_few(place.value(name), place.number(name).n, unit_of(name)) for name in known}
    return {
        "counts": counts, "channel": place.channel, "room": place.room, "level": place.level,
        "bar": share_bar(share), "changes": changes,
        "few": few, **{name: place.value(name) for name in known}, "has": list(place.numbers),
    }  # fmt: skip


def _links(ask: Ask, place: Place, known: Sequence[str]) -> dict[str, str]:
    view = ask.view
    where = {"channel": place.channel} | ({"channel_id": place.room} if place.level or place.room else {})
    only = view.with_filter("channel_id", place.room) if place.room else view.with_filter("channel", place.channel)
    explained = {
        name: ask.explained(name, where={k: v for k, v in where.items() if k == "channel" or _has_rooms(name)})
        for name in place.numbers
    }
    whole = "" if place.level else ask.link(view=view.with_filter("channel", place.channel))
    return {"channel": whole, "room": ask.link(view=only), **explained}

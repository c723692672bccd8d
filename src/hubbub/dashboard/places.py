"""Channels and rooms in one table: the rooms under their channel, and a channel with one room as one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hubbub.dashboard.ask import Ask, Found
from hubbub.dashboard.build import NOTHING_HERE, change_in_words, filter_first, unit_of
from hubbub.dashboard.components import Column, Shown, Table
from hubbub.dashboard.names import labels
from hubbub.dashboard.news import sliced
from hubbub.dashboard.sparks import share_bar
from hubbub.metrics.catalogue import askable, find, title_of
from hubbub.metrics.definition import Unit
from hubbub.model.question import NONE
from hubbub.news.answer import NewsNumber
from hubbub.news.candidates import FEW
from hubbub.news.direction import way_beyond

MOST = 40
"""Rows shown at first; the table has all."""
Pair = tuple[str | None, str | None]


def places(ask: Ask, metrics: Sequence[str], titles: Mapping[str, str], *, alone: str = "") -> Shown:
    """Show metrics by channel and room, sorted by the first metric.

    `alone`: the only channel; its rooms are shown without it.
    """
    rank = metrics[0]
    by_channel = ask.query(metrics, by=["channel"], compare=ask.view.compared)
    if rank in by_channel.unfiltered:
        return filter_first(rank, by_channel)
    known = [name for name in metrics if name not in by_channel.unfiltered]
    in_rooms = [name for name in known if _has_rooms(name)]
    by_room = ask.query(in_rooms, by=["channel", "channel_id"], compare=ask.view.compared)
    rows = _rows(by_channel, by_room, rank, known, in_rooms, alone)
    if not rows:
        return Shown(empty=NOTHING_HERE)
    noise = sliced(ask, known, ("channel", "channel_id"))
    top = max(row["values"][rank] or 0 for row in rows) or 1
    shown = [_shown(row, known, noise, (row["values"][rank] or 0) / top) for row in rows]
    columns = [
        Column("channel", "Channel"), Column("room", "Room", of="channel_id"),
        *(Column(name, titles.get(name) or title_of(name), unit_of(name)) for name in known),
    ]  # fmt: skip
    links = [_links(ask, row, known) for row in rows]
    called = labels(ask, "channel_id", [row["room"] for row in rows if row["room"]])
    summary = f"{len(rows)} rows; most {title_of(rank).lower()}: " + ", ".join(
        f"{called.get(str(row['room']), row['room'] or row['channel'])} {row['values'][rank] or 0:,}"
        for row in rows[:3]
    )
    note = f"{len(rows) - MOST} more in the table below" if len(rows) > MOST else ""
    return Shown("places", {"most": MOST, "rank": rank}, Table(columns, shown, links), summary, note)


def _has_rooms(name: str) -> bool:
    return "channel_id" in askable(find(name).rollup)


def _rows(
    by_channel: Found, by_room: Found, rank: str, known: Sequence[str], in_rooms: Sequence[str], alone: str
) -> list[dict[str, Any]]:
    """Return a row for each channel, followed by its rooms; a channel with one room is one row."""
    rooms: dict[str | None, list[Mapping[str, Any]]] = {}
    for row in by_room.rows:
        if row["channel_id"] is not None and any(row[name] for name in in_rooms):
            rooms.setdefault(row["channel"], []).append(row)
    result: list[dict[str, Any]] = []
    for row in sorted(by_channel.rows, key=lambda item: -(item[rank] or 0)):
        if not any(row[name] for name in known):
            continue
        own = sorted(rooms.get(row["channel"], []), key=lambda item: -(item[rank] or 0))
        one_room = len(own) == 1 and own[0][rank] == row[rank]
        room = own[0]["channel_id"] if one_room else None
        if row["channel"] != alone or not own:
            result.append(_row(row, known, row["channel"], room, level=0))
        if not one_room or row["channel"] == alone:
            level = 2 if row["channel"] == alone else 1
            result += [_row(room_row, in_rooms, room_row["channel"], room_row["channel_id"], level) for room_row in own]
    return result


def _row(
    row: Mapping[str, Any], names: Sequence[str], channel: str | None, room: str | None, level: int
) -> dict[str, Any]:
    return {
        "channel": channel if channel is not None else NONE, "room": room, "level": level,
        "values": {name: row[name] for name in names}, "n": {name: row["details"][name]["n"] for name in names},
        "compare": {name: (row.get("compare") or {}).get(name, {}) for name in names},
    }  # fmt: skip


def _shown(
    row: Mapping[str, Any],
    known: Sequence[str],
    noise: Mapping[tuple[str, str | None, str | None], NewsNumber],
    share: float,
) -> dict[str, Any]:
    """Return a row for display: a change within its noise is hidden, one beyond has a color."""
    dimension, value = ("channel_id", row["room"]) if row["level"] or row["room"] else ("channel", row["channel"])
    few = {name: unit_of(name) != Unit.COUNT and (row["n"].get(name) or 0) < FEW for name in known}
    changes = {}
    for name in known:
        beside = noise.get((name, dimension, value))
        if beside is None and not row["level"]:
            beside = noise.get((name, "channel", row["channel"]))
        way = way_beyond(beside) if beside is not None and name in row["values"] and not few[name] else ""
        text = change_in_words(row["compare"].get(name, {}), unit_of(name))
        changes[name] = {"change": text if way else "", "way": way}
    return {
        "channel": row["channel"], "room": row["room"], "level": row["level"], "bar": share_bar(share), "changes": changes,
        "few": few, **{name: row["values"].get(name) for name in known}, "has": list(row["values"]),
    }  # fmt: skip


def _links(ask: Ask, row: Mapping[str, Any], known: Sequence[str]) -> dict[str, str]:
    view = ask.view
    where = {"channel": row["channel"]} | ({"channel_id": row["room"]} if row["level"] or row["room"] else {})
    only = view.with_filter("channel_id", row["room"]) if row["room"] else view.with_filter("channel", row["channel"])
    explained = {
        name: ask.explained(name, where={k: v for k, v in where.items() if k == "channel" or _has_rooms(name)})
        for name in row["values"]
    }
    whole = "" if row["level"] else ask.link(view=view.with_filter("channel", row["channel"]))
    return {"channel": whole, "room": ask.link(view=only), **explained}

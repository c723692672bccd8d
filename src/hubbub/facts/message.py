"""Messages: which report of a message counts, and what its receipts say. Folded by the message's id.

One message may be reported by several events (an API call and a status), so one report counts for all: the earliest that names
its conversation, else the earliest. Receipts may come in any order and count within 72 hours of it: read implies delivered, and
delivered beats failed. A click or reaction is no receipt.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hubbub.facts.moments import HOUR

HORIZON = 72 * HOUR
"""How long before or after a message its receipts and replies count for it."""

RECEIPTED, READ, FAILED, ACTED = 1, 2, 4, 8
"""Bits of `receipts`: any receipt came; it was read; it failed and was never delivered; it was clicked or reacted to."""

TYPES = (
    "message.received", "message.sent", "message.delivered", "message.read", "message.failed", "message.reacted", "link.clicked",
)  # fmt: skip


class Report(NamedTuple):
    """An event of a message's key, with what was folded before."""

    time: int
    ident: int
    type: str
    channel: str | None
    message_id: str | None
    conversation_id: str | None
    status: str | None
    repeats: int | None
    delivered_at: int | None
    receipts: int | None


class Fate(NamedTuple):
    """What the fold says of one report: whether another one counts in its place, and its receipts."""

    repeats: int | None
    delivered_at: int | None
    receipts: int | None


NOTHING = Fate(None, None, None)
_REPEATS = Fate(1, None, None)


def fold(reports: Iterable[Report]) -> dict[tuple[int, int], Fate]:
    """Return the fate of every message among the events of one key, by time and ident."""
    messages: dict[tuple[str, str | None, str | None, int], list[Report]] = {}
    receipts: list[Report] = []
    for one in reports:
        if one.type not in ("message.received", "message.sent"):
            receipts.append(one)
        elif one.status != "private":
            alone = 0 if one.message_id is not None else one.ident
            messages.setdefault((one.type, one.channel, one.message_id, alone), []).append(one)
    found: dict[tuple[int, int], Fate] = {}
    for same in messages.values():
        if len(same) > 1:
            same.sort(key=lambda one: (one.conversation_id is None, one.time, one.ident))
            for one in same[1:]:
                found[one.time, one.ident] = _REPEATS
        first = same[0]
        found[first.time, first.ident] = (
            _fate(first, receipts) if receipts and first.type == "message.sent" else NOTHING
        )
    return found


def carry(reports: Iterable[Report], cut: int) -> list[Report]:
    """Return what a fold of later events needs of these, all from before a cut: receipts that came early, and what counted.

    A message without a `message_id` is reported once, so nothing later asks for it.
    """
    known = list(reports)
    fates = fold(known)
    return [
        one._replace(repeats=None, delivered_at=None, receipts=None)
        for one in known
        if (one.message_id is not None and fates.get((one.time, one.ident), _REPEATS).repeats is None)
        or (one.type not in ("message.received", "message.sent") and one.time >= cut - HORIZON)
    ]


def _fate(message: Report, receipts: Iterable[Report]) -> Fate:
    low, high, channel = message.time - HORIZON, message.time + HORIZON, message.channel
    delivered: int | None = None
    bits = 0
    for one in receipts:
        if not low <= one.time < high or (one.channel is not None and channel is not None and one.channel != channel):
            continue
        if one.type == "message.failed":
            bits |= RECEIPTED | FAILED
        elif one.type in ("message.delivered", "message.read"):
            bits |= RECEIPTED | (READ if one.type == "message.read" else 0)
            delivered = one.time if delivered is None or one.time < delivered else delivered
        else:
            bits |= ACTED
    if delivered is not None:
        bits &= ~FAILED
    return Fate(None, delivered, bits or None)

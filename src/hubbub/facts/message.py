"""Messages: the report of a message that counts, and its receipts. Folded by the message's id.

Several events may report one message (an API call and a status). One report counts: the earliest that names its conversation,
else the earliest. Receipts come in any order and count within 72 hours of it: read implies delivered, and delivered beats failed.
A click or reaction is no receipt.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hubbub.facts.moments import HOUR

HORIZON = 72 * HOUR
"""Microseconds before or after a message within which its receipts and replies count."""

RECEIPTED, READ, FAILED, ACTED = 1, 2, 4, 8
"""Bits of `receipts`: any receipt; read; failed and never delivered; clicked or reacted to."""

TYPES = (
    "message.received", "message.sent", "message.delivered", "message.read", "message.failed", "message.reacted", "link.clicked",
)  # fmt: skip


class Report(NamedTuple):
    """An event of a message's key, with its stored folded columns."""

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
    """The folded columns of a report: `repeats` 1 if another report counts in its place, and its receipts."""

    repeats: int | None
    delivered_at: int | None
    receipts: int | None


NOTHING = Fate(None, None, None)
_REPEATS = Fate(1, None, None)


def fold(reports: Iterable[Report]) -> dict[tuple[int, int], Fate]:
    """Return the fate of every message among the events of one key, by time and ident."""
    messages: dict[tuple[str, str | None, str | None, int], list[Report]] = {}
    receipts: list[Report] = []
    for report in reports:
        if report.type not in ("message.received", "message.sent"):
            receipts.append(report)
        elif report.status != "private":
            alone = 0 if report.message_id is not None else report.ident
            messages.setdefault((report.type, report.channel, report.message_id, alone), []).append(report)
    fates: dict[tuple[int, int], Fate] = {}
    for same in messages.values():
        if len(same) > 1:
            same.sort(key=lambda report: (report.conversation_id is None, report.time, report.ident))
            for report in same[1:]:
                fates[report.time, report.ident] = _REPEATS
        first = same[0]
        fates[first.time, first.ident] = (
            _fate(first, receipts) if receipts and first.type == "message.sent" else NOTHING
        )
    return fates


def carry(reports: Iterable[Report], cut: int) -> list[Report]:
    """Return the reports before a cut that a fold of later events needs: early receipts, and messages that count.

    A message without a `message_id` has one report, so no later event refers to it.
    """
    known = list(reports)
    fates = fold(known)
    return [
        report._replace(repeats=None, delivered_at=None, receipts=None)
        for report in known
        if (report.message_id is not None and fates.get((report.time, report.ident), _REPEATS).repeats is None)
        or (report.type not in ("message.received", "message.sent") and report.time >= cut - HORIZON)
    ]


def _fate(message: Report, receipts: Iterable[Report]) -> Fate:
    low, high, channel = message.time - HORIZON, message.time + HORIZON, message.channel
    delivered: int | None = None
    bits = 0
    for receipt in receipts:
        if not low <= receipt.time < high or (
            receipt.channel is not None and channel is not None and receipt.channel != channel
        ):
            continue
        if receipt.type == "message.failed":
            bits |= RECEIPTED | FAILED
        elif receipt.type in ("message.delivered", "message.read"):
            bits |= RECEIPTED | (READ if receipt.type == "message.read" else 0)
            delivered = receipt.time if delivered is None or receipt.time < delivered else delivered
        else:
            bits |= ACTED
    if delivered is not None:
        bits &= ~FAILED
    return Fate(None, delivered, bits or None)

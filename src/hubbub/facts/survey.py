"""Surveys: when one was sent, and its last valid rating. Folded by the survey's id.

A 5-point rating is valid from 1 to 5, one on scale 10 from 0 to 10. A rating without a staff member is credited to whoever replied
last before it in its conversation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol


class Voice(NamedTuple):
    """An event of a survey."""

    time: int
    ident: int
    type: str
    channel: str | None
    account_id: str | None
    staff_id: str | None
    credited_staff_id: str | None
    value: float | None
    scale: int | None


class Survey(NamedTuple):
    """Columns of `survey` after the tenant."""

    survey: str
    channel: str | None
    account_id: str | None
    staff_id: str | None
    sent_at: int | None
    rated_at: int | None
    rating: float | None
    scale: int | None


class Rating(Protocol):
    """An event that may be a rating."""

    @property
    def type(self) -> str:
        """The event's type."""
        ...

    @property
    def value(self) -> float | None:
        """The rating."""
        ...

    @property
    def scale(self) -> int | None:
        """The highest rating: 5 or 10; None means 5."""
        ...


def valid(event: Rating) -> bool:
    """Whether an event is a valid rating."""
    if event.type != "satisfaction.rating_received" or event.value is None:
        return False
    if (event.scale or 5) == 5:
        return event.value in (1, 2, 3, 4, 5)
    return event.scale == 10 and 0 <= event.value <= 10


def fold(survey: str, voices: Iterable[Voice]) -> Survey:
    """Fold the events of one survey, in any order."""
    ordered = sorted(voices, key=lambda voice: (valid(voice), voice.time, voice.ident))
    channel = account_id = staff_id = credited = None
    sent_at: int | None = None
    last: Voice | None = None
    for voice in ordered:
        channel, account_id = voice.channel or channel, voice.account_id or account_id
        staff_id = voice.staff_id or staff_id
        credited = voice.credited_staff_id or credited
        if voice.type == "satisfaction.survey_sent":
            sent_at = voice.time if sent_at is None else min(sent_at, voice.time)
        if valid(voice):
            last = voice
    return Survey(
        survey, channel, account_id, staff_id or credited, sent_at, last.time if last else None, last.value if last else None,
        (last.scale or 5) if last else None,
    )  # fmt: skip


def carry(voices: Iterable[Voice]) -> list[Voice]:
    """Return what a fold of later events needs: one event in place of all without a valid rating, and the last valid rating.

    Later events outrank these and earlier ones never do, so two events are enough.
    """
    ordered = sorted(voices, key=lambda voice: (voice.time, voice.ident))
    sent = [voice.time for voice in ordered if voice.type == "satisfaction.survey_sent"]
    kinds = ([voice for voice in ordered if not valid(voice)], [voice for voice in ordered if valid(voice)])
    carried = []
    for same in kinds:
        if same:
            known: dict[str, Any] = {
                name: next((v for voice in reversed(same) if (v := getattr(voice, name))), None)
                for name in ("channel", "account_id", "staff_id", "credited_staff_id")
            }
            carried.append(same[-1]._replace(**known))
    if sent:
        carried[0] = carried[0]._replace(type="satisfaction.survey_sent", time=min(sent), value=None)
    return carried

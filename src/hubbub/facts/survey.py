"""Surveys: when one was sent, and its last valid rating. Folded by the survey's id.

A 5-point rating is valid from 1 to 5, an answer on scale 10 from 0 to 10. A rating without a staff member is credited to the one
who answered last before it in its conversation.
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
    """What may be a rating."""

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
        """5 (also when absent) or 10."""
        ...


def valid(one: Rating) -> bool:
    """Whether an event is a rating that counts."""
    if one.type != "satisfaction.rating_received" or one.value is None:
        return False
    if (one.scale or 5) == 5:
        return one.value in (1, 2, 3, 4, 5)
    return one.scale == 10 and 0 <= one.value <= 10


def fold(survey: str, voices: Iterable[Voice]) -> Survey:
    """Fold the events of one survey, in any order."""
    ordered = sorted(voices, key=lambda one: (valid(one), one.time, one.ident))
    channel = account_id = staff_id = credited = None
    sent_at: int | None = None
    last: Voice | None = None
    for one in ordered:
        channel, account_id = one.channel or channel, one.account_id or account_id
        staff_id = one.staff_id or staff_id
        credited = one.credited_staff_id or credited
        if one.type == "satisfaction.survey_sent":
            sent_at = one.time if sent_at is None else min(sent_at, one.time)
        if valid(one):
            last = one
    return Survey(
        survey, channel, account_id, staff_id or credited, sent_at, last.time if last else None, last.value if last else None,
        (last.scale or 5) if last else None,
    )  # fmt: skip


def carry(voices: Iterable[Voice]) -> list[Voice]:
    """Return what a fold of later events needs of these: all that did not count as one, and the last valid rating.

    A later voice outranks what these say, and none of them can be outranked by an earlier one: two voices say it all.
    """
    ordered = sorted(voices, key=lambda one: (one.time, one.ident))
    sent = [one.time for one in ordered if one.type == "satisfaction.survey_sent"]
    kinds = ([one for one in ordered if not valid(one)], [one for one in ordered if valid(one)])
    found = []
    for same in kinds:
        if same:
            said: dict[str, Any] = {
                name: next((v for one in reversed(same) if (v := getattr(one, name))), None)
                for name in ("channel", "account_id", "staff_id", "credited_staff_id")
            }
            found.append(same[-1]._replace(**said))
    if sent:
        found[0] = found[0]._replace(type="satisfaction.survey_sent", time=min(sent), value=None)
    return found

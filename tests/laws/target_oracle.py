"""Oracle of targets in plain Python from the specification: conversations event by event, time minute by minute.

It shares nothing with the engine. A conversation's events are in order of time; no two of them are at one moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hubbub.model.calendar import Calendar
from hubbub.model.event import Event
from hubbub.model.target import Target
from tests.hours import Clock

DAY = timedelta(hours=24)
Slice = tuple[str | None, str | None]


@dataclass
class Spell:
    """A duration that a target may judge. Without `ended` it was closed at `closed`, or goes on (None)."""

    began: datetime
    channel: str | None
    priority: str | None
    ended: datetime | None = None
    closed: datetime | None = None


@dataclass
class Waiting:
    """A stretch of time in which a conversation waits; `since` is when the contact wrote."""

    since: datetime
    start: datetime
    end: datetime | None = None
    by_close: bool = False


@dataclass
class Talk:
    """The result of walking through one conversation."""

    answered: list[Spell] = field(default_factory=list)
    first: list[Spell] = field(default_factory=list)
    resolutions: list[Spell] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    channel: str | None = None
    priority: str | None = None
    closed_since: datetime | None = None

    def next(self) -> Iterator[Spell]:
        """Yield each wait: answered, going on, or closed without an answer."""
        yield from self.answered
        for stretch in self.waiting:
            answered = any(a.began <= stretch.since < (a.ended or a.began) for a in self.answered)
            if not answered and (stretch.end is None or stretch.by_close):
                yield Spell(stretch.since, self.channel, self.priority, None, stretch.end)


def _replies(event: Event) -> bool:
    return event.type in ("message.sent", "response.ai_generated") and event.status != "private"


def walk(events: Sequence[Event]) -> Talk:
    """Walk through the events of a conversation, in order of time."""
    talk = Talk()
    asked: tuple[datetime, str | None] | None = None
    own, own_at, inbound_at, waits = None, None, None, None
    episode_open, resolved, since_resolve = False, None, None
    first: Spell | None = None
    whole: Spell | None = None
    closing = {event.message_id for event in events if event.intent == "closing"}
    for event in events:
        time, kind = event.time, event.type
        inbound, replies = kind == "message.received", _replies(event)
        private = event.status == "private"
        talk.priority = event.severity or talk.priority
        talk.channel = talk.channel or event.channel
        if kind == "intent.classified" or (inbound and event.id in closing):
            continue  # a closing message starts no clock
        # waits for a reply
        if inbound and asked is None:
            asked = time, event.channel
        elif replies and asked is not None:
            talk.answered.append(Spell(asked[0], event.channel or asked[1], talk.priority, time))
            asked = None
        # episodes
        if not private and kind != "conversation.closed":
            opens = kind in ("message.received", "conversation.started", "conversation.reopened")
            if not episode_open and opens:
                soon = resolved is not None and time <= resolved + DAY
                if soon and kind == "conversation.reopened":
                    episode_open = True
                elif not soon:
                    start = since_resolve if resolved is not None and since_resolve is not None else time
                    whole, first, episode_open = Spell(start, None, None), None, True
                    talk.resolutions.append(whole)
                    if resolved is not None and since_resolve is not None:
                        talk.first = [one for one in talk.first if one.began != start]  # it belongs to this episode
                        first = Spell(start, None, None)
                        talk.first.append(first)
            if whole is not None:
                whole.channel = whole.channel or event.channel
                whole.priority = talk.priority
                if inbound and first is None:
                    first = Spell(time, None, None)
                    talk.first.append(first)
                if first is not None:
                    first.channel = whole.channel
                    if first.ended is None:
                        first.priority = talk.priority
                        first.ended = time if replies else None
                if kind == "conversation.resolved":
                    whole.ended = time
                elif kind == "conversation.reopened" and whole.ended is not None:
                    whole.ended = None
                if kind == "conversation.resolved":
                    resolved, episode_open, since_resolve = time, False, None
                elif replies:
                    since_resolve = None
                elif inbound and since_resolve is None:
                    since_resolve = time
        # open, closed and waiting
        if inbound:
            inbound_at = time
            waits = waits or time
        elif replies:
            waits = None
        elif kind.startswith("conversation."):
            own_at = time
            own = "closed" if kind in ("conversation.resolved", "conversation.closed") else "open"
            waits = None if own == "closed" else waits
        back = inbound_at is not None and own_at is not None and inbound_at > own_at + DAY
        is_open = inbound_at is not None if own is None else own == "open" or back
        is_closed = own == "closed" and not back
        talk.closed_since = (talk.closed_since or time) if is_closed else None
        going_on = talk.waiting[-1] if talk.waiting and talk.waiting[-1].end is None else None
        if going_on is not None and not (is_open and waits == going_on.since):
            going_on.end, going_on.by_close = time, is_closed
            going_on = None
        if is_open and waits is not None and going_on is None:
            talk.waiting.append(Waiting(waits, time))
    _closed(talk)
    return talk


def _closed(talk: Talk) -> None:
    """Set when a first wait or an episode without an end was closed."""
    for spell in talk.first:
        if spell.ended is None:
            ends = [stretch.end for stretch in talk.waiting if stretch.since == spell.began]
            spell.closed = ends[0] if ends else spell.began  # nobody waits: it ends as it begins
    for spell in talk.resolutions:
        if spell.ended is None:
            spell.closed = talk.closed_since


class Book:
    """A tenant's targets and business hours, and the moment of judging."""

    def __init__(
        self, targets: Sequence[Target], zone: str, calendar: Calendar, first: datetime, now: datetime
    ) -> None:
        self._targets, self._tz, self.now = targets, ZoneInfo(zone), now
        self._clock = Clock(calendar, zone, first, now)

    def target(self, aim: str, spell: Spell) -> Target | None:
        """Return the target of a spell: the most specific one in force on the local day on which it began."""
        day, named = spell.began.astimezone(self._tz).date(), (spell.priority or "").lower() or None
        scopes: list[Slice] = [(spell.channel, named)] if spell.channel and named else []
        scopes += [(None, named)] if named else []
        scopes += [(spell.channel, None)] if spell.channel else []
        for scope in (*scopes, (None, None)):
            begun = [
                t for t in self._targets
                if t.aim == aim and (t.channel, t.priority) == scope and t.valid_from <= day
            ]  # fmt: skip
            last = max(begun, key=lambda t: t.valid_from, default=None)
            if last is not None and (last.valid_to is None or day < last.valid_to):
                return last
        return None

    def spent(self, target: Target, start: datetime, end: datetime) -> int | None:
        """Return the milliseconds from `start` to `end` that the target counts."""
        if target.business:
            return self._clock.ms(start, end)
        return (end - start) // timedelta(milliseconds=1)

    def verdict(self, aim: str, spell: Spell) -> str:
        """Return within, breach, open (undecided), none (it never counts), or no target."""
        target = self.target(aim, spell)
        if target is None:
            return "no target"
        end = spell.ended or (min(spell.closed, self.now) if spell.closed else self.now)
        spent = self.spent(target, spell.began, end)
        if spent is None or (spell.ended is None and end <= spell.began):
            return "none"
        if spent > target.minutes * 60_000:
            return "breach"
        return "within" if spell.ended else "none" if spell.closed else "open"

    def waits(self, talk: Talk, moment: datetime) -> bool:
        """Whether a conversation waits at a moment."""
        return any(one.start < moment and (one.end is None or one.end >= moment) for one in talk.waiting)

    def over(self, talk: Talk, moment: datetime) -> int | None:
        """Return by how many ms a conversation that waits at a moment is past its target; None: it does not wait, or
        has no target.
        """
        several = []
        for stretch in talk.waiting:
            if stretch.start < moment and (stretch.end is None or stretch.end >= moment):
                spell = Spell(stretch.since, talk.channel, talk.priority)
                first = any(one.began == stretch.since for one in talk.first)
                for aim in ("next_response", *(["first_response"] if first else [])):
                    target = self.target(aim, spell)
                    spent = self.spent(target, stretch.since, moment) if target else None
                    if target is not None and spent is not None:
                        several.append(spent - target.minutes * 60_000)
        return max(several, default=None)


def spells(talk: Talk) -> Mapping[str, list[Spell]]:
    """Return the spells of a conversation by the aim that judges them."""
    return {"first_response": talk.first, "next_response": list(talk.next()), "resolution": talk.resolutions}


def tallies(book: Book, talks: Sequence[Talk], zone: str) -> Mapping[tuple[str, str, Slice], Counter[str]]:
    """Return the verdicts by aim, local day on which the spell began, and (channel, priority)."""
    found: dict[tuple[str, str, Slice], Counter[str]] = {}
    for talk in talks:
        for aim, several in spells(talk).items():
            for spell in several:
                day = spell.began.astimezone(ZoneInfo(zone)).date().isoformat()
                key = aim, day, (spell.channel, spell.priority)
                found.setdefault(key, Counter())[book.verdict(aim, spell)] += 1
    return found

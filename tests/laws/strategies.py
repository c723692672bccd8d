"""Small worlds: a few conversations, contacts and messages with colliding times, around days on which clocks change."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from hubbub.model.calendar import NO_CALENDAR, Calendar
from hubbub.model.event import Event
from tests.hours import calendars
from tests.laws.oracle import utc

STARTS: tuple[tuple[str, datetime], ...] = (
    ("America/New_York", utc(2026, 3, 3)),
    ("America/New_York", utc(2026, 10, 26)),
    ("Australia/Lord_Howe", utc(2026, 3, 30)),
    ("Australia/Lord_Howe", utc(2026, 9, 28)),
    ("UTC", utc(2026, 2, 24)),
    ("Asia/Kathmandu", utc(2026, 1, 27)),
)
"""Zones, and the first of ten days in which their clocks change or a month and a week end."""

DAYS = 10
SPREAD = tuple(
    timedelta(hours=h)
    for h in (0, 1, 5, 6, 7, 23, 24, 25, 30, 48, 71, 72, 73, 96, 120, 144, 150, 168, 169, 192, 216, 230)
)
NUDGES = tuple(
    timedelta(microseconds=us)
    for us in (
        0,
        0,
        0,
        1,
        499,
        500,
        1_000,
        999_600,
        30_000_000,
        900_000_000,
        1_800_000_001,
        2_700_000_000,
        3_599_999_999,
    )
)
CONVERSATIONS = ("c1", "c1", "c1", "c2", "c2", None)
CONTACTS = ("k1", "k1", "k2", "k3", None)
MESSAGES = ("m1", "m1", "m2", "m3", None)
STAFF = ("s1", "s2", None)
CHANNELS = ("whatsapp", "whatsapp", "email", None)
KINDS = (None, None, None, None, "person", "ai", "auto", "bot")

_TALK = ("message.received", "message.received", "message.received", "message.sent", "message.sent", "message.sent")
_SPEECH = (*_TALK, "response.ai_generated", "response.staff_sent")
_LIFE = (
    "conversation.started", "conversation.resolved", "conversation.resolved", "conversation.reopened",
    "conversation.escalated", "conversation.assigned", "conversation.closed", "escalation.raised",
)  # fmt: skip
_RECEIPTS = (
    "message.delivered",
    "message.delivered",
    "message.read",
    "message.failed",
    "message.reacted",
    "link.clicked",
)
_OTHERS = (
    "task.created", "task.assigned", "task.completed", "task.sla_breached", "intent.classified", "intent.confidence_low",
    "intent.action_taken", "satisfaction.survey_sent", "satisfaction.rating_received", "satisfaction.rating_received",
    "satisfaction.feedback_received", "staff.login", "staff.logout", "staff.status_changed", "topic.classified",
    "topic.classified", "topic.unlabelled", "label.retracted",
    "campaign.created", "campaign.started", "campaign.completed", "campaign.failed",
    "contact.created", "contact.updated", "contact.blocked", "contact.unblocked", "contact.converted",
    "contact.converted", "content.published", "metric.observed", "response.time_recorded", "custom.thing",
)  # fmt: skip
THEMES: tuple[tuple[str, ...], ...] = (
    _TALK,
    (*_SPEECH, *_LIFE),
    (*_SPEECH, *_LIFE, *_LIFE),
    (*_TALK, *_RECEIPTS, *_RECEIPTS, "contact.converted", "contact.blocked"),
    (*_SPEECH, "response.time_recorded"),
    _OTHERS,
    (*_SPEECH, *_LIFE, *_RECEIPTS, *_OTHERS),
)
"""Event types of a world: worlds of one theme meet their corner cases far more often than a mixture of everything."""


STREAMS: tuple[tuple[str, ...], ...] = (
    (*_SPEECH, *_LIFE, *_RECEIPTS, *_OTHERS, "contact.linked", "contact.linked", "contact.unlinked"),
    (
        *_SPEECH,
        *_RECEIPTS,
        "contact.created",
        "contact.blocked",
        "contact.converted",
        "contact.linked",
        "contact.unlinked",
    ),
    (*_SPEECH, *_LIFE, "conversation.resolved", "conversation.reopened", "response.ai_generated"),
    (
        "topic.classified",
        "message.received",
        "satisfaction.rating_received",
        "satisfaction.survey_sent",
        "message.sent",
    ),
)
"""Themes of streams; together they have every event type."""
OLD: tuple[tuple[str, datetime], ...] = (
    ("UTC", utc(2000, 2, 24)),
    ("Pacific/Apia", utc(2011, 12, 26)),
    ("Asia/Pyongyang", utc(2018, 4, 30)),
)
"""Starts long ago: a century's leap day, a zone that skipped a day, and a zone whose day had an extra half hour."""


TALKS = (*THEMES[:3], THEMES[4])
"""Worlds with waiting contacts: half of them have business hours."""

_SHOWN = tuple(f for f in Event.__struct_fields__ if f not in ("time", "attributes"))


class World:
    """A tenant's zone and business hours, all events ever sent without repeats, and their corrections."""

    def __init__(
        self,
        zone: str,
        start: datetime,
        events: list[Event],
        corrections: list[Event],
        calendar: Calendar = NO_CALENDAR,
    ) -> None:
        """Store what was drawn."""
        self.zone, self.start, self.events, self.corrections = zone, start, events, corrections
        self.calendar = calendar

    def __repr__(self) -> str:
        """Show one event a line."""
        lines = (
            " ".join([f"{e.time:%m-%dT%H:%M:%S.%f}", *(f"{f}={v}" for f in _SHOWN if (v := getattr(e, f)) is not None)])
            for e in self.everything
        )
        return f"World({self.zone} from {self.start:%Y-%m-%d}:\n  " + "\n  ".join(lines) + f"\n  {self.calendar}\n)"

    @property
    def everything(self) -> list[Event]:
        """Events and their corrections."""
        return [*self.events, *self.corrections]

    @property
    def end(self) -> datetime:
        """A moment after all events of the world."""
        return self.start + timedelta(days=DAYS + 1)


def _fields(kind: str, dice: int) -> dict[str, Any]:
    """Return the fields of an event type, beside who and where; `dice` picks the values."""
    if kind in ("message.sent", "message.received"):
        asks = (True, None, False)[dice // 2 % 3] if kind == "message.received" else None
        return {
            "campaign_id": ("p1", None, None)[dice % 3],
            "status": "private" if dice % 11 == 10 else None,
            "asks": asks,
        }
    if kind == "response.time_recorded":
        return {"duration_ms": (None, 0, 1, 1234, 98_765_432)[dice % 5]}
    if kind.startswith("task."):
        return {"task_id": ("t1", "t2", None)[dice % 3]}
    if kind == "topic.classified":
        return {
            "topic": ("Complaint", "escalation", "billing", None)[dice % 4],
            "sentiment": ("negative", "neutral", "Escalation", None, None)[dice % 5],
            "confidence": (0.1, 0.25, 1.0, None)[dice % 4],
        }
    if kind.startswith("intent."):
        return {"intent": ("buy", "leave", None)[dice % 3], "confidence": (0.0, 0.3, 0.99, None)[dice % 4]}
    if kind.startswith("satisfaction."):
        return {
            "survey_id": ("y1", "y1", "y2", None)[dice % 4],
            "value": (1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 0.0, None)[dice % 8]
            if kind != "satisfaction.survey_sent"
            else None,
            "scale": (None, None, 5, 10)[dice // 8 % 4],
        }
    if kind == "staff.status_changed":
        return {"status": ("Online", "away", "busy", None)[dice % 4]}
    if kind == "contact.updated":
        return {"status": ("active", "Blocked", None)[dice % 3]}
    if kind.startswith("campaign."):
        return {"campaign_id": ("p1", "p2", None)[dice % 3]}
    if kind == "metric.observed":
        return {"name": ("reach", "likes")[dice % 2], "value": (0.1, -2.5, 1e6, 0.000_001, None)[dice % 5]}
    if kind.startswith("contact.") and kind.endswith("linked"):
        return {"name": CONTACTS[dice % 4]}
    if kind == "escalation.raised":
        return {"severity": ("high", None)[dice % 2]}
    if kind == "response.ai_generated":
        return {
            "name": ("small", "large", None)[dice % 3], "input_tokens": (0, 17, 10**12, None)[dice % 4],
            "output_tokens": (3, None)[dice % 2], "value": (0.000_001, 0.25, None)[dice % 3],
        }  # fmt: skip
    if kind in ("conversation.escalated", "conversation.assigned"):
        return {"reason": ("refund", "asked", None)[dice % 3]}
    return {}


@st.composite
def _events(draw: st.DrawFn, start: datetime, theme: tuple[str, ...], number: int) -> Event:
    picks = draw(st.lists(st.integers(0, 10_000), min_size=3, max_size=3))
    kind = draw(st.sampled_from(theme))
    when = start + draw(st.sampled_from(SPREAD)) + draw(st.sampled_from(NUDGES))
    return _event(kind, when, number, *picks)


def _event(kind: str, when: datetime, number: int, who: int, where: int, what: int) -> Event:
    conversation = CONVERSATIONS[where % 6]
    channel = CHANNELS[where // 6 % 4]
    talks = kind.startswith(("message.", "link.", "response."))
    name = f"e{number}"
    if kind == "message.received" and what % 13 == 0 and conversation is not None:
        name = conversation  # the message that names its conversation
    return Event(
        type=kind,
        time=when,
        id=name,
        source="other" if where % 17 == 0 or name == conversation else None,
        channel=channel,
        channel_id=(f"{channel}-1" if channel and where % 2 else None),
        account_id=("a1", None)[where // 24 % 2],
        conversation_id=conversation,
        message_id=MESSAGES[who // 15 % 5] if talks and kind != "message.received" else None,
        contact_id=CONTACTS[who % 5],
        staff_id=STAFF[who // 5 % 3],
        kind=KINDS[what // 3 % 8] if kind.startswith(("message.", "response.", "contact.")) else None,
        **_fields(kind, what),
    )


_LIVES = {"staff": "staff_id", "contact": "contact_id", "campaign": "campaign_id"}


def _by_arrival(event: Event, others: Iterable[Event]) -> bool:
    """Whether only the order of arrival decides between two transitions of one moment: laws leave such events out."""
    assigned = event.type == "conversation.assigned"
    name = "conversation_id" if assigned else _LIVES.get(event.type.partition(".")[0])
    who = getattr(event, name) if name else None
    return who is not None and any(
        (e.type == event.type if assigned else e.type.partition(".")[0] == event.type.partition(".")[0])
        and getattr(e, name or "") == who
        and e.time == event.time
        for e in others
    )


@st.composite
def worlds(
    draw: st.DrawFn,
    *,
    least: int = 5,
    most: int = 40,
    corrected: bool = False,
    themes: tuple[tuple[str, ...], ...] = THEMES,
    starts: tuple[tuple[str, datetime], ...] = STARTS,
) -> World:
    """Draw a world; `corrected` adds higher revisions of some events, at other times and in other conversations."""
    zone, start = draw(st.sampled_from(starts))
    theme = draw(st.sampled_from(themes))
    count = draw(st.integers(least, most))
    events: dict[tuple[str, str], Event] = {}
    for number in range(count):
        # sometimes two sources use the same id: two events
        event = draw(_events(start, theme, number if number % 7 else number // 2))
        if not _by_arrival(event, events.values()):
            events.setdefault((event.source or "api", event.id or ""), event)
    corrections: list[Event] = []
    if corrected:
        for original in draw(st.lists(st.sampled_from(list(events.values())), max_size=6)):
            newer = draw(_events(start, (original.type, *theme), 0))
            revision = 1 + sum(c.id == original.id and c.source == original.source for c in corrections)
            newest = msgspec.structs.replace(newer, id=original.id, source=original.source, revision=revision)
            if not _by_arrival(newest, [*events.values(), *corrections]):
                corrections.append(newest)
    calendar = draw(calendars(start.date(), DAYS, least=0)) if theme in TALKS and draw(st.booleans()) else NO_CALENDAR
    return World(zone, start, list(events.values()), corrections, calendar)


@st.composite
def deliveries(draw: st.DrawFn, events: list[Event], *, most: int = 4) -> list[list[Event]]:
    """Draw an order of arrival in a few batches: every event at least once, some again."""
    again = draw(st.lists(st.sampled_from(events), max_size=len(events) // 2)) if events else []
    order = draw(st.permutations([*events, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=most - 1)))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]

"""Targets: every verdict equals the oracle's, over random conversations, targets, calendars and zones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hubbub.model import calendar
from hubbub.model.event import Event
from hubbub.model.target import Aim, Target
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, local_midnight
from tests.extent import TIMELINES
from tests.laws.conftest import Lab
from tests.laws.target_oracle import Book, Talk, tallies, walk

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu")
"""The clocks of the second and third zone change in March 2026, those of the fourth in April."""
FIRST, DAYS = date(2026, 2, 25), 44
NOW = datetime(2026, 4, 11, 13, 7, tzinfo=UTC)
CHANNELS, PRIORITIES = ("sms", "mail", None), ("Urgent", "low", None)
TYPES = (
    "message.received", "message.received", "message.received", "message.sent", "message.sent", "response.ai_generated",
    "conversation.resolved", "conversation.closed", "conversation.reopened", "conversation.assigned", "conversation.started",
)  # fmt: skip
MINUTES = (1, 5, 15, 60, 240, 480, 1440)
HOURS = {
    "versions": [
        {"valid_from": "2026-03-01", "week": {day: ["09:00-12:30", "13:30-18:00"] for day in calendar.WEEKDAYS[:5]}},
        {
            "valid_from": "2026-03-20",
            "week": {"monday": ["00:00-24:00"], "saturday": ["22:00-01:00"], "sunday": ["01:15-02:45"]},
            "holidays": {"2026-03-23": [], "2026-03-31": ["02:00-05:00"]},
        },
    ]
}


def conversation(dice: random.Random, name: str, start: datetime) -> list[Event]:
    """Return a random conversation; gaps are often exactly a target, or a millisecond beside one."""
    time = start + timedelta(milliseconds=dice.randrange(DAYS * 86_400_000))
    channel, events = dice.choice(CHANNELS), []
    for number in range(dice.randint(1, 9)):
        private = dice.random() < 0.05
        events.append(Event(
            type=dice.choice(TYPES) if number else dice.choice(TYPES[:3] + TYPES[-1:]), time=time, id=f"{name}-{number}",
            conversation_id=name, channel=channel, severity=dice.choice(PRIORITIES) if dice.random() < 0.3 else None,
            status="private" if private and number else None,
        ))  # fmt: skip
        gap = (
            dice.choice(MINUTES) * 60_000 + dice.choice((-1, 0, 1))
            if dice.random() < 0.5
            else dice.randrange(90_000_000)
        )
        time += timedelta(milliseconds=gap)
    kept = [event for event in events if event.type != "message.received" or event.status != "private"]
    return [labelled for event in kept for labelled in (event, *_labels(dice, event))]


def _labels(dice: random.Random, message: Event) -> list[Event]:
    """Label some messages, most of them as closing."""
    if message.type != "message.received" or dice.random() > 0.15:
        return []
    return [
        Event(
            type="intent.classified", time=message.time, id=f"{message.id}-label", conversation_id=message.conversation_id,
            message_id=message.id, intent=dice.choice(("closing", "closing", "question")),
        )
    ]  # fmt: skip


def targets(dice: random.Random) -> tuple[Target, ...]:
    """Return random targets of every aim and scope; some begin within the days, and some end."""
    found = {}
    for number in range(dice.randint(6, 14)):
        begins = FIRST + timedelta(days=dice.choice((-400, *range(DAYS))))
        ends = begins + timedelta(days=dice.randint(1, DAYS)) if dice.random() < 0.25 else None
        priority = dice.choice(("urgent", "low", None, None))
        target = Target(
            id=f"t{number}", aim=dice.choice(list(Aim)), minutes=dice.choice(MINUTES), business=dice.random() < 0.4,
            channel=dice.choice(CHANNELS), priority=priority, valid_from=begins, valid_to=ends,
        )  # fmt: skip
        found[target.aim, target.scope, begins] = target
    return tuple(found.values())


def check(lab: Lab, tenant: Tenant, talks: Sequence[Talk]) -> int:
    """Compare all numbers of a tenant, by day and slice, with the oracle; return the number of judged spells."""
    start, end = (local_midnight(FIRST + timedelta(days=n), tenant.tz) for n in (0, DAYS + 3))
    book = Book(tenant.targets, tenant.zone, tenant.calendar, start, NOW)
    expected, judged = tallies(book, talks, tenant.zone), 0
    for aim in Aim:
        names = [f"{aim}_within_target", f"{aim}_breaches"]
        seen = set()
        for row in lab.ask(tenant, names, start, end, Grain.DAY, by=("channel", "priority")).rows:
            day = row.start.astimezone(tenant.tz).date().isoformat()
            key = aim.value, day, (row.dims["channel"], row.dims["priority"])
            counted = expected.get(key)
            share, breaches = (row.cells[name] for name in names)
            if counted is None:
                assert share.value is None and breaches.value in (0, None), key
                continue
            seen.add(key)
            total = counted["within"] + counted["breach"]
            judged += total
            if set(counted) == {"no target"}:
                assert (share.value, breaches.value, share.state) == (None, None, "no_target"), key
                continue
            assert (share.numerator, share.denominator, breaches.value) == (
                counted["within"],
                total,
                counted["breach"],
            ), key
            assert share.value == (counted["within"] / total if total else None), key
            if row.start + timedelta(days=2) < NOW:
                assert share.state == ("provisional" if counted["open"] else "settled"), key
        unseen = {key for key in expected if key[0] == aim} - seen
        assert not lab.now or unseen == set() or all(set(expected[key]) == {"no target"} for key in unseen), unseen
    _waiting(lab, tenant, talks, book)
    return judged


def _waiting(lab: Lab, tenant: Tenant, talks: Sequence[Talk], book: Book) -> None:
    """Compare the conversations past their target, at the end of each day and now."""
    start, end = (local_midnight(FIRST + timedelta(days=n), tenant.tz) for n in (0, DAYS + 3))
    for row in lab.ask(tenant, ["waiting_past_target"], start, end, Grain.DAY).rows:
        cell = row.cells["waiting_past_target"]
        if row.start >= NOW:
            continue
        day = row.start.astimezone(tenant.tz).date() + timedelta(days=1)
        moment = min(local_midnight(day, ZoneInfo(tenant.zone)), NOW)
        over = [book.over(talk, moment) for talk in talks]
        waiting = any(book.waits(talk, moment) for talk in talks)
        if any(ms is not None for ms in over):
            assert cell.value == sum(ms is not None and ms > 0 for ms in over), day
        else:
            assert cell.value is None or (cell.value == 0 and not waiting), day


@pytest.mark.parametrize("zone", ZONES)
def test_verdicts_are_those_of_a_calculation_minute_by_minute(lab: Lab, zone: str) -> None:
    """Verdicts by aim, day, channel and priority are the oracle's, with late events, and after targets or hours change,
    which folds nothing.
    """
    lab.empty()
    lab.now = NOW
    dice = random.Random(f"targets {zone}")
    tenant = replace(lab.tenant(zone, calendar.read(HOURS)), targets=targets(dice))
    start = local_midnight(FIRST, tenant.tz)
    several = [conversation(dice, f"c{n}", start) for n in range(TIMELINES // len(ZONES))]
    events = [event for one in several for event in one if event.time < NOW]
    dice.shuffle(events)
    late = len(events) // 5
    lab.send(tenant, events[late:])
    lab.refresh()
    lab.send(tenant, events[:late])
    talks = [walk([event for event in one if event.time < NOW]) for one in several]
    assert check(lab, tenant, talks) > 0
    rows = lab.stored(tenant)
    check(lab, replace(tenant, targets=targets(dice)), talks)
    check(lab, replace(tenant, calendar=calendar.NO_CALENDAR), talks)
    assert lab.stored(tenant) == rows

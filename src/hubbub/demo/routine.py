"""What happens every day beside conversations: shifts, tasks, contacts, posts, observed numbers, a topic's spike."""

from __future__ import annotations

import math
from datetime import timedelta

from hubbub.demo.pen import Pen, contact_id

SHIFTS = (7, 15, 22, 9, 12)
"""Hours at which shifts of nine hours begin; the first three cover day and night, the others only working days."""

SPIKE_DAYS = (2, 4)
"""Between how many days ago, both included, the tenant's spike topic is on everybody's lips."""


def write_routine(pen: Pen) -> None:
    """Write the day's shifts, tasks, contacts, posts and observed numbers."""
    _write_shifts(pen)
    _write_tasks(pen)
    _write_contacts(pen)
    profile, number = pen.profile, pen.day.toordinal()
    if number % 3 == 0:
        title = {"title": f"News of {pen.day}"}
        pen.write("content.published", pen.at(10.25), name=f"post-{pen.day}", channel="facebook", attributes=title)
    for name, usual in profile.observed:
        wave = 1 + 0.2 * math.sin(number / 5) + pen.rng.uniform(-0.05, 0.05)
        pen.write("metric.observed", pen.at(23.9), name=name, value=round(usual * wave, 1), channel="facebook")
    pen.write("custom.demo.day_closed", pen.at(23.95), name="day_closed")


def write_links(pen: Pen) -> None:
    """Write, on some days, that two contacts are one person; now and then that was wrong, and is taken back the next day."""
    if not pen.chance(0.3):
        return
    known, same, at = pen.contact(), pen.contact(), pen.at(pen.busy_hour())
    if known == same:
        return
    pen.write("contact.linked", at, contact_id=known, name=same)
    if pen.chance(0.2):
        pen.write("contact.unlinked", at + timedelta(days=1), contact_id=known, name=same)


def write_spike(pen: Pen) -> None:
    """Write a wave of one topic, across all rooms but the hotspot, which has its own troubles."""
    rooms = [pair for pair in pen.profile.rooms if pair[1] != pen.profile.hotspot]
    for _ in range(70):
        channel, room = pen.rng.choice(rooms)
        tone = "negative" if pen.chance(0.2) else "neutral"
        pen.write(
            "topic.classified", pen.at(pen.busy_hour()), channel=channel, channel_id=room, topic=pen.profile.spike,
            sentiment=tone, confidence=round(pen.rng.uniform(0.7, 0.99), 3), contact_id=pen.contact(),
        )  # fmt: skip


def _write_shifts(pen: Pen) -> None:
    staff, number = pen.profile.staff, pen.day.toordinal()
    for place, hour in enumerate(SHIFTS[:3] if pen.day.weekday() >= 5 else SHIFTS):
        # everyone moves on by one shift a day, and nobody has two on the same day
        who = staff[(number + place) % len(staff)]
        begins, ends = hour + pen.rng.uniform(-0.2, 0), hour + 9 + pen.rng.uniform(0, 0.2)
        pen.write("staff.login", pen.at(begins), staff_id=who)
        pen.write("staff.status_changed", pen.at(begins + 4), staff_id=who, status="away")
        pen.write("staff.status_changed", pen.at(begins + 4.5), staff_id=who, status="online")
        pen.write("staff.logout", pen.at(ends), staff_id=who)


def _write_tasks(pen: Pen) -> None:
    for _ in range(pen.rng.randint(3, 8)):
        task, at = pen.name("t"), pen.at(pen.busy_hour())
        about = {"task_id": task, "name": pen.pick(pen.profile.tasks), "channel": pen.profile.rooms[0][0]}
        pen.write("task.created", at, **about)
        if not pen.chance(0.95):
            continue
        who = pen.pick(pen.profile.staff)
        pen.write("task.assigned", at + pen.minutes_about(8), staff_id=who, **about)
        took = timedelta(hours=1) + pen.minutes_about(80, 1.0)
        if took > timedelta(hours=4):
            pen.write("task.sla_breached", at + timedelta(hours=4), staff_id=who, **about)
        if pen.chance(0.94):
            took_ms = took // timedelta(milliseconds=1)
            pen.write("task.completed", at + took, staff_id=who, duration_ms=took_ms, **about)


def _write_contacts(pen: Pen) -> None:
    for number in range(pen.profile.new_contacts):
        contact, at = contact_id(pen.profile, pen.day, number), pen.at(pen.rng.uniform(0, 0.2))
        pen.write("contact.created", at, contact_id=contact, channel=pen.profile.rooms[0][0])
        if pen.chance(0.2):
            language = {"language": pen.pick(("en", "it", "pt", "hi"))}
            pen.write("contact.updated", at + pen.seconds(3600, 60_000), contact_id=contact, attributes=language)
    if pen.chance(0.25):
        contact, at = pen.contact(), pen.at(pen.busy_hour())
        pen.write("contact.blocked", at, contact_id=contact)
        if pen.chance(0.3):
            pen.write("contact.unblocked", at + pen.minutes_about(600), contact_id=contact)

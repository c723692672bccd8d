"""Daily events other than conversations: shifts, tasks, contacts, posts, observed numbers."""

from __future__ import annotations

import math
from datetime import timedelta

from hubbub.demo.writer import Writer, contact_id

SHIFTS = (7, 15, 22, 9, 12)
"""Hours at which shifts of nine hours begin: the first three every day, the others on weekdays."""


def write_daily(writer: Writer) -> None:
    """Write the day's shifts, tasks, contacts, posts and observed numbers."""
    _write_shifts(writer)
    _write_tasks(writer)
    _write_contacts(writer)
    scenario, number = writer.scenario, writer.day.toordinal()
    if number % 3 == 0:
        title = {"title": f"News of {writer.day}"}
        writer.write(
            "content.published", writer.at(10.25), name=f"post-{writer.day}", channel="facebook", attributes=title
        )
    for name, usual in scenario.observed:
        wave = 1 + 0.2 * math.sin(number / 5) + writer.rng.uniform(-0.05, 0.05)
        writer.write("metric.observed", writer.at(23.9), name=name, value=round(usual * wave, 1), channel="facebook")
    writer.write("custom.demo.day_closed", writer.at(23.95), name="day_closed")


def write_links(writer: Writer) -> None:
    """On some days, link two contacts as one person; a few links are wrong and are undone the next day."""
    if not writer.chance(0.3):
        return
    known, same, at = writer.contact(), writer.contact(), writer.at(writer.busy_hour())
    if known == same:
        return
    writer.write("contact.linked", at, contact_id=known, name=same)
    if writer.chance(0.2):
        writer.write("contact.unlinked", at + timedelta(days=1), contact_id=known, name=same)


def _write_shifts(writer: Writer) -> None:
    staff, number = writer.scenario.staff, writer.day.toordinal()
    for place, hour in enumerate(SHIFTS[:3] if writer.day.weekday() >= 5 else SHIFTS):
        # everyone moves to the next shift each day, so nobody has two on the same day
        who = staff[(number + place) % len(staff)]
        begins, ends = hour + writer.rng.uniform(-0.2, 0), hour + 9 + writer.rng.uniform(0, 0.2)
        writer.write("staff.login", writer.at(begins), staff_id=who)
        writer.write("staff.status_changed", writer.at(begins + 4), staff_id=who, status="away")
        writer.write("staff.status_changed", writer.at(begins + 4.5), staff_id=who, status="online")
        writer.write("staff.logout", writer.at(ends), staff_id=who)


def _write_tasks(writer: Writer) -> None:
    for _ in range(writer.rng.randint(3, 8)):
        task, at = writer.name("t"), writer.at(writer.busy_hour())
        about = {"task_id": task, "name": writer.pick(writer.scenario.tasks), "channel": writer.scenario.rooms[0][0]}
        writer.write("task.created", at, **about)
        if not writer.chance(0.95):
            continue
        who = writer.pick(writer.scenario.staff)
        writer.write("task.assigned", at + writer.minutes_about(8), staff_id=who, **about)
        took = timedelta(hours=1) + writer.minutes_about(80, 1.0)
        if took > timedelta(hours=4):
            writer.write("task.sla_breached", at + timedelta(hours=4), staff_id=who, **about)
        if writer.chance(0.94):
            took_ms = took // timedelta(milliseconds=1)
            writer.write("task.completed", at + took, staff_id=who, duration_ms=took_ms, **about)


def _write_contacts(writer: Writer) -> None:
    for number in range(writer.scenario.new_contacts):
        contact, at = contact_id(writer.scenario, writer.day, number), writer.at(writer.rng.uniform(0, 0.2))
        writer.write("contact.created", at, contact_id=contact, channel=writer.scenario.rooms[0][0])
        if writer.chance(0.2):
            language = {"language": writer.pick(("en", "it", "pt", "hi"))}
            writer.write("contact.updated", at + writer.seconds(3600, 60_000), contact_id=contact, attributes=language)
    if writer.chance(0.25):
        contact, at = writer.contact(), writer.at(writer.busy_hour())
        writer.write("contact.blocked", at, contact_id=contact)
        if writer.chance(0.3):
            writer.write("contact.unblocked", at + writer.minutes_about(600), contact_id=contact)

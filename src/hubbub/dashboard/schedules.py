"""Schedules in plain words; pause, resume, run now, run for past dates."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Group, Page, Shown, Widget
from hubbub.dashboard.forms import Act, Field, data_table
from hubbub.dashboard.jobs import one_job, those_jobs
from hubbub.dashboard.person import Role
from hubbub.model.plain import plain

WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ENDINGS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


def in_words(cron: str) -> str:
    """Return a cron line (UTC) in words; an unusual one as it is."""
    minute, hour, day, month, weekday = cron.split()
    if re.fullmatch(r"\*/\d+", minute) and (hour, day, month, weekday) == ("*", "*", "*", "*"):
        return f"every {minute[2:]} minutes"
    if month == "*" and minute.isdigit():
        if (hour, day, weekday) == ("*", "*", "*"):
            return "every hour" if int(minute) == 0 else f"every hour at minute {int(minute)}"
        at = f"at {int(hour):02}:{int(minute):02} UTC" if hour.isdigit() else ""
        if at and (day, weekday) == ("*", "*"):
            return f"every day {at}"
        if at and day == "*" and re.fullmatch("[0-7]", weekday):
            return f"every {WEEKDAYS[int(weekday)]} {at}"
        if at and weekday == "*" and day.isdigit():
            return f"on the {int(day)}{ENDINGS.get(int(day), 'th')} of every month {at}"
    return f"by the cron line {cron} (UTC)"


def _schedules(ask: Ask) -> Shown:
    schedules = ask.engine.schedules.of().rows
    rows = [
        {**plain(row), "when": in_words(row.cron), "state": "paused" if row.paused else "active"} for row in schedules
    ]
    columns = [
        Column("doc", "Schedule", "long"), Column("when", "When"),
        Column("state", "State", "state"), Column("next_run", "Next (UTC)", "utc"),
        Column("last_run", "Last (UTC)", "utc"), Column("name", "Key"),
    ]  # fmt: skip
    names = {row.name: row.doc for row in schedules}
    which = Field("schedule", "Schedule", "select", options=names)
    past = Act(
        "backfill", "Run for these days", title="Run for past days",
        fields=(which, Field("from", "From", "date", required=True), Field("to", "To, not included", "date", required=True)),
    )  # fmt: skip
    return data_table(
        ask, columns, rows,
        links=[{"doc": those_jobs(queue=row.queue)} for row in schedules],
        acts=[_acts(row.name, paused=row.paused) for row in schedules], forms=[past],
    )  # fmt: skip


def _acts(name: str, *, paused: bool) -> Sequence[Act]:
    sends = {"schedule": name}
    return [Act("run", "Run now", sends), Act("resume", "Resume", sends) if paused else Act("pause", "Pause", sends)]


def _run(ask: Ask, form: Form) -> Done:
    row = ask.engine.schedules.trigger(form.get("schedule", ""))
    return Done("", to=one_job(row.id))


def _backfill(ask: Ask, form: Form) -> Done:
    row = ask.engine.schedules.backfill(form.get("schedule", ""), form.get("from", ""), form.get("to", ""))
    return Done("", to=one_job(row.id))


def _pause(ask: Ask, form: Form) -> Done:
    row = ask.engine.schedules.pause(form.get("schedule", ""))
    return Done(f"Paused: {row.doc} It starts no jobs until it is resumed.")


def _resume(ask: Ask, form: Form) -> Done:
    row = ask.engine.schedules.resume(form.get("schedule", ""))
    return Done(f"Resumed: {row.doc} It started no jobs during the pause: run it for those days.")


PAGE = Page(
    "schedules", "Schedules", (Widget("list", "Schedules of jobs", _schedules, size="list", wide=True),),
    role=Role.OPERATOR, tenant=False, header=False, acts=Role.OPERATOR,
    actions={"run": _run, "backfill": _backfill, "pause": _pause, "resume": _resume},
    group=Group.OPERATOR,
)  # fmt: skip

"""Targets: within how many minutes to answer and to resolve, set from a day on, and ended."""

from __future__ import annotations

from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Group, Page, Shown, Widget
from hubbub.dashboard.forms import Act, Field, data_table
from hubbub.dashboard.person import Role
from hubbub.model.target import Aim
from hubbub.services.targets import TargetView

AIMS = {
    Aim.FIRST_RESPONSE.value: "First response", Aim.NEXT_RESPONSE.value: "Each response", Aim.RESOLUTION.value: "Resolution",
}  # fmt: skip
HOURS = {"": "around the clock", "yes": "in business hours"}


def _targets(ask: Ask) -> Shown:
    rows = ask.engine.targets.of(ask.tenant.id).rows
    columns = [
        Column("aim", "What"), Column("within", "Within"), Column("channel", "Channel"), Column("priority", "Priority"),
        Column("share", "Share wanted"), Column("valid_from", "From", "date"), Column("valid_to", "To, not included", "date"),
    ]  # fmt: skip
    may = ask.person.may(Role.ADMIN)
    acts = [[Act("end", "End", {"target": row.id}, danger=True)] if row.valid_to is None else [] for row in rows]
    return data_table(
        ask, columns, [_row(ask, row) for row in rows], acts=acts if may else [],
        forms=[Act("set", "Set", fields=_fields(ask), title="Set a target")] if may else [],
        nothing="There is no target: nothing says how long a wait may be.",
    )  # fmt: skip


def _row(ask: Ask, row: TargetView) -> dict[str, str | None]:
    return {
        "aim": ask.in_words(AIMS[row.aim]), "within": f"{row.minutes} min {HOURS['yes' if row.business else '']}",
        "channel": row.channel or "all", "priority": row.priority or "all",
        "share": f"{row.share:.0%}" if row.share is not None else "–", "valid_from": row.valid_from,
        "valid_to": row.valid_to,
    }  # fmt: skip


def _fields(ask: Ask) -> tuple[Field, ...]:
    hours = HOURS if ask.tenant.calendar else {"": HOURS[""]}
    aims = {aim: ask.in_words(title) for aim, title in AIMS.items()}
    return (
        Field("aim", "What", "select", Aim.FIRST_RESPONSE.value, aims),
        Field("minutes", "Within minutes", "number", required=True),
        Field("business", "Counted", "select", "", hours),
        Field("channel", "Channel", hint="empty: all"),
        Field("priority", "Priority", hint="empty: all"),
        Field("share", "Share wanted, in %", "number", hint="like 90; pages show the distance to it"),
        Field("valid_from", "From", "date", hint="empty: today"),
    )


def _do_set(ask: Ask, form: Form) -> Done:
    try:
        minutes, percent = int(form.get("minutes", "")), form.get("share", "").strip()
        share = float(percent) / 100 if percent else None
    except ValueError:
        return Done("Minutes are a whole number, the share is a number.", failed=True)
    done = ask.engine.targets.add(
        ask.tenant.id, form.get("aim", ""), minutes, form.get("channel", "").strip(), form.get("priority", "").strip(),
        business=form.get("business") == "yes", share=share, valid_from=form.get("valid_from") or None,
    )  # fmt: skip
    return Done(f"What begins from {done.valid_from} on is judged by it.")


def _do_end(ask: Ask, form: Form) -> Done:
    done = ask.engine.targets.remove(ask.tenant.id, form.get("target", ""))
    if done.valid_to is None:
        return Done("The target is deleted: it had judged no whole day.")
    return Done(f"It judges what begins before {done.valid_to}.")


PAGE = Page(
    "targets", "Targets",
    (
        Widget(
            "targets", "Targets", _targets, size="list", wide=True,
            about="Within how long to answer and to resolve. What began before a change keeps its target.",
        ),
    ),
    role=Role.ANALYST, header=False, group=Group.SET_UP, actions={"set": _do_set, "end": _do_end},
)  # fmt: skip

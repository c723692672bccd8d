"""Digests of days, weeks and months that are sent by themselves, and what each waits for."""

from __future__ import annotations

from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Group, Page, Shown, Widget
from hubbub.dashboard.forms import Act, Field, data_table, zones
from hubbub.dashboard.person import Role
from hubbub.errors import BadInputError
from hubbub.model.plain import plain
from hubbub.reports.formats import FORMATS
from hubbub.reports.period import KINDS

WAIT_HOURS = "4"
"""Hours that a digest waits for missing data unless the form says otherwise."""


def _subscriptions(ask: Ask) -> Shown:
    names = {row.id: row.name for row in ask.engine.destinations.of(ask.tenant.id).rows}
    stored = ask.engine.subscriptions.of(ask.tenant.id).rows
    rows = [
        {
            **plain(row), "to": names.get(row.destination), "sent": f"{row.at} {row.zone}",
            "files": ", ".join(row.formats) or None, "sent_to": row.done_to.isoformat(),
        }
        for row in stored
    ]  # fmt: skip
    columns = [
        Column("kind", "Digest"), Column("to", "To", "long"), Column("sent", "Sent at", "long"),
        Column("wait_hours", "Waits, hours", "count"), Column("files", "Files"), Column("sent_to", "Sent up to", "date"),
        Column("state", "State", "state"), Column("waits_for", "Waits for", "long"),
    ]  # fmt: skip
    acts = [
        [
            *([Act("stop", "Stop", {"subscription": row.id})] if row.state == "active" else []),
            Act("remove", "Remove", {"subscription": row.id}, danger=True),
        ]
        for row in stored
    ]
    may = ask.person.may(Role.ADMIN)
    return data_table(
        ask, columns, rows, acts=acts if may else [], forms=[_form(ask, names)] if may and names else [],
        nothing="Nobody gets a digest yet." + ("" if names else " It needs a destination first."),
        more=() if names or rows else [("Add a destination", ask.link("alerts"))],
        note="A digest of incomplete days waits, then goes out and says what is missing. Its link to stop it needs no sign-in.",
    )  # fmt: skip


def _form(ask: Ask, destinations: dict[str, str]) -> Act:
    return Act(
        "add", "Send", title="Send a digest",
        fields=(
            Field("kind", "Digest", "select", options={kind: kind for kind in KINDS}),
            Field("destination", "To", "select", options=destinations),
            Field("at", "At", value="07:00", hint="on the day after the period"),
            Field("zone", "Time zone", value=ask.tenant.zone, options=zones()),
            Field("wait_hours", "Waits, hours", "number", WAIT_HOURS, hint="for missing data, at most 24"),
            Field("files", "Files", hint=f"with a mail: some of {', '.join(FORMATS)}"),
        ),
    )  # fmt: skip


def _add(ask: Ask, form: Form) -> Done:
    hours = form.get("wait_hours", "").strip() or WAIT_HOURS
    if not (hours.isascii() and hours.isdecimal()):
        raise BadInputError(f"wait_hours: {hours[:40]!r} is not a number of hours")
    files = [name.strip() for name in form.get("files", "").split(",") if name.strip()]
    added = ask.engine.subscriptions.add(
        ask.tenant.id, form.get("destination", ""), form.get("kind", ""), form.get("zone") or None, form.get("at") or "07:00",
        int(hours[:9]), formats=files,
    )  # fmt: skip
    return Done(f"The {added.kind} digest goes out at {added.at} ({added.zone}), for periods that end from now on.")


def _stop(ask: Ask, form: Form) -> Done:
    stopped = ask.engine.subscriptions.stop(ask.tenant.id, form.get("subscription", ""))
    return Done(f"The {stopped.kind} digest is stopped.")


def _remove(ask: Ask, form: Form) -> Done:
    ask.engine.subscriptions.remove(ask.tenant.id, form.get("subscription", ""))
    return Done("The digest is removed; reports that were sent stay.")


PAGE = Page(
    "subscriptions", "Digests",
    (Widget("subscriptions", "Who gets a digest", _subscriptions, size="list", wide=True),),
    role=Role.ANALYST, header=False, group=Group.SET_UP, actions={"add": _add, "stop": _stop, "remove": _remove},
)  # fmt: skip

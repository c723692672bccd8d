"""Reports: make one, see its progress, open or save it; stored ones, newest first."""

from __future__ import annotations

from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Cells, Column, Done, Group, Page, Shown, Widget
from hubbub.dashboard.forms import Act, Field, data_table, facts
from hubbub.dashboard.person import Role
from hubbub.errors import BadRequestError, ForbiddenError
from hubbub.jobs.rows import STATES
from hubbub.model.plain import plain
from hubbub.reports.dates import short_days
from hubbub.reports.formats import FORMATS
from hubbub.reports.period import KINDS
from hubbub.reports.store import Report

QUEUE = "reports"
MOST = 30
UNDER_WAY = tuple(state for state in STATES if state not in ("completed", "cancelled"))
NOTHING = "There is no report yet. Make one of a day, a week or a month: it is stored until it is deleted."
_KINDS = {"daily": "Day", "weekly": "Week", "monthly": "Month"}


def _make(ask: Ask) -> Shown:
    fields = (
        Field("kind", "Period", "select", "daily", _KINDS),
        Field("date", "Any day of the period; empty: the last complete one", "date"),
    )
    return facts(ask, (), forms=[Act("make", "Make a report", fields=fields)])


def _under_way(ask: Ask) -> Shown:
    jobs = [row for state in UNDER_WAY for row in ask.engine.jobs.of(QUEUE, state, ask.tenant.id, MOST).rows]
    jobs.sort(key=lambda row: str(row.created_at), reverse=True)
    columns = [
        Column("report", "Report"), Column("state", "State", "state"), Column("progress", "Done, %", "count"),
        Column("created_at", "Asked for (UTC)", "utc"), Column("error", "Error", "long"),
    ]  # fmt: skip
    rows = [{**plain(row), "report": row.id.partition(":")[2] or row.id} for row in jobs]
    return data_table(ask, columns, rows, nothing="No report is being made.")


def _kept(ask: Ask) -> Shown:
    page = ask.engine.reports.kept(ask.tenant.id, MOST, ask.param("cursor") or None)
    columns = [
        Column("days", "Days"), Column("kind", "Kind"), Column("made_at", "Made", "instant"),
        Column("changed_since", "Changed since", "count"), Column("shown", "Look"),
        *(Column(name, name.upper()) for name in FORMATS if any(name in row.formats for row in page.rows)),
    ]  # fmt: skip
    rows = [_row(row) for row in page.rows]
    links = [_links(ask, row) for row in page.rows]
    deletes = ask.person.may(Role.ADMIN)
    acts = [[Act("delete", "Delete", {"report": row.id}, danger=True)] for row in page.rows] if deletes else []
    return data_table(ask, columns, rows, links=links, acts=acts, nothing=NOTHING, following=page.next)


def _row(report: Report) -> Cells:
    looks = "open" if "html" in report.formats else None
    return {
        "days": short_days(report.from_, report.to), "kind": _KINDS.get(report.kind, report.kind), "shown": looks,
        "made_at": report.made_at.isoformat(), "changed_since": report.changed_since,
        **{name: "save" if name in report.formats else None for name in FORMATS},
    }  # fmt: skip


def _links(ask: Ask, report: Report) -> dict[str, str]:
    file = f"{ask.base}/files/reports/{report.id}"
    links = {name: f"{file}?format={name}" for name in report.formats}
    return links | ({"shown": f"{file}?shown=1"} if "html" in report.formats else {})


def _do_make(ask: Ask, form: Form) -> Done:
    kind = form.get("kind", "")
    if kind not in KINDS:
        raise BadRequestError(f"report kind {kind[:40]!r} is not one of {', '.join(KINDS)}")
    started = ask.engine.reports.start(ask.tenant.id, kind, date=form.get("date") or None)
    return Done(
        f"The {kind} report of {short_days(started.from_, started.to)} is being made. It is listed below when it is ready."
    )


def _do_delete(ask: Ask, form: Form) -> Done:
    if not ask.person.may(Role.ADMIN):
        raise ForbiddenError(f"deleting a report needs the role admin; yours is {ask.person.role.name.lower()}")
    ask.engine.reports.delete(ask.tenant.id, form.get("report", ""))
    return Done("The report and its files are deleted.")


PAGE = Page(
    "reports", "Reports",
    (
        Widget("make", "New report", _make, size="form", wide=True, still=True),
        Widget("progress", "Under way or failed", _under_way, size="small", wide=True),
        Widget("kept", "Stored reports", _kept, size="list", wide=True),
    ),
    role=Role.ANALYST, header=False, actions={"make": _do_make, "delete": _do_delete}, acts=Role.ANALYST, fresh_seconds=5,
    group=Group.SET_UP,
)  # fmt: skip

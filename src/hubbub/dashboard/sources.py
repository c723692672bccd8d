"""Sources: senders and silent ones, deliveries and refusals with reasons, and connected accounts."""

from __future__ import annotations

from hubbub.control.integrations import STATES
from hubbub.dashboard.arrivals import ABOUT, arrivals
from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Group, Page, Shown, Widget
from hubbub.dashboard.forms import Act, Field, choice, data_table, parameter
from hubbub.dashboard.jobs import those_jobs
from hubbub.dashboard.person import Role
from hubbub.dashboard.receiving import connect, receiving
from hubbub.model.plain import plain

PAGE_SIZE = 50
LONGEST = 600
"""Most characters of a refused record."""


def _sources(ask: Ask) -> Shown:
    tenant = parameter(ask, "tenant")
    page = ask.engine.monitoring.sources(tenant, parameter(ask, "cursor"), PAGE_SIZE)
    rows = [{**plain(row), "silent": 1000 * row.silent_seconds, "late": 1000 * row.late_seconds} for row in page.rows]
    columns = [
        Column("tenant", "Tenant"), Column("source", "Source"), Column("last_event", "Newest event (UTC)", "utc"),
        Column("late", "Typical delay", "ms"), Column("last_received", "Last received (UTC)", "utc"),
        Column("silent", "Silent for", "ms"), Column("events_day", "Events in 24 h", "count"),
    ]  # fmt: skip
    return data_table(
        ask, columns, rows, choices=[Field("tenant", "Tenant", value=ask.param("tenant"), hint="all")],
        links=[{"tenant": _of(ask, row["tenant"])} for row in rows], following=page.next,
        nothing="No event was ever received.", note="Longest silence first.",
    )  # fmt: skip


def _of(ask: Ask, tenant: str) -> str:
    return ask.link(tenant=tenant, cursor=None, delivered=None, refused=None, accounts=None, receiving=None)


def _delivered(ask: Ask) -> Shown:
    return arrivals(ask, parameter(ask, "tenant"), lambda tenant: _of(ask, tenant))


def _refused(ask: Ask) -> Shown:
    if tenant := parameter(ask, "tenant"):
        return _records(ask, tenant)
    rows = plain(ask.engine.monitoring.refusals().rows)
    columns = [
        Column("tenant", "Tenant"), Column("origin", "Came by"), Column("code", "Reason"), Column("field", "Field"),
        Column("records", "Records", "count"), Column("last_received", "Last (UTC)", "utc"),
        Column("message", "For example", "long"),
    ]  # fmt: skip
    return data_table(
        ask, columns, rows, links=[{"tenant": _of(ask, row["tenant"])} for row in rows],
        nothing="Nothing was refused.", note="Choose a tenant to see and retry its records." if rows else "",
    )  # fmt: skip


def _records(ask: Ask, tenant: str) -> Shown:
    page = ask.engine.quarantine.of(tenant, PAGE_SIZE, parameter(ask, "refused"))
    rows = [{**plain(record), "raw": _cut(record.raw or "")} for record in page.rows]
    columns = [
        Column("received_at", "Received (UTC)", "utc"), Column("origin", "Came by"), Column("code", "Reason"),
        Column("field", "Field"), Column("message", "Problem", "long"), Column("raw", "Record", "long"),
    ]  # fmt: skip
    every = Act("replay", "Try all again", {"tenant": tenant})
    return data_table(
        ask, columns, rows, acts=[[Act("replay", "Try again", {"tenant": tenant, "id": str(row["id"])})] for row in rows],
        forms=[every] if rows else [], following=page.next, cursor="refused", nothing=f"Nothing of {tenant} is refused.",
    )  # fmt: skip


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _accounts(ask: Ask) -> Shown:
    tenant, state = parameter(ask, "tenant"), parameter(ask, "state", STATES)
    page = ask.engine.integrations.of(tenant, state, parameter(ask, "accounts"), PAGE_SIZE)
    rows = page.rows
    columns = [
        Column("name", "Account"), Column("tenant", "Tenant"), Column("provider", "Service"), Column("state", "State", "state"),
        Column("last_ok", "Last day fetched", "date"), Column("reason", "Reason", "long"), Column("action", "What to do", "long"),
        Column("changed_at", "Changed (UTC)", "utc"),
    ]  # fmt: skip
    if not any(row.reason for row in rows):
        columns = [column for column in columns if column.name not in ("reason", "action")]
    links = [
        {"name": those_jobs(queue="analytics-ingest", tenant=row.tenant), "tenant": _of(ask, row.tenant)}
        for row in rows
    ]
    return data_table(
        ask, columns, plain(rows), links=links, acts=[_acts(row.tenant, row.id, row.state) for row in rows],
        choices=[choice(ask, "state", "State", {state: state for state in STATES})],
        following=page.next, cursor="accounts",
        nothing="No account of a service is connected." if state is None else f"No account is {state}.",
    )  # fmt: skip


def _acts(tenant: str, id_: str, state: str) -> list[Act]:
    sends = {"tenant": tenant, "integration": id_}
    return [Act("pause", "Pause", sends) if state == "active" else Act("resume", "Resume", sends)]


def _replay(ask: Ask, form: Form) -> Done:
    id_ = form.get("id", "")
    verdicts = ask.engine.quarantine.replay(form.get("tenant", ""), [int(id_)] if id_.isdecimal() else None)
    refused = verdicts.rejected
    text = f"{verdicts.accepted} stored now, {verdicts.duplicates} duplicates, {len(refused)} refused again"
    return Done(f"{text}: {refused[0].message}" if refused else f"{text}.", failed=bool(refused))


def _pause(ask: Ask, form: Form) -> Done:
    row = ask.engine.integrations.pause(form.get("tenant", ""), form.get("integration", ""))
    return Done(f"{row.name} is paused: nothing is fetched from it until it is resumed.")


def _resume(ask: Ask, form: Form) -> Done:
    row = ask.engine.integrations.resume(form.get("tenant", ""), form.get("integration", ""))
    return Done(f"{row.name} is fetched from again.")


PAGE = Page(
    "sources", "Sources",
    (
        Widget("sources", "Sources of events", _sources, size="list", wide=True, lazy=True),
        Widget("deliveries", "Deliveries", _delivered, size="list", wide=True, lazy=True, about=ABOUT),
        Widget("refused", "Refused records", _refused, size="list", wide=True, lazy=True,
               about="Records that are not valid events. They wait until they are stored or deleted."),
        Widget("receiving", "Services that send webhooks", receiving, size="list", wide=True, lazy=True),
        Widget("accounts", "Fetched accounts", _accounts, size="list", wide=True, lazy=True),
    ),
    role=Role.OPERATOR, tenant=False, header=False, acts=Role.OPERATOR,
    actions={"connect": connect, "replay": _replay, "pause": _pause, "resume": _resume},
    group=Group.OPERATOR,
)  # fmt: skip

"""Jobs: counts by queue and state; a list, newest first; and one job with payload and result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.base_path import at
from hubbub.dashboard.components import Column, Done, Group, Page, Shown, Widget
from hubbub.dashboard.forms import Act, Fact, Field, choice, data_table, facts, parameter
from hubbub.dashboard.person import Role
from hubbub.jobs.policies import QUEUES
from hubbub.jobs.rows import STATES, JobRow
from hubbub.model.duration import duration
from hubbub.model.plain import plain

AGAIN = ("failed", "retrying", "cancelled", "parked")
RUNNING = ("waiting", "delayed", "active", "retrying")
PAGE = 50
MOMENTS = {
    "created_at": "Asked for", "started_at": "Started", "ended_at": "Ended", "next_try_at": "Next try",
}  # fmt: skip
LONGEST = 20_000
"""Most characters of a payload or result."""


def _counts(ask: Ask) -> Shown:
    tenant = parameter(ask, "tenant")
    answer = ask.engine.jobs.counts(tenant)
    counts = {(row.queue, row.state): row.jobs for row in answer.rows}
    states = [state for state in STATES if any(state == known for _, known in counts)]
    rows, links = [], []
    for queue, policy in QUEUES.items():
        in_queue = {state: counts[queue, state] for state in states if (queue, state) in counts}
        if in_queue:
            rows.append({"queue": queue, **in_queue, "doc": policy.doc})
            links.append({state: those_jobs(tenant=tenant, queue=queue, state=state) for state in in_queue})
            links[-1]["queue"] = those_jobs(tenant=tenant, queue=queue)
    columns = [
        Column("queue", "Queue"), *(Column(state, state.capitalize(), "count") for state in states),
        Column("doc", "What it does", "long"),
    ]  # fmt: skip
    note = "Only the newest jobs are counted." if answer.more else ""
    return data_table(ask, columns, rows, links=links, nothing="There is no job yet.", note=note)


def those_jobs(**params: str | None) -> str:
    """Return the address of the filtered list of jobs."""
    return Ask.address(at("/operate/jobs"), {name: value for name, value in params.items() if value})


def one_job(id_: str) -> str:
    """Return the address of a job."""
    return Ask.address(at("/operate/job"), {"job": id_})


def _jobs(ask: Ask) -> Shown:
    queue, state = parameter(ask, "queue", QUEUES), parameter(ask, "state", STATES)
    page = ask.engine.jobs.of(queue, state, parameter(ask, "tenant"), PAGE, parameter(ask, "cursor"))
    rows = [{**plain(row), "took": _took(row.seconds), "done": _done(row)} for row in page.rows]
    columns = [
        Column("id", "Job", "long"), Column("queue", "Queue"), Column("state", "State", "state"), Column("tenant", "Tenant"),
        Column("attempts", "Attempts", "count"), Column("done", "Progress"), Column("created_at", "Asked for (UTC)", "utc"),
        Column("took", "Took"), Column("error", "Error", "long"),
    ]  # fmt: skip
    choices = [
        choice(ask, "queue", "Queue", {name: name for name in QUEUES}),
        choice(ask, "state", "State", {name: name for name in STATES}),
        Field("tenant", "Tenant", value=ask.param("tenant"), hint="all"),
    ]
    return data_table(
        ask, columns, rows,
        links=[{"id": one_job(row.id)} for row in page.rows],
        acts=[_acts(row) for row in page.rows], choices=choices, following=page.next,
        nothing="No job matches." if any(field.value for field in choices) else "There is no job yet.",
    )  # fmt: skip


def _took(seconds: float | None) -> str | None:
    """Write the duration of a job, measured in whole seconds."""
    return None if seconds is None else "under 1 s" if seconds < 1 else duration(1000 * seconds)


def _done(row: JobRow) -> str | None:
    return f"{row.progress} %" if row.state in RUNNING else None


def _acts(row: JobRow) -> Sequence[Act]:
    """Return the actions of a job in its state."""
    sends = {"job": row.id}
    acts = []
    if row.state in AGAIN:
        acts.append(Act("retry", "Retry", sends))
    if row.state in RUNNING:
        acts.append(Act("cancel", "Cancel", sends, danger=True))
    return acts


def _job(ask: Ask) -> Shown:
    row = ask.engine.jobs.get(ask.param("job"))
    tries = QUEUES[row.queue].attempts
    known = [
        Fact("Job", row.id), Fact("Queue", row.queue, link=those_jobs(queue=row.queue)),
        Fact("State", row.state, "state"), Fact("Tenant", row.tenant or "all"),
        Fact("Attempts", f"{row.attempts} of {tries}"), Fact("Progress", f"{row.progress} %"),
        Fact("Error", row.error), Fact("Class of error", row.error_class), Fact("What to do", row.action or None),
        *(Fact(title, plain(getattr(row, name)), "utc") for name, title in MOMENTS.items()), Fact("Took", _took(row.seconds)),
    ]  # fmt: skip
    texts = {"Payload": _text(row.payload)}
    if row.result is not None:
        texts["Result"] = _text(row.result)
    shown = [fact for fact in known if fact.value is not None]
    return facts(ask, shown, forms=_acts(row), texts=texts, note="Times are UTC. No payload holds secrets or messages.")


def _text(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n…"


def _retry(ask: Ask, form: Form) -> Done:
    row = ask.engine.jobs.retry(form.get("job", ""))
    return Done(f"{row.id} runs again.")


def _cancel(ask: Ask, form: Form) -> Done:
    row = ask.engine.jobs.cancel(form.get("job", ""))
    return Done(f"{row.id} is cancelled.")


ACTIONS = {"retry": _retry, "cancel": _cancel}

LIST = Page(
    "jobs", "Jobs",
    (
        Widget("counts", "By queue and state", _counts, size="small", wide=True),
        Widget("list", "Jobs", _jobs, size="list", wide=True),
    ),
    role=Role.OPERATOR, tenant=False, header=False, actions=ACTIONS, acts=Role.OPERATOR, fresh_seconds=15,
    group=Group.OPERATOR,
)  # fmt: skip
ONE = Page(
    "job", "Job", (Widget("job", "This job", _job, size="list", wide=True),),
    role=Role.OPERATOR, tenant=False, header=False, under="jobs", actions=ACTIONS, acts=Role.OPERATOR, fresh_seconds=5,
)  # fmt: skip

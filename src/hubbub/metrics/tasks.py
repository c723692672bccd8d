"""Tasks of staff: created, assigned, completed, late and pending."""

from __future__ import annotations

from hubbub.metrics.definition import Better, Count, Fact, Rollup, State, Stored, Unit

TASK = Fact(
    name="task_event",
    subjects=("task",),
    doc="An event of a task, under its own time.",
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, account_id, staff_id, task_id, type FROM event
        WHERE type IN ('task.created', 'task.assigned', 'task.completed', 'task.sla_breached')
    """,
)

TASKS = Rollup(
    name="tasks",
    doc="Task events by staff and channel.",
    source=TASK,
    dimensions=("channel", "account_id", "staff_id"),
    measures={
        "tasks_created": Count("Tasks created.", Unit.COUNT, "f.type = 'task.created'"),
        "tasks_assigned": Count("Tasks assigned.", Unit.COUNT, "f.type = 'task.assigned'"),
        "tasks_completed": Count("Tasks completed.", Unit.COUNT, "f.type = 'task.completed'"),
        "sla_breaches": Count("Tasks that broke their service level.", Unit.COUNT, "f.type = 'task.sla_breached'"),
    },
    metrics={
        "tasks_created": Stored("Tasks created.", Unit.COUNT, measure="tasks_created"),
        "tasks_assigned": Stored("Tasks assigned.", Unit.COUNT, measure="tasks_assigned"),
        "tasks_completed": Stored("Tasks completed.", Unit.COUNT, measure="tasks_completed"),
        "sla_breaches": Stored(
            "Tasks that broke their service level.",
            Unit.COUNT,
            measure="sla_breaches",
            title="SLA breaches",
            better=Better.LOWER,
        ),
    },
)

TASK_STATES = Rollup(
    name="task_states",
    doc="When each task was pending.",
    source=TASK,
    where="f.task_id IS NOT NULL",
    dimensions=("channel", "account_id", "task_id"),
    hidden=("task_id",),
    measures={},
    metrics={
        "tasks_pending": State(
            "Tasks created or assigned and not completed at the end of the window (or now).",
            Unit.COUNT, held=("task", "pending"), better=Better.LOWER,
        ),
    },
)  # fmt: skip

ROLLUPS = (TASKS, TASK_STATES)

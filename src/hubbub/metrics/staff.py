"""Staff: who is online."""

from __future__ import annotations

from hubbub.metrics.definition import Fact, Rollup, State, Unit

PRESENCE = Fact(
    name="presence",
    subjects=("staff",),
    doc="A staff member's login, logout or change of status.",
    view="""
        SELECT tenant, time AS anchor, ident, id, staff_id, account_id FROM event
        WHERE staff_id IS NOT NULL AND type IN ('staff.login', 'staff.logout', 'staff.status_changed')
    """,
)

STAFF_STATES = Rollup(
    name="staff_states",
    doc="When each staff member was online.",
    source=PRESENCE,
    dimensions=("account_id", "staff_id"),
    hidden=("staff_id",),
    measures={},
    metrics={
        "staff_online": State(
            "Staff logged in (status online, active, available or busy) at the end of the window (or now).",
            Unit.COUNT, held=("staff", "online"),
        ),
    },
)  # fmt: skip

ROLLUPS = (STAFF_STATES,)

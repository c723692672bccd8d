"""Staff: who is online."""

from __future__ import annotations

from hubbub.metrics.definition import Fact, Latest, Rollup, State, Unit

PRESENCE = Fact(
    name="presence",
    doc="A staff member's login, logout or change of status.",
    reads=("staff.login", "staff.logout", "staff.status_changed"),
    sql="""
        SELECT tenant, "time" AS anchor, id, staff_id, account_id,
            CASE WHEN type = 'staff.login' THEN 'online' WHEN type = 'staff.logout' THEN 'offline'
                WHEN lower(status) IN ('online', 'active', 'available', 'busy') THEN 'online'
                WHEN status IS NULL THEN NULL ELSE lower(status) END AS state
        FROM {events} WHERE staff_id IS NOT NULL
    """,
    view="""
        SELECT tenant, time AS anchor, ident, id, staff_id, account_id FROM event
        WHERE staff_id IS NOT NULL AND type IN ('staff.login', 'staff.logout', 'staff.status_changed')
    """,
)

STAFF_STATES = Rollup(
    name="staff_states",
    doc="Per staff member and day: the last presence.",
    source=PRESENCE,
    dimensions=("account_id", "staff_id"),
    hidden=("staff_id",),
    measures={"state": Latest("Last presence.", Unit.COUNT, "state")},
    metrics={
        "staff_online": State(
            "Staff logged in (status online, active, available or busy) at the end of the window (or now).",
            Unit.COUNT, entity="staff_id", where="state = 'online'", held=("staff", "online"),
        ),
    },
)  # fmt: skip

ROLLUPS = (STAFF_STATES,)

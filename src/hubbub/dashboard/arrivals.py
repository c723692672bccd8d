"""Deliveries over HTTP, and why some were refused: all for operators, a tenant's own for its admins."""

from __future__ import annotations

from collections.abc import Callable

from hubbub.control.deliveries import STATES, why_refused
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Column, Shown
from hubbub.dashboard.forms import choice, data_table, parameter
from hubbub.model.plain import plain
from hubbub.services.monitoring import DeliveryRow

PAGE_SIZE = 50
ABOUT = "Deliveries over HTTP by the minute: of the last 30 days, and for each key and outcome the newest hundred."


def arrivals(ask: Ask, tenant: str | None, of: Callable[[str], str] | None = None) -> Shown:
    """Show the deliveries of a tenant, or all; `of` returns the link to a tenant."""
    state = parameter(ask, "arrived", STATES)
    page = ask.engine.monitoring.deliveries(tenant, state, parameter(ask, "delivered"), PAGE_SIZE)
    rows = [{**plain(row), "why": _why(row)} for row in page.rows]
    columns = [
        Column("minute", "Minute (UTC)", "utc"), Column("tenant", "Tenant"), Column("key", "Key"),
        Column("state", "State", "state"), Column("status", "Answer"), Column("why", "Why", "long"),
        Column("bodies", "Requests", "count"), Column("accepted", "Events accepted", "count"),
        Column("duplicates", "Duplicates", "count"), Column("rejected", "Refused", "count"), Column("bytes", "Bytes", "count"),
    ]  # fmt: skip
    if of is None:
        columns = [column for column in columns if column.name != "tenant"]
    return data_table(
        ask, columns, rows, links=[{"tenant": of(row["tenant"])} if of and row["tenant"] else {} for row in rows],
        choices=[choice(ask, "arrived", "State", {state: state for state in STATES})],
        following=page.next, cursor="delivered", nothing=_nothing(tenant, state),
    )  # fmt: skip


def _nothing(tenant: str | None, state: str | None) -> str:
    whose = f" of {tenant}" if tenant is not None else ""
    if state is not None:
        return f"No delivery{whose} was {state}."
    return f"No events{whose} came over HTTP in the last 30 days. Imported files and fetched days are not listed here."


def _why(row: DeliveryRow) -> str | None:
    """Return why a delivery was refused: the meaning of its reason or, for events, the first reason and field."""
    why = why_refused(row.outcome, row.reason or "") or None
    return f"{why} in {row.field}" if row.field else why

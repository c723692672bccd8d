"""`hubbub incidents`: list, show, acknowledge and snooze incidents of alert rules."""

from __future__ import annotations

from typing import Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Cursor, Data, Id, Json, Limit, TenantName

group = typer.Typer(help="Incidents of alert rules.", no_args_is_help=True)

COLUMNS = ("id", "title", "state", "value", "usual", "peak", "from", "to", "opened_at")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="incidents")


@group.command("list")
def list_(
    tenant: TenantName,
    state: Annotated[str | None, typer.Option("--state", help="open or closed.", show_default=False)] = None,
    alert: Annotated[
        str | None, typer.Option("--alert", help="Only incidents of this rule.", show_default=False)
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List incidents, newest first."""
    show_answer(data, as_json, lambda engine: engine.incidents.of(tenant, state, alert, limit, cursor), COLUMNS)


@group.command("show")
def show_(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Show an incident: its windows, the notified destinations, and those not notified, with the reasons."""
    show_answer(data, as_json, lambda engine: engine.incidents.get(tenant, id_), COLUMNS)


@group.command("acknowledge")
def acknowledge(
    id_: Id,
    tenant: TenantName,
    by: Annotated[str, typer.Option("--by", help="The person who takes care of it.")] = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Note that a person takes care of an incident."""
    show_answer(data, as_json, lambda engine: engine.incidents.acknowledge(tenant, id_, by), COLUMNS)


@group.command("snooze")
def snooze(
    id_: Id,
    tenant: TenantName,
    until: Annotated[str, typer.Option("--until", help="A date in the tenant's zone, or an RFC 3339 time.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Send no messages about an incident until a moment."""
    show_answer(data, as_json, lambda engine: engine.incidents.snooze(tenant, id_, until), COLUMNS)

"""`hubbub subscriptions`: digests of days, weeks and months, sent on a schedule."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Data, Id, Json, TenantName

group = typer.Typer(help="Digests, sent on a schedule.", no_args_is_help=True)

COLUMNS = ("id", "kind", "destination", "at", "zone", "state", "done_to", "waits_for")
_show = partial(show_answer, columns=COLUMNS)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="subscriptions")


@group.command("add")
def add(
    kind: Annotated[str, typer.Argument(help="daily, weekly or monthly.")],
    tenant: TenantName,
    to: Annotated[str, typer.Option("--to", help="Id of the destination.")],
    at: Annotated[str, typer.Option("--at", help="Time of sending on the day after, like 07:00.")] = "07:00",
    zone: Annotated[
        str | None, typer.Option("--zone", help="Zone of the recipient.", show_default="the tenant's")
    ] = None,
    wait_hours: Annotated[
        int, typer.Option("--wait-hours", help="Longest wait for an incomplete period, in hours.")
    ] = 4,
    section: Annotated[
        list[str] | None, typer.Option("--section", help="A section of the report; may be repeated. If absent, all.")
    ] = None,
    file: Annotated[
        list[str] | None, typer.Option("--file", help="Format of a file attached to mails; may be repeated.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Send a digest of every period that ends from now on."""
    _show(
        data, as_json,
        lambda engine: engine.subscriptions.add(tenant, to, kind, zone, at, wait_hours, section or [], file or []),
    )  # fmt: skip


@group.command("list")
def list_(tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """List digests: period, time, last sent period, and the reason of a wait."""
    _show(data, as_json, lambda engine: engine.subscriptions.of(tenant))


@group.command("stop")
def stop(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Stop sending a digest."""
    _show(data, as_json, lambda engine: engine.subscriptions.stop(tenant, id_))


@group.command("remove")
def remove(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Delete a digest; sent reports stay."""
    _show(data, as_json, lambda engine: engine.subscriptions.remove(tenant, id_))

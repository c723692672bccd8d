"""`hubbub targets`: the minutes within which a tenant wants to answer and to resolve."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Data, Json, TenantName

group = typer.Typer(help="Targets: minutes within which to answer or to resolve.", no_args_is_help=True)

COLUMNS = ("id", "aim", "minutes", "business", "channel", "priority", "share", "valid_from", "valid_to")
_show = partial(show_answer, columns=COLUMNS)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="targets")


@group.command("add")
def add(
    aim: Annotated[str, typer.Argument(help="first_response, next_response or resolution.")],
    minutes: Annotated[int, typer.Argument(help="A wait of exactly so many minutes is within the target.")],
    tenant: TenantName,
    channel: Annotated[str | None, typer.Option("--channel", help="Only this channel.", show_default="all")] = None,
    priority: Annotated[str | None, typer.Option("--priority", help="Only this priority.", show_default="all")] = None,
    business: Annotated[bool, typer.Option("--business", help="Count only minutes of the business hours.")] = False,
    share: Annotated[
        float | None, typer.Option("--share", help="The share that should be within it, like 0.9.", show_default="none")
    ] = None,
    valid_from: Annotated[
        str | None, typer.Option("--from", help="The first local day, like 2026-08-01.", show_default="today")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Set a target from a day on; waits that began earlier keep the target then in force."""
    _show(
        data, as_json,
        lambda engine: engine.targets.add(
            tenant, aim, minutes, channel, priority, business=business, share=share, valid_from=valid_from
        ),
    )  # fmt: skip


@group.command("list")
def list_(tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """List targets with the days on which they are in force."""
    _show(data, as_json, lambda engine: engine.targets.of(tenant))


@group.command("remove")
def remove(
    id_: Annotated[str, typer.Argument(help="Its id.")], tenant: TenantName, data: Data = None, as_json: Json = False
) -> None:
    """End a target after today; one that begins today or later is deleted."""
    show_answer(data, as_json, lambda engine: engine.targets.remove(tenant, id_))

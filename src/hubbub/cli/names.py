"""`hubbub names`: list the display names of ids in events, and set them by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Cursor, Data, Json, Limit, TenantName

group = typer.Typer(help="Names of people, rooms, accounts and campaigns.", no_args_is_help=True)

Kind = Annotated[str, typer.Argument(help="staff, contact, room, account or campaign.")]
Id = Annotated[str, typer.Argument(help="The id, as in events.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="names")


@group.command("list")
def list_names(
    tenant: TenantName,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only staff, contact, room, account or campaign.", show_default=False)
    ] = None,
    find: Annotated[
        str, typer.Option("--find", help="Only names or ids that contain this text.", show_default=False)
    ] = "",
    limit: Limit = 100,
    cursor: Cursor = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List names, by kind and id."""
    show_answer(data, as_json, lambda engine: engine.names.of(tenant, kind, find, limit, cursor))


@group.command("set")
def set_name(
    kind: Kind,
    id_: Id,
    name: Annotated[str, typer.Argument(help="The name.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Set a name by hand; sources then no longer change it."""
    show_answer(data, as_json, lambda engine: engine.names.set(tenant, [{"kind": kind, "id": id_, "name": name}]))


@group.command("import")
def import_names(
    file: Annotated[Path, typer.Argument(help="A CSV file with the columns kind, id and name.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Set the names of a CSV file by hand, all or none; an empty name returns the id to the sources."""
    show_answer(data, as_json, lambda engine: engine.names.set_from(tenant, file))


@group.command("remove")
def remove_name(kind: Kind, id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Remove a name; the next source with a name sets it again."""
    show_answer(data, as_json, lambda engine: engine.names.set(tenant, [{"kind": kind, "id": id_, "name": None}]))

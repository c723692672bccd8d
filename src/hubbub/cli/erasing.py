"""`hubbub erase` and `hubbub erasures`: remove a contact from all stored data, and list erasures."""

from __future__ import annotations

from typing import Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Cursor, Data, Json, Limit, TenantName


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(erase)
    app.command()(erasures)


def erase(
    tenant: TenantName,
    contact: Annotated[
        str, typer.Option("--contact", help="The contact's id, as in the field contact_id of its events.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only count what would be deleted.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Remove a contact from events, numbers, snapshots, reports, refused records and replies, and from all their files.

    Use --dry-run first: 'contacts' are linked ids and 'mentions' events of others that name it; both are removed too. Backups are
    not changed.
    """
    show_answer(data, as_json, lambda engine: engine.erasures.erase(tenant, contact, dry_run=dry_run))


def erasures(
    tenant: TenantName,
    contact: Annotated[
        str | None, typer.Option("--contact", help="Only erasures of this contact.", show_default=False)
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List erasures: the time, a digest of the contact's id, and the result of each."""
    show_answer(data, as_json, lambda engine: engine.erasures.of(tenant, contact, limit, cursor))

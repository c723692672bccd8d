"""`hubbub erase` and `hubbub erasures`: remove a contact from everything, and show that it was done."""

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
    contact: Annotated[str, typer.Option("--contact", help="Its id, as in the field contact_id of its events.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only count what would go.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Remove a contact from events, numbers, snapshots, reports, refused records and replies, and from every file of them.

    Look at --dry-run first: 'contacts' are the ids that are linked to it, which go with it, and 'mentions' events of others that
    name it, which go too. Backups are yours to look after.
    """
    show_answer(data, as_json, lambda engine: engine.erasures.erase(tenant, contact, dry_run=dry_run))


def erasures(
    tenant: TenantName,
    contact: Annotated[
        str | None, typer.Option("--contact", help="Only those of this contact.", show_default=False)
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List erasures: when, of whom (a digest of the id) and what each came to."""
    show_answer(data, as_json, lambda engine: engine.erasures.of(tenant, contact, limit, cursor))

"""`hubbub destinations`: the addresses of messages, and the outbox of messages to them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Cursor, Data, Id, Json, Limit, TenantName

group = typer.Typer(help="Addresses for alerts and digests.", no_args_is_help=True)

COLUMNS = ("id", "kind", "name", "to")
MESSAGES = ("id", "type", "title", "destination", "state", "tries", "why", "created_at", "sent_at")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="destinations")


@group.command("add")
def add(
    kind: Annotated[str, typer.Argument(help="mail, slack or webhook.")],
    tenant: TenantName,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="Mail address, or with --integration a Slack channel; URLs are read from stdin.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name for people.")] = "",
    integration: Annotated[
        str, typer.Option("--integration", help="Slack integration that writes to the channel.")
    ] = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Add a mail address, a Slack channel or a webhook. A webhook's secret is printed once."""
    from getpass import getpass

    if to is None:  # a webhook's address is a secret, and other users see arguments
        to = (getpass("Address: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    show_answer(
        data,
        as_json,
        lambda engine: engine.destinations.add(tenant, kind, to, name, integration=integration),
        COLUMNS,
    )


@group.command("list")
def list_(tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """List destinations, without the secret parts of their addresses."""
    show_answer(data, as_json, lambda engine: engine.destinations.of(tenant), COLUMNS)


@group.command("test")
def test(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Send a test message now, and show whether it arrived."""
    show_answer(data, as_json, lambda engine: engine.destinations.test(tenant, id_), MESSAGES)


@group.command("remove")
def remove(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Delete a destination, and give up its waiting messages."""
    show_answer(data, as_json, lambda engine: engine.destinations.remove(tenant, id_), COLUMNS)


@group.command("messages")
def messages(
    tenant: TenantName,
    about: Annotated[
        str | None, typer.Option("--about", help="Only messages about this incident.", show_default=False)
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List messages, newest first: sent, waiting, held or failed, with the reason."""
    show_answer(data, as_json, lambda engine: engine.messages.of(tenant, about, limit, cursor), MESSAGES)


@group.command("retry")
def retry(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Try a failed message again, for another eight hours."""
    show_answer(data, as_json, lambda engine: engine.messages.retry(tenant, id_), MESSAGES)

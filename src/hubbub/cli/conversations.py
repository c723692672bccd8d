"""`hubbub conversations`: conversations and events behind the numbers."""

from __future__ import annotations

from typing import Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Cursor, Data, From, Json, Limit, TenantName, To, Where, pairs

group = typer.Typer(help="Conversations, events, members of states, and counts by minute.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The conversation's id, as in events.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="conversations")
    app.command()(live)


@group.command("list")
def list_conversations(
    tenant: TenantName,
    start: From,
    end: To,
    where: Where = None,
    text: Annotated[
        str,
        typer.Option(
            "--find", help="Only conversations with this text in an id, a name or an event.", show_default=False
        ),
    ] = "",
    state: Annotated[
        str,
        typer.Option(
            "--state",
            help="open, waiting, resolved or silent, at the range's end.",
            show_default=False,
        ),
    ] = "",
    include_bots: Annotated[
        bool, typer.Option("--bots", help="Also conversations in which only programs wrote.")
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List conversations with an event in a range, the latest message first."""
    filters = pairs(where)
    show_answer(
        data, as_json,
        lambda engine: engine.conversations.of(
            tenant, start, end, filters, text, state, include_bots=include_bots, limit=limit, cursor=cursor
        ),
        ("conversation_id", "state", "last_at", "messages", "channel", "contact_id", "staff_id", "labels"),
    )  # fmt: skip


@group.command()
def show(conversation: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Show a conversation: people, state, episodes."""
    show_answer(data, as_json, lambda engine: engine.conversations.get(tenant, conversation))


@group.command()
def events(
    conversation: Id,
    tenant: TenantName,
    limit: Limit = 50,
    cursor: Cursor = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show the events of a conversation in order."""
    show_answer(
        data, as_json, lambda engine: engine.conversations.events(tenant, conversation, limit=limit, cursor=cursor)
    )


@group.command()
def event(
    source: Annotated[str, typer.Argument(help="The event's source.")],
    id_: Annotated[str, typer.Argument(help="The event's id.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show a stored event."""
    show_answer(data, as_json, lambda engine: engine.conversations.event(tenant, source, id_))


@group.command()
def flagged(
    tenant: TenantName,
    start: From,
    end: To,
    where: Where = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show messages that were classified as complaints or escalations, newest first."""
    filters = pairs(where)
    show_answer(
        data, as_json,
        lambda engine: engine.conversations.flagged(tenant, start, end, filters, limit=limit, cursor=cursor),
        ("time", "topic", "sentiment", "text", "conversation_id", "labels"),
    )  # fmt: skip


@group.command()
def members(
    metric: Annotated[str, typer.Argument(help="A metric of the present state, like waiting_conversations.")],
    tenant: TenantName,
    where: Where = None,
    at: Annotated[str | None, typer.Option("--at", help="At a past moment.", show_default=False)] = None,
    limit: Limit = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List what a metric of the present state counts, those longest in the state first."""
    filters = pairs(where)
    show_answer(data, as_json, lambda engine: engine.conversations.members(tenant, metric, filters, at=at, limit=limit))


@group.command()
def minutes(
    metrics: Annotated[list[str], typer.Argument(help="Stored counts, like messages_received.")],
    tenant: TenantName,
    count: Annotated[int, typer.Option("--minutes", min=1, max=1000, help="Number of minutes, until now.")] = 60,
    where: Where = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Count by the minute until now."""
    filters = pairs(where)
    show_answer(data, as_json, lambda engine: engine.conversations.minutes(tenant, metrics, count, filters))


def live(tenant: TenantName, where: Where = None, limit: Limit = 50, data: Data = None, as_json: Json = False) -> None:
    """Show conversations that wait for a reply now, those furthest past their target first."""
    filters = pairs(where)
    columns = ("conversation_id", "since", "target_minutes", "countdown", "channel", "priority")
    show_answer(data, as_json, lambda engine: engine.conversations.live(tenant, filters, limit=limit), columns)

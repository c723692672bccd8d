"""`hubbub subscriptions`: digests of days, weeks and months that arrive by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hubbub.cli.options import Data, Json, TenantName

if TYPE_CHECKING:
    from hubbub.operations.subscriptions import SubscriptionService

group = typer.Typer(help="Digests that arrive by themselves.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Its id.")]
COLUMNS = ("id", "kind", "destination", "at", "zone", "state", "done_to", "waits_for")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="subscriptions")


@contextmanager
def _service(data: Path | None) -> Iterator[SubscriptionService]:
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        yield engine.subscriptions


def _show(answer: Any, as_json: bool) -> None:
    from hubbub.cli import show

    show.emit(answer, as_json=as_json, columns=COLUMNS)


@group.command("add")
def add(
    kind: Annotated[str, typer.Argument(help="daily, weekly or monthly.")],
    tenant: TenantName,
    to: Annotated[str, typer.Option("--to", help="Id of the destination.")],
    at: Annotated[str, typer.Option("--at", help="When it goes out on the day after, like 07:00.")] = "07:00",
    zone: Annotated[
        str | None, typer.Option("--zone", help="Zone of the recipient.", show_default="the tenant's")
    ] = None,
    wait_hours: Annotated[
        int, typer.Option("--wait-hours", help="How long it waits where the period is not complete.")
    ] = 4,
    section: Annotated[
        list[str] | None, typer.Option("--section", help="Of the report; may be repeated. None: all.")
    ] = None,
    file: Annotated[
        list[str] | None, typer.Option("--file", help="A format that goes with a mail; may be repeated.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Send a digest of every period that ends from now on."""
    with _service(data) as service:
        _show(service.add(tenant, to, kind, zone, at, wait_hours, section or [], file or []), as_json)


@group.command("list")
def list_(tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """List subscriptions: what is sent when, up to which period, and what one waits for."""
    with _service(data) as service:
        _show(service.of(tenant), as_json)


@group.command("stop")
def stop(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Send nothing more of a subscription."""
    with _service(data) as service:
        _show(service.stop(tenant, id_), as_json)


@group.command("remove")
def remove(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Delete a subscription; reports that it sent stay."""
    with _service(data) as service:
        _show(service.remove(tenant, id_), as_json)

"""Commands of snapshots: make those of a day, week or month now, and list stored ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from hubbub.cli.options import AnyTenant, Data, Json, TenantName

if TYPE_CHECKING:
    from hubbub.publishing.snapshots import Snapshot

snapshots = typer.Typer(help="Stored snapshots.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(snapshot)
    app.add_typer(snapshots, name="snapshots")


def _print(rows: Sequence[Snapshot]) -> None:
    """Print snapshots for people: one line for each number, by sections."""
    from rich.markup import escape

    from hubbub.cli import show
    from hubbub.metrics.snapshots import SECTIONS

    for row in rows:
        show.out.print(escape(f"{row.kind} {row.date}, {row.account_id or 'whole team'} ({row.state}, {row.zone})"))
        for section, numbers in row.sections.items():
            show.out.print(f"  {section}")
            fields = SECTIONS[section].items()
            show.fields({name: show.text(numbers.get(name), metric) for name, metric in fields}, indent=4)
    if not rows:
        show.out.print("nothing to show")


def snapshot(
    tenant: AnyTenant = None,
    kind: Annotated[str, typer.Option("--kind", help="daily, weekly or monthly.")] = "daily",
    date: Annotated[
        str | None,
        typer.Option("--date", help="A day of the period (default: the last complete one).", show_default=False),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make the snapshots of a day, week or month now, of the whole team and each account."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        answer = engine.snapshot_service.make(kind, date, tenant)
    if as_json or answer.rows is None:
        show.emit(answer, as_json=as_json)
    else:
        _print(answer.rows)
    for name, error in answer.errors.items():
        show.say(f"{name}: {error}")
    if answer.errors:
        raise typer.Exit(1)


@snapshots.command("list")
def list_snapshots(
    tenant: TenantName,
    start: Annotated[str, typer.Option("--from", help="First date, in the tenant's zone.")],
    end: Annotated[str, typer.Option("--to", help="Date after the last.")],
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only daily, weekly or monthly.", show_default=False)
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="Only this account; '' is the whole team.", show_default=False)
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List stored snapshots of the periods that begin in a range."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        answer = engine.snapshot_service.of(tenant, start, end, kind, account)
    if as_json:
        show.emit(answer, as_json=True)
    else:
        _print(answer.rows)

"""`hubbub restatements`: closed numbers that changed later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Cursor, Data, Json, Limit, TenantName

if TYPE_CHECKING:
    from hubbub.app import Engine
    from hubbub.control.restatements import Restatement
    from hubbub.model.page import Page

COLUMNS = ("at", "window", "metric", "channel", "old", "new", "cause", "events")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(restatements)


def restatements(
    tenant: TenantName,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", help="Found since: a date in the tenant's zone, or an RFC 3339 time.", show_default=False
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Only numbers of this day or later ones.", show_default=False)
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Only numbers of days before this one.", show_default=False)
    ] = None,
    metric: Annotated[str | None, typer.Option("--metric", help="Only this metric.", show_default=False)] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check all closed days first, as the job does each night.")
    ] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show later changes of numbers of closed days: metric, old and new value, time and cause."""

    def ask(engine: Engine) -> Page[Restatement]:
        if check:
            engine.restatements.restate(tenant)
        return engine.restatements.of(tenant, since, metric, limit, cursor, first=start, after=end)

    show_answer(data, as_json, ask, COLUMNS)

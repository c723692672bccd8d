"""`hubbub sign-in` prints a link that works once; `hubbub sign-out` ends sessions."""

from __future__ import annotations

from typing import Annotated

import typer

from hubbub.cli.options import AnyTenant, Data, Json


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("sign-in")(sign_in)
    app.command("sign-out")(sign_out)


def sign_in(
    tenant: AnyTenant = None,
    role: Annotated[
        str | None,
        typer.Option(help="viewer, analyst or admin of the tenant; without a tenant: operator.", show_default=False),
    ] = None,
    label: Annotated[str, typer.Option(help="The person, for the lists of links.", show_default=False)] = "",
    minutes: Annotated[float, typer.Option(help="Minutes for which the link works.")] = 15,
    url: Annotated[str | None, typer.Option("--url", help="Public address of the server.", show_default=False)] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print a link that signs in to the dashboard, once."""
    from hubbub.cli import show
    from hubbub.cli.backend import address, opened
    from hubbub.model.plain import plain

    with opened(data) as engine:
        link = engine.access.sign_in_link(
            tenant, role or ("operator" if tenant is None else "viewer"), label, minutes * 60
        )
        address_of_link = (url or address(engine)).rstrip("/") + link.path
    if as_json:
        show.emit({**plain(link), "url": address_of_link}, as_json=True)
    else:
        typer.echo(address_of_link)


def sign_out(tenant: AnyTenant = None, data: Data = None, as_json: Json = False) -> None:
    """End all dashboard sessions of a tenant, or without --tenant of operators. The page Access ends single sessions."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        done = engine.access.end_sessions(tenant)
    if as_json:
        show.emit(done, as_json=True)
    else:
        typer.echo(f"{done.ended} sessions of {tenant or 'operators'} have ended")

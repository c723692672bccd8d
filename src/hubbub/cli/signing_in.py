"""The commands that let somebody in and send all out: `sign-in` prints a link that works once, `sign-out` ends sessions."""

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
    label: Annotated[str, typer.Option(help="Whose it is, for the lists of links.", show_default=False)] = "",
    minutes: Annotated[float, typer.Option(help="Minutes that it can be used.")] = 15,
    url: Annotated[
        str | None, typer.Option("--url", help="Address that people reach the server by.", show_default=False)
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print a link that signs in to the dashboard, once."""
    from hubbub.cli import show
    from hubbub.cli.backend import backend

    with backend(data) as there:
        answer = there.call(
            "sign_in_link", tenant=tenant, role=role or ("operator" if tenant is None else "viewer"), label=label,
            seconds=minutes * 60,
        )  # fmt: skip
        answer["url"] = (url or there.address).rstrip("/") + answer["path"]
    if as_json:
        show.emit(answer, as_json=True)
    else:
        typer.echo(answer["url"])


def sign_out(tenant: AnyTenant = None, data: Data = None, as_json: Json = False) -> None:
    """End all dashboard sessions of a tenant; without one those of operators. One alone ends on the page Access."""
    from hubbub.cli import show
    from hubbub.cli.backend import backend

    with backend(data) as there:
        answer = there.call("end_sessions", tenant=tenant)
    if as_json:
        show.emit(answer, as_json=True)
    else:
        typer.echo(f"{answer['ended']} sessions of {tenant or 'operators'} have ended")

"""`hubbub integrations`: connect a tenant's accounts with other services. Secrets come from a file or stdin, never as arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hubbub.cli.options import AnyTenant, Data, Json, TenantName
from hubbub.cli.options import pairs as read_pairs

group = typer.Typer(help="Accounts with other services.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Id of the integration.")]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--secret-file", help="File with the token; without it the token is read from stdin.", show_default=False
    ),
]
COLUMNS = ("id", "tenant", "provider", "name", "state", "last_ok", "reason", "action")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="integrations")


def _do(name: str, data: Path | None, as_json: bool, /, **params: Any) -> None:
    from hubbub.cli import show
    from hubbub.cli.backend import backend

    with backend(data) as there:
        answer = there.call(name, **params)
    show.emit(answer, as_json=as_json, columns=COLUMNS)
    if isinstance(answer, dict) and answer.get("next"):
        show.say(f"There are more: --cursor {answer['next']}")


def _secret(file: Path | None) -> str:
    from getpass import getpass

    if file is not None:
        return file.read_text(encoding="utf-8").strip()
    return (getpass("Token: ") if sys.stdin.isatty() else sys.stdin.read()).strip()


@group.command("add")
def add(
    tenant: TenantName,
    provider: Annotated[str, typer.Option("--provider", help="facebook_page or slack.")],
    name: Annotated[str, typer.Option("--name", help="Name for people.")] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", help="NAME=VALUE, may be repeated, like page_id=123; lists with commas."),
    ] = None,
    secret_file: SecretFile = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Connect an account; its token is read from a file or stdin and never shown again."""
    settings = {key: values[-1] for key, values in read_pairs(setting, "--setting", "NAME=VALUE").items()}
    _do(
        "add_integration", data, as_json, tenant=tenant, provider=provider, name=name, settings=settings,
        secret=_secret(secret_file),
    )  # fmt: skip


@group.command("list")
def list_(
    tenant: AnyTenant = None,
    state: Annotated[
        str | None, typer.Option("--state", help="Only active, paused or broken ones.", show_default=False)
    ] = None,
    cursor: Annotated[
        str | None, typer.Option("--cursor", help="Where the page before ended.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most to show.")] = 100,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List integrations page by page, oldest first: state, last day fetched whole, what is wrong and what to do."""
    _do("integrations", data, as_json, tenant=tenant, state=state, cursor=cursor, limit=limit)


@group.command("show")
def show_(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Show one integration with its settings; never its token."""
    _do("integration", data, as_json, tenant=tenant, integration_id=id_)


@group.command("pause")
def pause(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Fetch nothing from an integration until it is resumed."""
    _do("pause_integration", data, as_json, tenant=tenant, integration_id=id_)


@group.command("resume")
def resume(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Fetch from an integration again, also from a broken one whose account was mended."""
    _do("resume_integration", data, as_json, tenant=tenant, integration_id=id_)


@group.command("rotate")
def rotate(
    id_: Id, tenant: TenantName, secret_file: SecretFile = None, data: Data = None, as_json: Json = False
) -> None:
    """Give an integration a new token; a broken one is active again."""
    _do("rotate_integration", data, as_json, tenant=tenant, integration_id=id_, secret=_secret(secret_file))


@group.command("remove")
def remove(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Delete an integration with its token; events that it brought stay."""
    _do("remove_integration", data, as_json, tenant=tenant, integration_id=id_)

"""`hubbub integrations`: connect a tenant's accounts of other services. Secrets come from a file or stdin, never as arguments."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import AnyTenant, Cursor, Data, Json, Limit, TenantName
from hubbub.cli.options import pairs as read_pairs

if TYPE_CHECKING:
    from hubbub.services.integrations import SetupView

group = typer.Typer(help="Accounts of other services.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Id of the integration.")]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--secret-file", show_default=False,
        help="File with the token, or with a line NAME=SECRET for each secret; without it, a prompt, or stdin.",
    ),
]  # fmt: skip
COLUMNS = ("id", "tenant", "provider", "name", "state", "last_ok", "reason", "action", "address")
_LINE = re.compile(r"([a-z][a-z0-9_]{0,39})=(\S+)\Z")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="integrations")


def _secrets(file: Path | None, provider: str) -> dict[str, str]:
    """Return secrets by name; lines without names are the first secret that the service needs. Raises BadInputError."""
    from getpass import getpass

    from hubbub.ingest.providers import PROVIDERS

    needed = [secret for secret in PROVIDERS[provider].secrets if not secret.ours] if provider in PROVIDERS else []
    if file is None and sys.stdin.isatty():
        return {
            secret.name: typed
            for secret in needed
            if (typed := getpass(f"{secret.name} ({secret.doc}; empty: none): ").strip())
        }
    lines = _lines(file)
    names = {secret.name for secret in (PROVIDERS[provider].secrets if provider in PROVIDERS else ())}
    named = [match for line in lines if (match := _LINE.match(line)) is not None]
    if len(named) == len(lines) and (len(lines) > 1 or any(match[1] in names for match in named)):
        return _by_name(match.group(1, 2) for match in named)
    return {needed[0].name if needed else "token": "\n".join(lines)} if lines else {}


def _settings(setting: list[str] | None) -> dict[str, str]:
    """Return settings by name from options like NAME=VALUE; the last value of a name counts."""
    return {key: values[-1] for key, values in read_pairs(setting, "--setting", "NAME=VALUE").items()}


def _lines(file: Path | None) -> list[str]:
    """Return the lines of a file, or of stdin, that are not blank. Raises BadInputError."""
    from hubbub.errors import BadInputError

    try:
        text = file.read_text(encoding="utf-8-sig") if file is not None else sys.stdin.read()
    except UnicodeDecodeError:
        raise BadInputError(f"{file or 'stdin'}: the secrets are not text in UTF-8") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _by_name(pairs: Iterable[tuple[str | Any, ...]]) -> dict[str, str]:
    from hubbub.errors import BadInputError

    secrets: dict[str, str] = {}
    for name, secret in pairs:
        if name in secrets:
            raise BadInputError(f"secrets.{name}: given twice")
        secrets[name] = secret
    return secrets


@group.command("add")
def add(
    tenant: TenantName,
    service: Annotated[
        str | None, typer.Argument(metavar="PROVIDER", help="The service, like slack or whatsapp.", show_default=False)
    ] = None,
    provider: Annotated[str, typer.Option("--provider", help="The service, as an option.", show_default=False)] = "",
    name: Annotated[str, typer.Option("--name", help="Name for people.")] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", help="NAME=VALUE, may be repeated, like page_id=123; lists with commas."),
    ] = None,
    secret_file: SecretFile = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Connect an account, and show the steps at its service. Secrets are read from a file or stdin, and never shown again."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened
    from hubbub.services.integrations import made_for

    if not (provider_name := service or provider):
        raise typer.BadParameter("name the service, like: hubbub integrations add slack", param_hint="PROVIDER")
    settings = _settings(setting)
    with opened(data) as engine:
        integration = engine.integrations.add(
            tenant, provider_name, name=name, settings=settings, secrets=_secrets(secret_file, provider_name)
        )
        receives = integration.address is not None or not integration.fetches
        setup = engine.integrations.setup(tenant, integration.id) if receives else None
    show.emit(integration, as_json=as_json, columns=COLUMNS)
    if setup is not None and not as_json:
        _walk(setup, made_for(integration))


def _walk(setup: SetupView, secrets: Mapping[str, str]) -> None:
    """Print the steps at a service, and the secrets generated for it."""
    from hubbub.cli import show

    for number, step in enumerate(setup.steps, 1):
        show.say(f"{number}. {step}")
    for name, secret in secrets.items():
        show.say(f"{name} (shown once): {secret}")
    if setup.scopes:
        show.say(f"It needs: {', '.join(setup.scopes)}")
    show.say(f"To see whether a body has arrived: hubbub integrations setup {setup.id} --tenant {setup.tenant}")


@group.command("setup")
def setup_(
    id_: Id,
    tenant: TenantName,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the first body.")] = 0,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show the steps at an integration's service, and whether a body has arrived; exits 1 if none was accepted."""
    import time

    from hubbub.cli import show
    from hubbub.cli.backend import opened
    from hubbub.model.plain import plain

    last = time.monotonic() + wait
    with opened(data) as engine:
        while True:
            setup = engine.integrations.setup(tenant, id_)
            if setup.state == "received" or time.monotonic() >= last:
                break
            time.sleep(1)
    if as_json:
        show.emit(setup, as_json=True)
    else:
        _walk(setup, {})
        show.say({
            "received": f"Received: the newest body came at {plain(setup.received_at)}.", "waiting": "Waiting for the first body.",
            "refused": f"The last body was refused: {setup.reason}",
        }[setup.state])  # fmt: skip
    if setup.state != "received":
        raise typer.Exit(1)


@group.command("list")
def list_(
    tenant: AnyTenant = None,
    state: Annotated[
        str | None, typer.Option("--state", help="Only active, degraded, paused or broken ones.", show_default=False)
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List integrations page by page, oldest first: state, last complete day, problem and action."""
    show_answer(data, as_json, lambda engine: engine.integrations.of(tenant, state, cursor, limit), COLUMNS)


@group.command("show")
def show_(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Show an integration with its settings; never its token."""
    show_answer(data, as_json, lambda engine: engine.integrations.get(tenant, id_), COLUMNS)


@group.command("change")
def change(
    id_: Id,
    tenant: TenantName,
    name: Annotated[str | None, typer.Option("--name", help="Name for people.", show_default=False)] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", help="NAME=VALUE, may be repeated; others stay, NAME= restores the default."),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Change an integration's name or settings; what arrives from now on is read with them."""
    settings = _settings(setting)
    show_answer(data, as_json, lambda engine: engine.integrations.change(tenant, id_, name, settings), COLUMNS)


@group.command("pause")
def pause(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Fetch nothing from an integration until it is resumed."""
    show_answer(data, as_json, lambda engine: engine.integrations.pause(tenant, id_), COLUMNS)


@group.command("resume")
def resume(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Fetch from an integration again, also from a broken one whose account was repaired."""
    show_answer(data, as_json, lambda engine: engine.integrations.resume(tenant, id_), COLUMNS)


@group.command("close-gaps")
def close_gaps(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Close the gaps in data that a service sends; missing days of fetched data stay open."""
    show_answer(data, as_json, lambda engine: engine.coverage.close(tenant, id_), ("integration", "closed"))


@group.command("rotate")
def rotate(
    id_: Id, tenant: TenantName, secret_file: SecretFile = None, data: Data = None, as_json: Json = False
) -> None:
    """Replace the token, or other secrets, of an integration; a broken one becomes active."""
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        provider = engine.integrations.get(tenant, id_).provider
    secrets = _secrets(secret_file, provider)
    show_answer(data, as_json, lambda engine: engine.integrations.rotate(tenant, id_, secrets=secrets), COLUMNS)


@group.command("remove")
def remove(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Delete an integration with its token; its events stay."""
    show_answer(data, as_json, lambda engine: engine.integrations.remove(tenant, id_), COLUMNS)

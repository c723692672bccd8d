"""Commands of administration: tenants, keys, quarantine, config, doctor."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.calendar import calendar
from hubbub.cli.options import AnyTenant, Cursor, Data, Json, Limit, TenantName

tenants = typer.Typer(help="Tenants, the owners of data.", no_args_is_help=True)
tenants.add_typer(calendar, name="calendar")
keys = typer.Typer(help="API keys.", no_args_is_help=True)
quarantine = typer.Typer(help="Refused records.", no_args_is_help=True)
config = typer.Typer(help="Settings.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for name, group in (("tenants", tenants), ("keys", keys), ("quarantine", quarantine), ("config", config)):
        app.add_typer(group, name=name)
    app.command()(doctor)


Zone = Annotated[str | None, typer.Option("--zone", help="IANA time zone of its days.", show_default=False)]
Name = Annotated[str, typer.Argument(help="a-z, 0-9 and hyphens.")]
GRAINS = {
    "raw": "texts of events",
    "hour": "numbers by the hour",
    "day": "daily snapshots",
    "week": "weekly snapshots",
    "month": "monthly snapshots",
    "facts": "facts",
}


def with_retention_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option `--retention-<grain>` for each of GRAINS to a command, which gets `retention`: days by grain, or None."""

    @wraps(command)
    def with_retention(**params: Any) -> None:
        days = {grain: params.pop(f"retention_{grain}") for grain in GRAINS}
        command(**params, retention={grain: n or None for grain, n in days.items() if n is not None} or None)

    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != "retention"]
    options = [
        inspect.Parameter(
            f"retention_{grain}", inspect.Parameter.KEYWORD_ONLY, default=None,
            annotation=Annotated[int | None, typer.Option(help=f"Days to keep {data}; 0: for ever.", show_default=False)],
        )
        for grain, data in GRAINS.items()
    ]  # fmt: skip
    with_retention.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    with_retention.__annotations__ = {p.name: p.annotation for p in (*own, *options)}
    return with_retention


@tenants.command("add")
@with_retention_options
def add_tenant(
    tenant: Name,
    zone: Zone = None,
    name: Annotated[str, typer.Option("--name", help="Name for people.")] = "",
    data: Data = None,
    as_json: Json = False,
    retention: Mapping[str, int | None] | None = None,
) -> None:
    """Create a tenant."""
    show_answer(data, as_json, lambda engine: engine.tenants.add(tenant, zone, name, retention))


@tenants.command("set")
@with_retention_options
def set_tenant(
    tenant: Name,
    zone: Zone = None,
    name: Annotated[str | None, typer.Option("--name", help="Name for people.", show_default=False)] = None,
    hotspot_tones: Annotated[
        str | None,
        typer.Option(help="Further tones that hotspots count, like 'negative,angry'; '' for none.", show_default=False),
    ] = None,
    contact_names: Annotated[
        bool | None,
        typer.Option(
            "--contact-names/--no-contact-names",
            help="Whether names of contacts are stored; 'no' deletes the stored ones.",
            show_default=False,
        ),
    ] = None,
    help_channels: Annotated[
        str | None,
        typer.Option(
            help="Ids of channels where every thread is a question, with commas; '' for none.", show_default=False
        ),
    ] = None,
    answer_signs: Annotated[
        str | None,
        typer.Option(help="Reactions that answer a question, like 'white_check_mark,done'.", show_default=False),
    ] = None,
    silence_days: Annotated[
        int | None,
        typer.Option(
            help="Days without a message after which a conversation counts as closed; 0: never.", show_default=False
        ),
    ] = None,
    ai_minutes_saved: Annotated[
        float | None,
        typer.Option(
            help="Minutes that a conversation handled by AI is assumed to save a person; 0 for none.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    as_json: Json = False,
    retention: Mapping[str, int | None] | None = None,
) -> None:
    """Change a tenant: zone, name, retention, tones of hotspots, names of contacts, questions, silence, minutes that AI saves."""
    tones, channels, signs = map(_listed, (hotspot_tones, help_channels, answer_signs))
    threads = {"help_channels": channels, "answer_signs": signs, "silence_days": silence_days}
    changed = {setting: value for setting, value in threads.items() if value is not None}
    show_answer(
        data,
        as_json,
        lambda engine: engine.tenants.change(
            tenant, zone, name, retention, tones, contact_names, changed or None, ai_minutes_saved
        ),
    )


def _listed(text: str | None) -> list[str] | None:
    """Return the names between commas; None if the option was not given."""
    return None if text is None else [name for name in text.split(",") if name.strip()]


@tenants.command("list")
def list_tenants(data: Data = None, as_json: Json = False) -> None:
    """List tenants with zone and retention."""
    show_answer(data, as_json, lambda engine: engine.tenants.of())


@keys.command("add")
def add_key(
    tenant: AnyTenant = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="ingest, read, export, admin or erase.")] = None,
    label: Annotated[str, typer.Option("--label", help="The purpose.")] = "",
    expires: Annotated[str | None, typer.Option("--expires", help="Date or RFC 3339 time.", show_default=False)] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Create an API key (by default with the scopes ingest and read); it is shown once."""
    show_answer(data, as_json, lambda engine: engine.keys.add(tenant, scope or ["ingest", "read"], label, expires))


@keys.command("list")
def list_keys(tenant: AnyTenant = None, data: Data = None, as_json: Json = False) -> None:
    """List API keys, without their secrets."""
    show_answer(data, as_json, lambda engine: engine.keys.of(tenant))


@keys.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="Id of the key.")], data: Data = None, as_json: Json = False
) -> None:
    """Revoke a key."""
    show_answer(data, as_json, lambda engine: engine.keys.revoke(key))


@keys.command("rotate")
def rotate_key(
    key: Annotated[str, typer.Argument(help="Id of the key.")],
    overlap: Annotated[
        float, typer.Option("--overlap", min=0, help="Seconds for which the old key still works.")
    ] = 3600,
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires", help="End of the new key: date or RFC 3339 time.", show_default="that of the old one"
        ),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Create a key with the scopes of an old one, which ends after the overlap; the new key is shown once."""
    show_answer(data, as_json, lambda engine: engine.keys.rotate(key, overlap, expires))


@quarantine.command("list")
def list_quarantine(
    tenant: TenantName,
    limit: Limit = 50,
    cursor: Cursor = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List refused records with their reasons, newest first."""
    show_answer(data, as_json, lambda engine: engine.quarantine.of(tenant, limit, cursor))


@quarantine.command("replay")
def replay(
    tenant: TenantName,
    ids: Annotated[list[int] | None, typer.Argument(help="Ids of records; if absent, all.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Try refused records again; accepted ones leave the quarantine."""
    show_answer(data, as_json, lambda engine: engine.quarantine.replay(tenant, ids).answer())


@config.command("show")
def show_config(data: Data = None, as_json: Json = False) -> None:
    """Show every setting: its value, variable and meaning."""
    from hubbub.cli import show
    from hubbub.settings import Settings, load, masked

    settings = load(data)
    rows = [
        {
            "setting": name, "value": masked(str(getattr(settings, name))), "variable": f"HUBBUB_{name.upper()}",
            "meaning": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]  # fmt: skip
    show.emit({"rows": rows}, as_json=as_json)


@config.command("check")
def check_config(data: Data = None, as_json: Json = False) -> None:
    """Check the settings as 'hubbub serve' does; exits 1 with the reason when one is invalid."""
    from hubbub.cli import show
    from hubbub.services.settings_checks import checked_settings
    from hubbub.settings import load

    settings = checked_settings(load(data))
    show.emit({"ok": True, "data": str(settings.data)}, as_json=as_json)


def doctor(data: Data = None, as_json: Json = False) -> None:
    """Check the installation; exits 1 when something needs attention."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        checks = engine.doctoring.checks()
    show.emit(checks, as_json=as_json)
    if not all(check.ok for check in checks.rows):
        raise typer.Exit(1)

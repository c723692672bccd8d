"""`hubbub import`: import history from exported chats, Slack workspaces, mail and files of events.

`hubbub import PATH` recognises the content; `hubbub import KIND PATH` reads it as that kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from typer.core import TyperGroup

from hubbub.cli.options import Data, Json, pairs
from hubbub.errors import BadQuestionError
from hubbub.ingest.sources.catalogue import IMPORTERS

if TYPE_CHECKING:
    from hubbub.cli.import_run import Storing
    from hubbub.ingest.sources.importer import Options
    from hubbub.ingest.sources.package import Package

LOOK = "PATH"
"""Name of the command for a first word that is not a kind."""


class _KindOrPath(TyperGroup):
    """Commands by kind; any other first word is a path."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the command LOOK before a path or options."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [LOOK, *args]
        return super().parse_args(ctx, args)


group = typer.Typer(help="Import history.", no_args_is_help=True, cls=_KindOrPath)

Source = Annotated[Path, typer.Argument(help="A file, ZIP or folder.", show_default=False)]
Owner = Annotated[str, typer.Option("--tenant", help="The tenant; an unknown one is created.")]
Zone = Annotated[
    str | None,
    typer.Option(
        "--zone", help="Zone of times without one, and of a tenant that this import creates.", show_default="UTC"
    ),
]
Staff = Annotated[
    list[str] | None,
    typer.Option("--staff", help="Name or id of a member of staff, for mail an address or @domain; may be repeated."),
]
DayFirst = Annotated[
    bool | None,
    typer.Option("--day-first/--month-first", help="The order of ambiguous dates.", show_default=False),
]
KeepText = Annotated[bool, typer.Option("--keep-text", help="Store message text too (addresses and secrets masked).")]
WithLabels = Annotated[
    bool,
    typer.Option("--labels", help="Label incoming messages: topic, tone, intent, escalation (see 'hubbub labels')."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Read and check everything, store nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="import")


@group.command(LOOK)
def look(
    path: Source,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Import it for this tenant; without it nothing is stored.")
    ] = None,
    zone: Zone = None,
    staff: Staff = None,
    day_first: DayFirst = None,
    keep_text: KeepText = False,
    labels: WithLabels = False,
    dry_run: DryRun = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Recognise a file, ZIP or folder and show the result of an import, or with --tenant import it."""
    from hubbub.cli import import_run, show
    from hubbub.cli.import_run import Storing
    from hubbub.ingest.sources import catalogue
    from hubbub.ingest.sources.package import package_at

    with package_at(path) as package:
        kind, content = catalogue.importer_of(package)
        show.say(f"{path} is {content}.")
        options = _options(zone, staff, day_first, keep_text or labels)
        if tenant is None:
            import_run.preview(kind, package, options, as_json=as_json)
        else:
            storing = Storing(zone, dry_run, labels=labels, keep_text=keep_text)
            _store(kind, package, tenant, options, storing, data=data, as_json=as_json)


def _of_kind(kind: str) -> Callable[..., None]:
    """Return the command that imports a path as a kind."""

    def command(
        path: Source,
        tenant: Owner,
        zone: Zone = None,
        staff: Staff = None,
        day_first: DayFirst = None,
        keep_text: KeepText = False,
        labels: WithLabels = False,
        dry_run: DryRun = False,
        data: Data = None,
        as_json: Json = False,
    ) -> None:
        from hubbub.cli.import_run import Storing
        from hubbub.ingest.sources.package import package_at

        options = _options(zone, staff, day_first, keep_text or labels)
        storing = Storing(zone, dry_run, labels=labels, keep_text=keep_text)
        with package_at(path) as package:
            _store(kind, package, tenant, options, storing, data=data, as_json=as_json)

    command.__doc__ = f"{IMPORTERS[kind].reads}; a repeated import changes nothing, a newer export corrects and adds."
    return command


for _kind in IMPORTERS:
    if _kind != "events":
        group.command(_kind)(_of_kind(_kind))


@group.command("events")
def events(
    files: Annotated[list[Path], typer.Argument(help="JSONL, JSON, CSV, Parquet or CloudEvents files.")],
    tenant: Annotated[
        str | None,
        typer.Option(
            "--tenant", help="The tenant; an unknown one is created. Not with a mapping that has 'tenant_from'."
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--map",
            help="Mapping file, from columns to event fields, or one of chatwoot, freshdesk, intercom, zendesk.",
        ),
    ] = None,
    where: Annotated[list[str] | None, typer.Option("--where", help="COLUMN=VALUE: only matching rows.")] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", help="Zone of a tenant that this import creates.", show_default="UTC")
    ] = None,
    labels: WithLabels = False,
    dry_run: DryRun = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Import files of events, or of rows that a mapping file turns into events."""
    from hubbub.cli import import_run
    from hubbub.ingest.sources import files as files_
    from hubbub.ingest.sources import mapping as mapping_

    row_filter = {name: values[-1] for name, values in pairs(where).items()}
    rows = mapping_.named(mapping) if mapping else None
    if rows is not None and rows.tenant is not None:
        if tenant is not None:
            raise BadQuestionError(
                f"--tenant {tenant}: {mapping} has 'tenant_from', which gives each row's tenant: leave --tenant out"
            )
    elif tenant is None:
        raise BadQuestionError("--tenant is missing: name the tenant of these events")
    storing = import_run.Storing(zone, dry_run, changed=rows is not None and rows.changed, labels=labels)
    source = files_.read(files, rows, where=row_filter or None, tenant=tenant)
    import_run.run(source, tenant, storing, data=data, as_json=as_json)


def _options(zone: str | None, staff: list[str] | None, day_first: bool | None, keep_text: bool) -> Options:
    from hubbub.ingest.sources.importer import Options
    from hubbub.model.tenant import check_zone

    where = None if zone is None else ZoneInfo(check_zone(zone))
    return Options(keep_text=keep_text, staff=tuple(staff or ()), zone=where, day_first=day_first)


def _store(
    kind: str, package: Package, tenant: str, options: Options, storing: Storing, *, data: Path | None, as_json: bool
) -> None:
    from hubbub.cli import import_run

    importer = IMPORTERS[kind]
    storing = replace(storing, silence_days=importer.silence_days)
    import_run.run(importer.load().open(package, options), tenant, storing, data=data, as_json=as_json)

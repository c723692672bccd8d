"""Commands of reports: make one now, list, show and delete stored ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Cursor, Data, Json, Limit, TenantName

if TYPE_CHECKING:
    from hubbub.services.reports import ReportFile

reports = typer.Typer(help="Stored reports.", no_args_is_help=True)
ReportId = Annotated[str, typer.Argument(help="The report's id, as 'hubbub reports list' shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(report)
    app.add_typer(reports, name="reports")


def report(
    tenant: TenantName,
    kind: Annotated[str, typer.Option("--kind", help="daily, weekly or monthly.")] = "daily",
    date: Annotated[
        str | None,
        typer.Option("--date", help="A day of the period (default: the last complete one).", show_default=False),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="First date, instead of --date; the kind sets the step.", show_default=False)
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Date after the last.", show_default=False)] = None,
    sections: Annotated[
        str | None, typer.Option("--sections", help="Some sections, like summary,staff_performance.", show_default=False)
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="json, csv, xlsx, html or pdf; may be repeated (default: all but pdf).", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Copy the files to this folder.", show_default=False)
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Make and store a report now: summary, conversations, response times, staff, satisfaction, intents, channels."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened
    from hubbub.model.plain import plain

    section_names = [name.strip() for name in sections.split(",")] if sections is not None else None
    with opened(data) as engine, show.progress("report", 100, quiet=as_json) as move:
        view = engine.reports.make(tenant, kind, date, start, end, section_names, formats, progress=move)
        files = {name: engine.reports.file(tenant, view.id, name) for name in view.formats}
    answer = plain(view) | {"paths": {name: _put(file, out) for name, file in files.items()}}
    show.emit(answer if as_json else {k: v for k, v in answer.items() if k != "files"}, as_json=as_json)


def _put(file: ReportFile, out: Path | None) -> str:
    """Copy a stored file into a folder, if one is given, and return the path of the file."""
    import shutil

    if out is None:
        return str(file.path)
    out.mkdir(parents=True, exist_ok=True)
    return str(shutil.copyfile(file.path, out / file.name))


@reports.command("list")
def list_reports(
    tenant: TenantName,
    limit: Limit = 50,
    cursor: Cursor = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List stored reports, newest first."""
    columns = ("id", "kind", "from", "to", "zone", "made_at", "formats", "sections")
    show_answer(data, as_json, lambda engine: engine.reports.kept(tenant, limit, cursor), columns)


@reports.command("show")
def show_report(report: ReportId, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Show a report, or the progress of its job."""
    show_answer(data, as_json, lambda engine: engine.reports.show(tenant, report))


@reports.command("delete")
def delete_report(report: ReportId, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Delete a report and its files."""
    show_answer(data, as_json, lambda engine: engine.reports.delete(tenant, report))

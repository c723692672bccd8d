"""Commands for a tenant's business hours: show them, or set them from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hubbub.cli.options import Data, Json

if TYPE_CHECKING:
    from hubbub.services.calendar import CalendarView

calendar = typer.Typer(help="A tenant's business hours.", no_args_is_help=True)

Tenant = Annotated[str, typer.Argument(help="The tenant.")]


@calendar.command("show")
def show_calendar(tenant: Tenant, data: Data = None, as_json: Json = False) -> None:
    """Show a tenant's business hours, version by version."""
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        _show(engine.calendar.get(tenant), as_json)


@calendar.command("set")
def set_calendar(
    tenant: Tenant,
    file: Annotated[Path, typer.Option("--file", help="YAML or JSON; see docs/howto/business-hours.md.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Set a tenant's business hours; numbers change with the next refresh, from the first day that differs."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    document = _read(file)
    with opened(data) as engine:
        done = engine.calendar.set(tenant, document)
    if not as_json:
        show.say(f"numbers change from {done.changed_from} on" if done.changed_from else "nothing changed")
    _show(done, as_json)


def _show(calendar: CalendarView, as_json: bool) -> None:
    from hubbub.cli import show

    rows = [
        {"valid_from": version.valid_from, "day": day, "open": ", ".join(hours) or "closed"}
        for version in calendar.versions
        for day, hours in (*version.week.items(), *version.holidays.items())
    ]
    show.emit(calendar if as_json else {"rows": rows}, as_json=as_json, title=f"{calendar.tenant}, {calendar.zone}")


def _read(file: Path) -> dict[str, Any]:
    """Return a file's document as plain values. Raises BadInputError with its path and the field."""
    import yaml

    from hubbub.errors import BadInputError
    from hubbub.model import calendar as business_hours
    from hubbub.yaml_file import read_yaml

    try:
        return business_hours.document(business_hours.read(read_yaml(file)))
    except OSError as error:
        raise BadInputError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from None
    except BadInputError as error:
        raise BadInputError(f"{file}: {error}") from None

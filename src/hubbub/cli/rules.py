"""`hubbub rules`: a tenant's alert rules, digests and targets as one JSON document."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Data, Json, TenantName

group = typer.Typer(help="Alert rules, digests and targets as a document.", no_args_is_help=True)

COLUMNS = ("kind", "name", "outcome")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="rules")


@group.command("export")
def export(tenant: TenantName, data: Data = None, as_json: Json = True) -> None:
    """Print a tenant's alert rules, digests and targets as JSON, with the kind and name of each destination."""
    show_answer(data, as_json, lambda engine: engine.rules.export(tenant))


@group.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSON as `hubbub rules export` prints it; - reads stdin.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Add and change rules until a tenant has those of a document. Others stay; a repeated import changes nothing."""
    document = _read(file)
    show_answer(data, as_json, lambda engine: engine.rules.import_(tenant, document), COLUMNS)


def _read(file: Path) -> dict[str, Any]:
    """Return a file's JSON object. Raises BadInputError with its path."""
    from hubbub.errors import BadInputError

    try:
        document = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{file}: not valid JSON: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(document, dict):
        raise BadInputError(f"{file}: not an object with alerts, subscriptions and targets")
    return document

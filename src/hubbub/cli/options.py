"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hubbub.errors import BadQuestionError

Data = Annotated[
    Path | None,
    typer.Option("--data", envvar="HUBBUB_DATA", help="Data folder (default ./hubbub-data).", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(help="The id.")]
TenantName = Annotated[str, typer.Option("--tenant", help="The tenant.")]
AnyTenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant.", show_default=False)]
From = Annotated[str, typer.Option("--from", help="Start: a date in the tenant's zone, or an RFC 3339 time.")]
To = Annotated[str, typer.Option("--to", help="End (exclusive): a date in the tenant's zone, or an RFC 3339 time.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="Answer with the data of that moment: a date or an RFC 3339 time.", show_default=False
    ),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most rows to show.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="`next` of the previous page.", show_default=False)]
Where = Annotated[list[str] | None, typer.Option("--where", help="DIMENSION=VALUE; may be repeated.")]


def pairs(where: list[str] | None, option: str = "--where", form: str = "DIMENSION=VALUE") -> dict[str, list[str]]:
    """Read options like DIMENSION=VALUE; a repeated name means either value. Raises BadQuestionError."""
    values: dict[str, list[str]] = {}
    for pair in where or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadQuestionError(f"{option} {pair[:80]!r} is not {form}")
        values.setdefault(name, []).append(value)
    return values

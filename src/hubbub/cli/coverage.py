"""`hubbub coverage`: fetched and missing days of each source, and what to do about gaps."""

from __future__ import annotations

from typing import Annotated

import typer

from hubbub.cli.options import AnyTenant, Cursor, Data, Json, Limit

MARKS = {
    "fetched": ("█", "fetched"), "empty": ("·", "fetched, without events"), "partial": ("▒", "partial"),
    "missing": ("✗", "missing"), "unknown": ("?", "nothing received: unknown"), "not_over": ("…", "not over yet"),
    "before": (" ", ""),
}  # fmt: skip
"""State of a day -> one character, and its meaning."""
COLUMNS = ("tenant", "name", "provider", "state", "complete_to", "days", "missing", "action")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(coverage)


def coverage(
    tenant: AnyTenant = None,
    start: Annotated[
        str | None, typer.Option("--from", help="First day; 28 days ago if absent.", show_default=False)
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Day after the last; tomorrow if absent.", show_default=False)
    ] = None,
    integration: Annotated[
        str | None, typer.Option("--integration", help="Only this integration.", show_default=False)
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show the days of each source, one character a day, then the gaps, with what to do."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened
    from hubbub.model.plain import plain

    with opened(data) as engine:
        page = engine.coverage.of(tenant, start, end, integration, cursor, limit)
    if as_json:
        show.emit(page, as_json=True)
        return
    rows = [
        {
            **plain(source), "days": "".join(MARKS[day.state][0] for day in source.days),
            "missing": sum(day.state in ("partial", "missing") for day in source.days),
        }
        for source in page.rows
    ]  # fmt: skip
    show.table(rows, COLUMNS)
    for source in page.rows:
        for gap in source.gaps:
            action = f". {gap.action}" if gap.action else ""
            show.say(f"{source.name}: {plain(gap.from_)} to {plain(gap.to)}: {gap.message}{action}")
    show.say("  ".join(f"{mark} {meaning}" for mark, meaning in MARKS.values() if meaning))
    show.more(page)

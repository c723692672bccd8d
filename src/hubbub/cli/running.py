"""Commands that run the engine: serve, refresh, backfill, verify, retention, demo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import AnyTenant, Data, From, Json, To

if TYPE_CHECKING:
    from hubbub.progress import Progress
    from hubbub.services.facts import FactService


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (serve, refresh, backfill, verify, retention, demo):
        app.command()(command)


def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on.", show_default="8321")] = None,
    no_jobs: Annotated[
        bool, typer.Option("--no-jobs", help="Only answer requests; jobs run in other processes.")
    ] = False,
    data: Data = None,
) -> None:
    """Serve the pages and the API and run its jobs, until Ctrl-C."""
    from hubbub.api.app import serve as serve_
    from hubbub.api.connection import listener
    from hubbub.app import open_engine
    from hubbub.cli import show
    from hubbub.settings import load
    from hubbub.telemetry import configure_logs

    settings = load(data, host=host, port=port)
    with listener(settings.host, settings.port) as listening:
        engine = open_engine(data, host=host, port=port)
        configure_logs(engine.settings.log_level)

        def ready(url: str) -> None:
            url += engine.settings.base_path
            show.say(f"Hubbub listens on {url} (Ctrl-C ends it)")
            path = engine.access.sign_in_link(label="printed by serve").path
            show.say(f"Sign in with this link, once, within 15 minutes ('hubbub sign-in --url {url}' prints another):")
            typer.echo(f"  {url}{path}", err=True)  # on one line, however narrow the terminal

        serve_(engine, listening, jobs=not no_jobs, ready=ready)


Answer = TypeVar("Answer")


def _work(name: str, as_json: bool, data: Path | None, work: Callable[[FactService, Progress], Answer]) -> Answer:
    """Show the progress of `work` on the facts, then print its result."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    with opened(data) as engine, show.progress(name, None, quiet=as_json) as move:
        answer = work(engine.facts, lambda note: move(None, note))
    show.emit(answer, as_json=as_json)
    return answer


def refresh(tenant: AnyTenant = None, data: Data = None, as_json: Json = False) -> None:
    """Fold new events now."""
    answer = _work("refresh", as_json, data, lambda facts, step: facts.refresh(tenant, step=step))
    if answer.errors:
        raise typer.Exit(1)


def backfill(
    start: From,
    end: To,
    tenant: AnyTenant = None,
    fact: Annotated[str | None, typer.Option("--fact", help="Only this fact.", show_default=False)] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Fold all units again that have an event in a range."""
    answer = _work("backfill", as_json, data, lambda facts, step: facts.backfill(start, end, tenant, fact, step=step))
    if answer.errors:
        raise typer.Exit(1)


def verify(
    tenant: AnyTenant = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Only from this date or time on.", show_default=False)
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only before this date or time.", show_default=False)] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Fold everything again and compare; exits 1 on any difference."""
    answer = _work("verify", as_json, data, lambda facts, step: facts.verify(tenant, start, end, step=step))
    if not answer.clean:
        raise typer.Exit(1)


def retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only count what would be deleted.")] = False,
    tenant: AnyTenant = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Delete data past their tenant's retention. Deleted numbers become null, never 0."""
    show_answer(data, as_json, lambda engine: engine.retained.apply(tenant, dry_run=dry_run))


def demo(data: Data = None, as_json: Json = False) -> None:
    """Fill a data folder with sample events of three tenants, and print their numbers."""
    from hubbub.cli.sample import fill

    fill(data, as_json)

"""Commands for jobs and schedules, and the worker process."""

from __future__ import annotations

from typing import Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import AnyTenant, Cursor, Data, Json, Limit

jobs = typer.Typer(help="Jobs in the queues.", no_args_is_help=True)
schedules = typer.Typer(help="Schedules of jobs.", no_args_is_help=True)
JobId = Annotated[str, typer.Argument(help="The job's id, as 'hubbub jobs list' shows it.")]
Name = Annotated[str, typer.Argument(help="The schedule's name, as 'hubbub schedules list' shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(jobs, name="jobs")
    app.add_typer(schedules, name="schedules")
    app.command()(worker)


@jobs.command("list")
def list_jobs(
    queue: Annotated[str | None, typer.Option("--queue", help="Only this queue.", show_default=False)] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only jobs in this state.", show_default=False)] = None,
    tenant: AnyTenant = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show jobs, newest first."""
    columns = ("id", "queue", "state", "tenant", "attempts", "progress", "created_at", "seconds", "error")
    show_answer(data, as_json, lambda engine: engine.jobs.of(queue, state, tenant, limit, cursor), columns)


@jobs.command("show")
def show_job(job: JobId, data: Data = None, as_json: Json = False) -> None:
    """Show a job with payload, result, and error."""
    show_answer(data, as_json, lambda engine: engine.jobs.get(job))


@jobs.command("retry")
def retry_job(job: JobId, data: Data = None, as_json: Json = False) -> None:
    """Run a failed, cancelled or parked job again."""
    show_answer(data, as_json, lambda engine: engine.jobs.retry(job))


@jobs.command("cancel")
def cancel_job(job: JobId, data: Data = None, as_json: Json = False) -> None:
    """Cancel a job that has not ended."""
    show_answer(data, as_json, lambda engine: engine.jobs.cancel(job))


@schedules.command("list")
def list_schedules(data: Data = None, as_json: Json = False) -> None:
    """Show schedules: cron (UTC), next and last run."""
    columns = ("name", "queue", "cron", "next_run", "last_run", "paused")
    show_answer(data, as_json, lambda engine: engine.schedules.of(), columns)


@schedules.command("trigger")
def trigger(
    name: Name,
    date: Annotated[str | None, typer.Option("--date", help="The date to run for.", show_default=False)] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Run a schedule's job now."""
    show_answer(data, as_json, lambda engine: engine.schedules.trigger(name, date))


@schedules.command("backfill")
def backfill(
    name: Name,
    start: Annotated[str, typer.Option("--from", help="First date.")],
    end: Annotated[str, typer.Option("--to", help="Date after the last.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Run a schedule's job for every date of a range."""
    show_answer(data, as_json, lambda engine: engine.schedules.backfill(name, start, end))


@schedules.command("pause")
def pause(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Pause a schedule: it starts no jobs until it is resumed."""
    show_answer(data, as_json, lambda engine: engine.schedules.pause(name))


@schedules.command("resume")
def resume(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Resume a schedule; ticks during the pause are skipped."""
    show_answer(data, as_json, lambda engine: engine.schedules.resume(name))


def worker(data: Data = None) -> None:
    """Run jobs of the queues and fold new events in a separate process, until Ctrl-C."""
    import signal
    import threading

    from hubbub.api.refreshing import LONGEST_REST, RefreshLoop
    from hubbub.app import open_engine
    from hubbub.cli import show
    from hubbub.jobs.worker import working
    from hubbub.settings import load
    from hubbub.telemetry import configure_logs

    settings = load(data)
    configure_logs(settings.log_level)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    engine = open_engine(data)
    refreshing = RefreshLoop(engine, LONGEST_REST)  # servers that run jobs fold sooner
    with working(engine.worker(), engine.close):
        show.say("Hubbub runs jobs (Ctrl-C ends it)")
        refreshing.start()
        stopped.wait()
        refreshing.stop()

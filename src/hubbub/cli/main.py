"""The command `hubbub`: all groups of commands, and the exit status of errors."""

from __future__ import annotations

import os
import sys
from functools import cache

import typer
from typer.core import TyperGroup

from hubbub.cli import (
    alerts,
    answers,
    conversations,
    coverage,
    destinations,
    erasing,
    importing,
    incidents,
    integrations,
    jobs,
    keeping,
    labels,
    manage,
    names,
    reports,
    restatements,
    rules,
    running,
    signing_in,
    snapshots,
    subscriptions,
    targets,
    topic_suggestions,
)
from hubbub.version import __version__

app = typer.Typer(
    name="hubbub",
    help="Conversation analytics with exact, explainable numbers. "
    "Start with: hubbub demo, or hubbub import slack EXPORT.zip --tenant NAME",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"hubbub {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_version, is_eager=True),
) -> None:
    """Conversation analytics with exact, explainable numbers."""


for group in (
    importing,
    running,
    answers,
    conversations,
    snapshots,
    reports,
    restatements,
    integrations,
    alerts,
    incidents,
    destinations,
    subscriptions,
    targets,
    rules,
    jobs,
    labels,
    topic_suggestions,
    manage,
    signing_in,
    names,
    coverage,
    erasing,
    keeping,
):
    group.register(app)


@cache
def command_line() -> TyperGroup:
    """Return all commands, built once: that takes longer than most commands run."""
    built = typer.main.get_command(app)
    assert isinstance(built, TyperGroup)  # typer builds a group for several commands
    return built


def run() -> None:
    """Run the command line; an error of Hubbub ends it with one line on stderr: exit 2 for bad usage, 1 otherwise."""
    try:
        command_line()()
    except Exception as error:
        from hubbub.errors import BadQuestionError, BadRequestError, HubbubError

        if isinstance(error, BrokenPipeError):
            os._exit(1)
        if not isinstance(error, HubbubError | OSError):
            raise
        sys.stderr.write(f"hubbub: {error}\n")
        sys.exit(2 if isinstance(error, BadQuestionError | BadRequestError) else 1)

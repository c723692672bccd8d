"""`hubbub labels suggest`, `suggestions`, `accept` and `dismiss`: topics of unlabelled messages, for a person to decide on."""

from __future__ import annotations

from typing import Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.labels import BY, group
from hubbub.cli.options import Data, Json, TenantName

Number = Annotated[int, typer.Argument(help="Number of the topic, from 'hubbub labels suggestions'.", metavar="NUMBER")]
COLUMNS = ("number", "words", "messages", "people", "unresolved", "handling_ms", "opportunity_ms", "rule")


def register(_: typer.Typer) -> None:
    """Add the commands to the group `labels`."""
    for command in (suggest, suggestions, accept, dismiss):
        group.command(command.__name__)(command)


def suggest(tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Look for topics among unlabelled messages (extra 'labels'); the schedule 'topic-suggestions' does so each week."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        answer = engine.labels.suggestions.run(tenant)
    show.emit(answer, as_json=as_json)
    if not as_json and not answer.read:
        show.say(
            "No unlabelled message has a stored text: import with '--keep-text', or set 'keep_text_days' of an integration."
        )


def suggestions(tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Show suggested topics, the greatest opportunity first; --json has examples, and the decisions on earlier ones."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        answer = engine.labels.suggestions.of(tenant)
    show.emit(answer, as_json=as_json, columns=COLUMNS)
    if not as_json and answer.below:
        show.say(f"{answer.below} more have too few messages or people.")


def accept(
    number: Number,
    label: Annotated[str, typer.Option("--as", help="The label: a new one, or one of the tenant's topics.")],
    tenant: TenantName,
    words: Annotated[
        list[str] | None,
        typer.Option("--word", help="A word of its rule; may be repeated; if absent, the suggested ones.", show_default=False),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Make a suggested topic a label with a rule and examples; 'hubbub labels run' applies it to stored messages."""
    show_answer(data, as_json, lambda engine: engine.labels.suggestions.accept(tenant, number, label, words, BY))


def dismiss(number: Number, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Do not suggest a topic again, nor topics like it."""
    show_answer(data, as_json, lambda engine: engine.labels.suggestions.dismiss(tenant, number, BY))

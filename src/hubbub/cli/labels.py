"""`hubbub labels`: show, set and try a tenant's labels, label stored messages, review labels, train classifiers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Data, Json, Limit, TenantName
from hubbub.model.label import Labeller

if TYPE_CHECKING:
    from hubbub.services.label_review_views import ReviewQueue, ToReview
    from hubbub.services.labels import LabelService

group = typer.Typer(help="Topic, tone, intent and escalation of messages.", no_args_is_help=True)
BY = "command line"
"""Name of the labeller for labels that commands give."""
SetName = Annotated[str, typer.Argument(help="topic, tone, intent or escalation.", metavar="SET")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="labels")


@group.command("show")
def show_(tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Show a tenant's labels and rules, and their earlier versions; 'hubbub labels set' reads the JSON."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        answer = engine.labels.of(tenant)
    if as_json:
        show.emit(answer, as_json=True)
        return
    rows = [
        {"set": name, "label": label, "words": len(rule.get("words", ())), "patterns": len(rule.get("patterns", ()))}
        for name, labels in answer.labels.items() if isinstance(labels, dict) for label, rule in labels.items()
    ]  # fmt: skip
    show.table(rows, title=f"version {answer.version}" + (", the starter" if answer.starter else ""))


@group.command("set")
def set_(
    file: Annotated[Path, typer.Argument(help="A YAML file of labels, words and patterns; see docs/howto/labels.md.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Replace a tenant's labels and rules; 'hubbub labels run' applies them to stored messages."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened
    from hubbub.labels.configuration import read_file

    document = read_file(file).document()
    with opened(data) as engine:
        answer = engine.labels.replace(tenant, document)
    counts = {name: len(labels) for name, labels in answer.labels.items() if isinstance(labels, dict)}
    show.emit({"tenant": tenant, "version": answer.version, **counts}, as_json=as_json)


@group.command("add")
def add(
    label_set: SetName,
    label: Annotated[str, typer.Argument(help="The new label.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Add a label without rules, for people to give and for classifiers to learn."""
    show_answer(data, as_json, lambda engine: engine.labels.add(tenant, label_set, label))


@group.command("give")
def give(
    label_set: SetName,
    label: Annotated[str, typer.Argument(help="One of the set's labels.")],
    tenant: TenantName,
    message: Annotated[
        str | None, typer.Option("--message", help="The message's id, as in events.", show_default=False)
    ] = None,
    conversation: Annotated[
        str | None,
        typer.Option(
            "--conversation", help="In place of a message: its first incoming message is labelled.", show_default=False
        ),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Label a message, with or without a stored text. The label takes precedence over those of rules and classifiers."""
    show_answer(
        data, as_json,
        lambda engine: engine.labels.review.say(tenant, label_set, message, label, BY, conversation=conversation),
    )  # fmt: skip


@group.command("rename")
def rename(
    label_set: SetName,
    label: Annotated[str, typer.Argument(help="The present label.")],
    to: Annotated[str, typer.Argument(help="The new name; an existing label absorbs this one.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Rename a label, or merge it into another, for all labelled messages."""
    show_answer(data, as_json, lambda engine: engine.labels.rename(tenant, label_set, label, to))


@group.command("try")
def try_(
    text: Annotated[str, typer.Argument(help="The text of a message; - reads it from stdin.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show the labels that a text would get now, with labeller and confidence; nothing is stored."""
    message = sys.stdin.read() if text == "-" else text
    show_answer(data, as_json, lambda engine: engine.labels.try_text(tenant, message))


@group.command("run")
def run(
    tenant: TenantName,
    start: Annotated[
        str | None, typer.Option("--from", help="First day; if absent, all days.", show_default=False)
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Day after the last.", show_default=False)] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Label stored messages whose text was stored; a second run changes nothing."""
    show_answer(data, as_json, lambda engine: engine.labels.run(tenant, start, end))


@group.command("train")
def train(
    label_set: SetName,
    tenant: TenantName,
    examples: Annotated[
        Path | None,
        typer.Option(
            "--examples", help="Further examples to learn: CSV with the columns text and label.", show_default=False
        ),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Train a classifier from people's labels (extra 'labels'), and use it unless it is worse than the present one."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened
    from hubbub.model.plain import plain

    with opened(data) as engine:
        if examples is not None:
            engine.labels.review.teach(tenant, label_set, _examples(examples), BY)
        answer = engine.labels.train(tenant, label_set, BY)
    if as_json:
        show.emit(answer, as_json=True)
        return
    show.table(plain(answer.labels))
    show.emit({name: value for name, value in plain(answer).items() if name != "labels"}, as_json=False)
    if answer.used:
        show.say(f"It is used from now on. Next: hubbub labels run --tenant {tenant}")
    else:
        switch = f"hubbub labels switch {label_set} --to {answer.classifier} --tenant {tenant}"
        show.say(f"It is not used: it was not shown to be as good as the one in use. To use it anyway: {switch}")


@group.command("switch")
def switch(
    label_set: SetName,
    tenant: TenantName,
    classifier: Annotated[
        int | None, typer.Option("--to", help="Its number, from 'hubbub labels show --json'; if absent, none.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Use another classifier of a set, or none."""
    show_answer(data, as_json, lambda engine: engine.labels.switch(tenant, label_set, classifier, BY))


@group.command("review")
def review(
    label_set: SetName,
    tenant: TenantName,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--say", help="MESSAGE=LABEL: give a label without the prompt; may be repeated.", show_default=False
        ),
    ] = None,
    order: Annotated[
        str, typer.Option("--order", help="unsure: least confident first; newest; or label: by suggested label.")
    ] = "unsure",
    limit: Limit = 20,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Confirm or correct labels, one key for each message; --json lists the messages without a prompt."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened
    from hubbub.cli.options import pairs

    labels = {key: values[-1] for key, values in pairs(label, "--say", "MESSAGE=LABEL").items()}
    with opened(data) as engine:
        if labels:
            rows = [engine.labels.review.say(tenant, label_set, key, name, BY) for key, name in labels.items()]
            show.emit({"rows": rows}, as_json=as_json)
            return
        queue = engine.labels.review.queue(tenant, label_set, limit, order)
        if as_json or not sys.stdin.isatty():
            show.emit(queue, as_json=as_json, columns=("message", "text", "suggested", "confidence", "by"))
            return
        _ask_each(engine.labels, queue)


@group.command("undo")
def undo(label_set: SetName, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Undo the last label of a set that was given by a command."""
    show_answer(data, as_json, lambda engine: engine.labels.review.undo(tenant, label_set, BY))


@group.command("reviewed")
def reviewed(
    label_set: SetName, tenant: TenantName, limit: Limit = 20, data: Data = None, as_json: Json = False
) -> None:
    """Show people's last labels; with --json also how often suggestions were right."""
    show_answer(data, as_json, lambda engine: engine.labels.review.done(tenant, label_set, limit))


def _ask_each(labels: LabelService, queue: ReviewQueue) -> None:
    """Show messages one by one; read a number, Enter for the suggestion, s to skip, u to undo or q to end."""
    from hubbub.cli import show

    menu = "  ".join(f"{number} {name}" for number, name in enumerate(queue.labels, 1))
    for row in queue.rows:
        why = _why(row)
        show.say(f"\n{row.text[:500]}\n{why}{menu}  Enter {row.suggested or '-'}  s skip  u undo  q end")
        while True:
            key = input("> ").strip()
            if key == "q":
                return
            if key == "u":
                show.say(f"Undone: {labels.review.undo(queue.tenant, queue.set, BY).message}")
                continue
            chosen = (
                queue.labels[int(key) - 1] if key.isdigit() and 0 < int(key) <= len(queue.labels) else row.suggested
            )
            if (key and key != "s" and not key.isdigit()) or not (key == "s" or chosen):
                continue
            labels.review.say(queue.tenant, queue.set, row.message, None if key == "s" else chosen, BY)
            break


def _why(row: ToReview) -> str:
    """Return a line with the rule, or the likeliest labels and the words that led to the suggestion; empty if unknown."""
    if row.by == Labeller.RULES and row.rule is not None:
        return f"By {row.rule.in_words()}\n"
    parts = [", ".join(f"{likely.label} {likely.confidence:.0%}" for likely in row.likely)]
    parts.append(" ".join(f"“{row.text[span.start : span.end]}”" for span in row.spans))
    return f"{'; '.join(filter(None, parts))}\n" if any(parts) else ""


def _examples(path: Path) -> list[tuple[str, str]]:
    """Return the texts and labels of a CSV file. Raises BadInputError with its path."""
    import csv

    from hubbub.errors import BadInputError

    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if not {"text", "label"} <= set(rows.fieldnames or ()):
            raise BadInputError(
                f"{path}: needs the columns text and label, but has {', '.join(rows.fieldnames or ()) or 'none'}"
            )
        return [(row["text"] or "", row["label"] or "") for row in rows]

"""`hubbub labels`: what a tenant labels, trying it on a text, labelling what is stored."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hubbub.cli.manage import ask
from hubbub.cli.options import Data, Json, TenantName

group = typer.Typer(help="Topic, tone, intent and escalation of messages.", no_args_is_help=True)
SetName = Annotated[str, typer.Argument(help="topic, tone, intent or escalation.", metavar="SET")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="labels")


@group.command("show")
def show_(tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Show a tenant's labels and rules, and the versions that they had; --json is what 'hubbub labels set' reads."""
    from hubbub.cli import show
    from hubbub.cli.backend import backend

    with backend(data) as there:
        answer = there.call("labels", tenant=tenant)
    if as_json:
        show.emit(answer, as_json=True)
        return
    rows = [
        {"set": name, "label": label, "words": len(said.get("words", ())), "patterns": len(said.get("patterns", ()))}
        for name, labels in answer["labels"].items() if isinstance(labels, dict) for label, said in labels.items()
    ]  # fmt: skip
    show.table(rows, title=f"version {answer['version']}" + (", the starter" if answer["starter"] else ""))


@group.command("set")
def set_(
    file: Annotated[Path, typer.Argument(help="A YAML file of labels, words and patterns; see docs/howto/labels.md.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Give a tenant its labels and rules, in place of those it had; 'hubbub labels run' labels what is stored by them."""
    from hubbub.cli import show
    from hubbub.cli.backend import backend
    from hubbub.labels.configuration import read_file

    document = read_file(file).document()
    with backend(data) as there:
        answer = there.call("set_labels", tenant=tenant, document=document)
    counts = {name: len(labels) for name, labels in answer["labels"].items() if isinstance(labels, dict)}
    show.emit({"tenant": tenant, "version": answer["version"], **counts}, as_json=as_json)


@group.command("add")
def add(
    label_set: SetName,
    label: Annotated[str, typer.Argument(help="The new label.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Add a label without rules, to be given by people and learned from them."""
    ask("add_label", data, as_json, tenant=tenant, label_set=label_set, label=label)


@group.command("rename")
def rename(
    label_set: SetName,
    label: Annotated[str, typer.Argument(help="The label as it is.")],
    to: Annotated[str, typer.Argument(help="Its new name; of one that is there already, both are one from now on.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Rename a label, or merge it into another, in all that was ever labelled."""
    ask("rename_label", data, as_json, tenant=tenant, label_set=label_set, label=label, to=to)


@group.command("try")
def try_(
    text: Annotated[str, typer.Argument(help="What a message says; - reads it from stdin.")],
    tenant: TenantName,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say how a text would be labelled now, by whom and how surely; nothing of it is kept."""
    said = sys.stdin.read() if text == "-" else text
    ask("try_labels", data, as_json, tenant=tenant, text=said)


@group.command("run")
def run(
    tenant: TenantName,
    start: Annotated[str | None, typer.Option("--from", help="First day; all when absent.", show_default=False)] = None,
    end: Annotated[str | None, typer.Option("--to", help="Day after the last.", show_default=False)] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Label stored messages whose text was kept; running it again changes nothing."""
    ask("run_labels", data, as_json, tenant=tenant, start=start, end=end)

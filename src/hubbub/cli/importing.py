"""`hubbub import`: Slack exports and files of events, as history, with a summary of what was in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hubbub.cli.options import Data, Json, pairs

if TYPE_CHECKING:
    from hubbub.ingest.sources.files import FileImport
    from hubbub.ingest.sources.slack import SlackImport

BATCH = 5000
group = typer.Typer(help="Bring history in.", no_args_is_help=True)

Zone = Annotated[
    str | None, typer.Option("--zone", help="Zone of a tenant that is made by this import.", show_default="UTC")
]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Read and check everything, store nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="import")


@group.command("slack")
def slack_(
    path: Annotated[Path, typer.Argument(help="A Slack export: the ZIP file or its unpacked folder.")],
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant; an unknown one is made.")],
    zone: Zone = None,
    keep_text: Annotated[
        bool, typer.Option("--keep-text", help="Store message text too (addresses and secrets masked).")
    ] = False,
    dry_run: DryRun = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Import a Slack export; importing it again changes nothing, a newer one corrects and adds."""
    from hubbub.ingest.sources import slack

    _import(slack.read(path, keep_text=keep_text), tenant, zone, dry_run, data, as_json)


@group.command("events")
def events(
    files: Annotated[list[Path], typer.Argument(help="JSONL, JSON, CSV, Parquet or CloudEvents files.")],
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant; an unknown one is made.")],
    mapping: Annotated[
        Path | None, typer.Option("--map", help="Mapping file: which columns are which event fields.")
    ] = None,
    where: Annotated[list[str] | None, typer.Option("--where", help="COLUMN=VALUE: only these rows.")] = None,
    zone: Zone = None,
    dry_run: DryRun = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Import files of events, or of rows that a mapping file turns into events."""
    from hubbub.ingest.sources import files as files_
    from hubbub.ingest.sources import mapping as mapping_

    only = {name: values[-1] for name, values in pairs(where).items()}
    source = files_.read(files, mapping_.load(mapping) if mapping else None, where=only or None)
    _import(source, tenant, zone, dry_run, data, as_json)


def _import(
    source: SlackImport | FileImport, tenant: str, zone: str | None, dry_run: bool, data: Path | None, as_json: bool
) -> None:
    from hubbub.cli import show
    from hubbub.cli.backend import backend
    from hubbub.ingest.accept import bounds, check
    from hubbub.model.event import Rejection
    from hubbub.model.tenant import KEEP_EVERYTHING, Tenant, check_tenant_id

    check_tenant_id(tenant)
    limits = bounds(Tenant(0, tenant, retention=KEEP_EVERYTHING), datetime.now(UTC), None, history=True)
    counts: dict[str, Any] = {"stored": 0, "duplicates": 0, "corrected": 0}
    rejected: dict[str, int] = {}
    waiting: dict[str, list[Any]] = {}
    made: set[str] = set()

    def refuse(code: str, message: str) -> None:
        rejected[code] = rejected.get(code, 0) + 1
        if sum(rejected.values()) <= 20:
            show.say(message)

    with backend(data) as there:
        known = {row["tenant"] for row in there.call("tenants")["rows"]}

        def flush(owner: str) -> None:
            records = waiting.pop(owner, [])
            if not records:
                return
            if dry_run:
                for fault in check([r.event for r in records], limits)[2]:
                    refuse(fault.code, f"{records[fault.index].origin}: {fault.message}")
                return
            answer = there.load(owner, [r.event for r in records], [r.origin for r in records], zone)
            counts["stored"] += answer["accepted"] - answer["corrected"]
            counts["duplicates"] += answer["duplicates"]
            counts["corrected"] += answer["corrected"]
            for one in answer["rejected"]:
                refuse(one["code"], one["message"])
            if owner not in known:
                made.add(owner)

        with show.progress("importing", source.total_bytes, quiet=as_json) as move:
            for item in source.records():
                if isinstance(item, Rejection):
                    refuse(item.code, item.message)
                    continue
                owner = item.tenant or tenant
                batch = waiting.setdefault(owner, [])
                batch.append(item)
                if len(batch) >= BATCH:
                    flush(owner)
                    move(source.read_bytes)
            for owner in list(waiting):
                flush(owner)
        if not dry_run:
            touched = sorted({*made, tenant} & {row["tenant"] for row in there.call("tenants")["rows"]})
            with show.progress("bringing numbers up to date", None, quiet=as_json):
                there.call("refresh", tenant=touched[0] if len(touched) == 1 else None)
            tenant = tenant if tenant in touched or not touched else touched[0]
    if sum(rejected.values()) > 20:
        show.say(f"… and {sum(rejected.values()) - 20} more refused records")
    if made:
        show.say(
            f"Made {', '.join(sorted(made))} (zone {zone or 'UTC'}), keeping everything: set a retention with "
            "'hubbub tenants set NAME --retention-raw DAYS' when raw events should go after a while."
        )
    answer = {**source.summary, **counts, "rejected": rejected, "dry_run": dry_run}
    order = ("records", "stored", "duplicates", "corrected", "rejected")
    show.emit({k: answer[k] for k in (*order, *(k for k in answer if k not in order))}, as_json=as_json)
    if not as_json and not dry_run:
        show.say(
            _next(tenant, str(answer["first"]), str(answer["last"])) if answer.get("first") else "Nothing was in it."
        )


def _next(tenant: str, first: str, last: str) -> str:
    """Return a question that shows what was imported; the day after the last holds it in every zone."""
    after = date.fromisoformat(last[:10]) + timedelta(days=2)
    return f"Next: hubbub query messages --tenant {tenant} --from {first[:10]} --to {after} --grain month"

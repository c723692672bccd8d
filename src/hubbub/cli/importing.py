"""`hubbub import`: Slack exports and files of events, as history, with a summary of what was in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hubbub.cli.options import Data, Json, pairs
from hubbub.errors import BadQuestionError

if TYPE_CHECKING:
    from hubbub.cli.backend import Backend
    from hubbub.ingest.accept import Bounds
    from hubbub.ingest.sources.files import FileImport
    from hubbub.ingest.sources.slack import SlackImport
    from hubbub.ingest.sources.summary import Record
    from hubbub.model.event import Rejection

BATCH = 5000
SHOWN = 20
"""Refused records, and notes, that are shown; the others are counted."""
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
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", help="The tenant; an unknown one is made. Not where the mapping has 'tenant_from'."),
    ] = None,
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
    rows = mapping_.load(mapping) if mapping else None
    if rows is not None and rows.tenant is not None:
        if tenant is not None:
            raise BadQuestionError(
                f"--tenant {tenant}: {mapping} has 'tenant_from', which names the tenant of each row"
            )
    elif tenant is None:
        raise BadQuestionError("--tenant is needed: whose events are these?")
    _import(files_.read(files, rows, where=only or None, tenant=tenant), tenant, zone, dry_run, data, as_json)


@dataclass
class _Import:
    """One run: what waits to be stored, by tenant, and what became of the rest."""

    there: Backend
    zone: str | None
    dry_run: bool
    changed: bool
    limits: Bounds
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("stored", "duplicates", "corrected"), 0))
    rejected: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    waiting: dict[str, list[Record]] = field(default_factory=dict)
    good: int = 0
    made: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._known = {row["tenant"] for row in self.there.call("tenants")["rows"]}

    def tell(self, counted: Counter[str], code: str, message: str) -> None:
        """Count what needs a word, and say the first of it."""
        from hubbub.cli import show

        counted[code] += 1
        if counted.total() <= SHOWN:
            show.say(message)

    def take(self, item: Record | Rejection, tenant: str) -> bool:
        """Take what an importer gives; say whether something was stored now."""
        from hubbub.model.event import Rejection

        if isinstance(item, Rejection):
            self.tell(self.rejected, item.code, item.message)
            return False
        owner = item.tenant or tenant
        batch = self.waiting.setdefault(owner, [])
        batch.append(item)
        if len(batch) < BATCH:
            return False
        self.flush(owner)
        return True

    def flush(self, owner: str) -> None:
        """Store what waits of a tenant; of a dry run, check it alone."""
        from hubbub.ingest.accept import check, notes

        records = self.waiting.pop(owner, [])
        if not records:
            return
        if self.dry_run:
            events = [r.event for r in records]
            good, _, refused = check(events, self.limits)
            self.good += len(good)
            for counted, found in ((self.rejected, refused), (self.notes, notes(events))):
                for one in found:
                    self.tell(counted, one.code, f"{records[one.index].origin}: {one.message}")
            return
        answer = self.there.load(
            owner, [r.event for r in records], [r.origin for r in records], self.zone, changed=self.changed
        )
        self.counts["stored"] += answer["accepted"] - answer["corrected"]
        for name in ("duplicates", "corrected"):
            self.counts[name] += answer[name]
        for counted, verdicts in ((self.rejected, answer["rejected"]), (self.notes, answer.get("notes", ()))):
            for one in verdicts:
                self.tell(counted, one["code"], one["message"])
        if owner not in self._known:
            self.made.add(owner)

    def refresh(self, tenant: str | None, quiet: bool) -> str | None:
        """Bring the numbers of those that were touched up to date; return one of them."""
        from hubbub.cli import show

        asked = {tenant} if tenant else set()
        touched = sorted((self.made | asked) & {row["tenant"] for row in self.there.call("tenants")["rows"]})
        with show.progress("bringing numbers up to date", None, quiet=quiet):
            self.there.call("refresh", tenant=touched[0] if len(touched) == 1 else None)
        return tenant if tenant in touched or not touched else touched[0]

    @property
    def nothing(self) -> bool:
        """Whether no event came in, and none was there."""
        return not (sum(self.counts.values()) or self.good)


def _import(
    source: SlackImport | FileImport,
    tenant: str | None,
    zone: str | None,
    dry_run: bool,
    data: Path | None,
    as_json: bool,
) -> None:
    from hubbub.cli import show
    from hubbub.cli.backend import backend
    from hubbub.ingest.accept import bounds
    from hubbub.model.tenant import KEEP_EVERYTHING, Tenant, check_tenant_id

    owner = check_tenant_id(tenant) if tenant is not None else "any"
    limits = bounds(Tenant(0, owner, retention=KEEP_EVERYTHING), datetime.now(UTC), None, history=True)
    mapping = getattr(source, "mapping", None)
    with backend(data) as there:
        run = _Import(there, zone, dry_run, mapping is not None and mapping.changed, limits)
        with show.progress("importing", source.total_bytes, quiet=as_json) as move:
            for item in source.records():
                if run.take(item, tenant or ""):
                    move(source.read_bytes)
            for owner in list(run.waiting):
                run.flush(owner)
        if not dry_run:
            tenant = run.refresh(tenant, as_json)
    _say_what_was_left(source, run)
    if run.made:
        show.say(
            f"Made {', '.join(sorted(run.made))} (zone {zone or 'UTC'}), keeping everything: set a retention with "
            "'hubbub tenants set NAME --retention-raw DAYS' when raw events should go after a while."
        )
    answer = {
        **source.summary,
        **run.counts,
        "rejected": dict(run.rejected),
        "notes": dict(run.notes),
        "dry_run": dry_run,
    }
    order = ("records", "stored", "duplicates", "corrected", "rejected", "left_out", "notes")
    show.emit({k: answer[k] for k in (*order, *(k for k in answer if k not in order))}, as_json=as_json)
    if run.nothing:
        raise typer.Exit(1)
    if not as_json and not dry_run and tenant and answer.get("first"):
        show.say(_next(tenant, str(answer["first"]), str(answer["last"])))


_LEFT_OUT = {
    "where": "{n} rows do not fit 'where'",
    "when": "{n} rows fit no 'when' of the mapping's events",
    "each": "{n} rows have nothing in the list that 'each' of the mapping names",
    "files": "{n} JSON files without messages were not read: {files}",
}
"""What gave no event although nothing is wrong with it, by the reasons of `Tally.left_out`."""


def _say_what_was_left(source: SlackImport | FileImport, run: _Import) -> None:
    """Say on stderr what was read and gave no event, and that nothing came in where that is so."""
    from hubbub.cli import show

    for counted, what in ((run.rejected, "refused records"), (run.notes, "notes")):
        if counted.total() > SHOWN:
            show.say(f"… and {counted.total() - SHOWN} more {what}")
    left_out: Any = source.summary["left_out"]
    files = getattr(source, "not_read", [])
    for reason, n in left_out.items():
        named = ", ".join(files[:5]) + (" …" if len(files) > 5 else "")
        show.say(f"{_LEFT_OUT[reason].format(n=n, files=named)}.")
    if run.nothing:
        show.say(
            f"Nothing was imported: {source.summary['records']} records were read, {run.rejected.total()} refused, "
            f"{sum(left_out.values())} left out."
        )


def _next(tenant: str, first: str, last: str) -> str:
    """Return a question that shows what was imported; the day after the last holds it in every zone."""
    after = date.fromisoformat(last[:10]) + timedelta(days=2)
    return f"Next: hubbub query messages --tenant {tenant} --from {first[:10]} --to {after} --grain month"

"""An import: checks and stores records in batches, counts the results and prints them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import typer

from hubbub.model.plain import JsonObject

if TYPE_CHECKING:
    from hubbub.app import Engine
    from hubbub.ingest.accept import Bounds
    from hubbub.ingest.sources.importer import Import, Options
    from hubbub.ingest.sources.package import Package
    from hubbub.ingest.sources.summary import Record
    from hubbub.model.event import Rejection

BATCH = 5000
SHOWN = 20
"""Most refused records, and most notes, that are printed; further ones are only counted."""


@dataclass(frozen=True)
class Storing:
    """Options of storing an import.

    `zone` and `silence_days` are for tenants that it creates. With `changed`, a record equal to the stored event is a duplicate at
    any revision. With `labels`, messages are labelled; without `keep_text` their texts are read only for that.
    """

    zone: str | None
    dry_run: bool
    changed: bool = False
    labels: bool = False
    keep_text: bool = True
    silence_days: int = 0


@dataclass
class Run:
    """An import in progress: records that wait to be stored, by tenant, and counts of earlier ones."""

    engine: Engine
    storing: Storing
    limits: Bounds
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("stored", "duplicates", "corrected"), 0))
    rejected: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    labelled: Counter[str] = field(default_factory=Counter)
    waiting: dict[str, list[Record]] = field(default_factory=dict)
    good: int = 0
    made: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._known = {view.tenant for view in self.engine.tenants.of().rows}

    def tell(self, counted: Counter[str], code: str, message: str) -> None:
        """Count a refused record or note, and print it while they are at most SHOWN."""
        from hubbub.cli import show

        counted[code] += 1
        if counted.total() <= SHOWN:
            show.say(message)

    def take(self, item: Record | Rejection, tenant: str) -> bool:
        """Take a record of an importer; say whether a batch was stored now."""
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
        """Store the waiting records of a tenant; in a dry run only check them."""
        from hubbub.ingest.accept import check, notes

        records = self.waiting.pop(owner, [])
        if not records:
            return
        if self.storing.dry_run:
            events = [r.event for r in records]
            good, _, refused = check(events, self.limits)
            self.good += len(good)
            for counted, remarks in ((self.rejected, refused), (self.notes, notes(events))):
                for remark in remarks:
                    self.tell(counted, remark.code, f"{records[remark.index].origin}: {remark.message}")
            return
        answer = self.engine.load(
            owner, [r.event for r in records], [r.origin for r in records], self.storing.zone, changed=self.storing.changed,
            labels=self.storing.labels, keep_text=self.storing.keep_text,
        )  # fmt: skip
        self.count_labels(answer.get("labels", {}))
        self.counts["stored"] += answer["accepted"] - answer["corrected"]
        for name in ("duplicates", "corrected"):
            self.counts[name] += answer[name]
        for counted, verdicts in ((self.rejected, answer["rejected"]), (self.notes, answer.get("notes", ()))):
            for verdict in verdicts:
                self.tell(counted, verdict["code"], verdict["message"])
        if owner not in self._known:
            self.made.add(owner)

    def count_labels(self, answer: Mapping[str, Any]) -> None:
        """Count messages examined for labels, and those with a label of each set."""
        for name, value in answer.items():
            self.labelled[name] += value if isinstance(value, int) else sum(value.values())

    def settle(self) -> None:
        """Apply the importer's settings to the tenants that this import created."""
        if self.storing.silence_days:
            for tenant in self.made:
                self.engine.tenants.change(tenant, threads={"silence_days": self.storing.silence_days})

    def refresh(self, tenant: str | None, quiet: bool) -> str | None:
        """Refresh the numbers of the changed tenants; return one of them."""
        from hubbub.cli import show

        named = {tenant} if tenant else set()
        touched = sorted((self.made | named) & {view.tenant for view in self.engine.tenants.of().rows})
        with show.progress("refreshing numbers", None, quiet=quiet):
            self.engine.facts.refresh(touched[0] if len(touched) == 1 else None)
        return tenant if tenant in touched or not touched else touched[0]

    @property
    def cut(self) -> int:
        """Number of truncated or damaged files."""
        from hubbub.ingest.sources.rows import CUT

        return self.rejected[CUT]

    @property
    def nothing(self) -> bool:
        """Whether no event was stored now or before."""
        return not (sum(self.counts.values()) or self.good)


def run(source: Import, tenant: str | None, storing: Storing, *, data: Path | None, as_json: bool) -> None:
    """Store the records of an import, and print the summary. Exits 1 when nothing was stored, or a file was truncated."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened
    from hubbub.ingest.accept import bounds
    from hubbub.model.tenant import KEEP_EVERYTHING, Tenant, check_tenant_id

    owner = check_tenant_id(tenant) if tenant is not None else "any"
    limits = bounds(Tenant(0, owner, retention=KEEP_EVERYTHING), datetime.now(UTC), None, history=True)
    with opened(data) as engine:
        done = Run(engine, storing, limits)
        with show.progress("importing", source.total_bytes, quiet=as_json) as move:
            for item in source.records():
                if done.take(item, tenant or ""):
                    move(source.read_bytes)
            for owner in list(done.waiting):
                done.flush(owner)
        if not storing.dry_run:
            if tenant and not done.nothing:
                engine.names.take(tenant, source.names)
            done.settle()
            tenant = done.refresh(tenant, as_json)
    _say_what_was_left(source, done)
    if done.made:
        show.say(
            f"Created {', '.join(sorted(done.made))} (zone {storing.zone or 'UTC'}), without a retention: set one with "
            "'hubbub tenants set NAME --retention-raw DAYS' to delete texts later."
        )
        if storing.silence_days:
            show.say(
                f"Threads count as closed after {storing.silence_days} days without a message; to change it: 'hubbub tenants set "
                "NAME --silence-days DAYS', 0 for never."
            )
    answer = summary(source, done)
    show.emit(answer, as_json=as_json)
    if done.nothing or done.cut:
        raise typer.Exit(1)
    if not as_json and not storing.dry_run and tenant and answer.get("first"):
        show.say(_next(tenant, str(answer["first"]), str(answer["last"])))


def preview(kind: str, package: Package, options: Options, *, as_json: bool) -> None:
    """Read a whole package without storing it; print the result of an import, and its command. Exits 1 as an import would."""
    from hubbub.cli import show
    from hubbub.ingest.sources.catalogue import IMPORTERS
    from hubbub.ingest.sources.rows import CUT
    from hubbub.model.event import Rejection

    importer = IMPORTERS[kind].load()
    lacks_zone = options.zone is None and getattr(importer, "needs_zone", False)
    source = importer.open(package, replace(options, zone=ZoneInfo("UTC")) if lacks_zone else options)
    refused: Counter[str] = Counter()
    for item in source.records():
        if isinstance(item, Rejection):
            refused[item.code] += 1
            if refused.total() <= SHOWN:
                show.say(item.message)
    command = f"hubbub import {kind} {package.path} --tenant NAME" + (" --zone ZONE" if lacks_zone else "")
    show.emit(
        {"kind": kind, **source.summary, "rejected": dict(refused), "dry_run": True, "next": command}, as_json=as_json
    )
    if not as_json:
        show.say(f"Nothing is stored yet. Next: {command}")
    if not source.summary["events"] or refused[CUT]:
        raise typer.Exit(1)


def summary(source: Import, done: Run) -> JsonObject:
    """Return the summary of an import, with the results of the records first."""
    answer = {
        **source.summary, **done.counts, "rejected": dict(done.rejected), "notes": dict(done.notes),
        "dry_run": done.storing.dry_run, **({"labels": dict(done.labelled)} if done.storing.labels else {}),
    }  # fmt: skip
    order = ("records", "stored", "duplicates", "corrected", "rejected", "left_out", "notes")
    return {k: answer[k] for k in (*order, *(k for k in answer if k not in order))}


_LEFT_OUT = {
    "where": "{n} rows do not match 'where'",
    "when": "{n} rows match no 'when' of the mapping's events",
    "each": "{n} rows have an empty list in 'each' of the mapping",
    "again": "{n} rows describe an event that a later row describes again",
    "files": "Files without messages, which were not read: {n} ({files})",
}
"""Reasons of `Tally.left_out` -> texts about valid records without an event."""


def _say_what_was_left(source: Import, run: Run) -> None:
    """Print to stderr which records became no event, and whether nothing was imported."""
    from hubbub.cli import show

    for counted, noun in ((run.rejected, "refused records"), (run.notes, "notes")):
        if counted.total() > SHOWN:
            show.say(f"… and {counted.total() - SHOWN} more {noun}")
    left_out: Any = source.summary["left_out"]
    files = source.not_read
    for reason, n in left_out.items():
        named = ", ".join(files[:5]) + (" …" if len(files) > 5 else "")
        show.say(f"{_LEFT_OUT[reason].format(n=n, files=named)}.")
    if run.cut and not run.nothing:
        show.say(f"{run.cut} of the files are truncated or damaged; the part before the damage is imported.")
    if run.nothing:
        show.say(
            f"Nothing was imported: {source.summary['records']} records were read, {run.rejected.total()} refused, "
            f"{sum(left_out.values())} left out."
        )


def _next(tenant: str, first: str, last: str) -> str:
    """Return a command that shows the imported messages; its range includes the first and last day in every zone."""
    before, after = (
        date.fromisoformat(first[:10]) - timedelta(days=1),
        date.fromisoformat(last[:10]) + timedelta(days=2),
    )
    return f"Next: hubbub query messages --tenant {tenant} --from {before} --to {after} --grain month"

"""One import: batches of what an importer gives are checked and stored, and what became of each record is counted and said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import typer

if TYPE_CHECKING:
    from hubbub.app import Engine
    from hubbub.ingest.accept import Bounds
    from hubbub.ingest.sources.importer import Import, Options
    from hubbub.ingest.sources.package import Package
    from hubbub.ingest.sources.summary import Record
    from hubbub.model.event import Rejection

BATCH = 5000
SHOWN = 20
"""Refused records, and notes, that are shown; the others are counted."""


@dataclass(frozen=True)
class How:
    """How an import is stored.

    `zone` is that of a tenant that it makes; `changed`: what says the same as the stored event is a duplicate at any revision.
    `labels`: messages are labelled; without `keep_text` their texts are read for that alone.
    """

    zone: str | None
    dry_run: bool
    changed: bool = False
    labels: bool = False
    keep_text: bool = True


@dataclass
class Run:
    """One run: what waits to be stored, by tenant, and what became of the rest."""

    engine: Engine
    how: How
    limits: Bounds
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("stored", "duplicates", "corrected"), 0))
    rejected: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    labelled: Counter[str] = field(default_factory=Counter)
    waiting: dict[str, list[Record]] = field(default_factory=dict)
    good: int = 0
    made: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._known = {one.tenant for one in self.engine.tenants.of().rows}

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
        if self.how.dry_run:
            events = [r.event for r in records]
            good, _, refused = check(events, self.limits)
            self.good += len(good)
            for counted, found in ((self.rejected, refused), (self.notes, notes(events))):
                for one in found:
                    self.tell(counted, one.code, f"{records[one.index].origin}: {one.message}")
            return
        answer = self.engine.load(
            owner, [r.event for r in records], [r.origin for r in records], self.how.zone, changed=self.how.changed,
            labels=self.how.labels, keep_text=self.how.keep_text,
        )  # fmt: skip
        self.count_labels(answer.get("labels", {}))
        self.counts["stored"] += answer["accepted"] - answer["corrected"]
        for name in ("duplicates", "corrected"):
            self.counts[name] += answer[name]
        for counted, verdicts in ((self.rejected, answer["rejected"]), (self.notes, answer.get("notes", ()))):
            for one in verdicts:
                self.tell(counted, one["code"], one["message"])
        if owner not in self._known:
            self.made.add(owner)

    def count_labels(self, answer: Mapping[str, Any]) -> None:
        """Count messages that were looked at for labels, and those that have one in each set."""
        for name, value in answer.items():
            self.labelled[name] += value if isinstance(value, int) else sum(value.values())

    def refresh(self, tenant: str | None, quiet: bool) -> str | None:
        """Bring the numbers of those that were touched up to date; return one of them."""
        from hubbub.cli import show

        asked = {tenant} if tenant else set()
        touched = sorted((self.made | asked) & {one.tenant for one in self.engine.tenants.of().rows})
        with show.progress("bringing numbers up to date", None, quiet=quiet):
            self.engine.facts.refresh(touched[0] if len(touched) == 1 else None)
        return tenant if tenant in touched or not touched else touched[0]

    @property
    def cut(self) -> int:
        """How many files could not be read whole."""
        from hubbub.ingest.sources.rows import CUT

        return self.rejected[CUT]

    @property
    def nothing(self) -> bool:
        """Whether no event came in, and none was there."""
        return not (sum(self.counts.values()) or self.good)


def run(source: Import, tenant: str | None, how: How, *, data: Path | None, as_json: bool) -> None:
    """Store what an importer gives, and print the summary. Ends with 1 where nothing came in, or a file was not read whole."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened
    from hubbub.ingest.accept import bounds
    from hubbub.model.tenant import KEEP_EVERYTHING, Tenant, check_tenant_id

    owner = check_tenant_id(tenant) if tenant is not None else "any"
    limits = bounds(Tenant(0, owner, retention=KEEP_EVERYTHING), datetime.now(UTC), None, history=True)
    with opened(data) as engine:
        done = Run(engine, how, limits)
        with show.progress("importing", source.total_bytes, quiet=as_json) as move:
            for item in source.records():
                if done.take(item, tenant or ""):
                    move(source.read_bytes)
            for owner in list(done.waiting):
                done.flush(owner)
        if not how.dry_run:
            if tenant and not done.nothing:
                engine.names.take(tenant, source.names)
            tenant = done.refresh(tenant, as_json)
    _say_what_was_left(source, done)
    if done.made:
        show.say(
            f"Made {', '.join(sorted(done.made))} (zone {how.zone or 'UTC'}), keeping everything: set a retention with "
            "'hubbub tenants set NAME --retention-raw DAYS' when raw events should go after a while."
        )
    answer = summary(source, done)
    show.emit(answer, as_json=as_json)
    if done.nothing or done.cut:
        raise typer.Exit(1)
    if not as_json and not how.dry_run and tenant and answer.get("first"):
        show.say(_next(tenant, str(answer["first"]), str(answer["last"])))


def preview(kind: str, package: Package, options: Options, *, as_json: bool) -> None:
    """Read all of a package, store nothing, and say what an import would bring and how it is asked for."""
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


def summary(source: Import, done: Run) -> dict[str, Any]:
    """Return what an import says of itself, what became of the records first."""
    answer = {
        **source.summary, **done.counts, "rejected": dict(done.rejected), "notes": dict(done.notes),
        "dry_run": done.how.dry_run, **({"labels": dict(done.labelled)} if done.how.labels else {}),
    }  # fmt: skip
    order = ("records", "stored", "duplicates", "corrected", "rejected", "left_out", "notes")
    return {k: answer[k] for k in (*order, *(k for k in answer if k not in order))}


_LEFT_OUT = {
    "where": "{n} rows do not fit 'where'",
    "when": "{n} rows fit no 'when' of the mapping's events",
    "each": "{n} rows have nothing in the list that 'each' of the mapping names",
    "again": "{n} rows tell of an event of which a later row tells too",
    "files": "Files without messages, which were not read: {n} ({files})",
}
"""What gave no event although nothing is wrong with it, by the reasons of `Tally.left_out`."""


def _say_what_was_left(source: Import, run: Run) -> None:
    """Say on stderr what was read and gave no event, and that nothing came in where that is so."""
    from hubbub.cli import show

    for counted, what in ((run.rejected, "refused records"), (run.notes, "notes")):
        if counted.total() > SHOWN:
            show.say(f"… and {counted.total() - SHOWN} more {what}")
    left_out: Any = source.summary["left_out"]
    files = source.not_read
    for reason, n in left_out.items():
        named = ", ".join(files[:5]) + (" …" if len(files) > 5 else "")
        show.say(f"{_LEFT_OUT[reason].format(n=n, files=named)}.")
    if run.cut and not run.nothing:
        show.say(f"{run.cut} of the files could not be read whole; what they hold until there is imported.")
    if run.nothing:
        show.say(
            f"Nothing was imported: {source.summary['records']} records were read, {run.rejected.total()} refused, "
            f"{sum(left_out.values())} left out."
        )


def _next(tenant: str, first: str, last: str) -> str:
    """Return a question that shows what was imported; in every zone the first and last lie between these days."""
    before, after = (
        date.fromisoformat(first[:10]) - timedelta(days=1),
        date.fromisoformat(last[:10]) + timedelta(days=2),
    )
    return f"Next: hubbub query messages --tenant {tenant} --from {before} --to {after} --grain month"

"""Import of an exported tenant with its unchanged facts: every number, the order of arrival and known duplicates stay the same.

The tenant is closed until the import is complete. An interrupted import is deleted at the latest next night.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from hubbub.control.control import Control
from hubbub.control.targets import new_id, put
from hubbub.errors import BadInputError, ConflictError, NotFoundError
from hubbub.facts.refresh import refresh
from hubbub.model import calendar
from hubbub.model.calendar import Calendar
from hubbub.model.plain import JsonObject
from hubbub.model.target import Target, checked
from hubbub.model.tenant import Retention, Tenant, check_minutes, check_tenant_id, check_tones, check_zone
from hubbub.model.threads import Threads, changed
from hubbub.progress import Progress
from hubbub.services.tenant_export import AT_ONCE, FORM, IDENTITIES, MANIFEST, Exported
from hubbub.storage import schema
from hubbub.storage.backup import File, check_files
from hubbub.storage.store import Store
from hubbub.storage.tenant_tables import Owner, Table, tables

LEFT_AFTER = timedelta(hours=12)
"""Time after which the tenant of an interrupted import is deleted."""
LARGEST_SEQ = 1 << 60
"""The largest place in the order of arrival: it leaves room for all later events."""
Remove = Callable[[int, str], object]


@dataclass(frozen=True, slots=True)
class Settings:
    """A tenant's settings in an export."""

    id: str
    zone: str
    name: str
    retention: Retention
    calendar: Calendar
    hotspot_tones: tuple[str, ...] = ()
    contact_names: bool = True
    threads: Threads = field(default_factory=Threads)
    targets: tuple[Target, ...] = ()
    ai_minutes_saved: float | None = None


def import_tenant(
    store: Store,
    control: Control,
    source: Path,
    now: datetime,
    remove: Remove,
    progress: Progress,
    name: str | None = None,
) -> tuple[Tenant, Exported]:
    """Import the tenant of a folder, under its own id or `name`, with all its data; returns both.

    `remove` deletes a tenant, by number and id, when something fails. Raises NotFoundError, BadInputError, ConflictError for an
    existing tenant, StoreDamagedError naming each damaged file.
    """
    exported = read_export(source)
    check_files({file: source / file for file in exported.files}, exported.files, progress)
    settings = _settings(exported.tenant, name)
    tenant = _make(control, settings, now + LEFT_AFTER)
    try:
        last, owner = 0, Owner(tenant.no, tenant.id)
        for table in _exported(exported):
            last = max(last, _import_table(store, owner, table, _file(source, table), progress))
        with store.log.exclusive():
            store.identities.take_in(tenant.no, _identities(source / IDENTITIES))
        store.log.go_on_behind(last >> 20)
        refresh(store, progress=progress)
        _compare(store, owner, exported)
    except BaseException:
        with suppress(Exception):
            remove(tenant.no, tenant.id)
        raise
    return control.reopen_tenant(tenant.id), exported


def read_export(source: Path) -> Exported:
    """Return an export's manifest. Raises NotFoundError, BadInputError."""
    try:
        manifest: dict[str, Any] = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
        files = {name: File(**file) for name, file in manifest.pop("files").items()}
        exported = Exported(**manifest, files=files)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"{source} is no export of a tenant: it has no {MANIFEST}; unpack a ZIP first") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadInputError(f"{source / MANIFEST} is damaged, or not of an export of a tenant") from None
    if (exported.form, exported.layout) != (FORM, schema.VERSION):
        raise BadInputError(
            f"{source} has the layout {exported.form}.{exported.layout}, this Hubbub reads {FORM}.{schema.VERSION}: it was "
            f"written by Hubbub {exported.hubbub}"
        )
    required = {IDENTITIES, *(_file(source, table).relative_to(source).as_posix() for table in _exported(exported))}
    if missing := sorted(required - set(files)):
        raise BadInputError(f"{source / MANIFEST} does not list {', '.join(missing)}")
    return exported


def _exported(exported: Exported) -> list[Table]:
    """Return the tables of an export: one of an earlier version lacks later ones. Events are always among them."""
    return [table for table in tables() if table.name == "event" or table.name in exported.rows]


def _settings(stored: JsonObject, name: str | None) -> Settings:
    try:
        retention = Retention(**stored["retention"])
        hours = calendar.read(stored["calendar"]) if stored["calendar"] else None
        return Settings(
            check_tenant_id(name or stored["id"]), check_zone(stored["zone"]), str(stored["name"]), retention,
            hours or calendar.NO_CALENDAR, check_tones(stored.get("hotspot_tones", ())), bool(stored.get("contact_names", True)),
            changed(Threads(), stored.get("threads", {})),
            tuple(map(checked, msgspec.convert(stored.get("targets", ()), tuple[Target, ...]))),
            check_minutes(stored.get("ai_minutes_saved") or 0),
        )  # fmt: skip
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise BadInputError(f"{MANIFEST}: the tenant's settings are damaged ({error})") from None


def _make(control: Control, settings: Settings, left_after: datetime) -> Tenant:
    """Add the tenant, and close it."""
    try:
        tenant = control.add_tenant(settings.id, settings.zone, settings.name, settings.retention)
    except ConflictError:
        raise ConflictError(
            f"tenant {settings.id!r} already exists, or waits for deletion: import it under another name with --as, or first "
            f"'hubbub tenants delete {settings.id} --grace 0'"
        ) from None
    control.change_tenant(
        tenant.id, hotspot_tones=settings.hotspot_tones, contact_names=settings.contact_names, threads=settings.threads,
        ai_minutes_saved=settings.ai_minutes_saved,
    )  # fmt: skip
    if settings.calendar:
        control.set_calendar(tenant.id, settings.calendar)
    with control.changing(tenant.id) as con:
        for target in settings.targets:
            put(con, tenant.id, replace(target, id=new_id()))
    control.close_tenant(tenant.id, left_after)
    return tenant


def _file(source: Path, table: Table) -> Path:
    return source / ("events.parquet" if table.name == "event" else f"tables/{table.name}.parquet")


def _import_table(store: Store, owner: Owner, table: Table, file: Path, progress: Progress) -> int:
    """Store the rows of a table as a tenant's; returns the last place in the order of arrival."""
    count = last = 0
    for batch in _batches(file, table):
        with store.facts.write() as writing:
            if table.name == "quarantine":  # its ids are the store's
                low = min(writing.value("SELECT min(id) FROM quarantine") or 0, 0)
                batch["id"] = range(low - len(batch["id"]), low)
            table.add(writing, owner, list(zip(*batch.values(), strict=True)))
        if table.name == "event":
            last = max(last, *batch["seq"])
            if last > LARGEST_SEQ:
                raise BadInputError(f"{file.name}: an event's seq is {last}, larger than any store assigns")
        count += len(next(iter(batch.values())))
        progress(f"{table.name}: {count} rows")
    return last


def _batches(file: Path, table: Table) -> Iterator[dict[str, Sequence[Any]]]:
    """Yield the rows of a file, some thousand at a time, as columns."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        if missing := set(opened.schema_arrow.names) - set(table.columns):
            raise BadInputError(
                f"{file.name}: this Hubbub knows no column {', '.join(sorted(missing))} of {table.name}"
            )
        for batch in opened.iter_batches(AT_ONCE):
            there = batch.to_pydict()
            if batch.num_rows:
                yield {name: there.get(name) or [None] * batch.num_rows for name in table.columns}


def _identities(file: Path) -> memoryview:
    """Return the identities of a file, sorted."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    idents = pq.read_table(file, columns=["ident"])["ident"].combine_chunks()
    ordered = idents.take(pc.array_sort_indices(idents))
    sorted_idents = memoryview(ordered.buffers()[1]).cast("b").cast("q") if len(ordered) else memoryview(b"").cast("q")
    return sorted_idents[ordered.offset : ordered.offset + len(ordered)]


def _compare(store: Store, owner: Owner, exported: Exported) -> None:
    """Check that the number of rows of each table is the exported one."""
    with store.facts.read() as reading:
        for table in _exported(exported):
            count = table.count(reading, owner)
            if count != exported.rows[table.name]:
                raise BadInputError(
                    f"{table.name}: {exported.rows[table.name]} rows were exported, {count} were imported: "
                    "export the tenant again"
                )

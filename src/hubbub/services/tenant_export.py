"""Export of a tenant: all its data of the store, as JSON lines for people and Parquet for programs, in one folder.

Rows are read in one transaction and written as they come, some thousand at a time. An export is enough to restore every number
elsewhere: facts unchanged, the order of arrival, past retention, and the identities of all events ever stored.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from hubbub.facts.moments import rfc3339
from hubbub.facts.refresh import refresh
from hubbub.model import calendar
from hubbub.model.plain import JsonObject
from hubbub.model.tenant import Tenant
from hubbub.progress import Percent, Progress, quiet
from hubbub.storage import schema
from hubbub.storage.backup import File, hash_of, making
from hubbub.storage.store import Store
from hubbub.storage.tenant_tables import CONVERSATION, Owner, Table, conversations, parsed, tables
from hubbub.version import __version__

MANIFEST = "manifest.json"
IDENTITIES = "identities.parquet"
FORM = 1
AT_ONCE = 10_000
"""Rows in memory at a time."""
CONVERSATIONS = Table("conversations", CONVERSATION)
_SENT = (*(name for name in schema.SENT if name not in ("tenant", "time", "attributes", "received_at")),)
Rows = Iterable[Sequence[Any]]
Line = Callable[[JsonObject], JsonObject]


@dataclass(slots=True)
class Exported:
    """Contents of an export: the tenant's settings, rows by table, identities, and a hash of each file."""

    hubbub: str
    exported_at: str
    tenant: JsonObject
    rows: dict[str, int] = field(default_factory=dict)
    identities: int = 0
    files: dict[str, File] = field(default_factory=dict)
    form: int = FORM
    layout: int = schema.VERSION


def export(
    store: Store,
    tenant: Tenant,
    target: Path,
    now: datetime,
    progress: Progress,
    written: Percent = quiet,
) -> Exported:
    """Write all data of a tenant into a new folder, entirely or not at all. Raises ConflictError when the folder exists.

    `written` receives the number of rows of each batch. `tables/` has the rows of the store; `events.jsonl` has the events as
    they were sent, and `conversations` a row for each.
    """
    refresh(store, tenant.no)
    exported = Exported(__version__, now.isoformat(), settings_of(tenant))
    with making(target) as new:
        (new / "tables").mkdir(mode=0o700)
        with store.facts.read() as reading:
            for table in tables():
                rows: Rows = table.rows(reading, Owner(tenant.no, tenant.id))
                place, line = new / "tables" / table.name, _plain
                if table.name == "event":
                    place, line = new / "events", _as_sent
                exported.rows[table.name] = _write(table, _reporting(rows, written), place, line, progress)
            rows = conversations(reading, tenant.no)
            exported.rows["conversations"] = _write(CONVERSATIONS, rows, new / "conversations", _plain, progress)
        exported.identities = _write_identities(store, tenant.no, new / IDENTITIES)
        progress(f"{exported.identities} identities")
        for path in sorted(new.rglob("*")):
            if path.is_file():
                exported.files[path.relative_to(new).as_posix()] = hash_of(path)
        with _private(new / MANIFEST) as file:
            file.write(json.dumps(asdict(exported), indent=1, ensure_ascii=False).encode())
    return exported


def settings_of(tenant: Tenant) -> JsonObject:
    """Return a tenant's settings as an export stores them."""
    return {
        "id": tenant.id, "zone": tenant.zone, "name": tenant.name, "retention": asdict(tenant.retention),
        "calendar": calendar.document(tenant.calendar), "hotspot_tones": list(tenant.hotspot_tones),
        "contact_names": tenant.contact_names, "threads": asdict(tenant.threads),
        "targets": msgspec.to_builtins(tenant.targets),
        "ai_minutes_saved": tenant.ai_minutes_saved,
    }  # fmt: skip


def pack(folder: Path, target: Path) -> None:
    """Write an export as one ZIP file; Parquet is not compressed again."""
    with _private(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                compression = zipfile.ZIP_STORED if path.suffix == ".parquet" else zipfile.ZIP_DEFLATED
                archive.write(path, path.relative_to(folder), compression)


def _write(table: Table, rows: Rows, place: Path, line: Line, progress: Progress) -> int:
    """Write rows as `<place>.jsonl` and `<place>.parquet`; returns their number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"INTEGER": pa.int64(), "TEXT": pa.string(), "REAL": pa.float64()}
    shape = pa.schema([(name, types[type_.split()[0]]) for name, type_ in table.columns.items()])
    count, names = 0, list(table.columns)
    with ExitStack() as opened:
        lines = opened.enter_context(_private(place.with_suffix(".jsonl")))
        sink = opened.enter_context(_private(place.with_suffix(".parquet")))
        writer = opened.enter_context(pq.ParquetWriter(sink, shape, compression="zstd"))
        for batch in batches(rows, AT_ONCE):
            columns = [pa.array(values, shape.field(n).type) for n, values in enumerate(zip(*batch, strict=True))]
            writer.write_batch(pa.record_batch(columns, schema=shape))
            for row in batch:
                line_fields = line(dict(zip(names, row, strict=True)))
                lines.write(
                    msgspec.json.encode({name: value for name, value in line_fields.items() if value is not None})
                    + b"\n"
                )
            count += len(batch)
            progress(f"{table.name}: {count} rows")
    return count


def _reporting(rows: Rows, written: Callable[[int], None]) -> Rows:
    for batch in batches(rows, AT_ONCE):
        yield from batch
        written(len(batch))


def batches(rows: Rows, size: int) -> Iterator[list[Sequence[Any]]]:
    """Yield rows in lists of `size`."""
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch


def _plain(row: JsonObject) -> JsonObject:
    return row


def _as_sent(row: JsonObject) -> JsonObject:
    """Return an event in the form in which it was sent, with its identity and its place in the order of arrival."""
    return {
        "time": rfc3339(row["time"]), **schema.flagged({name: row[name] for name in _SENT}),
        "attributes": parsed(row["attributes"]), "received_at": rfc3339(row["received_at"]),
    }  # fmt: skip


def _write_identities(store: Store, tenant: int, place: Path) -> int:
    """Write a tenant's identities, including those of deleted events; returns their number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    shape = pa.schema([("ident", pa.int64())])
    count = 0
    with _private(place) as sink, pq.ParquetWriter(sink, shape, compression="zstd") as writer:
        for piece in store.identities.of(tenant):
            if len(piece):
                column = pa.Array.from_buffers(pa.int64(), len(piece), [None, pa.py_buffer(piece)])
                writer.write_batch(pa.record_batch([column], schema=shape))
                count += len(piece)
    return count


def _private(path: Path) -> BinaryIO:
    """Open a new file that only its owner may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

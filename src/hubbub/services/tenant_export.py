"""Export of a tenant: all it owns in the store, as JSON lines for people and Parquet for programs, in one folder.

Rows are read in one transaction and written as they come, some thousand at a time. What is exported is enough to have every number
again elsewhere: facts as they are, the order of arrival, what is gone, and the identities of all that was ever stored.
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

from hubbub.facts.moments import moment
from hubbub.facts.refresh import refresh
from hubbub.model import calendar
from hubbub.model.tenant import Tenant
from hubbub.storage import schema
from hubbub.storage.backup import File, Progress, hash_of, making
from hubbub.storage.store import Store
from hubbub.storage.tenant_tables import CONVERSATION, Owner, Table, conversations, parsed, tables
from hubbub.version import __version__

MANIFEST = "manifest.json"
IDENTITIES = "identities.parquet"
FORM = 1
AT_ONCE = 10_000
"""Rows that are held in memory."""
CONVERSATIONS = Table("conversations", CONVERSATION)
_SENT = (*(name for name in schema.SENT if name not in ("tenant", "time", "attributes", "received_at")),)
Rows = Iterable[Sequence[Any]]
Line = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(slots=True)
class Exported:
    """What an export holds: the tenant's settings, rows by table, identities, and a hash of each file."""

    hubbub: str
    exported_at: str
    tenant: dict[str, Any]
    rows: dict[str, int] = field(default_factory=dict)
    identities: int = 0
    files: dict[str, File] = field(default_factory=dict)
    form: int = FORM
    layout: int = schema.VERSION


def _nobody(_: int) -> None:
    pass


def export(
    store: Store,
    tenant: Tenant,
    target: Path,
    now: datetime,
    progress: Progress,
    written: Callable[[int], None] = _nobody,
) -> Exported:
    """Write all that a tenant owns into a new folder, whole or not at all. Raises ConflictError when the folder exists.

    `written` hears of rows as they are written. Beside `tables/`, which has what the store holds, `events.jsonl` has the events
    as they were sent, and `conversations` a row for each.
    """
    refresh(store, tenant.no)
    found = Exported(__version__, now.isoformat(), settings_of(tenant))
    with making(target) as new:
        (new / "tables").mkdir(mode=0o700)
        with store.facts.read() as reading:
            for table in tables():
                rows: Rows = table.rows(reading, Owner(tenant.no, tenant.id))
                place, line = new / "tables" / table.name, _plain
                if table.name == "event":
                    place, line = new / "events", _as_sent
                found.rows[table.name] = _write(table, _heard(rows, written), place, line, progress)
            rows = conversations(reading, tenant.no)
            found.rows["conversations"] = _write(CONVERSATIONS, rows, new / "conversations", _plain, progress)
        found.identities = _write_identities(store, tenant.no, new / IDENTITIES)
        progress(f"{found.identities} identities")
        for path in sorted(new.rglob("*")):
            if path.is_file():
                found.files[path.relative_to(new).as_posix()] = hash_of(path)
        with _private(new / MANIFEST) as file:
            file.write(json.dumps(asdict(found), indent=1, ensure_ascii=False).encode())
    return found


def settings_of(tenant: Tenant) -> dict[str, Any]:
    """Return a tenant's settings: id, zone, name, retention, business hours, tones of hotspots, names of contacts, threads,
    targets."""
    return {
        "id": tenant.id, "zone": tenant.zone, "name": tenant.name, "retention": asdict(tenant.retention),
        "calendar": calendar.document(tenant.calendar), "hotspot_tones": list(tenant.hotspot_tones),
        "contact_names": tenant.contact_names, "threads": asdict(tenant.threads),
        "targets": msgspec.to_builtins(tenant.targets),
        "ai_minutes_saved": tenant.ai_minutes_saved,
    }  # fmt: skip


def pack(folder: Path, target: Path) -> None:
    """Write an export as one ZIP file; Parquet is compressed already."""
    with _private(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as whole:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                how = zipfile.ZIP_STORED if path.suffix == ".parquet" else zipfile.ZIP_DEFLATED
                whole.write(path, path.relative_to(folder), how)


def _write(table: Table, rows: Rows, place: Path, line: Line, progress: Progress) -> int:
    """Write rows as `<place>.jsonl` and `<place>.parquet`; returns how many."""
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
                said = line(dict(zip(names, row, strict=True)))
                lines.write(
                    msgspec.json.encode({name: value for name, value in said.items() if value is not None}) + b"\n"
                )
            count += len(batch)
            progress(f"{table.name}: {count} rows")
    return count


def _heard(rows: Rows, written: Callable[[int], None]) -> Rows:
    for batch in batches(rows, AT_ONCE):
        yield from batch
        written(len(batch))


def batches(rows: Rows, size: int) -> Iterator[list[Sequence[Any]]]:
    """Yield rows some at a time."""
    left = iter(rows)
    while batch := list(islice(left, size)):
        yield batch


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return row


def _as_sent(row: dict[str, Any]) -> dict[str, Any]:
    """Return an event in the words in which it was sent, with its identity and its place in the order of arrival."""
    return {
        "time": _utc(row["time"]), **schema.flagged({name: row[name] for name in _SENT}), "attributes": parsed(row["attributes"]),
        "received_at": _utc(row["received_at"]),
    }  # fmt: skip


def _utc(us: int) -> str:
    return moment(us).replace(tzinfo=None).isoformat() + "Z"


def _write_identities(store: Store, tenant: int, place: Path) -> int:
    """Write a tenant's identities, also those of events that are gone; returns how many."""
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

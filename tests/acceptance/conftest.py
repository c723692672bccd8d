"""Acceptance on real data: where the shared data is, and an engine that imports it as the command line does."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pytest

from hubbub.app import Engine
from hubbub.clock import Clock
from hubbub.ingest.sources import files, mapping
from hubbub.ingest.sources.summary import Record
from hubbub.metrics.catalogue import names
from hubbub.model.event import Event, Item, Rejection
from hubbub.model.tenant import KEEP_EVERYTHING
from hubbub.settings import load as load_settings
from hubbub.storage import schema
from tests.conftest import FOLDER, Shape, ask_copy

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("HUBBUB_SHARED") or ROOT.parent / "shared" / "data")
EXAMPLES = ROOT / "examples"
BATCH = 5_000
NOW = datetime(2026, 12, 31, tzinfo=UTC)
"""The present of all acceptance tests; the newest real message is of August 2026."""

TABLES = ("event", "response", "episode", "survey", "state", "person", "receipt_channel")
"""The tables with events and facts."""
ARRIVAL = ("tenant", "seq", "received_at")
"""Columns with the tenant, the time and the order of arrival."""
Tables = dict[str, list[tuple[Any, ...]]]


def needs(*folders: str) -> pytest.MarkDecorator:
    """Skip a test, with the name of the folder, if one of these folders of real data is absent."""
    absent = [name for name in folders if not (DATA / name).is_dir()]
    return pytest.mark.skipif(bool(absent), reason=f"needs ../shared/data/{absent[0] if absent else ''}")


def counts(folder: str) -> dict[str, Any]:
    """Return the counts that came with a folder of real data."""
    found: dict[str, Any] = json.loads((DATA / "COUNTS.json").read_text())[folder]
    return found


def csv_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file with the standard library alone."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Source(Protocol):
    """The protocol that all importers share."""

    @property
    def summary(self) -> dict[str, object]:
        """Return what the files held, once all is read."""
        ...

    def records(self) -> Iterator[Record | Rejection]:
        """Yield the records of the files."""
        ...


@dataclass
class Loaded:
    """The result of an import, summed over its batches and tenants."""

    stored: int = 0
    duplicates: int = 0
    corrected: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    tenants: Counter[str] = field(default_factory=Counter)
    summary: dict[str, object] = field(default_factory=dict)


def open_engine(folder: Path, clock: Clock = lambda: NOW, shape: Shape = FOLDER) -> Engine:
    """Open a small engine on a folder, without a floor of free space."""
    settings = load_settings(data=folder, free_floor_mb=0, **shape.settings)
    engine = Engine(settings, clock)
    ask_copy(engine.store)
    return engine


def mapped(name: str, *paths: Path) -> files.FileImport:
    """Open files through one of the example mappings."""
    return files.read(list(paths), mapping.load(EXAMPLES / f"{name}.yaml"))


def imported(
    engine: Engine, source: Source, tenant: str | None = None, zone: str = "UTC", *, batch: int = BATCH
) -> Loaded:
    """Import a source as the command line does: in batches, as history, into new tenants that keep everything.

    Records go to `tenant`, or without it to the tenant that the mapping names; records without either are rejected as
    `no_tenant`.
    """
    done = Loaded()
    records = source.records()
    while some := list(islice(records, batch)):
        by_tenant: dict[str, list[tuple[Item, str]]] = {}
        for record in some:
            if isinstance(record, Rejection):
                by_tenant.setdefault(tenant or "", []).append((record, ""))
            else:
                by_tenant.setdefault(tenant or record.tenant or "", []).append((record.event, record.origin))
        for name, pairs in by_tenant.items():
            if not name:
                done.rejected.update("no_tenant" for item, _ in pairs if isinstance(item, Event))
                done.rejected.update(item.code for item, _ in pairs if isinstance(item, Rejection))
                continue
            engine.ensure_tenant(name, zone, retention=KEEP_EVERYTHING)
            outcome = engine.accept(
                name, [i for i, _ in pairs], history=True, origin="import", origins=[o for _, o in pairs]
            )
            done.stored += outcome.stored
            done.duplicates += outcome.duplicates
            done.corrected += outcome.corrected
            done.rejected.update(r.code for r in outcome.rejected)
            done.tenants[name] += outcome.stored
    if tenant:
        engine.names.take(tenant, getattr(source, "names", ()))
    done.summary = source.summary
    return done


def refreshed(engine: Engine, tenant: str | None = None) -> None:
    """Fold all waiting events; no tenant may fail."""
    assert engine.refresh(tenant)["errors"] == {}


def tables_of(engine: Engine, tenant: str) -> Tables:
    """Return every stored row of a tenant's tables, in a fixed order, without the columns of arrival."""
    no = engine.control.tenant(tenant).no
    found: Tables = {}
    with engine.store.facts.read() as reading:
        for table in TABLES:
            chosen = ", ".join(f'"{name}"' for name in schema.TABLES[table][0] if name not in ARRIVAL)
            if rows := reading.rows(f"SELECT {chosen} FROM {table} WHERE tenant = ?", (no,)):
                found[table] = sorted(rows, key=repr)
    return found


def events_of(engine: Engine) -> dict[str, int]:
    """Count the stored events of every tenant, including those that waited in the log."""
    refreshed(engine)
    with engine.store.facts.read() as reading:
        rows = dict(reading.rows("SELECT tenant, count(*) FROM event GROUP BY tenant"))
    return {tenant.id: rows.get(tenant.no, 0) for tenant in engine.control.tenants().values()}


def every_answer(engine: Engine, tenant: str, start: str, end: str, grain: str = "month") -> list[dict[str, Any]]:
    """Query every metric of the catalogue at once, with the parts of each number."""
    found: list[dict[str, Any]] = engine.query(
        tenant, metrics=names(), start=start, end=end, grain=grain, details=True
    )["rows"]
    return found


def total(engine: Engine, tenant: str, metric: str, start: str, end: str, **question: Any) -> Any:
    """Return one metric of a whole range."""
    (row,) = engine.query(tenant, metrics=metric, start=start, end=end, **question)["rows"]
    return row[metric]


def totals(engine: Engine, tenant: str, metrics: Sequence[str], start: str, end: str, **question: Any) -> list[Any]:
    """Return several metrics of a whole range, in the given order."""
    (row,) = engine.query(tenant, metrics=metrics, start=start, end=end, **question)["rows"]
    return [row[name] for name in metrics]


def by(
    engine: Engine, tenant: str, metric: str, start: str, end: str, dimension: str, **question: Any
) -> dict[str | None, Any]:
    """Return one metric of a whole range by a dimension, without zeros."""
    rows = engine.query(tenant, metrics=metric, start=start, end=end, by=[dimension], **question)["rows"]
    return {row[dimension]: row[metric] for row in rows if row[metric]}


def per_window(rows: Sequence[dict[str, Any]], metric: str) -> dict[str, Any]:
    """Return an answer's values by window, without zeros."""
    return {row["window"]: row[metric] for row in rows if row[metric]}


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of real data; tests name the folders they need with `needs`."""
    return DATA


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, shape: Shape) -> Iterator[Engine]:
    """Open an engine on an empty store, one per module and kind of storage."""
    with open_engine(tmp_path_factory.mktemp("acceptance"), shape=shape) as made:
        yield made

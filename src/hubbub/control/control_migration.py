"""Copy control data and jobs from one database to another, SQLite to PostgreSQL or back, and prove that both are equal.

One transaction of the target writes everything and reads it back before it commits. The source is only read; if it is changed
meanwhile, an error names the table and nothing is copied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hubbub.control import (
    access,
    alerts,
    control,
    coverage,
    deliveries,
    erasures,
    idempotency,
    integrations,
    label_answers,
    label_classifiers,
    label_configurations,
    label_examples,
    outbox,
    payloads,
    presence,
    removal,
    restatements,
    sequences,
    subscriptions,
    targets,
    topic_suggestions,
)
from hubbub.control.database import Database, metadata
from hubbub.control.installation import highest_number, reserve
from hubbub.errors import ConflictError, StoreBusyError
from hubbub.progress import Progress, quiet

AT_ONCE = 500
"""Rows in memory."""
LEDGER = ("hubbub_schedules", "hubbub_retries")
"""Tables of schedules and retries. The table of live processes is not copied."""
DBOS = (
    "workflow_status", "workflow_input", "workflow_output", "operation_outputs", "notifications", "workflow_events",
    "workflow_events_history", "streams",
)  # fmt: skip
"""DBOS's tables of jobs, referenced ones first. A worker writes its queues and versions again when it starts."""
_DECLARING = (
    access, alerts, control, coverage, deliveries, erasures, idempotency, integrations, label_answers, label_classifiers,
    label_configurations, label_examples, outbox, payloads, presence, removal, restatements, sequences, subscriptions, targets,
    topic_suggestions,
)  # fmt: skip
"""Modules with tables of control data: importing them fills `metadata`."""
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Carried:
    """A table and the number of its copied rows."""

    table: str
    rows: int


def control_tables() -> list[sa.Table]:
    """Return the tables of control data, referenced ones first."""
    return [table for table in metadata.sorted_tables if not table.name.startswith("hubbub_")]


def carry_control(source: Database, target: Database, progress: Progress = quiet) -> list[Carried]:
    """Copy all control data into an empty database; the source stays as it is.

    Raises ConflictError for a target that has rows, StoreBusyError for a source that is changed meanwhile.
    """
    tables = control_tables()
    source.make(*tables)
    target.make(*tables)
    pairs = [(table, table) for table in tables]
    with target.write() as into:
        with snapshot(source) as out:
            carried, digests = _carry(out, into, pairs, progress)
            reserve(into, highest_number(out))
        with snapshot(source) as later:
            _prove(later, into, pairs, digests)
    return carried


def carry_jobs(source: Database, target: Database, progress: Progress = quiet) -> list[Carried]:
    """Copy jobs, schedules and retries into a database with empty tables; the source stays as it is.

    Raises ConflictError for a target that has rows, StoreBusyError for a source that is changed meanwhile.
    """
    with target.write() as into:
        with snapshot(source) as out:
            pairs = [(metadata.tables[name],) * 2 for name in LEDGER]
            pairs += [(_found(out, name), _found(into, name)) for name in DBOS]
            carried, digests = _carry(out, into, pairs, progress)
        with snapshot(source) as later:
            _prove(later, into, pairs, digests)
    return carried


@contextmanager
def snapshot(database: Database) -> Iterator[sa.Connection]:
    """Yield a connection whose reads all see one moment."""
    with database.read() as con:
        if con.dialect.name == "sqlite":
            con.exec_driver_sql("BEGIN")
            yield con
        else:
            yield con.execution_options(isolation_level="REPEATABLE READ")


Pairs = Sequence[tuple[sa.Table, sa.Table]]


def _carry(
    out: sa.Connection, into: sa.Connection, pairs: Pairs, progress: Progress
) -> tuple[list[Carried], list[int]]:
    filled = [to.name for _, to in pairs if into.execute(sa.select(sa.func.count()).select_from(to)).scalar_one()]
    if filled:
        raise ConflictError(f"the target is not empty: it has rows in {', '.join(filled)}; choose an empty database")
    carried, digests = [], []
    for table, to in pairs:
        rows, digest = 0, 0
        columns = _columns(table, to)
        for batch in _batches(out, table):
            into.execute(to.insert(), [{name: columns[name](row[name]) for name in columns} for row in batch])
            rows += len(batch)
            digest += sum(_digest(row, columns) for row in batch)
            progress(f"{table.name}: {rows} rows")
        carried.append(Carried(table.name, rows))
        digests.append(digest)
    return carried, digests


def _prove(source: sa.Connection, target: sa.Connection, pairs: Pairs, digests: Sequence[int]) -> None:
    for (table, to), digest in zip(pairs, digests, strict=True):
        columns = _columns(table, to)
        for con, side in ((target, to), (source, table)):
            if sum(_digest(row, columns) for batch in _batches(con, side) for row in batch) != digest:
                raise StoreBusyError(
                    f"{table.name} was changed while it was copied, so nothing was copied: stop everything that runs on this "
                    "installation, and run it again"
                )


def _batches(con: sa.Connection, table: sa.Table) -> Iterator[Sequence[sa.RowMapping]]:
    rows = con.execution_options(yield_per=AT_ONCE).execute(sa.select(table))
    yield from (list(batch) for batch in rows.mappings().partitions(AT_ONCE))


def _found(con: sa.Connection, name: str) -> sa.Table:
    """Return a table of DBOS as a database has it."""
    schema = None if con.dialect.name == "sqlite" else "dbos"
    return sa.Table(name, sa.MetaData(), schema=schema, autoload_with=con, resolve_fks=False)


def _columns(table: sa.Table, to: sa.Table) -> dict[str, Convert]:
    """Return column -> conversion of the columns to copy: JSON on one side may be its text on the other."""
    conversions: dict[str, Convert] = {}
    for column in table.columns:
        if column.name in to.columns:
            ours, theirs = (isinstance(side.type, sa.JSON) for side in (column, to.columns[column.name]))
            conversions[column.name] = _same if ours == theirs else _text if ours else _parsed
    return conversions


def _same(value: Any) -> Any:
    return value


def _text(value: Any) -> Any:
    return None if value is None else json.dumps(value)


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _digest(row: sa.RowMapping, columns: Iterable[str]) -> int:
    """Return a number for a row; the sum over rows does not depend on their order, which differs between databases."""
    text = "\0".join(f"{name}={_canonical(row[name])}" for name in sorted(columns))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())


def _canonical(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, str) and value[:1] in ("{", "["):  # JSON on one side may be text on the other
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    text: str = json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else str(value)
    return text

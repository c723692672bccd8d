"""Move a store into another one: every table, chunk by chunk, and proof by counts, sums and hashes that both hold the same.

A chunk is a table, or of a big one a month of events or a year of rollups, and a transaction of the store that it moves into. A
move that was ended on the way goes on: what is there of the target is compared with the source, and only chunks that differ move
again. Until the proof is good the target has a mark, by which it cannot be opened (`store/open.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from hubbub.errors import ConflictError, NotFoundError
from hubbub.metrics import fold
from hubbub.settings import Settings
from hubbub.store.clickhouse_schema import STORED
from hubbub.store.database import Database
from hubbub.store.open import UNFINISHED
from hubbub.store.positions import Positions
from hubbub.store.sides import Side, columns_of, embedded, shared
from hubbub.store.tables import META, SQL_TYPES, Table

MOST_ROWS, MOST_BYTES = 250_000, 64 << 20
"""What is put at a time, and what moves as one chunk: ClickHouse makes files of each insert, so few are better."""

TABLES_AT_ONCE = 20
"""Tables that one statement counts."""

OWN = ("ordered", "seq", "cache_space", "positions", "relations", UNFINISHED)
"""What a store's `meta` says of itself alone, and does not move."""

Step = Callable[[str], None]
"""Is told how far a move is."""

Key = tuple[int | None, int | None]
_WHOLE = frozenset({"SMALLINT", "INTEGER", "BIGINT", "HUGEINT"})
_ARROW = {told: kind for kind, told in SQL_TYPES.items()} | {
    "HUGEINT": pa.string(), "TIMESTAMP[]": pa.list_(pa.timestamp("us")),
}  # fmt: skip


@dataclass(frozen=True)
class Sums:
    """What is added up over rows: their number, each whole-number column, and a hash that depends on every column."""

    rows: int
    columns: tuple[int, ...]
    hash: int

    def __add__(self, other: Sums) -> Sums:
        columns = tuple(a + b for a, b in zip(self.columns, other.columns, strict=True))
        return Sums(self.rows + other.rows, columns, (self.hash + other.hash) % (1 << 64))


Proof = dict[Key, Sums]
"""Sums of a table: of events by tenant and month (counted from year 0), of other tables as a whole, under (None, None)."""


@dataclass
class Moved:
    """What a move did: rows that were there already, and the proofs of both sides by table."""

    recognised: int = 0
    source: dict[str, Proof] = field(default_factory=dict)
    target: dict[str, Proof] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Say whether both sides hold the same."""
        return self.source == self.target

    def answer(self) -> dict[str, Any]:
        """Return the proof: events by tenant and month, then every other table; `same` is no where the sides differ."""
        events = [
            {"tenant": self.names.get(key[0] or 0, str(key[0])), "month": _month(key[1] or 0), **row}
            for key, row in self._rows("events")
        ]
        tables = [
            {"table": name, **row} for name in STORED if name != "events" for _, row in self._rows(name, sums=True)
        ]
        return {"equal": self.equal, "recognised": self.recognised, "events": events, "tables": tables}

    def _rows(self, name: str, *, sums: bool = False) -> Iterator[tuple[Key, dict[str, Any]]]:
        there, here = self.target.get(name, {}), self.source.get(name, {})
        for key in sorted({*there, *here}, key=str):
            one, other = here.get(key), there.get(key)
            told = one or other
            if told is None:
                continue
            named = dict(zip(_whole(STORED[name]), told.columns, strict=True))
            row: dict[str, Any] = {"rows": one.rows if one else 0, "moved": other.rows if other else 0}
            row |= {"sums": named} if sums else {"seq_sum": named["seq"]}
            yield key, row | {"hash": f"{told.hash:016x}", "same": one == other}


def migrate(settings: Settings, *, back: bool, step: Step) -> Moved:
    """Move the store of the data folder into the ClickHouse that `store_url` names, or back; see `move`.

    Both belong to one installation: the positions of the ClickHouse are in its control database.
    """
    with ExitStack() as opened:
        control = closing(Database(settings.control_url or f"sqlite:///{settings.data / 'control.db'}"))
        positions = Positions(opened.enter_context(control))
        outside = shared(settings.store_url, positions, cluster=settings.store_cluster)
        inside = embedded(
            settings.data, memory_limit=settings.memory_limit, threads=settings.threads, made=back
        )  # the source is opened first: when it is not there, no target is made
        if back:
            source: Side = opened.enter_context(outside)
            return move(source, opened.enter_context(inside), step=step)
        source = opened.enter_context(inside)
        return move(source, opened.enter_context(outside), step=step)


def move(source: Side, target: Side, *, step: Step) -> Moved:
    """Copy what counts in one store into another, go on where that was ended, and prove it.

    Raises NotFoundError for a source without anything, ConflictError for a target that holds something else. When `equal`
    of what is returned is false, the target is left marked.
    """
    here, there = (_chunks(side) for side in (source, target))
    _check(source, target, here, there)
    for name, chunks in here.items():
        if sum(chunks.values()) <= MOST_ROWS:
            here[name], there[name] = _joined(chunks), _joined(there[name])
    moved, total, done = Moved(), max(1, 2 * sum(sum(chunks.values()) for chunks in here.values())), 0
    with duckdb.connect(":memory:", config={"threads": 1}) as adding:
        for name, table in STORED.items():
            for chunk in sorted({*here[name], *there[name]}):
                rows = here[name].get(chunk, 0)
                if _move_chunk(adding, source, target, table, chunk, rows, there[name].get(chunk, 0)):
                    moved.recognised += rows
                done += rows
                step(f"{100 * done // total} % {name}")
        for name, table in STORED.items():
            sides = (source, target) if here[name] or there[name] else ()  # else there is nothing to add up
            moved.source[name], moved.target[name] = [prove(adding, side, table) for side in sides] or ({}, {})
            done += sum(here[name].values())
            step(f"{100 * done // total} % {name} is compared")
    for batch in source.stream(f"SELECT tenant, name FROM {source.rows(STORED['tenants'])}"):
        moved.names |= dict(zip(batch["tenant"].to_pylist(), batch["name"].to_pylist(), strict=True))
    if moved.equal:
        target.settle(source.last_seq())
        target.remove(META, f"key = '{UNFINISHED}'")
    return moved


Chunks = dict[int, int]
"""Numbers of rows by chunk: the month (counted from year 0) in which it begins, or WHOLE for all of a table."""

WHOLE = 0


def _check(source: Side, target: Side, here: dict[str, Chunks], there: dict[str, Chunks]) -> None:
    """Refuse what cannot be moved, and mark a target that can take it."""
    if not _filled(here):
        raise NotFoundError(
            "there is nothing to move: the store to move from is empty. Of a ClickHouse counts what this installation's control "
            "database says: is the data folder the one that it was used with?"
        )
    if _marked(source):
        raise ConflictError(
            "the store to move from is the target of a move that is not finished: finish that one first"
        )
    if _marked(target):
        return
    if _filled(there) or target.leftovers():
        raise ConflictError(
            "the store to move into is not empty, and no unfinished move put there what it holds: name an empty ClickHouse "
            "database (drop this one if nobody needs it), or a folder without the files hubbub.duckdb, hubbub.duckdb.wal and "
            "tide (move them elsewhere)"
        )
    target.put(META, [pa.table({"key": [UNFINISHED], "value": ["true"]})])


def _filled(chunks: dict[str, Chunks]) -> bool:
    return any(found for name, found in chunks.items() if name != META.name)


def _marked(side: Side) -> bool:
    found = side.stream(f"SELECT key FROM {side.rows(META)} WHERE key = '{UNFINISHED}'")
    return any(batch.num_rows for batch in found)


def _move_chunk(
    adding: duckdb.DuckDBPyConnection, source: Side, target: Side, table: Table, chunk: int, rows: int, there: int
) -> bool:
    """Make a chunk of the target what it is in the source; says whether it was that already."""
    where = _where(table, chunk)
    if there:
        if there == rows and prove(adding, source, table, where) == prove(adding, target, table, where):
            return True
        target.remove(table, where)
    if rows:
        found = source.stream(f"SELECT {columns_of(table)} FROM {source.rows(table)} WHERE {where}")
        target.put(table, _larger(batch.cast(_schema(table)) for batch in found))
    return False


def _larger(batches: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join batches until they are worth an insert."""
    waiting: list[pa.Table] = []
    for batch in batches:
        waiting.append(batch)
        if sum(b.num_rows for b in waiting) >= MOST_ROWS or sum(b.nbytes for b in waiting) >= MOST_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


# --- chunks: as ClickHouse parts its tables


def _span(table: Table) -> tuple[str, int]:
    """Return the column by whose time a table moves in chunks, and of how many months one is; no column: all at once."""
    names = dict(table.columns)
    if "time" in names:
        return '"time"', 1
    return ("window_start", 12) if "window_start" in names else ("", 0)


def _chunks(side: Side) -> dict[str, Chunks]:
    """Return the chunks of every table, asked of many at once: most are empty, and a statement each would take longer."""
    found: dict[str, Chunks] = {name: {} for name in STORED}
    names = list(STORED)
    for start in range(0, len(names), TABLES_AT_ONCE):
        counts = (_counts(side, STORED[name]) for name in names[start : start + TABLES_AT_ONCE])
        for batch in side.stream(" UNION ALL ".join(counts)):
            for name, chunk, n in zip(*(batch[c].to_pylist() for c in ("name", "chunk", "n")), strict=True):
                found[name][int(chunk)] = int(n)
    return found


def _counts(side: Side, table: Table) -> str:
    column, months = _span(table)
    chunk = {0: str(WHOLE), 1: _month_of(column), 12: f"extract(year FROM {column}) * 12"}[months]
    rows = f"{side.rows(table)} WHERE {_where(table)}"
    return f"SELECT '{table.name}' AS name, CAST({chunk} AS BIGINT) AS chunk, count(*) AS n FROM {rows} GROUP BY 1, 2"


def _joined(chunks: Chunks) -> Chunks:
    return {WHOLE: sum(chunks.values())} if chunks else {}


def _where(table: Table, chunk: int = WHOLE) -> str:
    """SQL that keeps a chunk of what moves of a table."""
    column, months = _span(table)
    if table is META:
        return f"key NOT IN ({', '.join(map(repr, OWN))})"
    if chunk == WHOLE:
        return "1 = 1"
    return f"{column} >= '{_month(chunk)}-01 00:00:00' AND {column} < '{_month(chunk + months)}-01 00:00:00'"


def _month(number: int) -> str:
    return f"{number // 12:04}-{number % 12 + 1:02}"


def _month_of(column: str) -> str:
    return f"extract(year FROM {column}) * 12 + extract(month FROM {column}) - 1"


# --- proof


def prove(adding: duckdb.DuckDBPyConnection, side: Side, table: Table, where: str = "") -> Proof:
    """Add up a table, or what a condition keeps of it, on one connection for both sides: no engine's arithmetic matters."""
    names = ", ".join(f'"{name}"' for name, _ in table.columns)
    sums = "".join(f', sum(CAST("{name}" AS HUGEINT))' for name in _whole(table))
    by = f"tenant, {_month_of(fold.TIME)}" if table.name == "events" else "NULL, NULL"
    add = f"SELECT {by}, count(*), sum(CAST(hash({names}) AS HUGEINT)){sums} FROM moved GROUP BY 1, 2"
    found: Proof = {}
    rows = f"{side.rows(table)} WHERE {where or _where(table)}"
    for batch in side.stream(f"SELECT {columns_of(table)} FROM {rows}"):
        adding.register("moved", batch.cast(_schema(table)))
        for tenant, month, count, digest, *columns in adding.execute(add).fetchall():
            some = Sums(count, tuple(int(c or 0) for c in columns), int(digest) % (1 << 64))
            key = tenant, month
            found[key] = found[key] + some if key in found else some
        adding.unregister("moved")
    return found


def _whole(table: Table) -> list[str]:
    """Return the columns that are added up: sums of other numbers would depend on the order of rows."""
    return [name for name, kind in table.columns if kind in _WHOLE and name != "tenant"]


def _schema(table: Table) -> pa.Schema:
    return pa.schema([(name, _ARROW[kind]) for name, kind in table.columns])

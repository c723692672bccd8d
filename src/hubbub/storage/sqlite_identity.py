"""The identities of an embedded store, in a table and in files.

The last hundred thousand are in a table; older ones in files of sorted numbers, looked up by bisection in mapped memory, so that
each of 20 million takes 8 bytes on disk and none in the process. See `docs/why/0019`. A file holds each tenant's numbers together,
so that they can be deleted with the tenant. Its layout: the number of tenants, a (tenant, count) for each, the numbers.
"""

from __future__ import annotations

import mmap
import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from hubbub.errors import StoreDamagedError
from hubbub.storage import identity
from hubbub.storage.identity import Numbers, key_of, parts_of
from hubbub.storage.transaction import Database, Transaction

FOLDER = "identities"
RECENT = 100_000
"""Identities in the table before they become a file."""
RUNS = 6
"""Files before the smallest are merged: each look-up searches all files."""


def _damaged(file: Path) -> StoreDamagedError:
    return StoreDamagedError(f"{file} is missing or truncated: restore the folder from a backup")


@dataclass(frozen=True, slots=True)
class Run:
    """A mapped file of identities: the sorted numbers, and where each tenant's begin and end."""

    places: Mapping[int, tuple[int, int]]
    numbers: memoryview

    @classmethod
    def open(cls, file: Path) -> Run:
        """Map a file. Raises StoreDamagedError when it is missing or truncated."""
        try:
            with file.open("rb") as opened:
                whole = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)).cast("q")
        except (FileNotFoundError, ValueError, TypeError) as error:
            raise _damaged(file) from error
        places, begin = {}, 1 + 2 * whole[0]
        if not 0 < begin <= len(whole):
            raise _damaged(file)
        for tenant, size in zip(whole[1:begin:2], whole[2:begin:2], strict=True):
            places[tenant] = begin, begin + size
            begin += size
        if begin != len(whole):
            raise _damaged(file)
        return cls(places, whole)

    def __len__(self) -> int:
        return sum(high - low for low, high in self.places.values())

    def of(self, tenant: int) -> memoryview:
        """Return the sorted numbers of a tenant."""
        low, high = self.places.get(tenant, (0, 0))
        return self.numbers[low:high]

    def __contains__(self, key: int) -> bool:
        tenant, ident = parts_of(key)
        low, high = self.places.get(tenant, (0, 0))
        place = bisect_left(self.numbers, ident, low, high)
        return place < high and self.numbers[place] == ident


def whole(file: Path, keys: int) -> bool:
    """Whether a file exists and holds this many keys."""
    try:
        return len(Run.open(file)) == keys
    except StoreDamagedError:
        return False


class Identities(identity.Identities):
    """Identities in a table and files of one `Database`. Callers of `known` hold the log's lock."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder / FOLDER
        self._recent: set[int] = set()
        self._runs: dict[str, Run] = {}
        self.reload()

    def reload(self) -> None:
        """Read again what other processes may have changed, and drop files no longer listed."""
        with self._database.read() as reading:
            self._recent = {key_of(*row) for row in reading.rows("SELECT tenant, ident FROM identity")}
            self._runs = {name: self._run(name) for (name,) in reading.rows("SELECT file FROM identity_run")}

    def _run(self, name: str) -> Run:
        return self._runs.get(name) or Run.open(self._folder / name)

    def stored(self, keys: Iterable[int]) -> set[int]:
        """Return which of these keys are stored, by any process."""
        keys = set(keys)
        known = self.known(keys)
        return known if known == keys else Identities(self._database, self._folder.parent).known(keys)

    def condition(self) -> tuple[int, list[str]]:
        """Return the number of identities, and the names of missing or truncated files."""
        with self._database.read() as reading:
            runs = reading.rows("SELECT file, keys FROM identity_run ORDER BY file")
            recent = reading.value("SELECT count(*) FROM identity")
        bad = [name for name, keys in runs if not whole(self._folder / name, keys)]
        return recent + sum(keys for _, keys in runs), bad

    def known(self, keys: Iterable[int]) -> set[int]:
        """Return which of these keys are stored, as of the last `reload`."""
        keys = set(keys)
        stored = self._recent.intersection(keys)
        for run in list(self._runs.values()):
            stored.update(key for key in keys if key in run)
        return stored

    def add(self, writing: Transaction, identities: Iterable[tuple[int, int]]) -> None:
        """Store (tenant, ident) pairs in a transaction; after its commit, call `added` with their keys."""
        writing.many("INSERT INTO identity VALUES (?, ?) ON CONFLICT DO NOTHING", sorted(identities))

    def added(self, keys: Iterable[int]) -> None:
        """Remember committed keys; at RECENT, write the recent ones to a file."""
        self._recent.update(keys)
        if len(self._recent) >= RECENT:
            self._replace(self._to_merge, _recent)

    def of(self, tenant: int) -> Iterator[Numbers]:
        """Yield a tenant's identities (signed 64-bit) in pieces, each sorted."""
        with self._database.read() as reading:
            recent = array("q", (row[0] for row in reading.each(_OF_TENANT, (tenant,))))
            runs = [self._run(name) for (name,) in reading.rows("SELECT file FROM identity_run")]
        yield recent
        yield from (run.of(tenant) for run in runs if tenant in run.places)

    def take_in(self, tenant: int, idents: Numbers) -> None:
        """Store the sorted identities of an imported tenant in a file."""
        if len(idents):
            self._replace(lambda _: [], lambda _: {tenant: idents})

    def forget(self, tenant: int) -> None:
        """Delete all identities of a tenant; files that hold some are written again without them."""

        def holding(runs: Mapping[str, int]) -> list[str]:
            return [name for name in runs if tenant in self._run(name).places]

        with self._database.write() as writing:
            gone = writing.run("DELETE FROM identity WHERE tenant = ?", (tenant,))
        if gone or any(tenant in run.places for run in self._runs.values()):
            self._replace(holding, lambda _: {}, without=tenant)

    def _to_merge(self, runs: Mapping[str, int]) -> list[str]:
        """Return the files to merge with the recent identities: each no larger than the merge so far, or beyond RUNS."""
        size = RECENT
        merged: list[str] = []
        for name, count in sorted(runs.items(), key=lambda run: run[1]):
            if count <= size or len(runs) - len(merged) >= RUNS:
                merged.append(name)
                size += count
        return merged

    def _replace(
        self,
        choose: Callable[[Mapping[str, int]], list[str]],
        fresh: Callable[[Transaction], Mapping[int, Numbers]],
        without: int | None = None,
    ) -> None:
        """Write one file from the chosen files and fresh identities, without a tenant; one transaction replaces the list."""
        with self._database.write() as writing:
            runs: dict[str, int] = dict(writing.rows("SELECT file, keys FROM identity_run"))
            merged = choose(runs)
            new = fresh(writing)
            number = max((int(name.split(".")[0]) for name in runs), default=0) + 1
            name = f"{number:08}.keys"
            self._folder.mkdir(mode=0o700, exist_ok=True)
            size = _write(self._folder / name, new, [self._run(old) for old in merged], without)
            writing.many("DELETE FROM identity_run WHERE file = ?", [(old,) for old in merged])
            if size:
                writing.run("INSERT INTO identity_run VALUES (?, ?)", (name, size))
        self.reload()
        for old in (*merged, *(() if size else (name,))):
            (self._folder / old).unlink(missing_ok=True)


_OF_TENANT = "SELECT ident FROM identity WHERE tenant = ? ORDER BY ident"


def _recent(writing: Transaction) -> dict[int, Numbers]:
    """Remove the identities from the table; returns them by tenant."""
    rows = writing.each("SELECT tenant, ident FROM identity ORDER BY tenant, ident")
    recent: dict[int, Numbers] = {
        tenant: array("q", (ident for _, ident in pairs)) for tenant, pairs in groupby(rows, key=lambda row: row[0])
    }
    writing.run("DELETE FROM identity")
    return recent


def _write(file: Path, fresh: Mapping[int, Numbers], runs: Sequence[Run], without: int | None) -> int:
    """Write identities to a file, synced before it gets its name; returns how many."""
    tenants = sorted(({*fresh} | {tenant for run in runs for tenant in run.places}) - {without})
    parts: dict[int, list[Numbers]] = {
        no: [part for part in (fresh.get(no, array("q")), *(run.of(no) for run in runs)) if len(part)] for no in tenants
    }
    sizes = {no: sum(map(len, parts[no])) for no in tenants}
    head = array("q", [len(tenants), *(number for no in tenants for number in (no, sizes[no]))])
    new = file.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(head)
        for no in tenants:
            _write_sorted(opened, parts[no])
        opened.flush()
        os.fsync(opened.fileno())
    new.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return sum(sizes.values())


def _write_sorted(opened: BinaryIO, parts: Sequence[Numbers]) -> None:
    if len(parts) == 1:
        opened.write(parts[0])
        return
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pa.concat_arrays([pa.Array.from_buffers(pa.int64(), len(p), [None, pa.py_buffer(p)]) for p in parts])
    ordered = whole.take(pc.array_sort_indices(whole))
    opened.write(memoryview(ordered.buffers()[1])[ordered.offset * 8 : (ordered.offset + len(ordered)) * 8])

"""What was ever stored: one 64-bit key for each source and id of a tenant, so that a resent event counts once for ever.

Keys of the last hundred thousand events are in a table; older ones in files of sorted numbers that are looked up by bisection in
mapped memory, so that 20 million of them cost 8 bytes each on disk and none in the process. See `docs/why/0019`.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from hubbub.storage.sqlite import Database, Transaction

FOLDER = "identities"
RECENT = 100_000
"""Keys in the table before they become a file."""
RUNS = 6
"""Files before the smallest ones are merged: each look-up asks all of them."""
_ODD = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_SIGN = 1 << 63


def ident_of(source: str, id_: str) -> int:
    """Return the 64-bit number (signed) that stands for a source and an id; the same in every installation."""
    digest = hashlib.blake2b(f"{source}\0{id_}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def key_of(tenant: int, ident: int) -> int:
    """Return the key (signed) of an identity among those of all tenants."""
    mixed = (ident ^ (tenant * _ODD)) & _MASK
    return mixed - (1 << 64) if mixed & _SIGN else mixed


class Identities:
    """Which keys are stored. Belongs to one `Database`; whoever asks holds the lock of the log."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder / FOLDER
        self._recent: set[int] = set()
        self._runs: dict[str, memoryview] = {}
        self.reload()

    def reload(self) -> None:
        """Read again what other processes may have changed, and drop files that nothing names."""
        with self._database.read() as reading:
            self._recent = {row[0] for row in reading.rows("SELECT key FROM identity")}
            files = [row[0] for row in reading.rows("SELECT file FROM identity_run")]
        self._runs = {name: self._runs.get(name) or _mapped(self._folder / name) for name in files}

    def known(self, keys: Iterable[int]) -> set[int]:
        """Return those of some keys that are stored."""
        recent, runs = self._recent, list(self._runs.values())
        found = set()
        for key in keys:
            if key in recent:
                found.add(key)
                continue
            for run in runs:
                place = bisect_left(run, key)
                if place < len(run) and run[place] == key:
                    found.add(key)
                    break
        return found

    def add(self, writing: Transaction, keys: Sequence[int]) -> None:
        """Store keys in a transaction; when it has committed, `added` is to be called."""
        writing.many("INSERT OR IGNORE INTO identity VALUES (?)", [(key,) for key in keys])

    def added(self, keys: Iterable[int]) -> None:
        """Know keys whose transaction has committed; makes a file of them when there are many."""
        self._recent.update(keys)
        if len(self._recent) >= RECENT:
            self._flush()

    def _flush(self) -> None:
        """Make a file of the table's keys, merged with files no larger than what it holds; the manifest changes at once."""
        with self._database.write() as writing:
            runs = dict(writing.rows("SELECT file, keys FROM identity_run"))
            recent = array("q", (row[0] for row in writing.each("SELECT key FROM identity ORDER BY key")))
            size = len(recent)
            merged: list[str] = []
            for name, keys in sorted(runs.items(), key=lambda run: run[1]):
                if keys <= size or len(runs) - len(merged) >= RUNS:
                    merged.append(name)
                    size += keys
            number = max((int(name.split(".")[0]) for name in runs), default=0) + 1
            name = f"{number:08}.keys"
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _write(self._folder / name, recent, [self._runs.get(one) or _mapped(self._folder / one) for one in merged])
            writing.many("DELETE FROM identity_run WHERE file = ?", [(one,) for one in merged])
            writing.run("INSERT INTO identity_run VALUES (?, ?)", (name, size))
            writing.run("DELETE FROM identity")
        self.reload()
        for one in merged:
            (self._folder / one).unlink(missing_ok=True)


def _mapped(file: Path) -> memoryview:
    with file.open("rb") as opened:
        return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)).cast("q")


def _write(file: Path, keys: array[int], others: Sequence[memoryview]) -> None:
    """Write sorted keys, all of these together, as a file that is on disk when it has its name."""
    parts = [pa.Array.from_buffers(pa.int64(), len(part), [None, pa.py_buffer(part)]) for part in (keys, *others)]
    whole = pa.concat_arrays(parts)
    ordered = whole.take(pc.array_sort_indices(whole)) if others else whole
    new = file.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(memoryview(ordered.buffers()[1])[ordered.offset * 8 : (ordered.offset + len(ordered)) * 8])
        opened.flush()
        os.fsync(opened.fileno())
    new.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

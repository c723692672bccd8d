"""Backup and restore of a folder: one consistent set of files, taken while everything runs, with a hash of each.

The log is copied first, then events and facts, each in one step. Batches that moved from the log to the facts between the two
steps are in both copies, and are deleted from the copied log. Batches acknowledged later may be in neither: a restored folder is a
prefix of what was acknowledged. A backup gets its name once it is whole and on disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hubbub.errors import BadInputError, ConflictError, NotFoundError, StoreDamagedError
from hubbub.progress import Progress
from hubbub.storage import schema
from hubbub.storage.sqlite import BUSY_SECONDS, errors_of
from hubbub.storage.sqlite_identity import FOLDER as IDENTITIES
from hubbub.storage.store import FILE

MANIFEST = "manifest.json"
KEYS = "keys"
"""The folder of a backup with the keys that decrypt the rest."""
KEY_FILES = ("pepper", "secret.key", "hubbub.yaml")
LOG = "log.db"
FORM = 1
TRIES = 5
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """Size in bytes and hash of a file."""

    bytes: int
    sha256: str


@dataclass(slots=True)
class Manifest:
    """The contents of a backup. `as_of`: when events and facts were copied, in microseconds; `left_out`: what it lacks."""

    hubbub: str
    as_of: int
    installation: str | None
    counts: dict[str, int]
    left_out: list[str] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    form: int = FORM
    layout: int = schema.VERSION


@contextmanager
def making(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target`, synced to disk, when the block succeeds; else delete it.

    Raises ConflictError when the target exists or another process is making it.
    """
    if target.exists() or target.is_symlink():
        raise ConflictError(f"{target} exists already: name one that does not")
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f"{target.name}.new")
    new.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(new, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(f"{target} is being made by another process") from None
        _empty(new)  # remains of a killed process
        try:
            yield new
            for path in (*new.rglob("*"), new):
                _to_disk(path)
            new.rename(target)
            _to_disk(target.parent)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    finally:
        os.close(lock)


def copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite file as of one moment, also while it is written; the copy is one file, readable by its owner only."""
    target.touch(mode=0o600)
    with (
        errors_of(source),
        closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as out,
        closing(sqlite3.connect(target, isolation_level=None)) as into,
    ):
        into.execute("PRAGMA synchronous = OFF")  # the whole backup is synced before it gets its name
        out.backup(into, pages=-1)
        into.execute("PRAGMA journal_mode = DELETE")


def copy_store(folder: Path, target: Path, clock: Callable[[], int], progress: Progress) -> tuple[int, dict[str, int]]:
    """Copy log, events, facts and identities of a folder that may be in use; returns `as_of` and counts by kind.

    `clock` returns the time in microseconds. Raises StoreDamagedError, StoreUnavailableError.
    """
    for _ in range(TRIES):
        for path in (target / LOG, target / FILE):
            path.unlink(missing_ok=True)
        shutil.rmtree(target / IDENTITIES, ignore_errors=True)
        copy_database(folder / LOG, target / LOG)
        progress(f"{LOG} copied")
        as_of = clock()
        copy_database(folder / FILE, target / FILE)
        progress(f"{FILE} copied, {(target / FILE).stat().st_size >> 20} MB")
        try:
            _copy_identities(folder, target)
        except FileNotFoundError:  # merged since: the next copy of the database names the merged file
            continue
        return as_of, _settle(target)
    raise StoreDamagedError(f"{folder / IDENTITIES} lacks files that {FILE} names: restore it from a backup")


def _copy_identities(folder: Path, target: Path) -> None:
    (target / IDENTITIES).mkdir(mode=0o700)
    with closing(sqlite3.connect(target / FILE)) as con:
        names = [name for (name,) in con.execute("SELECT file FROM identity_run")]
    for name in names:
        copy_file(folder / IDENTITIES / name, target / IDENTITIES / name)


def _settle(target: Path) -> dict[str, int]:
    """Delete batches from the copied log that the copied facts hold, and continue its numbers after them; returns counts."""
    with closing(sqlite3.connect(target / FILE)) as con:
        row = con.execute("SELECT value FROM meta WHERE key = 'stored'").fetchone()
        stored = int(row[0]) if row else 0
        early = con.execute("SELECT n FROM stored_early").fetchall()
        (events,) = con.execute("SELECT count(*) FROM event").fetchone()
    with closing(sqlite3.connect(target / LOG, isolation_level=None)) as con:
        con.execute("PRAGMA secure_delete = ON")
        con.execute("DELETE FROM log WHERE n <= ?", (stored,))
        con.executemany("DELETE FROM log WHERE n = ?", early)
        if not con.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'log'", (stored,)).rowcount:
            con.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('log', ?)", (stored,))
        (waiting,) = con.execute("SELECT count(*) FROM log").fetchone()
        (last,) = con.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
    return {"events": events, "batches": last, "batches_waiting": waiting}


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's bytes; only its owner may read the copy."""
    with (
        source.open("rb") as out,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as into,
    ):
        shutil.copyfileobj(out, into, _PIECE)


def copy_keys(folder: Path, target: Path) -> list[str]:
    """Copy the keys and settings of a folder into the backup's key folder; returns their names."""
    names = [name for name in KEY_FILES if (folder / name).is_file()]
    if names:
        (target / KEYS).mkdir(mode=0o700)
    for name in names:
        copy_file(folder / name, target / KEYS / name)
    return names


def copy_folders(source: Path, target: Path) -> int:
    """Copy the folders `*/*` of immutable files, without hidden (unfinished) and just deleted ones; returns how many."""
    count = 0
    for folder in sorted(source.glob("*/*")):
        if folder.is_dir() and not folder.name.startswith("."):
            place = target / folder.relative_to(source)
            place.mkdir(mode=0o700, parents=True)
            try:
                for file in folder.iterdir():
                    copy_file(file, place / file.name)
                count += 1
            except FileNotFoundError:
                shutil.rmtree(place)
    return count


def one_file(path: Path) -> None:
    """Merge the write-ahead log of a SQLite database into its file."""
    with errors_of(path), closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute("PRAGMA journal_mode = DELETE")


def write_manifest(target: Path, manifest: Manifest, progress: Progress) -> None:
    """Write the manifest of a folder, with the hash of every file."""
    for path in sorted(target.rglob("*")):
        if path.is_file():
            name = path.relative_to(target).as_posix()
            manifest.files[name] = hash_of(path)
            progress(f"{name} hashed")
    text = json.dumps(asdict(manifest), indent=1)
    with os.fdopen(os.open(target / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def hash_of(path: Path) -> File:
    """Return size and hash of a file."""
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return File(path.stat().st_size, digest)


def read_manifest(source: Path) -> Manifest:
    """Return the manifest of a backup. Raises NotFoundError without one, BadInputError for a damaged one or another version."""
    try:
        document: dict[str, Any] = json.loads((source / MANIFEST).read_text())
        files = {name: File(**entry) for name, entry in document.pop("files").items()}
        manifest = Manifest(**document, files=files)
    except FileNotFoundError:
        raise NotFoundError(f"{source} is not a finished backup: it has no {MANIFEST}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadInputError(f"{source / MANIFEST} is damaged, or of another version of Hubbub") from None
    if (manifest.form, manifest.layout) != (FORM, schema.VERSION):
        raise BadInputError(
            f"{source} has the layout {manifest.form}.{manifest.layout}, this Hubbub reads {FORM}.{schema.VERSION}: restore it "
            f"with Hubbub {manifest.hubbub}"
        )
    return manifest


def restore(source: Path, folder: Path, progress: Progress, keys: Path | None = None) -> Manifest:
    """Fill a new or empty folder from a backup after checking all its files; `keys`: the folder of its keys, if they are elsewhere.

    Raises NotFoundError, BadInputError, ConflictError for a folder that is not empty, StoreDamagedError naming each damaged
    file. A folder whose restore was interrupted does not open: empty it and restore again.
    """
    manifest = read_manifest(source)
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"{folder} is not empty: restore into a new folder")
    places = {name: _place(source, name, keys) for name in manifest.files}
    check_files(places, manifest.files, progress)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, place in sorted(
        places.items(), key=lambda item: item[0] == FILE
    ):  # without FILE the folder does not open
        to = folder / name.removeprefix(f"{KEYS}/")
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = to.with_name(f"{to.name}.part")
        copy_file(place, part)
        _to_disk(part)
        part.rename(to)
        progress(f"{name} restored")
    for path in (*(path for path in folder.rglob("*") if path.is_dir()), folder, folder.absolute().parent):
        _to_disk(path)
    return manifest


def check_files(places: Mapping[str, Path], expected: Mapping[str, File], progress: Progress) -> None:
    """Check the hashes of files. Raises StoreDamagedError naming each missing or damaged file."""
    damaged: list[str] = []
    for name, place in places.items():
        progress(f"{name}: checking")
        if not place.is_file():
            damaged.append(f"{name} is missing")
        elif hash_of(place) != expected[name]:
            damaged.append(f"{name} is damaged")
    if damaged:
        raise StoreDamagedError(f"{', '.join(damaged)}: {_hint(damaged)}")


def _hint(damaged: Sequence[str]) -> str:
    if all(problem.startswith(f"{KEYS}/") for problem in damaged):
        return "name the folder of the keys with --keys"
    return "take another backup"


def _place(source: Path, name: str, keys: Path | None) -> Path:
    """Return the path of a backup's file. Raises BadInputError for a name that leads out of the backup."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise BadInputError(f"{source / MANIFEST}: {name!r} is not a file of the backup; take another backup")
    if keys is not None and path.parts[0] == KEYS:
        return keys.joinpath(*path.parts[1:])
    return source / path


def remove_folder(folder: Path) -> None:
    """Delete a folder and its content, if it exists."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _to_disk(path: Path) -> None:
    with suppress(FileNotFoundError):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

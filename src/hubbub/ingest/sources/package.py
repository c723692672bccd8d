"""What lies at a path that somebody imports: one file, the files of a folder, or those of a ZIP, which is never unpacked."""

from __future__ import annotations

import gzip
import re
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from hubbub.errors import BadInputError

MAX_FILE = 256 * 2**20
"""Bytes of a file that is held whole, unpacked."""
MAX_FILES = 1_000_000
UNREADABLE = (
    ValueError,
    OSError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    EOFError,
)
"""What reading a damaged, encrypted or too large file of a package raises."""
_ZIP = b"PK\x03\x04"
_HEAD = 16_384


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file lies: a path, or a member of the ZIP at it."""

    path: Path
    member: zipfile.ZipInfo | None = None


class Package:
    """The files at a path, by name with `/` between folders; `sizes` in bytes, unpacked.

    Of a ZIP names are read as they were meant, and a Mac's shadow files are not there.
    """

    def __init__(self, path: Path, places: dict[str, _Place], sizes: dict[str, int], archive: zipfile.ZipFile | None):
        self.path = path
        self.sizes = sizes
        self.read_bytes = 0
        self._places = places
        self._archive = archive

    @property
    def name(self) -> str:
        """The name of the file, ZIP or folder without its ending."""
        name = self.path.resolve().name
        return name if self.path.is_dir() else name.partition(".gz")[0].rpartition(".")[0] or name

    @property
    def is_file(self) -> bool:
        """Whether it is one file by itself."""
        return self._archive is None and not self.path.is_dir()

    def described(self) -> str:
        """Say what is there to somebody who took it for something else."""
        if self.is_file:
            return f"the file begins with {self.head(next(iter(self.sizes)))[:60]!r}"
        some = sorted(self.sizes)
        return f"there are {len(some)} files, like {', '.join(some[:3])}" if some else "it is empty"

    def named(self, pattern: str) -> list[str]:
        """Return the files in whose names the pattern is found, in any case, in order; a file by itself whatever its name."""
        found = re.compile(pattern, re.IGNORECASE)
        return sorted(name for name in self.sizes if self.is_file or found.search(name))

    def close(self) -> None:
        """Close the ZIP, where it is one."""
        if self._archive is not None:
            self._archive.close()

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def path_of(self, name: str) -> Path | None:
        """Return where a file lies by itself; None for one in a ZIP."""
        place = self._places[name]
        return place.path if place.member is None else None

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file to be read as a stream; `.gz` is unpacked. Raises one of UNREADABLE."""
        place = self._places[name]
        if place.member is not None and self._archive is not None:
            raw = cast("BinaryIO", self._archive.open(place.member))
        else:
            raw = place.path.open("rb")
        with raw:
            if name.lower().endswith(".gz"):
                with gzip.GzipFile(fileobj=raw) as stream:
                    yield cast("BinaryIO", stream)
            else:
                yield raw

    def read(self, name: str) -> bytes:
        """Return all of a file. Raises one of UNREADABLE, also where it has more than MAX_FILE bytes."""
        if self.sizes[name] > MAX_FILE:
            raise ValueError(f"{self.sizes[name]} bytes is more than the {MAX_FILE} that a file may have")
        try:
            with self.open(name) as stream:
                body = stream.read(MAX_FILE + 1)
        finally:
            self.read_bytes += self.sizes[name]
        if len(body) > MAX_FILE:
            raise ValueError(f"it has more than the {MAX_FILE} bytes that a file may have")
        return body

    def head(self, name: str) -> bytes:
        """Return the beginning of a file, to see what it is; nothing of one that cannot be read."""
        with suppress(*UNREADABLE), self.open(name) as stream:
            return stream.read(_HEAD)
        return b""


def package_at(path: Path) -> Package:
    """Return what lies at a path. Raises BadInputError where nothing does, or a ZIP that is damaged."""
    if path.is_dir():
        found = {p.relative_to(path).as_posix(): _Place(p) for p in sorted(path.rglob("*")) if p.is_file()}
        if len(found) > MAX_FILES:
            raise BadInputError(f"{path}: has {len(found)} files, more than the {MAX_FILES} that are looked at")
        return Package(path, found, {name: place.path.stat().st_size for name, place in found.items()}, None)
    if not path.exists():
        raise BadInputError(f"{path}: there is no such file or folder")
    if not _is_zip(path):
        return Package(path, {path.name: _Place(path)}, {path.name: path.stat().st_size}, None)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise BadInputError(f"{path}: the ZIP file is damaged or cut ({error}): fetch it again") from None
    places = {_meant(one): _Place(path, one) for one in archive.infolist() if not one.is_dir()}
    places = {name: place for name, place in places.items() if not name.startswith("__MACOSX/")}
    package = Package(path, places, {n: p.member.file_size for n, p in places.items() if p.member}, archive)
    weakref.finalize(package, archive.close)  # also of one that nobody closes
    return package


def _is_zip(path: Path) -> bool:
    """Say whether a file begins as a ZIP does, or is called one."""
    if path.suffix.lower() == ".zip":
        return True
    with path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def _meant(one: zipfile.ZipInfo) -> str:
    """Return the path of a ZIP's member: some programs write `\\` between folders, and UTF-8 without the flag that says so."""
    name = one.filename
    if not one.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")

"""The files at an import's path: one file, the files of a folder, or those of a ZIP, which is never unpacked."""

from __future__ import annotations

import codecs
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
"""Largest file that is read whole, unpacked, in bytes."""
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
"""Errors of reading a damaged, encrypted or too large file of a package."""
_ZIP = b"PK\x03\x04"
_HEAD = 16_384


@dataclass(frozen=True, slots=True)
class _Place:
    """The location of a file: a path, or a member of the ZIP at it."""

    path: Path
    member: zipfile.ZipInfo | None = None


class Package:
    """The files at a path, by name with `/` between folders; `sizes` in bytes, unpacked.

    Names in a ZIP are decoded correctly, and a Mac's shadow files are left out.
    """

    def __init__(self, path: Path, places: dict[str, _Place], sizes: dict[str, int], archive: zipfile.ZipFile | None):
        self.path = path
        self.sizes = sizes
        self.read_bytes = 0
        self._places = places
        self._archive = archive

    @property
    def name(self) -> str:
        """The name of the file, ZIP or folder without its suffix."""
        name = self.path.resolve().name
        return name if self.path.is_dir() else name.partition(".gz")[0].rpartition(".")[0] or name

    @property
    def is_file(self) -> bool:
        """Whether it is a single file."""
        return self._archive is None and not self.path.is_dir()

    def described(self) -> str:
        """Return a description of unrecognised content."""
        if self.is_file:
            head = self.head(next(iter(self.sizes)))
            is_utf_16 = head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            return f"the file begins with {head[:60]!r}{': it is UTF-16, save it as UTF-8' if is_utf_16 else ''}"
        names = sorted(self.sizes)
        return f"it has {len(names)} files, like {', '.join(names[:3])}" if names else "it is empty"

    def named(self, pattern: str) -> list[str]:
        """Return the files whose names match the pattern, ignoring case, sorted. A single file always matches."""
        compiled = re.compile(pattern, re.IGNORECASE)
        return sorted(name for name in self.sizes if self.is_file or compiled.search(name))

    def close(self) -> None:
        """Close the ZIP, if any."""
        if self._archive is not None:
            self._archive.close()

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def path_of(self, name: str) -> Path | None:
        """Return the path of a file; None for one in a ZIP."""
        place = self._places[name]
        return place.path if place.member is None else None

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file as a stream; `.gz` is unpacked. Raises one of UNREADABLE."""
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
        """Return a file's content. Raises one of UNREADABLE, also for more than MAX_FILE bytes."""
        if self.sizes[name] > MAX_FILE:
            raise ValueError(f"the file has {self.sizes[name]} bytes; at most {MAX_FILE} are allowed")
        try:
            with self.open(name) as stream:
                body = stream.read(MAX_FILE + 1)
        finally:
            self.read_bytes += self.sizes[name]
        if len(body) > MAX_FILE:
            raise ValueError(f"the file has more than {MAX_FILE} bytes, the most allowed")
        return body

    def head(self, name: str) -> bytes:
        """Return the beginning of a file without its byte order mark, for recognition; empty for an unreadable one."""
        with suppress(*UNREADABLE), self.open(name) as stream:
            return stream.read(_HEAD).removeprefix(codecs.BOM_UTF8)
        return b""


def package_at(path: Path) -> Package:
    """Return the package at a path. Raises BadInputError for a missing path or a damaged ZIP."""
    if path.is_dir():
        places = {p.relative_to(path).as_posix(): _Place(p) for p in sorted(path.rglob("*")) if p.is_file()}
        if len(places) > MAX_FILES:
            raise BadInputError(f"{path}: has {len(places)} files, more than {MAX_FILES}, the most allowed")
        return Package(path, places, {name: place.path.stat().st_size for name, place in places.items()}, None)
    if not path.exists():
        raise BadInputError(f"{path}: the file or folder does not exist")
    if not _is_zip(path):
        return Package(path, {path.name: _Place(path)}, {path.name: path.stat().st_size}, None)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise BadInputError(f"{path}: the ZIP file is damaged or truncated ({error}): fetch it again") from None
    places = {_member_name(member): _Place(path, member) for member in archive.infolist() if not member.is_dir()}
    places = {name: place for name, place in places.items() if not name.startswith("__MACOSX/")}
    package = Package(path, places, {n: p.member.file_size for n, p in places.items() if p.member}, archive)
    weakref.finalize(package, archive.close)  # also without a call of close
    return package


def _is_zip(path: Path) -> bool:
    """Say whether a file begins like a ZIP, or has its suffix."""
    if path.suffix.lower() == ".zip":
        return True
    with path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def _member_name(member: zipfile.ZipInfo) -> str:
    """Return the path of a ZIP's member: some programs write `\\` between folders, and UTF-8 without its flag."""
    name = member.filename
    if not member.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")

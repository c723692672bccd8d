"""The folder of reports: `<folder>/<tenant>/<report id>/`, each whole or not there at all.

A report is written beside its place, under a name that nobody lists, put on disk, and then renamed. While that goes on its
folder is locked, so that what a killed process left is known and taken away by the next one.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from hubbub.errors import BadRequestError, NotFoundError
from hubbub.model.page import Page, cut, place_of
from hubbub.model.plain import plain
from hubbub.model.tenant import check_tenant_id

REPORT_ID = re.compile(r"rep_[0-9a-f]{24}\Z")
ABOUT = "about.json"
UNFINISHED = ".unfinished-"


def new_report_id(now: datetime) -> str:
    """Return an id for a report that is asked for now; ids sort by when they were made."""
    return f"rep_{int(now.timestamp() * 1000):012x}{secrets.token_hex(6)}"


def check_report_id(text: str) -> str:
    """Return `text` when it can name a report, else raise BadRequestError."""
    if not REPORT_ID.match(text):
        raise BadRequestError(f"{text[:40]!r} cannot name a report: write rep_ and 24 of 0-9a-f")
    return text


@dataclass(frozen=True, slots=True)
class About:
    """What a report says of itself, in every format."""

    id: str
    tenant: str
    kind: str
    """daily, weekly or monthly."""
    from_: date
    """First day."""
    to: date
    """Day after the last."""
    zone: str
    made_at: datetime
    """In the tenant's zone."""
    hash: str
    """Of its data, as the file in the format json holds it."""
    definition_version: int
    sections: tuple[str, ...]
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report(About):
    """A report that is kept."""

    files: Mapping[str, int]
    """Bytes of each file."""
    state: Literal["made"] = "made"
    changed_since: int = 0
    """How many closed numbers of its days changed since it was made."""


class ReportStore:
    """Kept reports. A tenant's name comes first everywhere: what is another's is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, tenant: str, report: str, write: Callable[[Path], About]) -> Report:
        """Keep a report: `write` fills an empty folder and returns what is said of it. One that is there already stays."""
        place = self._place(tenant, report)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._tidy(place.parent)
        making = place.parent / f"{UNFINISHED}{report}-{secrets.token_hex(4)}"
        making.mkdir(mode=0o700)
        try:
            with _locked(making):
                about = plain(write(making))
                files = {path.name: path.stat().st_size for path in sorted(making.iterdir())}
                (making / ABOUT).write_text(json.dumps({**about, "files": files}), encoding="ascii")
                for path in (*making.iterdir(), making):
                    _to_disk(path)
                try:
                    making.rename(place)
                except OSError:  # another run of the same job was first
                    if not place.is_dir():
                        raise
                _to_disk(place.parent)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return self.about(tenant, report)

    def page(self, tenant: str, limit: int, cursor: str | None = None) -> Page[Report]:
        """Return a tenant's reports, newest first, those after `cursor`."""
        after = (place_of(cursor, str) or (None,))[0]
        folder = self.folder / check_tenant_id(tenant)
        names = sorted((p.name for p in folder.iterdir()), reverse=True) if folder.is_dir() else []
        mine = [name for name in names if REPORT_ID.match(name) and (after is None or name < after)]
        shown, following = cut(mine[: limit + 1], limit, lambda name: (name,))
        rows = []
        for name in shown:
            with suppress(NotFoundError):  # deleted meanwhile
                rows.append(self.about(tenant, name))
        return Page(rows, following)

    def about(self, tenant: str, report: str) -> Report:
        """Return what is said of a report, and its files with their sizes; raises NotFoundError."""
        try:
            found = json.loads((self._place(tenant, report) / ABOUT).read_text(encoding="ascii"))
        except FileNotFoundError:
            raise missing(report) from None
        return Report(
            found["id"], found["tenant"], found["kind"], date.fromisoformat(found["from"]), date.fromisoformat(found["to"]),
            found["zone"], datetime.fromisoformat(found["made_at"]), found["hash"], found["definition_version"],
            tuple(found["sections"]), tuple(found["formats"]), found["files"],
        )  # fmt: skip

    def file(self, tenant: str, report: str, name: str) -> Path | None:
        """Return the path of one of a report's files, or None when it was not made; raises NotFoundError."""
        path = self._place(tenant, report) / name
        return path if name in self.about(tenant, report).files and path.is_file() else None

    def delete(self, tenant: str, report: str) -> None:
        """Take a report away, at once for everybody; raises NotFoundError."""
        place = self._place(tenant, report)
        gone = place.parent / f"{UNFINISHED}{report}-{secrets.token_hex(4)}"
        try:
            place.rename(gone)
        except FileNotFoundError:
            raise missing(report) from None
        shutil.rmtree(gone, ignore_errors=True)

    def _place(self, tenant: str, report: str) -> Path:
        if not REPORT_ID.match(report):
            raise missing(report)
        return self.folder / check_tenant_id(tenant) / report

    @staticmethod
    def _tidy(folder: Path) -> None:
        """Take away what processes left that were killed: nobody holds its lock."""
        for path in folder.glob(f"{UNFINISHED}*"):
            with suppress(OSError), _locked(path):
                shutil.rmtree(path, ignore_errors=True)


def missing(report: str) -> NotFoundError:
    """Return the error of a report that is not there, the same for one that is another tenant's."""
    return NotFoundError(f"there is no report {report[:40]!r}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which ends with its process; raises OSError when somebody has it."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def _to_disk(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

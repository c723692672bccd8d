"""The folder of reports: `<folder>/<tenant>/<report id>/`, each complete or absent.

A report is written under a hidden name in the same folder, synced, and renamed. It is locked meanwhile, so a later process
recognises unlocked remains of a killed process and deletes them.
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
    """Return a new report id. Ids sort by time."""
    return f"rep_{int(now.timestamp() * 1000):012x}{secrets.token_hex(6)}"


def check_report_id(text: str) -> str:
    """Return `text` if it is a report id, else raise BadRequestError."""
    if not REPORT_ID.match(text):
        raise BadRequestError(f"{text[:40]!r} cannot name a report: write rep_ and 24 of 0-9a-f")
    return text


@dataclass(frozen=True, slots=True)
class About:
    """Facts about a report, in every format."""

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
    """Hash of its data, as in the JSON file."""
    definition_version: int
    sections: tuple[str, ...]
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report(About):
    """A stored report."""

    files: Mapping[str, int]
    """Size of each file in bytes."""
    state: Literal["made"] = "made"
    changed_since: int = 0
    """Number of restatements of its days since it was made."""


class ReportStore:
    """Stored reports by tenant. Reports of other tenants are not found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, tenant: str, report: str, write: Callable[[Path], About]) -> Report:
        """Store a report: `write` fills an empty folder and returns facts about the report. An existing report stays unchanged."""
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
                for file in making.iterdir():
                    file.chmod(0o600)
                    _to_disk(file)
                _to_disk(making)
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
        """Return a page of a tenant's reports, newest first, after `cursor`."""
        after = (place_of(cursor, str) or (None,))[0]
        folder = self.folder / check_tenant_id(tenant)
        names = sorted((p.name for p in folder.iterdir()), reverse=True) if folder.is_dir() else []
        ids = [name for name in names if REPORT_ID.match(name) and (after is None or name < after)]
        shown, following = cut(ids[: limit + 1], limit, lambda name: (name,))
        rows = []
        for name in shown:
            with suppress(NotFoundError):  # deleted meanwhile
                rows.append(self.about(tenant, name))
        return Page(rows, following)

    def about(self, tenant: str, report: str) -> Report:
        """Return a report with its files and sizes. Raises NotFoundError."""
        try:
            values = json.loads((self._place(tenant, report) / ABOUT).read_text(encoding="ascii"))
        except FileNotFoundError:
            raise missing(report) from None
        return Report(
            values["id"], values["tenant"], values["kind"], date.fromisoformat(values["from"]), date.fromisoformat(values["to"]),
            values["zone"], datetime.fromisoformat(values["made_at"]), values["hash"], values["definition_version"],
            tuple(values["sections"]), tuple(values["formats"]), values["files"],
        )  # fmt: skip

    def file(self, tenant: str, report: str, name: str) -> Path | None:
        """Return the path of a report's file, or None if the report has none of this name. Raises NotFoundError."""
        path = self._place(tenant, report) / name
        return path if name in self.about(tenant, report).files and path.is_file() else None

    def delete(self, tenant: str, report: str) -> None:
        """Delete a report atomically. Raises NotFoundError."""
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
        """Delete remains of killed processes: folders that no process has locked."""
        for path in folder.glob(f"{UNFINISHED}*"):
            with suppress(OSError), _locked(path):
                shutil.rmtree(path, ignore_errors=True)


def missing(report: str) -> NotFoundError:
    """Return the error of an unknown report; another tenant's report has the same."""
    return NotFoundError(f"there is no report {report[:40]!r}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which ends with the process. Raises OSError if another process holds it."""
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

"""Exports made in the background and downloaded: `<folder>/<tenant>/<export id>/`, one at a time in a process.

A folder is locked while its export is made, so that the remains of a killed process are recognised as failed. Exports are deleted
after a week.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from hubbub.clock import Clock
from hubbub.errors import ConflictError, HubbubError, NotFoundError, StoreUnavailableError
from hubbub.model.tenant import check_tenant_id
from hubbub.services.tenant_export import pack
from hubbub.telemetry import log

ABOUT = "about.json"
ZIP = "export.zip"
KEPT = timedelta(days=7)
MOST = 5
"""Most stored exports of a tenant."""
_ID = re.compile(r"exp_[0-9a-f]{24}\Z")


@dataclass(frozen=True, slots=True)
class Contents:
    """The content of an export: rows by table, and the number of known event identities."""

    rows: Mapping[str, int]
    identities: int


Write = Callable[[Path, Callable[[int], None]], Contents]


@dataclass(frozen=True, slots=True)
class Export:
    """An export of all data of a tenant."""

    id: str
    """Its id."""
    tenant: str
    """The tenant."""
    state: str
    """running, made or failed."""
    progress: int
    """In percent."""
    started_at: datetime
    """When it was started."""
    ends_at: datetime
    """When it will be deleted."""
    bytes: int | None = None
    """Size of the file, once it is made."""
    rows: Mapping[str, int] | None = None
    """Rows by table, once it is made."""
    identities: int | None = None
    """Events known to have been stored, once it is made."""
    error: str | None = None
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class ExportFile:
    """An export as a ZIP file, and a file name for saving."""

    path: Path
    name: str


class Exports:
    """Exports of tenants. Every method takes the tenant: another tenant's exports are not found."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock
        self._closing = False
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="hubbub-exports")

    def start(self, tenant: str, write: Write) -> Export:
        """Start an export: `write` fills a new folder, reports progress in percent, and returns the contents.

        Raises ConflictError when the tenant has too many exports.
        """
        self.prune()
        folder = self.folder / check_tenant_id(tenant)
        if sum(self.show(tenant, path.name).state != "failed" for path in folder.glob("exp_*")) >= MOST:
            raise ConflictError(
                f"{MOST} exports are stored already: download them; each is deleted {KEPT.days} days after it was made"
            )
        moment = self._clock()
        id_ = f"exp_{int(moment.timestamp() * 1000):012x}{secrets.token_hex(6)}"
        place = folder / id_
        place.mkdir(mode=0o700, parents=True)
        about = Export(id_, tenant, "running", 0, moment, moment + KEPT)
        lock = os.open(place, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        _write_state(place, about)
        self._worker.submit(self._make, place, about, write, lock)
        return about

    def _make(self, place: Path, about: Export, write: Write, lock: int) -> None:
        noted = [0]

        def report(percent: int) -> None:
            if self._closing:
                raise StoreUnavailableError("the server was stopped: start another export")
            if percent > noted[0]:
                _write_state(place, replace(about, progress=percent))
                noted[0] = percent

        try:
            contents = write(place / "whole", report)
            pack(place / "whole", place / "making.zip")
            (place / "making.zip").rename(place / ZIP)
            size = (place / ZIP).stat().st_size
            ended = replace(
                about, state="made", progress=100, bytes=size, rows=contents.rows, identities=contents.identities
            )
        except Exception as error:
            log.error("export failed", export=about.id, error=f"{type(error).__name__}: {error}"[:300])
            why = error.message if isinstance(error, HubbubError) else "see the server's log"
            ended = replace(about, state="failed", progress=noted[0], error=why)
        finally:
            shutil.rmtree(place / "whole", ignore_errors=True)
            (place / "making.zip").unlink(missing_ok=True)
        with suppress(OSError):  # deleted meanwhile, with its tenant
            _write_state(place, ended)
        os.close(lock)

    def show(self, tenant: str, export: str) -> Export:
        """Return an export. Raises NotFoundError."""
        place = self._place(tenant, export)
        try:
            about = _read(place)
            if about.state == "running" and not _locked(place):
                about = _read(place)  # it may have ended just now
                if about.state == "running":
                    return replace(about, state="failed", error="its server was stopped: start another export")
        except FileNotFoundError:
            raise _missing(export) from None
        return about

    def file(self, tenant: str, export: str) -> ExportFile:
        """Return an export's ZIP file. Raises NotFoundError when it is not made (yet)."""
        about = self.show(tenant, export)
        if about.state != "made":
            raise NotFoundError(f"export {export} is {about.state}: there is nothing to download")
        return ExportFile(self._place(tenant, export) / ZIP, f"{tenant}-{about.started_at:%Y-%m-%d}.zip")

    def prune(self) -> int:
        """Delete expired exports; returns their number."""
        count = 0
        for place in self.folder.glob("*/exp_*"):
            with suppress(OSError, ValueError, NotFoundError):
                if self.show(place.parent.name, place.name).ends_at <= self._clock():
                    shutil.rmtree(place)
                    count += 1
        return count

    def close(self) -> None:
        """End running exports as failed, and start no more."""
        self._closing = True
        self._worker.shutdown(cancel_futures=True)

    def _place(self, tenant: str, export: str) -> Path:
        if not _ID.match(export):
            raise _missing(export)
        return self.folder / check_tenant_id(tenant) / export


def _missing(export: str) -> NotFoundError:
    return NotFoundError(f"there is no export {export[:40]!r}")


def _locked(place: Path) -> bool:
    """Say whether a process makes an export in a folder."""
    number = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(number)
    return False


def _read(place: Path) -> Export:
    return msgspec.json.decode((place / ABOUT).read_bytes(), type=Export)


def _write_state(place: Path, about: Export) -> None:
    """Store an export's state, atomically for readers."""
    draft = place / f"{ABOUT}.{secrets.token_hex(4)}"
    draft.write_bytes(msgspec.json.encode(about))
    draft.chmod(0o600)
    draft.rename(place / ABOUT)

"""Exports that are made in the background and downloaded: `<folder>/<tenant>/<export id>/`, one at a time in a process.

A folder is locked while its export is made, so that what a killed process left is known: it failed. Made ones go after a week.
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
"""Kept exports of one tenant."""
_ID = re.compile(r"exp_[0-9a-f]{24}\Z")


@dataclass(frozen=True, slots=True)
class Contents:
    """What an export holds: rows by table, and events that are known to have been stored."""

    rows: Mapping[str, int]
    identities: int


Write = Callable[[Path, Callable[[int], None]], Contents]


@dataclass(frozen=True, slots=True)
class Export:
    """An export of all that a tenant owns."""

    id: str
    """Its id."""
    tenant: str
    """The tenant."""
    state: str
    """running, made or failed."""
    progress: int
    """In percent."""
    started_at: datetime
    """When it was asked for."""
    ends_at: datetime
    """When it will be deleted."""
    bytes: int | None = None
    """Size of the file, once it is made."""
    rows: Mapping[str, int] | None = None
    """Rows by table, once it is made."""
    identities: int | None = None
    """Events that are known to have been stored, once it is made."""
    error: str | None = None
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class ExportFile:
    """An export as a ZIP file, and a name for whoever saves it."""

    path: Path
    name: str


class Exports:
    """Exports of tenants. A tenant's name comes first everywhere: what is another's is not there."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock
        self._closing = False
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="hubbub-exports")

    def start(self, tenant: str, write: Write) -> Export:
        """Have an export made: `write` fills a folder that is not there yet, says how far it is in percent, and what it wrote.

        Raises ConflictError when the tenant has as many as it may.
        """
        self.prune()
        mine = self.folder / check_tenant_id(tenant)
        if sum(self.show(tenant, one.name).state != "failed" for one in mine.glob("exp_*")) >= MOST:
            raise ConflictError(
                f"{MOST} exports are kept already: download them; each goes {KEPT.days} days after it was made"
            )
        moment = self._clock()
        id_ = f"exp_{int(moment.timestamp() * 1000):012x}{secrets.token_hex(6)}"
        place = mine / id_
        place.mkdir(mode=0o700, parents=True)
        about = Export(id_, tenant, "running", 0, moment, moment + KEPT)
        lock = os.open(place, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        _say(place, about)
        self._worker.submit(self._make, place, about, write, lock)
        return about

    def _make(self, place: Path, about: Export, write: Write, lock: int) -> None:
        said = [0]

        def heard(percent: int) -> None:
            if self._closing:
                raise StoreUnavailableError("the server was stopped: ask for another")
            if percent > said[0]:
                _say(place, replace(about, progress=percent))
                said[0] = percent

        try:
            held = write(place / "whole", heard)
            pack(place / "whole", place / "making.zip")
            (place / "making.zip").rename(place / ZIP)
            size = (place / ZIP).stat().st_size
            ended = replace(about, state="made", progress=100, bytes=size, rows=held.rows, identities=held.identities)
        except Exception as error:
            log.error("export failed", export=about.id, error=f"{type(error).__name__}: {error}"[:300])
            why = error.message if isinstance(error, HubbubError) else "see the server's log"
            ended = replace(about, state="failed", progress=said[0], error=why)
        finally:
            shutil.rmtree(place / "whole", ignore_errors=True)
            (place / "making.zip").unlink(missing_ok=True)
        with suppress(OSError):  # deleted meanwhile, with its tenant
            _say(place, ended)
        os.close(lock)

    def show(self, tenant: str, export: str) -> Export:
        """Return an export; raises NotFoundError."""
        place = self._place(tenant, export)
        try:
            about = _read(place)
            if about.state == "running" and not _locked(place):
                about = _read(place)  # it may have ended just now
                if about.state == "running":
                    return replace(about, state="failed", error="its server was stopped: ask for another")
        except FileNotFoundError:
            raise _missing(export) from None
        return about

    def file(self, tenant: str, export: str) -> ExportFile:
        """Return an export's ZIP file; raises NotFoundError when it is not made (yet)."""
        about = self.show(tenant, export)
        if about.state != "made":
            raise NotFoundError(f"export {export} is {about.state}: there is nothing to download")
        return ExportFile(self._place(tenant, export) / ZIP, f"{tenant}-{about.started_at:%Y-%m-%d}.zip")

    def prune(self) -> int:
        """Delete exports that are kept long enough; returns how many."""
        gone = 0
        for place in self.folder.glob("*/exp_*"):
            with suppress(OSError, ValueError, NotFoundError):
                if self.show(place.parent.name, place.name).ends_at <= self._clock():
                    shutil.rmtree(place)
                    gone += 1
        return gone

    def close(self) -> None:
        """End what is being made as failed, and begin nothing more."""
        self._closing = True
        self._worker.shutdown(cancel_futures=True)

    def _place(self, tenant: str, export: str) -> Path:
        if not _ID.match(export):
            raise _missing(export)
        return self.folder / check_tenant_id(tenant) / export


def _missing(export: str) -> NotFoundError:
    return NotFoundError(f"there is no export {export[:40]!r}")


def _locked(place: Path) -> bool:
    """Say whether somebody makes an export in a folder."""
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


def _say(place: Path, about: Export) -> None:
    """Write down how far an export is, at once for whoever reads."""
    draft = place / f"{ABOUT}.{secrets.token_hex(4)}"
    draft.write_bytes(msgspec.json.encode(about))
    draft.chmod(0o600)
    draft.rename(place / ABOUT)

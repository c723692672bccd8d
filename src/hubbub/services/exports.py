"""Exports that are made in the background and downloaded: `<folder>/<tenant>/<export id>/`, one at a time in a process.

A folder is locked while its export is made, so that what a killed process left is known: it failed. Made ones go after a week.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

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
Write = Callable[[Path, Callable[[int], None]], Mapping[str, Any]]


class Exports:
    """Exports of tenants. A tenant's name comes first everywhere: what is another's is not there."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock
        self._closing = False
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="hubbub-exports")

    def start(self, tenant: str, write: Write) -> dict[str, Any]:
        """Have an export made: `write` fills a folder that is not there yet, says how far it is in percent, and what it wrote.

        Raises ConflictError when the tenant has as many as it may.
        """
        self.prune()
        mine = self.folder / check_tenant_id(tenant)
        if sum(self.show(tenant, one.name)["state"] != "failed" for one in mine.glob("exp_*")) >= MOST:
            raise ConflictError(
                f"{MOST} exports are kept already: download them; each goes {KEPT.days} days after it was made"
            )
        moment = self._clock()
        id_ = f"exp_{int(moment.timestamp() * 1000):012x}{secrets.token_hex(6)}"
        place = mine / id_
        place.mkdir(mode=0o700, parents=True)
        about = {
            "id": id_, "tenant": tenant, "state": "running", "progress": 0, "started_at": moment.isoformat(),
            "ends_at": (moment + KEPT).isoformat(), "bytes": None, "rows": None, "identities": None, "error": None,
        }  # fmt: skip
        lock = os.open(place, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        _say(place, about)
        self._worker.submit(self._make, place, about, write, lock)
        return about

    def _make(self, place: Path, about: dict[str, Any], write: Write, lock: int) -> None:
        def heard(percent: int) -> None:
            if self._closing:
                raise StoreUnavailableError("the server was stopped: ask for another")
            if percent > about["progress"]:
                _say(place, about | {"progress": percent})
                about["progress"] = percent

        try:
            about |= write(place / "whole", heard)
            pack(place / "whole", place / "making.zip")
            (place / "making.zip").rename(place / ZIP)
            about |= {"state": "made", "progress": 100, "bytes": (place / ZIP).stat().st_size}
        except Exception as error:
            log.error("export failed", export=about["id"], error=f"{type(error).__name__}: {error}"[:300])
            about |= {
                "state": "failed",
                "error": error.message if isinstance(error, HubbubError) else "see the server's log",
            }
        finally:
            shutil.rmtree(place / "whole", ignore_errors=True)
            (place / "making.zip").unlink(missing_ok=True)
            with suppress(OSError):  # deleted meanwhile, with its tenant
                _say(place, about)
            os.close(lock)

    def show(self, tenant: str, export: str) -> dict[str, Any]:
        """Return what is said of an export; raises NotFoundError."""
        place = self._place(tenant, export)
        try:
            about: dict[str, Any] = json.loads((place / ABOUT).read_text())
            if about["state"] == "running" and not _locked(place):
                about = json.loads((place / ABOUT).read_text())  # it may have ended just now
                if about["state"] == "running":
                    return about | {"state": "failed", "error": "its server was stopped: ask for another"}
        except FileNotFoundError:
            raise _missing(export) from None
        return about

    def file(self, tenant: str, export: str) -> dict[str, Any]:
        """Return path and name of an export's ZIP file; raises NotFoundError when it is not made (yet)."""
        about = self.show(tenant, export)
        if about["state"] != "made":
            raise NotFoundError(f"export {export} is {about['state']}: there is nothing to download")
        return {"path": str(self._place(tenant, export) / ZIP), "name": f"{tenant}-{about['started_at'][:10]}.zip"}

    def prune(self) -> int:
        """Delete exports that are kept long enough; returns how many."""
        gone = 0
        for place in self.folder.glob("*/exp_*"):
            with suppress(OSError, ValueError, NotFoundError):
                about = self.show(place.parent.name, place.name)
                if datetime.fromisoformat(about["ends_at"]) <= self._clock():
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


def _say(place: Path, about: Mapping[str, Any]) -> None:
    """Write down how far an export is, at once for whoever reads."""
    draft = place / f"{ABOUT}.{secrets.token_hex(4)}"
    draft.write_text(json.dumps(about))
    draft.chmod(0o600)
    draft.rename(place / ABOUT)

"""Where a figure was measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
from datetime import UTC, datetime
from typing import Any


def machine() -> dict[str, Any]:
    """Return what a reader must know about where this ran."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "python": platform.python_version(),
        "cores": os.cpu_count(), "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system() + " " + platform.release(), "load": [round(x, 1) for x in os.getloadavg()],
        "versions": {n: importlib.metadata.version(n) for n in ("hubbub", "msgspec", "uvicorn")}
        | {"sqlite": sqlite3.sqlite_version},
    }  # fmt: skip

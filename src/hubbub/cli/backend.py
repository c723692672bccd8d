"""The engine a command works with: a data folder can be open in several processes, so no server is asked for anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubbub.app import Engine, open_engine
from hubbub.telemetry import configure_logs


def address(engine: Engine) -> str:
    """Return the address that a server on the engine's folder has."""
    return f"http://{engine.settings.host}:{engine.settings.port}{engine.settings.base_path}"


@contextmanager
def opened(data: Path | None) -> Iterator[Engine]:
    """Open the data folder. What it logs goes to stderr: stdout is for answers."""
    with open_engine(data) as engine:
        configure_logs(engine.settings.log_level)
        yield engine

"""The engine of a command: several processes may open a data folder, so no server is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubbub.app import Engine, open_engine
from hubbub.telemetry import configure_logs


def address(engine: Engine) -> str:
    """Return the address of a server on the engine's folder."""
    return f"http://{engine.settings.host}:{engine.settings.port}{engine.settings.base_path}"


@contextmanager
def opened(data: Path | None) -> Iterator[Engine]:
    """Open the data folder. Log lines go to stderr: stdout is for answers."""
    with open_engine(data) as engine:
        configure_logs(engine.settings.log_level)
        yield engine

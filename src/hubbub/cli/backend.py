"""The engine a command works with: a data folder can be open in several processes, so no server is asked for anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hubbub.app import Engine, open_engine
from hubbub.model.event import Event
from hubbub.model.name import Name
from hubbub.telemetry import configure_logs


def address(engine: Engine) -> str:
    """Return the address that a server on the engine's folder has."""
    return f"http://{engine.settings.host}:{engine.settings.port}{engine.settings.base_path}"


class Backend:
    """An engine, and the address that its server has."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.address = address(engine)

    def call(self, name: str, /, **params: Any) -> Any:
        """Run an operation of the engine."""
        return self.engine.operation(name)(**params)

    def load(
        self,
        tenant: str,
        events: Sequence[Event],
        origins: Sequence[str] | None,
        zone: str | None,
        *,
        changed: bool = False,
        labels: bool = False,
        keep_text: bool = True,
    ) -> dict[str, Any]:
        """Store events as history; an unknown tenant is made and keeps everything. See `Engine.load`."""
        return self.engine.load(tenant, events, origins, zone, changed=changed, labels=labels, keep_text=keep_text)

    def take_names(self, tenant: str, names: Sequence[Name]) -> int:
        """Keep what an import says that ids are called; returns how many names are others now."""
        return self.engine.names.take(tenant, names)


@contextmanager
def opened(data: Path | None) -> Iterator[Engine]:
    """Open the data folder. What it logs goes to stderr: stdout is for answers."""
    with open_engine(data) as engine:
        configure_logs(engine.settings.log_level)
        yield engine


@contextmanager
def backend(data: Path | None) -> Iterator[Backend]:
    """Open it for operations that are still called by their names."""
    with opened(data) as engine:
        yield Backend(engine)

"""A process to be killed that labels the stored messages of a tenant and journals each label once it is acknowledged.

Usage: python -m tests.integration.label_child <data folder> <journal>
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hubbub.app import open_engine
from hubbub.clock import fixed
from hubbub.ingest.accept import Outcome
from hubbub.model.event import Event, Item

NOW = fixed(datetime(2026, 8, 20, 12, tzinfo=UTC))


def main(folder: Path, journal: Path) -> None:
    """Label all messages; the journal gets a line for each label: id, revision, type, topic."""
    with open_engine(folder, clock=NOW) as engine, journal.open("a", encoding="utf-8") as lines:
        store = engine.labels._accept

        def accept(tenant: str, events: Sequence[Item]) -> Outcome:
            outcome = store(tenant, events)
            rows = [[e.id, e.revision, e.type, e.topic] for e in events if isinstance(e, Event)]
            lines.write("".join(f"{json.dumps(row)}\n" for row in rows))
            lines.flush()
            os.fsync(lines.fileno())
            return outcome

        engine.labels._accept = accept
        engine.labels.run("acme")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

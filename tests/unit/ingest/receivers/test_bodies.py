"""Every body in `tests/data/webhooks` gives the events, changes, names and ignored items of the `events.txt` beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hubbub.ingest.receivers.base import Options, Received
from tests.unit.ingest.receivers.sending import BODIES, services

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OPTIONS = Options("int_1", keep_text=True)
SERVICES = services()
FILES = sorted(path for folder in SERVICES for path in (BODIES / folder).glob("*.json"))


def lines(found: Received) -> Iterator[str]:
    """Yield the received content as lines: events with fields in order of name, then the rest."""
    for event in found.events:
        fields = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in event.items()}
        yield f"{fields.pop('type')} " + " ".join(f"{name}={fields[name]}" for name in sorted(fields))
    for change in found.changes:
        yield f"change {change.id} revision={change.revision} {dict(change.fields)}"
    yield from (f"ignored {name} {count}" for name, count in sorted(found.ignored.items()))
    yield from (f"name {name.kind} {name.id} {' '.join(name.name.split())}" for name in found.names)


def table(folder: str) -> dict[str, list[str]]:
    """Return the content of a folder's `events.txt`, by file."""
    said: dict[str, list[str]] = {}
    for line in (BODIES / folder / "events.txt").read_text().splitlines():
        if line.startswith("== "):
            mine = said.setdefault(line[3:], [])
        elif line:
            mine.append(line)
    return said


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_body_gives_the_events_of_its_table(path: Path) -> None:
    """A body gives exactly the lines of its table."""
    service = SERVICES[path.parent.name]
    delivery = service.delivery(path.read_bytes(), NOW)
    assert list(lines(service.receiver.read(delivery, OPTIONS))) == table(path.parent.name)[path.name]


def test_the_table_names_only_existing_bodies() -> None:
    """Every entry of a table has its file, and every file its entry."""
    named = {
        f"{folder}/{name}" for folder in SERVICES if (BODIES / folder / "events.txt").exists() for name in table(folder)
    }
    assert named == {f"{path.parent.name}/{path.name}" for path in FILES}

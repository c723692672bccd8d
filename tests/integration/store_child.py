"""A process that accepts and folds events in a PostgreSQL store, for tests that run or kill several."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hubbub.facts.refresh import refresh
from hubbub.ingest.intake import Intake
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.storage.store import Store

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
TENANTS = tuple(Tenant(no, f"shop-{no}", "UTC", "", KEEP_EVERYTHING) for no in (1, 2, 3))
BATCH = 40
TYPES = ("message.received", "message.sent", "message.delivered", "conversation.resolved")


def event(number: int, revision: int) -> Event:
    """Return the event of a number, the same in every process."""
    return Event(
        type=TYPES[number % len(TYPES)],
        time=START + timedelta(seconds=number * 97),
        id=f"event-{number}",
        channel="web",
        conversation_id=f"talk-{number // 20}",
        message_id=f"message-{number // 3}",
        contact_id=f"contact-{number % 50}",
        revision=revision,
    )


def work(url: str, folder: Path, journal: Path, revision: int, batches: int) -> None:
    """Send all events of every tenant with a revision and fold after each batch; the journal lists what was acknowledged."""
    store = Store(folder, url)
    intake = Intake(store, lambda: NOW, lambda _: None)
    print("ready", flush=True)
    with journal.open("a") as lines:
        for batch in range(batches):
            for tenant in TENANTS:
                numbers = range(batch * BATCH, (batch + 1) * BATCH)
                outcome = intake.accept(tenant, [event(number, revision) for number in numbers])
                lines.write(f"{tenant.no} {numbers.start} {numbers.stop} {revision} {outcome.stored}\n")
                lines.flush()
                refresh(store, tenant.no if batch % 2 else None)
    store.close()


if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))

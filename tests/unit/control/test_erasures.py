"""Records of erasures: digests that only this installation can make, known to all of its processes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hubbub.control.control import Control
from hubbub.control.database import Database
from hubbub.control.erasures import Erasure, Erasures
from hubbub.model.event import Event

AT = datetime(2026, 8, 20, 12, tzinfo=UTC)
UNTIL = AT.replace(tzinfo=None)


@pytest.fixture
def database(jobs_url: str) -> Iterator[Database]:
    """An empty control database of each kind."""
    made = Database(jobs_url)
    yield made
    made.close()


def opened(database: Database, folder: Path) -> tuple[Erasures, Control]:
    """Open erasures and control data of one process."""
    control = Control(database, folder)
    return Erasures(database, control.derived("erasures"), lambda: control.changes), control


def event(contact: str | None, id_: str | None = "e") -> Event:
    """An event of a contact."""
    return Event(type="message.received", time=AT, id=id_, contact_id=contact)


def test_erased_events_are_recognised(database: Database, tmp_path: Path) -> None:
    """An erasure covers its contact's events before it, and the named events by source and id; no others, and no other tenant's."""
    erasures, control = opened(database, tmp_path)
    for tenant in ("acme", "beta"):
        control.add_tenant(tenant)
    assert erasures.of("acme") is None
    erasures.begin("acme", "guest", AT, UNTIL, [("crm", "named"), ("crm", "named")])
    control.follow()
    found = erasures.of("acme")
    assert found is not None
    before = UNTIL - timedelta(microseconds=1)
    assert [found.holds(event(contact), before, "api") for contact in ("guest", "other", None, "\ud800")] == [
        True, False, False, False,
    ]  # fmt: skip
    assert not found.holds(event("guest"), UNTIL, "api")
    assert [found.holds(event(None, id_), UNTIL, "crm") for id_ in ("named", "e", None)] == [True, False, False]
    assert not found.holds(event(None, "named"), UNTIL, "api")
    assert erasures.of("beta") is None


def test_other_processes_know_an_erasure(database: Database, tmp_path: Path) -> None:
    """Another process knows an erasure after `follow`; digests are the same in both, and no file holds the contact's id."""
    (one, control), (other, theirs) = opened(database, tmp_path), opened(database, tmp_path)
    control.add_tenant("acme")
    assert other.of("acme") is None
    begun = one.begin("acme", "guest-canary", AT, UNTIL, [])
    theirs.follow()
    found = other.of("acme")
    assert found is not None
    assert found.holds(event("guest-canary"), UNTIL - timedelta(days=1), "api")
    noted = Erasure(begun, "acme", one.contact("acme", "guest-canary"), AT.replace(tzinfo=None), None)
    assert other.page("acme") == [noted]
    one.done(begun, {"events": 3})
    assert other.page("acme", "guest-canary")[0].counts == {"events": 3}
    assert other.page("acme", "guest") == []
    assert not [path for path in tmp_path.iterdir() if b"guest-canary" in path.read_bytes()]

"""A tenant exported and imported elsewhere keeps every number, tie and duplicate."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hubbub.control import targets
from hubbub.control.control import Control
from hubbub.control.database import Database
from hubbub.demo import sample
from hubbub.errors import BadInputError, ConflictError, NotFoundError, StoreDamagedError
from hubbub.facts.refresh import refresh
from hubbub.facts.retention import retention
from hubbub.facts.verify import verify
from hubbub.ingest.intake import Intake
from hubbub.metrics.catalogue import METRICS, STATISTICS
from hubbub.metrics.definition import Quantiles
from hubbub.model import calendar
from hubbub.model.event import Event
from hubbub.model.question import Question
from hubbub.model.target import Aim, Target
from hubbub.model.tenant import Retention, Tenant
from hubbub.model.threads import Threads
from hubbub.model.window import Grain
from hubbub.query.queries import Queries
from hubbub.query.result import Answer
from hubbub.services import tenant_import
from hubbub.services.tenant_deletion import remove
from hubbub.services.tenant_export import MANIFEST, Exported, export, pack
from hubbub.services.tenant_import import import_tenant
from hubbub.storage import sqlite_identity as identity
from hubbub.storage.names import Kept, page, put
from hubbub.storage.store import Store
from hubbub.storage.tenant_tables import Owner, tables

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = 8
HOURS = {"versions": [{"valid_from": "2020-01-01", "week": {"monday": ["09:00-18:00"], "tuesday": ["09:00-13:00"]}}]}


def quiet(_: str) -> None:
    """Ignore progress."""


class Place:
    """An installation without the engine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.store = Store(folder)
        self.database = Database(f"sqlite:///{folder / 'control.db'}")
        self.control = Control(self.database, folder)
        self.now = NOW
        self.queries = Queries(self.store, lambda: self.now)

    def send(self, tenant: str, events: Sequence[Event]) -> tuple[int, int]:
        """Store events as history; return the numbers of stored and duplicate ones."""
        one = self.control.tenant(tenant)
        outcome = Intake(self.store, lambda: self.now, lambda _: None).accept(one, events, history=True)
        assert outcome.rejected == []
        return outcome.stored, outcome.duplicates

    def answers(self, tenant: str, grain: Grain = Grain.DAY) -> list[dict[str, Any]]:
        """Return every metric of every window, one answer per rollup."""
        names: dict[str, list[str]] = {}
        for metric, (kind, rollup) in METRICS.items():
            full = [f"{metric}.{s}" for s in STATISTICS] if isinstance(kind, Quantiles) else [metric]
            names.setdefault(rollup.name, []).extend(full)
        start, end, one = NOW - timedelta(days=DAYS + 1), NOW + timedelta(days=2), self.control.tenant(tenant)
        asked = [Question(tuple(some), start, end, grain) for some in names.values()]
        return [said(answer) for answer in self.queries.together(one, asked)]

    def take(self, source: Path, name: str | None = None) -> tuple[Tenant, Exported]:
        """Import a tenant."""
        gone = lambda no, id_: remove(self.store, self.database, no, id_, quiet)  # noqa: E731
        return import_tenant(self.store, self.control, source, self.now, gone, quiet, name)

    def close(self) -> None:
        """Close store and database."""
        self.store.close()
        self.database.close()


def said(answer: Answer) -> dict[str, Any]:
    """Return an answer's values with start, state and n."""
    return {
        name: [(row.start, row.cells[name].value, row.cells[name].state, row.cells[name].n) for row in answer.rows]
        for name in answer.columns
    }


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """An installation with another tenant, and one with some days of everything, partly past raw retention."""
    monkeypatch.setattr(identity, "RECENT", 100)
    place = Place(tmp_path / "here")
    place.control.add_tenant("other")
    profile = sample.tenants()[0][0]
    place.control.add_tenant("hotel", "Europe/Rome", "Grand Hôtel", Retention(raw=3, facts=None))
    place.control.set_calendar("hotel", calendar.read(HOURS))
    place.control.change_tenant("hotel", hotspot_tones=["negative"], threads=Threads(("C1",), ("done",), 14))
    with place.control.changing("hotel") as con:
        for minutes, channel in ((15, None), (5, "whatsapp")):
            begun = NOW.date() - timedelta(days=DAYS // 2)
            targets.put(con, "hotel", Target(
                id=targets.new_id(), aim=Aim.NEXT_RESPONSE, minutes=minutes, channel=channel, share=0.9, valid_from=begun
            ))  # fmt: skip
    events = list(sample.events(profile, NOW, DAYS))
    for start in range(0, len(events), 700):
        place.send("hotel", events[start : start + 700])
        place.send("other", events[start : start + 30])
        refresh(place.store)
    yield place
    place.close()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Place]:
    """Another installation, with tenants of its own."""
    place = Place(tmp_path / "there")
    place.control.add_tenant("first")
    place.control.add_tenant("second")
    place.send("second", [Event(type="message.received", time=NOW, channel="x", id="a")])
    yield place
    place.close()


def stored(place: Place, tenant: str) -> dict[str, list[Any]]:
    """Return every row of a tenant, without the quarantine's ids."""
    one = place.control.tenant(tenant)
    found = {}
    with place.store.facts.read() as reading:
        for table in tables():
            shown = [n for n, column in enumerate(table.columns) if (table.name, column) != ("quarantine", "id")]
            rows = table.rows(reading, Owner(one.no, one.id))
            found[table.name] = sorted(repr([row[n] for n in shown]) for row in rows)
    return found


def test_every_number_is_the_same_after_a_move(here: Place, there: Place, tmp_path: Path) -> None:
    """All metrics by day and in total, settings and rows are equal under another name and number; verify is clean."""
    retention(here.store, [here.control.tenant("hotel")], here.now)
    exported = export(here.store, here.control.tenant("hotel"), tmp_path / "export", NOW, quiet)
    tenant, _ = there.take(tmp_path / "export", "grand")
    assert (tenant.no, tenant.zone, tenant.name) == (3, "Europe/Rome", "Grand Hôtel")
    assert tenant.retention == here.control.tenant("hotel").retention
    assert tenant.calendar == here.control.tenant("hotel").calendar
    assert tenant.hotspot_tones == ("negative",)
    assert tenant.threads == Threads(("C1",), ("done",), 14)
    assert stored(there, "grand") == stored(here, "hotel")
    assert exported.rows["event"] > 300 and exported.rows["episode"] > 10 and exported.identities > 300
    for grain in (Grain.DAY, Grain.TOTAL):
        assert there.answers("grand", grain) == here.answers("hotel", grain)
    assert verify(there.store, [tenant]).clean
    assert there.store.log.behind() == 0
    with there.store.facts.read() as reading:
        assert reading.value("SELECT count(*) FROM event WHERE tenant = 2") == 1


def test_resent_and_new_events_count_the_same_after_a_move(here: Place, there: Place, tmp_path: Path) -> None:
    """After the move resent events are duplicates, and simultaneous new events give the same answers in both places."""
    export(here.store, here.control.tenant("hotel"), tmp_path / "export", NOW, quiet)
    there.take(tmp_path / "export")
    events = list(sample.events(sample.tenants()[0][0], NOW, DAYS))
    unlike = [one for one in events if one.type == "message.received"][:1]
    for place in (here, there):
        assert place.send("hotel", events)[0] == 0
        assert place.send("other" if place is here else "first", unlike) in ((0, 1), (1, 0))
        place.now = NOW + timedelta(days=1)
        at = NOW + timedelta(hours=2)
        tie = [
            Event(type=type, time=at, conversation_id="c1", channel="x", id=f"{type}{n}", task_id="t", contact_id="p")
            for n in range(2)
            for type in ("task.created", "task.completed", "task.assigned", "message.received", "message.sent")
        ]
        random.Random(4).shuffle(tie)
        place.send("hotel", tie)
        refresh(place.store)
    assert there.answers("hotel") == here.answers("hotel")
    with there.store.facts.read() as reading:
        old, new = (
            reading.value(
                f"SELECT {what}(seq) FROM event WHERE tenant = 3 AND time {sign} ?", (int(at.timestamp() * 1e6),)
            )
            for what, sign in (("max", "<"), ("min", "="))
        )
    assert new > old


def test_an_export_can_be_read_by_people_and_programs(here: Place, tmp_path: Path) -> None:
    """JSON lines and Parquet hold the same events, conversations have the right counts, and the ZIP holds all files."""
    exported = export(here.store, here.control.tenant("hotel"), tmp_path / "export", NOW, quiet)
    lines = [json.loads(line) for line in (tmp_path / "export" / "events.jsonl").read_text().splitlines()]
    table = pq.read_table(tmp_path / "export" / "events.parquet")
    assert len(lines) == table.num_rows == exported.rows["event"]
    assert [one["id"] for one in lines] == table["id"].to_pylist()
    assert {"type", "time", "id", "source", "seq", "ident", "received_at"} <= set(lines[0])
    assert lines[0]["time"].endswith("Z") and "tenant" not in lines[0]
    talks = [json.loads(line) for line in (tmp_path / "export" / "conversations.jsonl").read_text().splitlines()]
    with here.store.facts.read() as reading:
        talked = {
            id_: (received, sent)
            for id_, received, sent in reading.rows(
                "SELECT conversation_id, count(*) FILTER (WHERE type = 'message.received' AND coalesce(repeats, 0) = 0), "
                "count(*) FILTER (WHERE type = 'message.sent' AND coalesce(repeats, 0) = 0) FROM event WHERE tenant = 2 "
                "AND conversation_id IS NOT NULL GROUP BY 1"
            )
        }
    assert {one["conversation_id"]: (one["received"], one["sent"]) for one in talks} == talked
    pack(tmp_path / "export", tmp_path / "export.zip")
    with zipfile.ZipFile(tmp_path / "export.zip") as whole:
        assert set(whole.namelist()) == {*exported.files, "manifest.json"}
        assert whole.testzip() is None


def test_another_tenants_rows_never_leave(here: Place, tmp_path: Path) -> None:
    """An export holds no row and no identity of another tenant."""
    here.send("other", [Event(type="message.received", time=NOW, channel="x", id="CANARY", contact_id="CANARY")])
    export(here.store, here.control.tenant("hotel"), tmp_path / "export", NOW, quiet)
    assert all(b"CANARY" not in path.read_bytes() for path in (tmp_path / "export").rglob("*") if path.is_file())
    idents = set(pq.read_table(tmp_path / "export" / "identities.parquet")["ident"].to_pylist())
    with here.store.facts.read() as reading:
        mine = {ident for (ident,) in reading.rows("SELECT ident FROM event WHERE tenant = 2")}
    assert idents == mine


def test_an_import_that_fails_leaves_nothing(
    here: Place, there: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged, incomplete or conflicting import leaves no tenant and no row, and a later import succeeds."""
    export(here.store, here.control.tenant("hotel"), tmp_path / "export", NOW, quiet)
    with pytest.raises(ConflictError, match="--as"):
        there.take(tmp_path / "export", "second")
    with pytest.raises(NotFoundError, match="unpack a ZIP"):
        there.take(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(BadInputError, match="were imported: export the tenant again"):
        patch.setattr(tenant_import, "_batches", lambda file, table: iter(()))
        there.take(tmp_path / "export")
    whole = (tmp_path / "export" / "events.parquet").read_bytes()
    (tmp_path / "export" / "events.parquet").write_bytes(whole[:-9] + b"x" + whole[-8:])
    with pytest.raises(StoreDamagedError, match=r"events\.parquet is damaged"):
        there.take(tmp_path / "export")
    (tmp_path / "export" / "events.parquet").write_bytes(whole)
    assert list(there.control.tenants()) == ["first", "second"] and there.control.closed_tenants() == []
    with there.store.facts.read() as reading:
        assert reading.rows("SELECT DISTINCT tenant FROM event") == [(2,)]
    tenant, _ = there.take(tmp_path / "export")
    assert there.control.tenant("hotel") == tenant
    assert there.answers("hotel") == here.answers("hotel")


def test_an_export_of_an_earlier_version_lacks_tables_that_came_later(
    here: Place, there: Place, tmp_path: Path
) -> None:
    """Names are exported with their tenant; an export without a table of names imports without them."""
    hotel = here.control.tenant("hotel")
    row = Kept("staff", "S1", "Ada", 0, by_hand=True)
    with here.store.facts.write() as writing:
        put(writing, hotel.no, [row])
    export(here.store, hotel, tmp_path / "export", NOW, quiet)
    tenant, _ = there.take(tmp_path / "export", "named")
    with there.store.facts.read() as reading:
        assert page(reading, tenant.no, None, "", None, 9) == [row]
    manifest = tmp_path / "export" / MANIFEST
    said = json.loads(manifest.read_text())
    del said["rows"]["name"]
    said["files"] = {name: file for name, file in said["files"].items() if not name.startswith("tables/name.")}
    manifest.write_text(json.dumps(said))
    for file in (tmp_path / "export" / "tables").glob("name.*"):
        file.unlink()
    older, _ = there.take(tmp_path / "export", "older")
    with there.store.facts.read() as reading:
        assert page(reading, older.no, None, "", None, 9) == []
    assert there.answers("older") == here.answers("hotel")

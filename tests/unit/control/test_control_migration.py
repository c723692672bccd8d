"""Control data and jobs are copied between SQLite and PostgreSQL in both directions, completely or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hubbub.control import control_migration, targets
from hubbub.control.access import Access
from hubbub.control.control import Control
from hubbub.control.control_migration import carry_control, carry_jobs, control_tables
from hubbub.control.database import Database
from hubbub.control.deliveries import Deliveries
from hubbub.control.encryption import Encryption
from hubbub.control.erasures import Erasures
from hubbub.control.idempotency import Idempotency
from hubbub.control.integrations import Integrations
from hubbub.control.payloads import Payloads, Promise, new_reference
from hubbub.errors import ConflictError, StoreBusyError
from hubbub.jobs.queue import Jobs
from hubbub.model.target import Aim, Target
from hubbub.model.tenant import Retention

NOW = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
_numbers = itertools.count()


@pytest.fixture
def empty(postgres: Any) -> str:
    """The URL of an empty PostgreSQL database."""
    url: str = postgres.get_uri()
    name = f"carried_{next(_numbers)}"
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1), isolation_level="AUTOCOMMIT")
    with engine.connect() as con:
        con.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.replace("/postgres?", f"/{name}?", 1)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Database]:
    """Control data of every kind, in SQLite."""
    database = Database(f"sqlite:///{tmp_path / 'control.db'}")
    fill(database, tmp_path)
    yield database
    database.close()


def fill(database: Database, folder: Path) -> None:
    """Store rows of every kind."""
    database.make(*control_tables())
    control, encryption = Control(database, folder), Encryption(folder)
    for name in ("gone", "hotel", "bank"):
        control.add_tenant(name, "Europe/Rome", "Zür 🏨", Retention(raw=5, month=None))
    with control.changing("hotel") as con:
        targets.put(con, "hotel", Target(
            id="tgt_1", aim=Aim.RESOLUTION, minutes=240, business=True, channel="Zür 🏨", share=0.5, valid_from=NOW.date()
        ))  # fmt: skip
    with database.write() as con:
        con.execute(sa.text("DELETE FROM tenants WHERE id = 'gone'"))
    control.add_tenant("last")
    with database.write() as con:
        con.execute(sa.text("DELETE FROM tenants WHERE id = 'last'"))
    control.add_key("hotel", ["read"], "käse", NOW + timedelta(days=1))
    control.add_key(None, ["admin"])
    Access(database, control)
    Deliveries(database, lambda: NOW)
    integrations = Integrations(database, encryption)
    integrations.add("hotel", "slack", "Slack", {"channels": ["a", "b"]}, "xoxb-secret")
    payloads = Payloads(database, encryption)
    for n in range(1200):
        payloads.put("bank", "reply", {"n": n, "text": "{not json"})
    payloads.put("hotel", "reply", {"a": 1}, promise=Promise(new_reference(), "hotel", 5, 1.5))
    Idempotency(database, encryption).once("hotel", "key", "print", lambda: {"a": 1})
    gone = Erasures(database, control.derived("erasures"), lambda: control.changes)
    gone.done(gone.begin("hotel", "39333", NOW, NOW.replace(tzinfo=None), [("crm", "e1")]), {"events": 3})


def rows(database: Database) -> dict[str, list[Any]]:
    """Return every row of control data, in a fixed order."""
    with database.read() as con:
        return {t.name: sorted((tuple(r) for r in con.execute(sa.select(t))), key=repr) for t in control_tables()}


def test_control_data_goes_to_postgresql_and_back_and_nothing_differs(
    source: Database, empty: str, tmp_path: Path
) -> None:
    """Every row of every table is copied, the source is unchanged, and new tenants get numbers that were never used."""
    before = rows(source)
    target = Database(empty)
    carried = {one.table: one.rows for one in carry_control(source, target)}
    assert carried == {name: len(found) for name, found in before.items()}
    assert carried["payloads"] == 1201 and carried["tenants"] == 2
    assert rows(target) == before == rows(source)
    assert Control(target, tmp_path).add_tenant("next").no == 5
    back = Database(f"sqlite:///{tmp_path / 'back.db'}")
    carry_control(target, back)
    assert rows(back) == rows(target)
    assert Control(back, tmp_path).add_tenant("after").no == 6
    assert Integrations(back, Encryption(tmp_path)).add("after", "slack", "x", {}, "s").tenant == "after"
    target.close()
    back.close()


def test_a_target_with_rows_is_refused(source: Database, tmp_path: Path) -> None:
    """A target with rows is refused with the table's name, and keeps its rows."""
    target = Database(f"sqlite:///{tmp_path / 'other.db'}")
    Control(target, tmp_path).add_tenant("mine")
    before = rows_of_tenants(target)
    with pytest.raises(ConflictError, match="not empty: it has rows in tenant"):
        carry_control(source, target)
    assert rows_of_tenants(target) == before
    target.close()


def rows_of_tenants(database: Database) -> list[str]:
    """Return the names of tenants."""
    with database.read() as con:
        return list(con.execute(sa.text("SELECT id FROM tenants ORDER BY id")).scalars())


def test_a_change_of_the_source_during_the_copy_stops_it(
    source: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant added during the copy is noticed; the target stays empty and can be filled later."""
    target = Database(f"sqlite:///{tmp_path / 'other.db'}")
    plain, looks = control_migration.snapshot, itertools.count()

    def changing(database: Database) -> AbstractContextManager[sa.Connection]:
        if next(looks):
            add(source)
        return plain(database)

    monkeypatch.setattr(control_migration, "snapshot", changing)
    with pytest.raises(StoreBusyError, match="was changed while it was copied"):
        carry_control(source, target)
    monkeypatch.undo()
    assert rows_of_tenants(target) == []
    carry_control(source, target)
    assert "late" in rows_of_tenants(target)
    target.close()


def add(database: Database) -> None:
    """Add a tenant."""
    values = {"id": "late", "zone": "UTC", "name": "", "retention": "{}", "created_at": NOW.replace(tzinfo=None)}
    with database.write() as con:
        con.execute(control_tables_by_name()["tenants"].insert().values(values))


def control_tables_by_name() -> dict[str, sa.Table]:
    """Return the tables of control data by name."""
    return {table.name: table for table in control_tables()}


def test_jobs_go_to_postgresql_and_back_with_their_states(empty: str, tmp_path: Path) -> None:
    """Waiting, delayed and cancelled jobs with payloads and attributes, retries and paused schedules are all copied."""
    first = Jobs(f"sqlite:///{tmp_path / 'jobs.db'}")
    ids = [
        first.start("reports", {"report": f"r{n}", "text": "ü"}, tenant="hotel", delay=n * 1000 or None)
        for n in range(3)
    ]
    first.note(ids[0], attempts=2, progress=40)
    first._client.cancel_workflow(ids[1])
    first.ledger.progress({"daily": NOW})
    first.ledger.pause("daily")
    first.ledger.retry_at(ids[0], NOW)
    second, third = Jobs(empty), Jobs(f"sqlite:///{tmp_path / 'back.db'}")
    for one, other in ((first, second), (second, third)):
        source, target = Database(one.url), Database(other.url)
        carried = {table.table: table.rows for table in carry_jobs(source, target)}
        assert carried["workflow_status"] == 3 and carried["hubbub_schedules"] == carried["hubbub_retries"] == 1
        assert [other.row(id_) for id_ in ids] == [one.row(id_) for id_ in ids] == [first.row(id_) for id_ in ids]
        assert other.ledger.progress({"daily": NOW}) == first.ledger.progress({"daily": NOW})
        assert other.ledger.retrying() == [ids[0]]
        with pytest.raises(ConflictError):
            carry_jobs(source, target)
        source.close()
        target.close()
    for jobs in (first, second, third):
        jobs.close()

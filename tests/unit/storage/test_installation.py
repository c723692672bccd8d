"""One installation: matching folder, database and keys open; foreign or older copies are refused in one line with advice."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hubbub.control import installation
from hubbub.control.control import Control
from hubbub.control.database import Database
from hubbub.errors import NotFoundError, UnauthenticatedError, WrongInstallationError
from hubbub.facts.refresh import refresh
from hubbub.ingest.intake import Intake
from hubbub.model.event import record_from
from hubbub.storage.store import Store


class Opened:
    """Folder, control database and keys, opened as the engine does."""

    def __init__(self, folder: Path, url: str = "", secret: str = "", at: float = 0.0) -> None:
        self.now = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(days=at)
        folder.mkdir(parents=True, exist_ok=True)
        self.store = Store(folder)
        self.database = Database(url or f"sqlite:///{folder / 'control.db'}")
        self.control = Control(self.database, folder, secret)
        self.keys = installation.digests(self.control.derived("installation"), folder, secret)
        self.intake = Intake(self.store, lambda: self.now, lambda _: None)

    def bind(self) -> str:
        """Check that they belong together; return the installation's id."""
        return installation.bind(self.store, self.database, self.keys, lambda: self.now)

    def send(self, tenant: str, id_: str) -> None:
        """Store a message of a tenant."""
        record = {"type": "message.received", "timestamp": self.now.isoformat(), "id": id_, "channel": "x"}
        outcome = self.intake.accept(self.control.tenant(tenant), [record_from(record, 0)])
        assert not outcome.rejected
        refresh(self.store)

    def close(self) -> None:
        """Close store and database."""
        self.store.close()
        self.database.close()


@contextmanager
def opened(folder: Path, url: str = "", secret: str = "", at: float = 0.0) -> Iterator[Opened]:
    """Open an installation and check that its parts belong together."""
    made = Opened(folder, url, secret, at)
    try:
        made.bind()
        yield made
    finally:
        made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An installation with one tenant and one event."""
    with opened(tmp_path / "data") as first:
        first.control.add_tenant("hotel")
        first.send("hotel", "a")
    return tmp_path / "data"


def refused(folder: Path, words: str, **how: Any) -> None:
    """Check that opening is refused, in one line with these words."""
    with pytest.raises(WrongInstallationError, match=words) as caught, opened(folder, **how):
        pass
    assert "\n" not in caught.value.message and caught.value.code == "wrong_installation"


def test_the_same_opens_again_and_keeps_its_id(folder: Path) -> None:
    """An installation keeps its id, opened at any time and twice at once."""
    ids = set()
    for day in (0.0, 0.01, 1.0, 30.0):
        with opened(folder, at=day) as one, opened(folder, at=day) as other:
            ids |= {one.store.installation(), other.store.installation()}
    assert len(ids) == 1 and None not in ids


def test_another_control_database_is_refused_before_a_tenant_can_be_added(folder: Path, tmp_path: Path) -> None:
    """H7: a new control database on a folder with events is refused, as it would reuse the first tenant's number."""
    refused(folder, "has no record of them: set control_url", url=f"sqlite:///{tmp_path / 'other.db'}")
    with opened(folder) as there:
        assert there.control.tenant("hotel").no == 1


def test_a_deleted_control_database_is_refused(folder: Path) -> None:
    """H7: after control.db was deleted, opening is refused, and again the next time."""
    for file in folder.glob("control.db*"):
        file.unlink()
    refused(folder, "restore control.db from a backup")
    refused(folder, "restore control.db from a backup")


def test_data_of_one_installation_refuses_control_data_of_another(folder: Path, tmp_path: Path) -> None:
    """Control data of another installation, and a new folder with existing control data, are refused."""
    with opened(tmp_path / "other") as other:
        other.control.add_tenant("bank")
        other.send("bank", "b")
    refused(folder, "is of installation", url=f"sqlite:///{tmp_path / 'other' / 'control.db'}")
    refused(tmp_path / "new", "which is empty", url=f"sqlite:///{folder / 'control.db'}")


def copy(folder: Path, to: Path, *names: str) -> None:
    """Copy databases of a closed folder."""
    for name in names:
        for file in folder.glob(f"{name}*"):
            shutil.copy(file, to / file.name)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("control.db",), "the control database is an older"),
        (("hubbub.db", "log.db", "acknowledged"), "data is an older"),
    ],
)
def test_an_older_copy_of_data_or_control_data_is_named(
    folder: Path, tmp_path: Path, names: tuple[str, ...], words: str
) -> None:
    """An older copy of the control database or of the data is refused, and the error names the older one."""
    copy(folder, tmp_path, *names)
    with opened(folder, at=2) as there:
        there.send("hotel", "b")
    for name in names:
        for file in folder.glob(f"{name}*"):
            file.unlink()
    copy(tmp_path, folder, *names)
    refused(folder, words, at=3)


def test_an_older_control_copy_of_the_same_hour_is_known_by_its_tenants(folder: Path, tmp_path: Path) -> None:
    """A control copy of the same hour that lacks a tenant with events is refused, as it would reuse that tenant's number."""
    copy(folder, tmp_path, "control.db")
    with opened(folder) as there:
        there.control.add_tenant("bank")
        there.send("bank", "b")
    for file in folder.glob("control.db*"):
        file.unlink()
    copy(tmp_path, folder, "control.db")
    refused(folder, "events of tenant number 2")


@pytest.mark.parametrize(("name", "guarded"), [("pepper", "API keys"), ("secret.key", "stored tokens")])
def test_another_key_is_refused(folder: Path, name: str, guarded: str) -> None:
    """A missing key file is refused with the name of what it guards."""
    (folder / name).unlink()
    refused(folder, guarded)


def test_a_kill_while_a_mark_is_renewed_harms_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill at any write of a renewal, both sides still match."""
    for step in range(3):
        with opened(folder, at=step) as there, monkeypatch.context() as patch:
            writes = [0]

            def breaking(inner: Callable[[], Any], writes: list[int] = writes, step: int = step) -> Callable[[], Any]:
                @contextmanager
                def write() -> Iterator[Any]:
                    with inner() as given:
                        yield given
                        writes[0] += 1
                        if writes[0] > step:
                            raise KeyboardInterrupt

                return write

            patch.setattr(there.database, "write", breaking(there.database.write))
            patch.setattr(there.store.facts, "write", breaking(there.store.facts.write))
            there.now += timedelta(days=10)
            with pytest.raises(KeyboardInterrupt):
                installation.renew(there.store, there.database, lambda: there.now)
        with opened(folder, at=step):
            pass


def test_rebinding_gives_no_stranger_a_number(folder: Path, tmp_path: Path) -> None:
    """After control data was lost and rebound, the next tenant gets an unused number."""
    for file in folder.glob("control.db*"):
        file.unlink()
    there = Opened(folder)
    installation.rebind(there.store, there.database, there.keys, lambda: there.now)
    there.close()
    with opened(folder) as again:
        assert again.control.add_tenant("bank").no == 2
        with again.store.facts.read() as reading:
            assert reading.value("SELECT count(*) FROM event WHERE tenant = 2") == 0


def test_no_number_is_given_twice(tmp_path: Path) -> None:
    """A tenant after a deleted one gets a new number."""
    with opened(tmp_path / "data") as there:
        there.control.add_tenant("hotel")
        with there.database.write() as con:
            con.execute(sa.text("DELETE FROM tenants"))
        assert there.control.add_tenant("bank").no == 2


def test_a_closed_tenant_is_unknown_until_it_is_reopened(tmp_path: Path) -> None:
    """A closed tenant is not found and its keys are refused, in other processes too; reopened it has them again."""
    with opened(tmp_path / "data") as there, opened(tmp_path / "data") as other:
        there.control.add_tenant("hotel", "Europe/Rome")
        _, text = there.control.add_key("hotel", ["read"])
        assert other.control.authenticate(text).tenant == "hotel"
        there.control.close_tenant("hotel", there.now)
        for one in (there, other):
            with pytest.raises(UnauthenticatedError):
                one.control.authenticate(text)
            with pytest.raises(NotFoundError):
                one.control.tenant("hotel")
        assert [id_ for _, id_, _ in other.control.closed_tenants()] == ["hotel"]
        assert there.control.reopen_tenant("hotel").zone == "Europe/Rome"
        assert other.control.authenticate(text).tenant == "hotel"
        with pytest.raises(NotFoundError):
            there.control.reopen_tenant("hotel")


def test_a_bound_pair_on_postgresql_refuses_the_same(tmp_path: Path, postgres: Any) -> None:
    """Tenant numbers and the checks of an installation work with control data on PostgreSQL as on SQLite."""
    url = postgres.get_uri()
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1), isolation_level="AUTOCOMMIT")
    with engine.connect() as con:
        con.execute(sa.text("CREATE DATABASE installation"))
    engine.dispose()
    there = url.replace("/postgres?", "/installation?", 1)
    with opened(tmp_path / "data", there) as one:
        one.control.add_tenant("hotel")
        one.send("hotel", "a")
    with opened(tmp_path / "data", there, at=2) as one:
        assert one.control.tenant("hotel").no == 1
    refused(tmp_path / "other", "which is empty", url=there)
    refused(tmp_path / "data", "has no record of them")
    assert sqlite3.connect(tmp_path / "data" / "hubbub.db").execute("SELECT count(*) FROM event").fetchone() == (1,)

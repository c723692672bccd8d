"""Backup, restore, export, import and deletion through the engine, the command line and the API."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from typer.testing import CliRunner

from hubbub.api.app import create_app
from hubbub.app import Engine, open_engine
from hubbub.cli.main import app
from hubbub.errors import BadInputError, ConflictError, NotFoundError, WrongInstallationError
from hubbub.model.plain import plain

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ASKED = ["messages", "conversations_started", "first_response_ms.p50"]


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that shows NOW."""
    return Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: Clock) -> Iterator[Engine]:
    """An engine with two tenants, keys, a report and an integration's secret."""
    made = open_engine(tmp_path / "data", clock=clock)
    try:
        for tenant in ("hotel", "bank"):
            made.add_tenant(tenant, "Europe/Rome")
            made.record(tenant, [event(tenant, n) for n in range(60)])
        made.integration_store.add("hotel", "slack", "Slack", {}, "xoxb-secret")
        made.reports.make("hotel", "daily", date="2026-05-30", formats=["json"])
        yield made
    finally:
        with suppress(Exception):  # some tests have closed it
            made.close()


def event(tenant: str, n: int, contact: str | None = None) -> dict[str, Any]:
    """Return a message of a conversation."""
    return {
        "type": "message.sent" if n % 2 else "message.received", "id": f"{tenant}-{n}", "channel": "x",
        "time": (NOW - timedelta(hours=n)).isoformat(), "conversation_id": f"c{n % 6}",
        "contact_id": contact or f"{tenant}-contact-{n % 6}", "attributes": {"text": f"{tenant} says CANARY{tenant}"},
    }  # fmt: skip


def numbers(engine: Engine, tenant: str) -> list[dict[str, Any]]:
    """Return a tenant's numbers by day."""
    answer = engine.query(tenant, metrics=ASKED, start="2026-05-20", end="2026-06-03", grain="day")
    return list(answer["rows"])


def disconnect(engine: Engine) -> None:
    """Remove the tenant's integrations: their gaps belong to the installation that is connected, and do not move with
    the tenant.
    """
    for one in engine.integrations.of("hotel").rows:
        engine.integrations.remove("hotel", one.id)


def test_a_backup_of_a_running_engine_restores_everything(engine: Engine, tmp_path: Path, clock: Clock) -> None:
    """A restored backup has the same numbers, tenants, keys, secrets and reports, verifies clean and opens as the same
    installation.
    """
    key = engine.keys.add("hotel", ["read"]).key
    engine.refresh()
    made = engine.backups.make(tmp_path / "backup")
    assert made.events == 120 and made.reports == 1 and made.keys == ["keys/pepper", "keys/secret.key"]
    with pytest.raises(ConflictError, match="exists already"):
        engine.backups.make(tmp_path / "backup")
    result = CliRunner().invoke(app, ["restore", str(tmp_path / "backup"), "--data", str(tmp_path / "back"), "--json"])
    assert result.exit_code == 0, result.output
    with open_engine(tmp_path / "back", clock=clock) as back:
        assert numbers(back, "hotel") == numbers(engine, "hotel")
        assert numbers(back, "bank") == numbers(engine, "bank")
        assert back.verify()["clean"]
        assert back.control.authenticate(key).tenant == "hotel"
        assert [one.name for one in back.integrations.of("hotel").rows] == ["Slack"]
        assert len(back.reports.kept("hotel").rows) == 1
        assert back.record("hotel", event("hotel", 3))["duplicates"] == 1


def test_an_erased_contact_does_not_come_back_with_an_older_backup(
    engine: Engine, tmp_path: Path, clock: Clock
) -> None:
    """A restore with the list of later erasures erases the contact again, still refuses its events, and leaves others
    unchanged.
    """
    engine.backups.make(tmp_path / "backup")
    clock.now += timedelta(hours=1)
    engine.erasures.erase("hotel", "hotel-contact-1")
    later = numbers(engine, "hotel")
    listed = tmp_path / "erasures.json"
    listed.write_text(json.dumps(plain(engine.erasures.of("hotel"))))
    for number, source in enumerate((tmp_path / "data", listed)):
        place = tmp_path / f"back{number}"
        arguments = ["restore", str(tmp_path / "backup"), "--data", str(place), "--erased-since", str(source), "--json"]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["erased_again"] == 1
        with open_engine(place, clock=clock) as back:
            assert numbers(back, "hotel") == later
            refused = back.record("hotel", event("hotel", 1))
            assert refused["accepted"] == 0 and refused["rejected"]
            assert back.verify()["clean"]
    with open_engine(tmp_path / "other", clock=clock) as other:
        other.add_tenant("hotel")
    with open_engine(tmp_path / "back0", clock=clock) as back, pytest.raises(WrongInstallationError):
        back.erasures.again(0, tmp_path / "other")


def test_a_store_refuses_the_control_database_of_another_installation(
    engine: Engine, tmp_path: Path, clock: Clock
) -> None:
    """A store refuses another or a deleted control database before a tenant can be added; `rebind` accepts the new one (H7)."""
    engine.refresh()
    with pytest.raises(WrongInstallationError):
        open_engine(tmp_path / "data", clock=clock, control_url=f"sqlite:///{tmp_path / 'other.db'}")
    engine.close()
    for file in (tmp_path / "data").glob("control.db*"):
        file.unlink()
    result = CliRunner().invoke(app, ["tenants", "add", "next", "--data", str(tmp_path / "data")])
    assert isinstance(result.exception, WrongInstallationError)
    assert CliRunner().invoke(app, ["rebind", "--data", str(tmp_path / "data"), "--yes"]).exit_code == 0
    with open_engine(tmp_path / "data", clock=clock) as again:
        assert again.add_tenant("next")["tenant"] == "next"
        assert again.control.tenant("next").no == 3
        assert (
            again.query("next", metrics=["messages"], start="2026-05-01", end="2026-06-03")["rows"][0]["messages"] == 0
        )


def test_a_tenant_moves_to_another_installation_by_commands(engine: Engine, tmp_path: Path, clock: Clock) -> None:
    """`export` and `import tenant` move a tenant: the same numbers there under a new name, and a clean verify."""
    disconnect(engine)
    before = numbers(engine, "hotel")
    engine.close()
    run = CliRunner().invoke
    assert (
        run(app, ["export", "--tenant", "hotel", str(tmp_path / "out"), "--data", str(tmp_path / "data")]).exit_code
        == 0
    )
    there = str(tmp_path / "there")
    result = run(app, ["import", "tenant", str(tmp_path / "out"), "--as", "grand", "--data", there, "--json"])
    assert result.exit_code == 0, result.output
    with open_engine(tmp_path / "there", clock=clock) as other:
        assert numbers(other, "grand") == before
        assert other.verify()["clean"]


def everything(folder: Path) -> bytes:
    """Return every byte of all files of a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_deleted_tenant_leaves_no_byte(engine: Engine, tmp_path: Path, clock: Clock) -> None:
    """A closed tenant can be reopened during its days of grace; then retention deletes it: no file holds its text, and
    others stay.
    """
    before, key = numbers(engine, "bank"), engine.keys.add("hotel", ["ingest"]).key
    engine.refresh()
    assert b"CANARYhotel" in everything(tmp_path / "data")
    counted = engine.deletion.delete("hotel", dry_run=True)
    assert counted.rows["event"] == 60 and counted.rows["api_keys"] == 1
    with pytest.raises(BadInputError, match="repeat"):
        engine.deletion.delete("hotel", "bank")
    assert engine.deletion.delete("hotel", "hotel").state == "closed"
    with pytest.raises(NotFoundError):
        engine.query("hotel", metrics=["messages"], start="2026-05-01", end="2026-06-03")
    engine.retention()
    assert engine.deletion.undelete("hotel").state == "open"
    assert engine.control.authenticate(key).tenant == "hotel"
    engine.deletion.delete("hotel", "hotel", grace=1)
    clock.now += timedelta(days=2)
    engine.retention()
    assert engine.deletion.closed().rows == []
    left = everything(tmp_path / "data")
    for word in (b"CANARYhotel", b"hotel-contact", b"hotel-1", b"xoxb-secret"):
        assert word not in left
    assert b"CANARYbank" in left
    assert [row["messages"] for row in numbers(engine, "bank")] == [row["messages"] for row in before]
    assert engine.add_tenant("hotel")["tenant"] == "hotel"
    assert engine.control.tenant("hotel").no == 3
    assert engine.record("hotel", event("hotel", 1))["accepted"] == 1


def test_an_export_is_made_and_downloaded_over_http(engine: Engine, tmp_path: Path, clock: Clock) -> None:
    """A key with the scope export starts an export, polls it and downloads it; keys of other tenants and scopes get 404
    and 403.
    """
    mine = {"Authorization": f"Bearer {engine.keys.add('hotel', ['export']).key}"}
    other = {"Authorization": f"Bearer {engine.keys.add('bank', ['export']).key}"}
    reader = {"Authorization": f"Bearer {engine.keys.add('hotel', ['read']).key}"}
    client = TestClient(create_app(engine, refresh=False))
    assert client.post("/v1/exports", headers=reader).status_code == 403
    begun = client.post("/v1/exports", headers=mine)
    assert begun.status_code == 202
    place = begun.headers["Location"]
    for _ in range(600):
        said = client.get(place, headers=mine).json()
        if said["state"] != "running":
            break
        time.sleep(0.05)
    assert (said["state"], said["progress"], said["error"]) == ("made", 100, None)
    assert client.get(place, headers=other).status_code == 404
    assert client.get(f"{place}/download", headers=other).status_code == 404
    whole = client.get(f"{place}/download", headers=mine)
    assert whole.status_code == 200 and whole.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(whole.content)) as packed:
        packed.extractall(tmp_path / "unpacked")
    assert engine.transfer.take_in(tmp_path / "unpacked", "copy").tenant == "copy"
    disconnect(engine)
    assert numbers(engine, "copy") == numbers(engine, "hotel")
    clock.now += timedelta(days=8)
    engine.deletion.purge()
    assert client.get(place, headers=mine).status_code == 404


def test_control_data_is_carried_by_a_command(engine: Engine, tmp_path: Path, clock: Clock, postgres: Any) -> None:
    """`migrate-control` moves control data to PostgreSQL with the same numbers; a backup of that installation restores
    into a folder.
    """
    before = numbers(engine, "hotel")
    engine.close()
    address = postgres.get_uri()
    driver = sa.create_engine(address.replace("postgresql:", "postgresql+psycopg:", 1), isolation_level="AUTOCOMMIT")
    with driver.connect() as con:
        con.execute(sa.text("CREATE DATABASE moved"))
    driver.dispose()
    url, data = address.replace("/postgres?", "/moved?", 1), str(tmp_path / "data")
    result = CliRunner().invoke(app, ["migrate-control", url, "--data", data, "--json"])
    assert result.exit_code == 0, result.output
    assert {row["table"]: row["rows"] for row in json.loads(result.stdout)["rows"]}["tenants"] == 2
    with open_engine(tmp_path / "data", clock=clock, control_url=url) as moved:
        assert numbers(moved, "hotel") == before
        said = moved.backups.make(tmp_path / "backup")
        assert any("PostgreSQL" in note for note in said.left_out)
    again = CliRunner().invoke(app, ["migrate-control", url, "--data", data])
    assert isinstance(again.exception, ConflictError)
    assert (
        CliRunner().invoke(app, ["restore", str(tmp_path / "backup"), "--data", str(tmp_path / "back")]).exit_code == 0
    )
    with open_engine(tmp_path / "back", clock=clock) as back:
        assert numbers(back, "hotel") == before

"""A store moves to PostgreSQL and back, also after an interruption, with every number and key unchanged."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hubbub.app import Engine, open_engine
from hubbub.cli.main import app
from hubbub.clock import fixed
from hubbub.demo import sample
from hubbub.errors import ConflictError, NotFoundError, StoreBusyError
from hubbub.metrics.catalogue import names
from hubbub.model.tenant import KEEP_EVERYTHING
from hubbub.services import store_migration
from hubbub.services.store_migration import migrate_store
from hubbub.settings import Settings, load
from hubbub.storage import tenant_copy
from tests.conftest import empty_database

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
TENANTS = ("hotel-aurora", "kite-support")


def quiet(_: str) -> None:
    """Ignore progress."""


def settings(folder: Path, url: str = "") -> Settings:
    """Return the settings of an installation."""
    return load(data=folder, store_url=url, free_floor_mb=0)


def engine(folder: Path, url: str = "") -> Engine:
    """Open an installation."""
    return open_engine(folder, clock=fixed(NOW), store_url=url, free_floor_mb=0)


def numbers(opened: Engine) -> dict[str, Any]:
    """Return every metric of every tenant by day, and the published rows."""
    found: dict[str, Any] = {
        tenant: opened.query(tenant, metrics=names(), start="2026-08-17", end="2026-08-21", grain="day")["rows"]
        for tenant in TENANTS
    }
    with opened.store.facts.read() as reading:
        rows = reading.rows(
            "SELECT period_start, channel, direction, count, published_at FROM agg_message_counts_hourly"
        )
        found["published"] = sorted(rows, key=repr)
    return found


def test_a_store_moves_there_and_back(tmp_path: Path, postgres: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, published rows, keys and event identities are the same in PostgreSQL and in another folder afterwards."""
    url, here = empty_database(postgres), tmp_path / "here"
    with engine(here) as opened:
        for tenant in TENANTS:
            opened.ensure_tenant(tenant, "Europe/Rome", retention=KEEP_EVERYTHING)
            opened.accept(tenant, list(sample.events(tenant, NOW, 2)), history=True)
        opened.published.aggregate()
        key = opened.keys.add(TENANTS[0]).key
        before = numbers(opened)

    def fails(*_: Any) -> None:
        raise InterruptedError

    with monkeypatch.context() as cut, pytest.raises(InterruptedError):
        cut.setattr(store_migration, "prove", fails)
        migrate_store(settings(here), url, quiet)
    with monkeypatch.context() as once:
        once.setattr(tenant_copy, "_write", fails)  # all rows are there already
        said = migrate_store(settings(here), url, quiet)
    assert {one.tenant for one in said} == set(TENANTS) and "2026-08" in {one.month for one in said}
    with engine(here, url) as moved:
        assert numbers(moved) == before
        assert moved.control.authenticate(key).tenant == TENANTS[0]
        again = moved.accept(TENANTS[0], list(sample.events(TENANTS[0], NOW, 2)), history=True)
        assert again.stored == again.corrected == 0 and moved.verify()["clean"]
    with pytest.raises(ConflictError, match="is not empty"):
        migrate_store(settings(here), url, quiet)
    back = tmp_path / "back"
    monkeypatch.setenv("HUBBUB_STORE_URL", url)
    done = CliRunner().invoke(app, ["migrate-store", str(back), "--data", str(here), "--json"])
    assert done.exit_code == 0, done.output
    assert sum(row["rows"] for row in json.loads(done.stdout)["rows"]) == sum(one.rows for one in said)
    monkeypatch.delenv("HUBBUB_STORE_URL")
    with engine(back) as opened:
        assert numbers(opened) == before
        new = opened.record(TENANTS[0], {"type": "message.received", "time": NOW.isoformat(), "channel": "web"})
        assert new["accepted"] == 1 and opened.verify()["clean"]


def test_a_move_with_a_difference_fails_and_names_the_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing row in the target is reported with its tenant, and the move fails; a missing source and the same folder
    are refused.
    """
    with engine(tmp_path / "here") as opened:
        opened.ensure_tenant("acme", "UTC", retention=KEEP_EVERYTHING)
        event = {"type": "message.received", "id": "a", "time": "2026-08-19T10:00:00Z", "channel": "web"}
        opened.record("acme", event, history=True)
    monkeypatch.setattr(tenant_copy, "_write", lambda *_: 0)
    with pytest.raises(
        StoreBusyError, match=r"parts differ, like acme, .*: 1 rows and 0: the source changed meanwhile"
    ):
        migrate_store(settings(tmp_path / "here"), str(tmp_path / "there"), quiet)
    with pytest.raises(NotFoundError, match="has no store"):
        migrate_store(settings(tmp_path / "nowhere"), str(tmp_path / "there"), quiet)
    with pytest.raises(ConflictError, match="already has its events there"):
        migrate_store(settings(tmp_path / "here"), str(tmp_path / "here"), quiet)

"""The refresh loop beside a server: it folds new events, continues after a failure, and stops on request."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.api.refreshing import RefreshLoop
from hubbub.app import Engine
from hubbub.errors import StoreFullError
from hubbub.services.facts import Refreshed
from tests.unit.api.conftest import event, open_engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder with a tenant."""
    with open_engine(tmp_path / "data") as engine:
        engine.add_tenant("acme")
    return tmp_path / "data"


def until(true: Callable[[], bool]) -> None:
    """Wait until a condition is true, about 30 seconds at most."""
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def folded(engine: Engine) -> bool:
    """Return whether nothing waits to be stored or folded."""
    with engine.store.facts.read() as reading:
        return not engine.store.log.behind() and not reading.value("SELECT count(*) FROM todo")


def test_two_servers_fold_every_event_once(folder: Path) -> None:
    """Loops of two processes on one folder fold everything once, whichever accepted it, without errors."""
    with open_engine(folder) as one, open_engine(folder) as other:
        loops = [RefreshLoop(engine, 0.01) for engine in (one, other)]
        for loop in loops:
            loop.start()
        for n in range(20):
            (one if n % 2 else other).record("acme", event(str(n)))
        until(lambda: folded(one))
        for loop in loops:
            loop.stop()
        assert [loop.error for loop in loops] == [None, None]
        with one.store.facts.read() as reading:
            assert reading.value("SELECT count(*) FROM event") == 20
        assert one.verify()["clean"]


def test_a_failed_refresh_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed refresh the loop has its error and is alive; the next success folds what waits and clears the error."""
    with open_engine(folder) as engine:
        refresh, full = engine.facts.refresh, [True]

        def failing() -> Refreshed:
            if full[0]:
                raise StoreFullError
            return refresh()

        monkeypatch.setattr(engine.facts, "refresh", failing)
        engine.record("acme", event("a"))
        loop = RefreshLoop(engine, 0.01)
        loop.start()
        until(lambda: loop.error is not None)
        assert loop.error is not None and loop.error.startswith("StoreFullError") and loop.alive()
        full[0] = False
        until(lambda: loop.error is None and folded(engine))
        loop.stop()


def test_readyz_names_the_error_of_a_failing_refresh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While every refresh fails `/readyz` is 200 and names the error; after a success the error is gone."""
    with open_engine(folder, refresh_seconds=0.01) as engine:
        refresh, full = engine.facts.refresh, [True]

        def failing() -> Refreshed:
            if full[0]:
                raise StoreFullError
            return refresh()

        monkeypatch.setattr(engine.facts, "refresh", failing)
        with TestClient(create_app(engine)) as http:
            until(lambda: http.get("/readyz").json()["status"] == "ready, refresh fails")
            told = http.get("/readyz")
            assert told.status_code == 200 and told.json()["error"].startswith("StoreFullError")
            full[0] = False
            until(lambda: http.get("/readyz").json()["status"] == "ready")
            assert http.get("/readyz").json()["error"] is None


def test_a_hanging_loop_is_not_alive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop is not alive before its start, and while no refresh has ended for a time; after its stop it is."""
    monkeypatch.setattr("hubbub.api.refreshing.STUCK_AFTER", 0.2)
    with open_engine(folder) as engine:
        loop = RefreshLoop(engine, 30)
        assert not loop.alive()
        loop.start()
        until(lambda: not loop.alive())
        loop.stop()
        assert loop.alive()

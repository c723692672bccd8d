"""Servers and workers as processes that share a PostgreSQL, with or without a ClickHouse, or a data folder."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

import hubbub
from hubbub.app import Engine
from tests.conftest import Shape, ask_copy
from tests.integration.test_serve import PROGRAM, environment, free_port, until

COPYING = f"from hubbub.storage import copy; copy.FEWEST = 0; {PROGRAM}"
"""A program whose copy answers all questions, however few events they cover."""


@contextmanager
def hanging(server: Any) -> Iterator[None]:
    """Stop all processes of a PostgreSQL with SIGSTOP: it accepts no connections and does not answer on open ones."""
    postmaster = pytest.importorskip("psutil").Process(server.get_pid())
    stopped = [postmaster, *postmaster.children(recursive=True)]
    for one in stopped:
        os.kill(one.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in stopped:
            if one.is_running():
                os.kill(one.pid, signal.SIGCONT)


@contextmanager
def away(server: Any) -> Iterator[None]:
    """Stop a PostgreSQL for the length of the block."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@dataclass
class Process:
    """A process of the cluster: its command line, name, data folder, log file, and port of a server."""

    words: tuple[str, ...]
    name: str
    data: Path
    log: Path
    port: int = 0
    running: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """The address of a server."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, program: str, env: dict[str, str]) -> None:
        """Start the process, or start it again; a server listens on the same port."""
        options = ["--data", str(self.data), *(["--port", str(self.port)] if self.port else [])]
        with self.log.open("a") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-c", program, *self.words, *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                env=env,
            )

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        assert self.running is not None
        self.running.kill()
        self.running.wait(30)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.running is not None and self.running.poll() is None

    @property
    def ready(self) -> bool:
        """Whether a server answers /readyz with 200."""
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=60).status_code == 200
        except httpx2.TransportError:
            return False


@dataclass
class Cluster:
    """An installation in PostgreSQL, with a copy in ClickHouse if `copy_url` is set, and its processes.

    Each process has its own folder. Without `url` the installation is one data folder that all processes share. `more`
    is added to the environment of its processes.
    """

    url: str
    folder: Path
    copy_url: str = ""
    more: Mapping[str, str] = field(default_factory=dict)
    secret: str = field(default_factory=lambda: secrets.token_hex(32))
    processes: list[Process] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that all processes share."""
        return {**Shape(self.url, self.copy_url).settings, "secret_key": self.secret}

    @property
    def env(self) -> dict[str, str]:
        """The environment of its processes: the settings as variables."""
        return {
            **environment(),
            **{f"HUBBUB_{name.upper()}": value for name, value in self.settings.items()},
            **self.more,
        }

    @property
    def program(self) -> str:
        """The program that every process runs."""
        return COPYING if self.copy_url else PROGRAM

    def engine(self) -> Engine:
        """Open the installation in this process."""
        given: dict[str, Any] = dict(self.settings)
        made = hubbub.open(self.data("here"), **given, free_floor_mb=0)
        ask_copy(made.store)
        return made

    def data(self, name: str) -> Path:
        """Return the data folder of a process."""
        return self.folder / (name if self.url else "data")

    def start(self, *words: str) -> Process:
        """Start a long-running command; wait until a server is ready."""
        name = f"{words[0]}-{len(self.processes)}"
        port = free_port() if words[0] == "serve" else 0
        made = Process(words, name, self.data(name), self.folder / f"{name}.log", port)
        self.processes.append(made)
        self.bring(made)
        return made

    def bring(self, process: Process) -> None:
        """Start a process of the cluster, or one that was killed."""
        process.start(self.program, self.env)
        if process.port:
            until(lambda: process.ready or not process.alive, f"{process.name} is ready")
            assert process.alive, self.logs()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-c", self.program, *words, "--data", str(self.data("command"))],
            capture_output=True, text=True, env=self.env, check=False, timeout=300,
        )  # fmt: skip

    def logs(self) -> str:
        """Return the logs of all processes."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


@contextmanager
def cluster(url: str, folder: Path, copy_url: str = "", **more: str) -> Iterator[Cluster]:
    """Yield an installation in an empty database or folder; its processes are killed afterwards."""
    made = Cluster(url, folder, copy_url, more)
    try:
        yield made
    finally:
        for one in made.processes:
            if one.alive:
                one.kill()

"""A ClickHouse of a test's own: a child process on a folder, which can be stopped and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class ClickHouse:
    """A ClickHouse on the loopback interface that keeps its data in a folder; see `front` for what it is not."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id, while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, if it does not run, on the same port and folder as before, and wait until it answers."""
        if self._process is not None:
            return
        command = [
            sys.executable,
            "-m",
            "tests.clickhouse.front",
            "--port",
            str(self.port),
            "--path",
            str(self._folder),
        ]
        env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        self._process = subprocess.Popen(command, cwd=ROOT, env=env)
        for _ in range(1200):
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/ping", timeout=5):
                return
            assert self._process.poll() is None, f"ClickHouse ended with {self._process.returncode} before it answered"
            time.sleep(0.05)
        raise AssertionError("ClickHouse did not come up")

    def hang(self) -> None:
        """Let it take connections and answer nothing, until `wake`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on with what it was told meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> int:
        """Stop it; what it was told stays on disk. Returns its exit code, 0 too when it did not run."""
        if self._process is None:
            return 0
        self._process.terminate()
        code = self._process.wait(timeout=30)
        self._process = None
        return code


@contextmanager
def clickhouse(folder: Path) -> Iterator[ClickHouse]:
    """Run a ClickHouse on a folder; it has `url`, `port`, `stop()` and `start()`."""
    server = ClickHouse(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()

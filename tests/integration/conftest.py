"""Start and kill child processes on a data folder; fixture of a ClickHouse beside PostgreSQL, or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT
from tests.clickhouse.server import ClickHouse, clickhouse


def start(*arguments: str | int | Path) -> subprocess.Popen[str]:
    """Start `tests.integration.child` and wait until it has opened its store."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.child", *map(str, arguments)],
        cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n", f"the child did not open its store: exit {child.wait()}"
    return child


def finish(child: subprocess.Popen[str]) -> int:
    """Wait for a child to end; returns its exit code, negative for a signal."""
    code = child.wait(timeout=300)
    if child.stdout is not None:
        child.stdout.close()
    return code


def kill_after(child: subprocess.Popen[str], seconds: float) -> None:
    """Let a child work for some seconds, then kill it with SIGKILL."""
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    assert finish(child) == -signal.SIGKILL


@pytest.fixture(params=["postgres", "clickhouse"])
def beside(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClickHouse | None]:
    """Yield a ClickHouse beside PostgreSQL, or None."""
    if request.param == "postgres":
        yield None
        return
    pytest.importorskip("chdb")
    with clickhouse(tmp_path / "clickhouse") as made:
        yield made

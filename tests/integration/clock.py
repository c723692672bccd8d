"""A system clock that steps for one process: a preloaded library adds the seconds in a file to the time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """Clock of the processes that have `env` in their environment."""

    def __init__(self, folder: Path) -> None:
        self._ahead = folder / "ahead"
        library = folder / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
        self.env = {"LD_PRELOAD": str(library), "AHEAD": str(self._ahead)}
        self.set(0)

    def set(self, seconds: int) -> None:
        """Set how many seconds the clock is ahead of the real one (negative: behind), at once."""
        new = self._ahead.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._ahead)


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    """Yield a clock; needs Linux and a C compiler."""
    if shutil.which("cc") is None or os.uname().sysname != "Linux":
        pytest.skip("a clock that steps needs Linux and a C compiler")
    yield Clock(tmp_path)

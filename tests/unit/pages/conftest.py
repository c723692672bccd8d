"""An operator at the pages of a small engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.pages.visiting import Visitor, visiting


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    """Serve an engine of one test."""
    with visiting(tmp_path / "data") as one:
        yield one

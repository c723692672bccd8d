"""Progress callbacks of long work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Receives a line of text."""
Percent = Callable[[int], None]
"""Receives the progress in percent, or as a number of rows."""


def quiet(_: object) -> None:
    """Ignore progress."""

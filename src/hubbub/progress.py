"""Callbacks by which long work reports its progress."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Receives a line of text."""
Percent = Callable[[int], None]
"""Receives a share of the work in percent, or a number of rows."""


def quiet(_: object) -> None:
    """Ignore progress."""

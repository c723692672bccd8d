"""The setting `base_path`, in front of every address on pages."""

from __future__ import annotations

from contextvars import ContextVar

base_path: ContextVar[str] = ContextVar("base_path", default="")
"""The base path of the present request: empty, or like /stats."""


def at(path: str) -> str:
    """Return a path below the base path."""
    return base_path.get() + path

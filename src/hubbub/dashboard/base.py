"""Where under its host this server is reached: the setting `base_path`, in front of every address that we give out."""

from __future__ import annotations

from contextvars import ContextVar

base_path: ContextVar[str] = ContextVar("base_path", default="")
"""Of the request that is answered: empty, or like /stats."""


def at(path: str) -> str:
    """Return a path of ours as people reach it."""
    return base_path.get() + path

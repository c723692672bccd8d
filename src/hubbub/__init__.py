"""Hubbub: conversation analytics with exact, explainable numbers.

import hubbub
with hubbub.open("hubbub-data") as engine: ...        # embedded, one folder
client = hubbub.Client("http://127.0.0.1:8321", key)  # over HTTP, never blocks
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubbub.version import __version__

__all__ = ["Client", "Engine", "__version__", "close_on_signal", "open"]

if TYPE_CHECKING:
    from hubbub.app import Engine
    from hubbub.app import open_engine as open
    from hubbub.client import Client, close_on_signal


def __getattr__(name: str) -> object:
    """Load public names on first use, so that `import hubbub` and `hubbub --help` are fast."""
    if name == "open":
        from hubbub.app import open_engine

        return open_engine
    if name == "Engine":
        from hubbub.app import Engine

        return Engine
    if name == "Client":
        from hubbub.client import Client

        return Client
    if name == "close_on_signal":
        from hubbub.client import close_on_signal

        return close_on_signal
    raise AttributeError(f"module 'hubbub' has no attribute {name!r}")

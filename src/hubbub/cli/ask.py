"""The body of most commands: open the engine on a data folder, call a service, and print the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubbub.app import Engine


def show_answer(
    data: Path | None, as_json: bool, ask: Callable[[Engine], object], columns: Sequence[str] | None = None
) -> None:
    """Print the result of `ask` as JSON or as a table; `columns` are those of a list."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        answer = ask(engine)
    show.emit(answer, as_json=as_json, columns=columns)

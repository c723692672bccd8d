"""Output of commands: a table for people, JSON for programs, messages and progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from hubbub.cli.label_cells import are_labels, in_short
from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Unit
from hubbub.model.duration import duration
from hubbub.model.page import Page
from hubbub.model.plain import JsonRow, plain
from hubbub.query.freshness import Freshness
from hubbub.query.gaps import sentences
from hubbub.query.result import reasons

UNITS = {"coverage": Unit.SHARE, "tenant_ratio": Unit.SHARE, "lower_bound": Unit.SHARE}
"""Units of columns that are not metrics; columns ending in `_ms` are durations."""

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """Write a message to stderr."""
    err.print(escape(message))


def more(page: Page[Any]) -> None:
    """Print the cursor of the next page, if any."""
    if page.next:
        say(f"There are more: --cursor {page.next}")


def emit(answer: Any, *, as_json: bool, columns: Sequence[str] | None = None, title: str | None = None) -> None:
    """Print an answer as JSON, or its rows as a table (of `columns` if given), or its fields; a page's cursor goes to stderr."""
    if isinstance(answer, Page):
        more(answer)
    answer = plain(answer)
    if as_json:
        sys.stdout.write(json.dumps(answer, default=str, ensure_ascii=False) + "\n")
        return
    if isinstance(answer, Mapping) and isinstance(answer.get("rows"), list):
        table(answer["rows"], columns, title)
        return
    fields(answer if isinstance(answer, Mapping) else {"answer": answer})


def table(rows: Sequence[JsonRow], columns: Sequence[str] | None = None, title: str | None = None) -> None:
    """Print rows as a table, numbers right-aligned."""
    if not rows:
        out.print("nothing to show")
        return
    names = list(columns or dict.fromkeys(k for row in rows for k in row))
    grid = Table(title=title, title_justify="left", header_style="bold")
    for name in names:
        numeric = all(isinstance(row.get(name), int | float | None) for row in rows)
        grid.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(escape(text(row.get(name), name)) for name in names))
    out.print(grid)


def why(rows: Iterable[JsonRow], freshness: Freshness | None = None) -> None:
    """Print why numbers of a table are dashes, and which gaps of sources they overlap; nothing if all are known."""
    reason_of = reasons(rows)
    texts = [
        f"{', '.join(n for n, t in reason_of.items() if t == text)}: {text}"
        for text in dict.fromkeys(reason_of.values())
    ]
    if freshness is not None:
        texts += [text for text in (freshness.gone, freshness.gone_before, freshness.behind) if text]
    if texts:
        err.print(escape(f"– {'; '.join(dict.fromkeys(texts))}"), soft_wrap=True)
    for sentence in sentences(freshness) if freshness is not None else ():
        say(sentence)


def fields(answer: Mapping[str, Any], indent: int = 0) -> None:
    """Print a mapping as aligned lines, nested ones indented."""
    width = max((len(str(k)) for k in answer), default=0)
    for name, value in answer.items():
        if isinstance(value, Mapping):
            out.print(" " * indent + escape(str(name)))
            fields(value, indent + 2)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            out.print(" " * indent + escape(str(name)))
            table(value)
        else:
            out.print(" " * indent + escape(f"{name!s:<{width}}  {text(value, str(name))}"))


def unit_of(column: str) -> Unit | None:
    """Return the unit of a column by its metric (also `<metric> before`), else by its name; None if unknown."""
    with suppress(BadQuestionError):
        return find(column.removesuffix(" before")).unit
    return Unit.MS if column.endswith("_ms") else UNITS.get(column)


def text(value: Any, name: str = "") -> str:
    """Return a value for people by its column's unit: durations in words, shares in percent, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and (unit := unit_of(name)) in (Unit.MS, Unit.SHARE):
        return duration(float(value)) if unit is Unit.MS else f"{value:.1%}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text(item, str(key))}" for key, item in value.items()) or "–"
    if are_labels(value):
        return in_short(value)
    if isinstance(value, list):
        return ("; " if any(isinstance(item, Mapping) for item in value) else ", ").join(map(text, value)) or "–"
    return str(value)


def _nowhere(_position: int | None = None, _note: str = "") -> None:
    """Discard progress: stderr is no terminal."""


@contextmanager
def progress(label: str, total: int | None, *, quiet: bool = False) -> Iterator[Any]:
    """Show progress on stderr if it is a terminal; yield a function that takes the absolute position and a note."""
    if quiet or not err.is_terminal:
        yield _nowhere
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(label, total=total, note="")

        def move(position: int | None = None, note: str = "") -> None:
            if position is None:
                bar.update(task, advance=1, note=note)
            else:
                bar.update(task, completed=position, note=note)

        yield move

"""Conditions on columns as SQL. Values are always bound; names of columns are the catalogue's."""

from __future__ import annotations

from collections.abc import Sequence

from hubbub.model.question import NONE
from hubbub.storage.transaction import Bound


def listed(name: str, values: Sequence[object], params: Bound) -> str:
    """Return the list of an IN; the values go into `params` as `<name>_<place>`. Without values it is NULL."""
    params |= {f"{name}_{place}": value for place, value in enumerate(values)}
    return ", ".join(f":{name}_{place}" for place in range(len(values))) or "NULL"


def matches(column: str, name: str, values: Sequence[str], params: Bound) -> str:
    """Return the condition that a column has one of the values; the value NONE stands for null. They go into `params`."""
    among = f"{column} IN ({listed(name, known_of(values), params)})"
    return f"({among} OR {column} IS NULL)" if NONE in values else f"({among})"


def known_of(values: Sequence[str]) -> list[str]:
    """Return the values of a filter that are not null."""
    return [value for value in values if value != NONE]

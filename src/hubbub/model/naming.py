"""The pattern that finds a contact's id in a text.

An id matches as a whole word, between characters that are neither letters nor digits, so that `guest-1` does not match `guest-10`.
An id of fewer than `SHORTEST` characters may be any word or number: it matches only as a whole value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

SHORTEST = 6
"""Shorter ids match only whole values: of a field, or of a text in JSON."""

BETWEEN = 31
"""The character (unit separator) between values that are searched together."""


def pattern(names: Iterable[str]) -> str:
    """Return a regular expression for texts that name one of these ids.

    In JSON an id may be written with escapes, and follow one that ends in a letter (`\\n`).
    """
    return "|".join(_of(name) for name in names)


def written(names: Iterable[str]) -> list[str]:
    """Return all forms in which these ids may be written: a text without any of them names none of them."""
    return list(dict.fromkeys(form for name in names for form in _forms(name)))


def anywhere(text: str) -> str:
    """Return the pattern of LIKE … ESCAPE '!' for a text anywhere, with special characters escaped."""
    return "%" + "".join(f"!{c}" if c in "!%_" else c for c in text) + "%"


def _of(name: str) -> str:
    forms = "|".join(re.escape(form) for form in dict.fromkeys(_forms(name)))
    if len(name) < SHORTEST:
        edge = rf'["\x{BETWEEN:02x}]'
        return f"(?:^|{edge})(?:{forms})(?:$|{edge})"
    before = r"(?:^|[^0-9A-Za-z]|\\[bfnrt]|\\u[0-9A-Fa-f]{4})"
    return f"{before}(?:{forms})(?:$|[^0-9A-Za-z])"


def _forms(name: str) -> Iterator[str]:
    """Yield an id as it is, and as programs write it in JSON."""
    yield name
    for plain in (True, False):
        text = json.dumps(name, ensure_ascii=plain)[1:-1]
        for form in (text, re.sub(r"\\u[0-9a-f]{4}", lambda m: "\\u" + m[0][2:].upper(), text)):
            yield form
            yield form.replace("/", "\\/")

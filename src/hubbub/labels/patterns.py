"""A tenant's own regular expressions, held to a time: one that takes too long on a text says nothing of it."""

from __future__ import annotations

from functools import lru_cache

import regex

from hubbub.errors import BadInputError

SECONDS = 0.02
"""What one pattern may take on one text. A usual one takes a few microseconds; one that backtracks without end is stopped."""


def check_pattern(pattern: str, where: str) -> None:
    """Raise BadInputError, naming `where`, for what is no regular expression."""
    try:
        _compiled(pattern)
    except regex.error as error:
        raise BadInputError(f"{where}: {pattern[:80]!r} is not a regular expression: {error}") from None


def matches(pattern: str, text: str) -> bool:
    """Say whether a pattern is found in a text, in any case of letters; one that takes too long is not."""
    try:
        return _compiled(pattern).search(text, timeout=SECONDS) is not None
    except TimeoutError:
        return False


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern, regex.IGNORECASE)

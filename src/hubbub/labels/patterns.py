"""A tenant's regular expressions, with a time limit: one that takes too long on a text does not match."""

from __future__ import annotations

from functools import lru_cache

import regex

from hubbub.errors import BadInputError
from hubbub.labels.reasons import Span

SECONDS = 0.02
"""Time limit of a pattern on a text. A usual one takes a few microseconds; endless backtracking is stopped."""


def check_pattern(pattern: str, where: str) -> None:
    """Raise BadInputError, naming `where`, unless the pattern is a regular expression."""
    try:
        _compiled(pattern)
    except regex.error as error:
        raise BadInputError(f"{where}: {pattern[:80]!r} is not a regular expression: {error}") from None


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern matches in a text, in any case; one that takes too long does not."""
    try:
        return _compiled(pattern).search(text, timeout=SECONDS) is not None
    except TimeoutError:
        return False


def spans(pattern: str, text: str) -> list[Span]:
    """Return where a pattern matches in a text; none for one that takes too long."""
    try:
        return [Span(*match.span()) for match in _compiled(pattern).finditer(text, timeout=SECONDS)]
    except TimeoutError:
        return []


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern, regex.IGNORECASE)

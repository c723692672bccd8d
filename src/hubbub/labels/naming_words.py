"""Words that may name what a text is about: three letters or more, and not like "the" and "has"."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from hubbub.yaml_file import read_yaml

_STOP_WORDS = Path(__file__).with_name("stop_words.yaml")
_LETTERS = re.compile(r"[^\W\d_]{3,}")


def names_something(word: str) -> bool:
    """Whether a word, in lower case, may name what a text is about."""
    return _LETTERS.fullmatch(word) is not None and word not in _stop_words()


@cache
def _stop_words() -> frozenset[str]:
    return frozenset(str(word) for word in read_yaml(_STOP_WORDS))

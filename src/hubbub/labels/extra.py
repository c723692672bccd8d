"""The extra `hubbub[labels]`, loaded when a classifier is first used: embeddings, and the language of a text.

Nothing here uses the network: weights and tokenizer are in the packages.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubbub.errors import BadSettingError

if TYPE_CHECKING:
    import numpy as np

PACKAGES = ("numpy", "wordllama", "py3langid", "sklearn", "scipy", "threadpoolctl")
MISSING = "classifiers and suggested topics need an extra: pip install 'hubbub[labels]'; rules work without"
SURE_OF_LANGUAGE = 0.8
FEWEST_WORDS = 4
"""Shorter or less certain texts have no known language: `ok`, `wifi broken`, names."""


def lacking() -> str | None:
    """Return the first package of the extra that is not installed, without loading any."""
    return next((name for name in PACKAGES if find_spec(name) is None), None)


def require() -> None:
    """Raise BadSettingError, saying what to install, unless the extra is installed; call it before importing what needs numpy."""
    if name := lacking():
        raise BadSettingError(f"{MISSING} ({name} is not installed)")


def missing(error: ImportError) -> BadSettingError:
    """Return the error with what to install."""
    return BadSettingError(f"{MISSING} ({error.name} is not installed)")


def one_thread() -> AbstractContextManager[object]:
    """Hold numpy to one thread: more would slow down requests beside a job."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise missing(error) from None
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


@cache
def _embedder() -> Any:
    try:
        import wordllama
    except ImportError as error:
        raise missing(error) from None
    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(disable_download=True, cache_dir=folder)


def vectors(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the embeddings of texts, of length 1: shape (texts, 256). A text without a readable character has zeros."""
    import numpy as np

    with np.errstate(invalid="ignore"):  # such a text is divided by a length of 0
        embedded: np.ndarray[Any, np.dtype[np.float32]] = _embedder().embed(list(texts), norm=True)
        embedded[~np.isfinite(embedded)] = 0
    return embedded


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise missing(error) from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language(text: str) -> str | None:
    """Return the ISO 639-1 code of a text's language; None where uncertain."""
    if len(text.split()) < FEWEST_WORDS:
        return None
    code, probability = _identifier().classify(text)
    return str(code) if probability >= SURE_OF_LANGUAGE else None

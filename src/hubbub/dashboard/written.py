"""Values of dimensions as people write them: topics and intents as words, and "no topic" where an event gives none."""

from __future__ import annotations

from hubbub.dashboard.view import FILTERS
from hubbub.metrics.wording import Wording
from hubbub.model.question import NONE
from hubbub.reports.formatting import in_words

STATE = "conversation_state"
"""The dimension of a column with states of conversations."""
STATES = {"silent": "closed by silence"}
"""States whose names need more words."""


NO_STAFF = "no known person"
"""Replies and ratings that name none of the staff."""


def written(wording: Wording, dimension: str, value: str) -> str:
    """Return a value of a dimension as words, without regard to its name."""
    if dimension == STATE:
        return STATES.get(value, value)
    if value == NONE and dimension == "staff_id":
        return NO_STAFF
    if value == NONE:
        return wording.text(f"no {FILTERS.get(dimension, dimension).lower()}")
    return in_words(dimension, value)

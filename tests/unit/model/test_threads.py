"""Thread settings: allowed values, and partial changes."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.errors import BadInputError
from hubbub.model.threads import CHECK_MARKS, Threads, changed


def test_a_change_affects_only_named_fields() -> None:
    """Channels, signs and days can each change alone."""
    first = changed(Threads(), {"help_channels": [" C2 ", "C1", "C2"]})
    assert first == Threads(("C1", "C2"), CHECK_MARKS, 0)
    assert changed(first, {"silence_days": 14}) == Threads(("C1", "C2"), CHECK_MARKS, 14)
    assert changed(first, {"help_channels": []}) == Threads()


def test_a_sign_is_named_with_or_without_colons_and_tones_of_skin() -> None:
    """A sign is accepted with or without colons and skin tones, as people copy it."""
    wanted = Threads(answer_signs=("+1", "done", "\u2714"))
    assert changed(Threads(), {"answer_signs": [":done:", "+1::skin-tone-3", "\u2714\ufe0f", "done"]}) == wanted


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"help_channels": [""]}, "help_channels"),
        ({"help_channels": ["a b"]}, "help_channels"),
        ({"help_channels": [f"c{n}" for n in range(51)]}, "help_channels"),
        ({"answer_signs": ["x" * 65]}, "answer_signs"),
        ({"answer_signs": ["a,b"]}, "answer_signs"),
        ({"answer_signs": [f"s{n}" for n in range(21)]}, "answer_signs"),
        ({"silence_days": -1}, "silence_days"),
        ({"silence_days": 36_501}, "silence_days"),
        ({"silent_days": 3}, "silent_days"),
    ],
)
def test_invalid_settings_are_refused_by_name(change: dict[str, Any], named: str) -> None:
    """Empty, long and too many names, days out of range, and unknown settings are refused by name."""
    with pytest.raises(BadInputError, match=named):
        changed(Threads(), change)

"""Cursors: the encoded place is read back, and anything else is refused."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import BadRequestError
from hubbub.model.page import MAX_CURSOR, check_limit, cursor_of, cut, place_of

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)


@given(st.integers(-(2**62), 2**62), WORDS)
def test_a_cursor_is_read_back(number: int, word: str) -> None:
    """Numbers and printable words are read back from a cursor that fits an address."""
    cursor = cursor_of((number, word))
    assert place_of(cursor, int, str) == (number, word)
    assert cursor.replace("-", "").replace("_", "").isalnum() and len(cursor) < MAX_CURSOR


@given(st.text(max_size=50))
def test_a_made_up_cursor_is_refused(text: str) -> None:
    """Any other text raises BadRequestError, and no other error."""
    try:
        place_of(text, str, int)
    except BadRequestError as error:
        assert "cursor" in error.message


@pytest.mark.parametrize(
    "place", [["a"], ["a", "b"], ["a", True], ["a", 1.5], ["a", 2**63], ["\0", 1], ["\ud800", 1], {}, None]
)
def test_a_place_of_another_list_is_refused(place: object) -> None:
    """A cursor with values of other types, or ones that no database accepts, is refused."""
    cursor = urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
    with pytest.raises(BadRequestError):
        place_of(cursor, str, int)


def test_a_page_is_cut_where_there_is_more() -> None:
    """A row beyond the limit makes a cursor of the last one shown; otherwise there is none."""
    assert cut([1, 2, 3], 2, lambda n: (n,)) == ([1, 2], cursor_of((2,)))
    assert cut([1, 2], 2, lambda n: (n,)) == ([1, 2], None)
    assert cut([1, 2, 3], None, lambda n: (n,)) == ([1, 2, 3], None)
    assert place_of(None, int) is None


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_a_size(limit: int) -> None:
    """A page holds 1 to 1000 rows."""
    with pytest.raises(BadRequestError, match="limit"):
        check_limit(limit)

"""Whether a text asks, by its words alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.ingest.asking import MARKS, MOST_SIGNS, asks, signs_field

ASKS = (
    "Is it up?", "really?!", "什么时候？", "متى؟", "Πότε\u037e", "Ո՞վ", "It works.\nOr does it?", "`make` fails, why?",
    "See https://example.org/?a=b or what else?", "<https://example.org/a?b=c|Is this it?>", "> quoted\nand you?",
)  # fmt: skip
ASKS_NOT = (
    "Thanks.", "https://example.org/?a=b", "see example.org/list?page=2", "<https://example.org/?q>", "`a ? b : c`",
    "```\nwhat?\n```", "```what?", "> did you?", "&gt; did you?", "a; b",
)  # fmt: skip


@pytest.mark.parametrize("text", ASKS)
def test_a_question_mark_in_own_words_asks(text: str) -> None:
    """A question mark in any script asks, beside addresses, code and quotes."""
    assert asks(text) is True


@pytest.mark.parametrize("text", ASKS_NOT)
def test_a_question_mark_in_addresses_code_and_quotes_asks_nothing(text: str) -> None:
    """A question mark in addresses, code and quotes does not ask."""
    assert asks(text) is False


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_without_words_the_answer_is_none(text: str | None) -> None:
    """Without words the answer is None."""
    assert asks(text) is None


@given(
    before=st.text(alphabet="ab c.\n", max_size=40), mark=st.sampled_from(MARKS), after=st.text("ab c.\n", max_size=40)
)
def test_a_mark_among_plain_words_always_asks(before: str, mark: str, after: str) -> None:
    """A question mark among plain words asks, at any place."""
    assert asks(before + mark + after) is True


@given(names=st.lists(st.text(max_size=60), max_size=60))
def test_signs_fit_into_their_field(names: list[str]) -> None:
    """Signs are comma-separated, sorted, distinct, within the field's limit, and among those given."""
    field = signs_field(names)
    signs = field.split(",") if field else []
    assert signs == sorted(set(signs))
    assert len(field or "") <= MOST_SIGNS and (field or "").isprintable()
    assert set(signs) <= {"".join(name.replace(",", " ").split()) for name in names}

"""Texts as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.model.readable import escaped, readable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("See <https://example.com/a?b=1|our page> or <https://example.com>", "See our page or https://example.com"),
        ("<https://example.com/?a=1&amp;b=2>", "https://example.com/?a=1&b=2"),
        ("<mailto:ada@example.com|ada@example.com>, <tel:+4930123>", "ada@example.com, +4930123"),
        ("<@U1|ada>, <@U2>: ask <!here> or in <#C1|help>", "@ada, @U2: ask @here or in #help"),
        ("<!subteam^S1|@desk> on <!date^1392734382^{date}|18 February>", "@desk on 18 February"),
        ("R&amp;D: 1 &lt; 2, &amp;lt; stays", "R&D: 1 < 2, &lt; stays"),
        ("&lt;@U1&gt; is no mention", "<@U1> is no mention"),
        ("a < b > c, <b>bold</b>, <x@example.com> & more", "a < b > c, <b>bold</b>, <x@example.com> & more"),
    ],
)
def test_marks_of_chats_become_words(text: str, words: str) -> None:
    """A marked link is its title or address, a mention its name or id; the three escaped characters are read once."""
    assert readable(text) == words


@given(st.text(alphabet="a<>&;|@#!lgtmp "))
def test_an_escaped_text_is_read_as_it_was_written(text: str) -> None:
    """What a person typed comes back whole, with brackets and ampersands."""
    assert readable(escaped(text)) == text

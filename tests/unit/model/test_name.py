"""Names as they are kept and searched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import BadInputError
from hubbub.model.name import LONGEST_NAME, check_kind, plain, searched


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("  Ada \n Lovelace\t", "Ada Lovelace"), ("\u202eevil\u202c", "evil"), ("\0\ud800", ""), ("Zo\u0308e", "Zöe"),
        ("👩‍🔬 Lab", "👩‍🔬 Lab"),
    ],
)  # fmt: skip
def test_a_name_is_one_line_that_can_be_seen(name: str, kept: str) -> None:
    """Blanks are one space; controls, half characters and what turns the direction of text are gone; letters are whole."""
    assert plain(name) == kept


@given(st.text())
def test_what_is_kept_stays(name: str) -> None:
    """A name that is kept already is kept as it is, and is never longer than it may be."""
    assert plain(plain(name)) == plain(name)
    assert len(plain(name)) <= LONGEST_NAME


def test_names_are_found_without_accents_and_case() -> None:
    """Who looks for a name need not know how it is written."""
    assert searched("Ünal ÉMILE") == searched("unal emile")


def test_an_unknown_kind_is_answered_with_the_nearest() -> None:
    """A mistyped kind is refused with what it may have meant."""
    with pytest.raises(BadInputError, match="did you mean 'contact'"):
        check_kind("contacts")

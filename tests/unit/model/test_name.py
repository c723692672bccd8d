"""Normalization and search of names."""

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
    """Blanks become one space; controls, lone surrogates and direction marks are removed; letters are composed."""
    assert plain(name) == kept


@given(st.text())
def test_normalizing_twice_changes_nothing(name: str) -> None:
    """Normalizing twice changes nothing, and the result is within the limit."""
    assert plain(plain(name)) == plain(name)
    assert len(plain(name)) <= LONGEST_NAME


def test_names_are_found_without_accents_and_case() -> None:
    """Search ignores accents and case."""
    assert searched("Ünal ÉMILE") == searched("unal emile")


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    """A mistyped kind is refused with the nearest one."""
    with pytest.raises(BadInputError, match="did you mean 'contact'"):
        check_kind("contacts")

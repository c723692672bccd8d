"""By halves: one bad tenant costs a few more rounds, and nobody else anything."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hubbub.model.tenant import Tenant
from hubbub.rollups.halves import by_halves

TENANTS = [Tenant(n, f"tenant-{n}") for n in range(1, 9)]


@pytest.mark.parametrize("bad", [set(), {3}, {1, 8}, set(range(1, 9))])
def test_who_fails_alone_is_named_and_all_others_are_done(bad: set[int]) -> None:
    """Each good tenant is done once, each bad one is told with the first line of its error."""
    done: list[int] = []

    def act(some: Sequence[Tenant]) -> None:
        numbers = [t.no for t in some]
        if bad & set(numbers):
            raise ValueError("bad\nsecond line")
        done.extend(numbers)

    assert list(by_halves(TENANTS, act)) == [(t, "bad") for t in TENANTS if t.no in bad]
    assert sorted(done) == [t.no for t in TENANTS if t.no not in bad]


def test_an_error_without_words_is_told_by_its_kind() -> None:
    """Where an error says nothing its class does."""

    def act(some: Sequence[Tenant]) -> None:
        raise KeyError

    assert list(by_halves(TENANTS[:1], act)) == [(TENANTS[0], "KeyError")]

"""How sizes are written for people."""

from __future__ import annotations

import pytest

from hubbub.model.size import size


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KiB"), (75 << 20, "75 MiB"), (1023 << 20, "1,023 MiB"),
        (3 << 29, "1.5 GiB"), (23 << 30, "23 GiB"), (5000 << 40, "5,000 TiB"),
    ],
)  # fmt: skip
def test_a_size_has_the_largest_unit_that_it_reaches(number: int, written: str) -> None:
    """A size is at least one of its unit; below 10 it has a decimal, so that 1.5 GiB is not 2."""
    assert size(number) == written

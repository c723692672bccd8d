"""Typed values become the JSON that programs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

from hubbub.model.page import Page, paged
from hubbub.model.plain import plain


class Kind(StrEnum):
    """For tests."""

    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Part:
    """For tests."""

    from_: datetime
    to: date
    kind: Kind
    counts: Mapping[str, int | None]
    names: Sequence[str]


def test_a_value_is_json_by_its_fields() -> None:
    """Objects, lists and mappings are gone through; moments are RFC 3339; `from_` is `from`."""
    one = Part(datetime(2026, 3, 1, 12, tzinfo=UTC), date(2026, 3, 2), Kind.DAILY, {"n": 1, "m": None}, ("a", "b"))
    assert plain(Page([one])) == {
        "rows": [
            {
                "from": "2026-03-01T12:00:00+00:00", "to": "2026-03-02", "kind": "daily", "counts": {"n": 1, "m": None},
                "names": ["a", "b"],
            }
        ],
        "next": None,
    }  # fmt: skip


def test_a_moment_of_control_data_is_in_utc() -> None:
    """A moment without a zone ends in Z, one with a zone in its offset."""
    moment = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - as control data keeps it
    assert [plain(moment), plain(moment.replace(tzinfo=UTC))] == ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00+00:00"]


def test_a_page_ends_where_the_next_begins() -> None:
    """One row more than asked for is not shown, and makes a cursor; without one there is none."""
    assert paged([1, 2, 3], 2, lambda n: (n,), str).rows == ["1", "2"]
    assert paged([1, 2, 3], 2, lambda n: (n,), str).next is not None
    assert paged([1, 2], 2, lambda n: (n,), str) == Page(["1", "2"])

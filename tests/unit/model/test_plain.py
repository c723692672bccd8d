"""Typed values as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import pytest

from hubbub.model.page import Page, paged
from hubbub.model.plain import ABSENT, AS_JSON, plain, typed


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
    """Objects, lists and mappings are converted recursively; times are RFC 3339; `from_` is `from`."""
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
    """A time without a zone ends in Z, one with a zone in its offset."""
    moment = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - as control data keeps it
    assert [plain(moment), plain(moment.replace(tzinfo=UTC))] == ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00+00:00"]


def test_a_page_ends_where_the_next_begins() -> None:
    """A row beyond the limit is not shown and makes a cursor; without one there is none."""
    assert paged([1, 2, 3], 2, lambda n: (n,), str).rows == ["1", "2"]
    assert paged([1, 2, 3], 2, lambda n: (n,), str).next is not None
    assert paged([1, 2], 2, lambda n: (n,), str) == Page(["1", "2"])


@dataclass(frozen=True, slots=True)
class Cell:
    """For tests."""

    value: float | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class Numbers:
    """For tests."""

    from_: str
    cells: Mapping[str, Cell]
    best: Cell | None
    each: Sequence[Cell]
    rows: Sequence[Mapping[str, Any]] = field(metadata=AS_JSON)
    best__state: str | None = field(default=None, metadata=ABSENT)


CELL = Cell(0.5, Kind.DAILY)
NUMBERS = Numbers("2026-03-01", {"csat": CELL}, None, [CELL], [{"csat": 0.5}])


def test_an_absent_field_is_left_out() -> None:
    """A field marked absent is in JSON only with a value; two underscores in a name are a dot; rows marked as JSON stay
    as they are.
    """
    found = plain(NUMBERS)
    assert list(found) == ["from", "cells", "best", "each", "rows"] and found["rows"] is NUMBERS.rows
    assert plain(Numbers("", {}, CELL, [], [], "gone"))["best.state"] == "gone"


@pytest.mark.parametrize("value", [NUMBERS, Numbers("", {}, CELL, [], [], "gone")])
def test_a_typed_value_comes_back_from_json(value: Numbers) -> None:
    """Dataclasses in mappings, lists and optionals, enums, renamed and absent fields are read back equal."""
    back = typed(Numbers, plain(value))
    assert back == value and all(type(cell.kind) is Kind for cell in back.each)


@pytest.mark.parametrize("kind", [Part, Page[Cell], Mapping[str, Cell | Kind]])
def test_a_type_that_cannot_be_read_from_json_is_refused(kind: Any) -> None:
    """Datetimes, generic dataclasses and unions of classes cannot be read back: TypeError."""
    with pytest.raises(TypeError):
        typed(kind, {"a": {}})

"""Views in addresses: read, written, and refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.dashboard.view import COMPARED, FILTERS, LONGEST, PRESETS, View, read_view
from hubbub.errors import BadQuestionError
from hubbub.model.tenant import Tenant

TENANT = Tenant(1, "a", "Pacific/Auckland")
NOW = datetime(2026, 8, 20, 13, tzinfo=UTC)  # already the 21st in Auckland


def read(query: str) -> View:
    """Read a query string."""
    return read_view(parse_qsl(query, keep_blank_values=True), TENANT, NOW)


@pytest.mark.parametrize(
    ("query", "first", "after"),
    [
        ("", date(2026, 7, 25), date(2026, 8, 22)),
        ("range=today", date(2026, 8, 21), date(2026, 8, 22)),
        ("range=yesterday", date(2026, 8, 20), date(2026, 8, 21)),
        ("range=week", date(2026, 8, 17), date(2026, 8, 22)),
        ("range=month", date(2026, 8, 1), date(2026, 8, 22)),
        ("range=last-month", date(2026, 7, 1), date(2026, 8, 1)),
        ("range=year", date(2026, 1, 1), date(2026, 8, 22)),
        ("from=2026-02-01&to=2026-03-01", date(2026, 2, 1), date(2026, 3, 1)),
        ("from=2026-02-01", date(2026, 2, 1), date(2026, 2, 2)),
    ],
)
def test_ranges_are_days_of_the_tenant(query: str, first: date, after: date) -> None:
    """Relative ranges follow the tenant's calendar and include its today; given dates are half-open."""
    view = read(query)
    assert (view.first, view.after) == (first, after)


WORDS = st.text(min_size=1, max_size=20).filter(lambda text: text.strip("\x00"))


@given(
    preset=st.sampled_from(sorted(PRESETS)),
    compare=st.sampled_from(sorted(COMPARED)),
    where=st.dictionaries(
        st.sampled_from(sorted(FILTERS)), st.lists(WORDS, min_size=1, max_size=3, unique=True).map(tuple)
    ),
    bots=st.booleans(),
    business=st.booleans(),
)
def test_a_view_is_read_back_from_its_address(
    preset: str, compare: str, where: dict[str, tuple[str, ...]], bots: bool, business: bool
) -> None:
    """Reading a view's own query gives the same view, whatever its filters."""
    view = read(f"range={preset}&compare={compare}").on(where=where, bots=bots, business=business)
    assert read(view.query()) == view
    assert read(view.fixed().query()) == view.fixed()


@given(st.integers(-20, 20), st.sampled_from(["7d", "today", "last-month"]))
def test_moving_forth_and_back_gives_the_same_days(periods: int, preset: str) -> None:
    """Moving by some periods and back gives the same days; months stay whole months."""
    view = read(f"range={preset}")
    there = view.moved(periods)
    back = there.moved(-periods)
    assert (back.first, back.after) == (view.first, view.after)
    if preset == "last-month":
        assert there.first.day == there.after.day == 1


def test_filters_are_added_once_and_removed() -> None:
    """A value is added once, and removing it leaves the others."""
    view = read("channel=sms").with_filter("channel", "web").with_filter("channel", "web")
    assert view.where == {"channel": ("sms", "web")}
    assert view.without("channel", "sms").where == {"channel": ("web",)}
    assert view.without("channel", "sms").without("channel", "web").where == {}


@pytest.mark.parametrize(
    "query",
    ["range=ever", "compare=never", "from=2026-02-30", "from=2026-03-01&to=2026-02-01", "from=x", "channel=" + "x" * (LONGEST + 1),
     "&".join(f"channel={n}" for n in range(21))],
)  # fmt: skip
def test_an_invalid_address_is_refused(query: str) -> None:
    """Unknown ranges and comparisons, invalid dates, and too long or too many filters are errors."""
    with pytest.raises(BadQuestionError):
        read(query)

"""The frame of all pages: the groups and icons of the navigation, and how open periods are drawn."""

from __future__ import annotations

import re

import pytest
from markupsafe import Markup

from hubbub.dashboard import render
from hubbub.dashboard.charts import over_time
from hubbub.dashboard.components import Group, Page
from hubbub.dashboard.registry import OPERATOR, TENANT
from hubbub.dashboard.sparks import sparkline

PAGES = [*TENANT.values(), *OPERATOR.values()]


@pytest.mark.parametrize("page", [page for page in PAGES if page.group], ids=lambda page: page.name)
def test_a_page_of_the_navigation_has_a_drawing(page: Page) -> None:
    """Each page in the navigation has exactly one icon, named after it."""
    drawn = re.findall(r'<symbol id="icon-([^"]+)"', render.text("icons.html"))
    assert drawn.count(page.name) == 1, f"icons.html needs one icon-{page.name}"


def test_pages_of_operators_are_in_their_own_group() -> None:
    """Operators' pages are in the last group, and tenants' pages are not."""
    assert {page.group for page in OPERATOR.values()} <= {Group.OPERATOR, None}
    assert Group.OPERATOR not in {page.group for page in TENANT.values()}


def test_an_open_window_is_drawn_with_a_dotted_line() -> None:
    """A sparkline and a chart end with a dotted line to a hollow point, and the compared period stops before it."""
    spark = str(sparkline([1, 2, 3, 1], open_at=3))
    assert 'class="open"' in spark and 'class="hole"' in spark and "open" not in str(sparkline([1, 2, 3, 1]))
    rows = [
        {
            "window": f"2026-08-0{day}T00:00:00+00:00",
            "at": f"{day} August",
            "n": day,
            "n_shown": str(day),
            "n_before": 5,
        }
        for day in (1, 2, 3)
    ]
    spec = over_time(rows, [("n", "Messages")], "count", before="n_before", open_at=2)
    before, solid, dotted, hollow = spec["layer"]
    assert len(before["data"]["values"]) == 2
    assert solid["transform"] == [{"filter": "!datum.open"}] and hollow["transform"] == [{"filter": "datum.open"}]
    assert [row["ends"] for row in spec["data"]["values"]] == [False, True, True] and dotted["mark"]["strokeDash"]
    assert spec["data"]["values"][-1]["at"] == "3 August, still open"


def test_no_line_leads_from_a_gap_to_an_open_window() -> None:
    """Without a value before the open end, no line leads to it."""
    assert 'class="open" d=""' in str(sparkline([1, 2, None, 1], open_at=3))


@pytest.mark.parametrize("page", [page for page in PAGES if not page.group], ids=lambda page: page.name)
def test_a_page_outside_the_navigation_names_one_in_it(page: Page) -> None:
    """A page outside the navigation names one in it, of the same area and of no higher role."""
    above = (TENANT if page.tenant else OPERATOR)[page.under]
    assert above.group is not None and above.role <= page.role


def test_words_with_a_hyphen_stay_in_one_line() -> None:
    """Ids like guest-0012 are in an element that does not break; longer ones, dashes and texts' tags stay as they are."""
    whole = render.environment().filters["whole"]
    assert whole("ask guest-0012 <b>") == 'ask <span class="whole">guest-0012</span> &lt;b&gt;'
    long, dashes = f"{'a' * 20}-{'b' * 20}", "1 – 2 - 3 −4 - a"
    assert (whole(long), whole(dashes), whole(Markup('<i id="a-b">C-API</i>'))) == (
        long, dashes, '<i id="a-b"><span class="whole">C-API</span></i>',
    )  # fmt: skip

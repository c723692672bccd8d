"""The overview: when people write, over the days that were asked, and says which days where that is not all of them."""

from __future__ import annotations

from tests.unit.pages.busy import read, rows
from tests.unit.pages.conftest import Pages


def _heat(pages: Pages, **view: str) -> tuple[int, str]:
    """Return how many messages the heatmap of tenant b shows, and the part's text."""
    http = pages.sign_in()
    text = read(http, "/t/b/overview/heat", **view)
    if "as-table" not in text:
        return 0, text
    found = rows(http, "/t/b/overview/heat", **view)
    return sum(int(n) for row in found for name, n in row.items() if name != "day"), text


def test_the_heatmap_shows_the_days_that_were_asked(pages: Pages) -> None:
    """Old messages are found in All time, in a short range, and in a quarter; of more than a year the note names the days."""
    at = ["2021-03-01T09:00:00Z", "2022-05-01T09:00:00Z", "2022-05-30T09:00:00Z"]
    old = [{"type": "message.received", "time": time, "id": f"old{n}"} for n, time in enumerate(at)]
    pages.engine.record("b", old, history=True)
    assert _heat(pages, **{"from": "2022-04-01", "to": "2022-07-01"})[0] == 2
    assert _heat(pages, **{"from": "2021-03-01", "to": "2021-03-02"})[0] == 1
    shown, text = _heat(pages, **{"from": "2021-01-01", "to": "2026-01-01"})
    assert (shown, "From 2021-05-31 to before 2022-06-01" in text) == (2, True)
    shown, text = _heat(pages, range="all")
    assert (shown, "From 2025-08-20 to before 2026-08-21" in text) == (1, True)
    assert "Nothing" in _heat(pages, **{"from": "2023-01-01", "to": "2025-12-31"})[1]

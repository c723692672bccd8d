"""Team: each person's workload equals the engine's, and names are escaped."""

from __future__ import annotations

import re
from typing import Any

from hubbub.dashboard.team import CARDS
from hubbub.metrics.catalogue import find
from hubbub.reports.formatting import shown
from tests.unit.dashboard.busy import EVIL, VIEW, agree, asked, numbers, read, report, rows
from tests.unit.dashboard.conftest import Pages

COLUMNS = (
    "conversations_handled", "response_ms.count", "first_response_ms.p50", "first_response_ms.p90",
    "first_response_ms.within_15min", "csat", "ratings", "tasks_completed",
)  # fmt: skip
"""All columns but SLA breaches, which nobody has."""


def formatted(row: dict[str, Any], name: str) -> str:
    """Return a number of an answer as pages write it."""
    return shown(row[name], find(name).unit)


def test_numbers_of_staff_are_the_engines(busy: Pages) -> None:
    """Cards, the table of staff and the row Everyone equal the engine's answers; staff online are named."""
    http = busy.sign_in()
    answer = asked(busy.engine, *CARDS)[0]
    assert numbers(read(http, "/t/a/team", **VIEW)) == {name: answer[name] for name in CARDS}
    assert "Handled: conversations that staff answered in these days, whenever they began." in read(
        http, "/t/a/team", **VIEW
    )
    table = rows(http, "/t/a/team/agents", **VIEW)
    agree(table, asked(busy.engine, *COLUMNS, by=["staff_id"]), "staff_id", *COLUMNS)
    whole = asked(busy.engine, *COLUMNS)[0]
    html = read(http, "/t/a/team", **VIEW)
    everyone = re.findall(r"<td[^>]*>([^<]*)</td>", html[html.index("Everyone") :].partition("</tr>")[0])
    assert [text for text in everyone if text] == [formatted(whole, name) for name in COLUMNS]
    assert [row["id"] for row in rows(http, "/t/a/team/online", **VIEW)] == [EVIL]


def test_a_column_of_zeros_is_left_out_and_named(busy: Pages, pages: Pages) -> None:
    """A column of counts that are all zero is left out, and one line names it; a share of 0 % is shown."""
    assert "nobody has any in these days: SLA breaches." in read(busy.sign_in(), "/t/a/team/agents", **VIEW)
    _rated(pages, {"ann": (0, 5)})
    text = read(pages.sign_in(), "/t/b/team/agents", **VIEW)
    assert "nobody has any in these days: answers, first responses." in text
    (ann,) = rows(pages.sign_in(), "/t/b/team/agents", **VIEW)
    assert float(ann["csat"]) == 0 and not {"tasks_completed", "response_ms.count"} & set(ann)


def test_with_a_target_the_column_is_within_it(busy: Pages) -> None:
    """With a target the column shows the share within it; without, within 15 minutes."""
    http = busy.sign_in()
    assert "Within 15 min" in read(http, "/t/a/team/agents", **VIEW)
    busy.engine.targets.add("a", "first_response", 5, valid_from="2020-01-01")
    name = "first_response_within_target"
    agree(rows(http, "/t/a/team/agents", **VIEW), asked(busy.engine, name, by=["staff_id"]), "staff_id", name)
    for page in ("team/agents", "overview/places"):
        text = read(http, f"/t/a/{page}", **VIEW)
        assert "Within target" in text and "ithin 15 min" not in text


def test_a_name_links_to_the_page_filtered_by_it(busy: Pages) -> None:
    """A staff member's name is escaped, and its link filters the page."""
    http = busy.sign_in("viewer", "a")
    html = read(http, "/t/a/team/agents", **VIEW)
    assert "&lt;img src=x onerror=alert(1)&gt;" in html and "staff_id=%3Cimg+src%3Dx+onerror%3Dalert%281%29%3E" in html
    mine = numbers(read(http, "/t/a/team", **VIEW, staff_id=EVIL))
    assert mine["responses"] == asked(busy.engine, "responses", where={"staff_id": EVIL})[0]["responses"] == 4
    assert "open_conversations" not in mine


def test_without_activity_of_staff_each_part_says_so(pages: Pages) -> None:
    """Without any activity of staff, each part says so."""
    report(pages.engine, "b", "staff")
    pages.engine.record(
        "b", {"type": "staff.logout", "staff_id": "p1", "time": "2026-01-10T11:00:00Z", "id": "out"}, history=True
    )
    http = pages.sign_in()
    assert "Nobody replied, did a task or was rated in these days." in read(http, "/t/b/team", **VIEW)
    assert "Nobody is logged in" in read(http, "/t/b/team/online", **VIEW)


def _rated(pages: Pages, by_person: dict[str, tuple[int, int]]) -> None:
    """Give people ratings: (satisfied, all) by name."""
    made = [
        {
            "type": "satisfaction.rating_received", "time": "2026-08-10T10:00:00Z", "id": f"{who}{n}", "survey_id": f"{who}{n}",
            "staff_id": who, "value": 5 if n < good else 1,
        }
        for who, (good, whole) in by_person.items() for n in range(whole)
    ]  # fmt: skip
    pages.engine.record("b", made, history=True)


def test_ratings_that_differ_by_chance_do_not_tell_people_apart(pages: Pages) -> None:
    """Where all 95 % ranges overlap a sentence says so; the ranges are Wilson's."""
    _rated(pages, {"ann": (4, 5), "bob": (2, 5)})
    http = pages.sign_in()
    assert "All 95 % ranges overlap: these ratings do not tell people apart." in read(http, "/t/b/team/agents", **VIEW)
    (ann, _) = sorted(rows(http, "/t/b/team/agents", **VIEW), key=lambda row: row["name"])
    low, share, high = (float(ann[name]) for name in ("low", "csat", "high"))
    assert (round(low, 3), share, round(high, 3)) == (0.376, 0.8, 0.964)


def test_people_whose_ranges_do_not_overlap_are_named(pages: Pages) -> None:
    """A pair whose ranges do not overlap is named with its shares; a person in between is not."""
    _rated(pages, {"ann": (39, 40), "bob": (8, 40), "cy": (3, 5)})
    text = read(pages.sign_in(), "/t/b/team/agents", **VIEW)
    grey = dict(
        re.findall(
            r'<tr role="row">.*?>(ann|bob|cy)</a>.*?<td class="number( few)?"[^>]*data-label="Satisfied"',
            text,
            re.DOTALL,
        )
    )
    assert grey == {"ann": "", "bob": "", "cy": " few"} and "Grey: numbers of fewer than 20, which say little." in text
    assert "Ratings tell apart ann (97.5%) above bob (20.0%)" in text and "cy (60.0%) above" not in text


def test_the_range_of_ratings_is_also_drawn_below_its_number(pages: Pages) -> None:
    """Each person's range is drawn in a column of its own and, for narrow screens, below the share."""
    _rated(pages, {"ann": (9, 10), "bob": (5, 10)})
    html = read(pages.sign_in(), "/t/b/team/agents", **VIEW)
    assert len(re.findall(r'<span class="range-below"[^>]*><svg class="range"', html)) == 2

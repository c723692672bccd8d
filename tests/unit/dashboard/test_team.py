"""Team: the workload of each of the staff is the engine's, and their names are text."""

from __future__ import annotations

from hubbub.dashboard.team import CARDS
from tests.unit.dashboard.busy import EVIL, VIEW, agree, asked, numbers, read, rows
from tests.unit.dashboard.conftest import Pages

WORK = ("conversations_handled", "responses", "tasks_completed", "sla_breaches")
SPEED = ("response_ms.count", "response_ms.p50", "response_ms.p90", "first_response_ms.p50")


def test_its_numbers_are_the_engines(busy: Pages) -> None:
    """Cards and the tables of work, speed and satisfaction equal the engine's answers; who is online is named."""
    http = busy.sign_in()
    answer = asked(busy.engine, *CARDS)[0]
    assert numbers(read(http, "/t/a/team", **VIEW)) == {name: answer[name] for name in CARDS}
    parts = {"workload": WORK, "speed": SPEED, "satisfaction": ("ratings", "csat", "rating_avg")}
    for part, names in parts.items():
        table = rows(http, f"/t/a/team/{part}", **VIEW)
        agree(table, asked(busy.engine, *names, by=["staff_id"]), "staff_id", *names)
    assert [row["id"] for row in rows(http, "/t/a/team/online", **VIEW)] == [EVIL]


def test_a_name_leads_to_the_page_of_that_person(busy: Pages) -> None:
    """A staff member's name is escaped, and filters the page by it."""
    http = busy.sign_in("viewer", "a")
    html = read(http, "/t/a/team/workload", **VIEW)
    assert "&lt;img src=x onerror=alert(1)&gt;" in html and "staff_id=%3Cimg+src%3Dx+onerror%3Dalert%281%29%3E" in html
    mine = numbers(read(http, "/t/a/team", **VIEW, staff_id=EVIL))
    assert mine["responses"] == asked(busy.engine, "responses", where={"staff_id": EVIL})[0]["responses"] == 4
    assert "open_conversations" not in mine


def test_nothing_reads_as_nothing(pages: Pages) -> None:
    """Where nobody of the staff did anything each part says so."""
    http = pages.sign_in()
    assert "No staff replied" in read(http, "/t/b/team", **VIEW)
    assert "There are no ratings" in read(http, "/t/b/team/satisfaction", **VIEW)
    assert "Nobody is logged in" in read(http, "/t/b/team/online", **VIEW)

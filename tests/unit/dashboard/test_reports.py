"""The reports page: it starts jobs of the tenant, shows and saves stored reports, and lets admins delete them."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

from tests.unit.api.conftest import event
from tests.unit.dashboard.visiting import XSS, Visitor

PAGE = "/t/acme/reports"


def kept(visitor: Visitor, tenant: str = "acme", **asked: Any) -> str:
    """Store a report of a room whose name is markup, and return its id."""
    visitor.engine.record(tenant, [event("1", channel_id=XSS, conversation_id="c")], history=True)
    report: str = visitor.engine.reports.make(tenant, "daily", date="2026-08-01", **asked).id
    return report


def test_a_report_is_started_as_the_api_starts_it(visitor: Visitor) -> None:
    """The form starts a job for the week of the date, and names it; a wrong kind or date is refused."""
    assert "There is no report yet" in visitor.see(PAGE) and "No report is being made" in visitor.see(PAGE)
    answer = visitor.act(f"{PAGE}/make", PAGE, kind="weekly", date="2026-08-05").text
    assert "report of 3 – 9 Aug 2026 is being made" in answer
    (job,) = visitor.engine.jobs.of("reports", tenant="acme").rows
    assert job.state == "waiting" and job.id.partition(":")[2] in answer
    assert "yearly" in visitor.act(f"{PAGE}/make", PAGE, status=400, kind="yearly").text
    visitor.act(f"{PAGE}/make", PAGE, status=400, kind="daily", date="2026-02-31")
    visitor.engine.add_tenant("other")
    assert "No report is being made" in visitor.see("/t/other/reports")


def test_a_stored_report_is_shown_and_saved(visitor: Visitor) -> None:
    """Every format is saved as the stored file; the page is shown in a sandbox."""
    report = kept(visitor)
    page = visitor.page(PAGE)
    links = [unescape(a) for a in re.findall(rf'href="([^"]*{report}[^"]*)"', page)]
    assert len(links) == 5
    for link in links:
        answer = visitor.http.get(link)
        shown = link.endswith("shown=1")
        assert answer.headers["content-disposition"].startswith("inline" if shown else "attachment")
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert "allow-" not in answer.headers["content-security-policy"]
        file = visitor.engine.reports.file("acme", report, "html" if shown else link.partition("format=")[2])
        assert answer.content == Path(file.path).read_bytes()
    assert "<img" not in visitor.http.get(links[0]).text


def test_a_report_without_a_page_of_its_own_is_only_saved(visitor: Visitor) -> None:
    """A report without HTML has no page to show, and its HTML file is 404."""
    report = kept(visitor, formats=["json"])
    page = visitor.page(PAGE)
    assert f"{report}?format=json" in page and "shown=1" not in page
    assert visitor.http.get(f"/t/acme/files/reports/{report}?shown=1").status_code == 404


def test_admins_delete_analysts_make_and_others_are_refused(visitor: Visitor) -> None:
    """Admins delete, analysts make and read; viewers and other tenants are refused."""
    report = kept(visitor)
    visitor.engine.add_tenant("other")
    file = f"/t/acme/files/reports/{report}?format=json"
    visitor.enter("acme", "viewer")
    assert (visitor.http.get(PAGE).status_code, visitor.http.get(file).status_code) == (404, 403)
    visitor.enter("other", "admin")
    assert visitor.http.get(file).status_code == 404
    assert visitor.http.get(file.replace("/acme/", "/other/")).status_code == 404
    visitor.enter("acme", "analyst")
    assert ">Delete</button>" not in visitor.page(PAGE) and visitor.http.get(file).status_code == 200
    assert "role admin" in visitor.act(f"{PAGE}/delete", PAGE, status=403, report=report).text
    visitor.enter("acme", "admin")
    assert "are deleted" in visitor.act(f"{PAGE}/delete", PAGE, report=report).text
    assert visitor.engine.reports.kept("acme").rows == [] and visitor.http.get(file).status_code == 404
    visitor.act(f"{PAGE}/delete", PAGE, status=404, report=report)

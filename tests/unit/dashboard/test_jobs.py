"""The jobs page: counts, filters, pages and actions are those of the job service; only operators see it."""

from __future__ import annotations

import pytest

from hubbub.services.jobs import JobCount
from tests.unit.dashboard.visiting import XSS, Visitor


def start(visitor: Visitor, number: int, **payload: object) -> list[str]:
    """Start some retention jobs that no worker runs, and return their ids."""
    return [visitor.engine.jobs.start("retention", payload, job=f"job-{i}").id for i in range(number)]


def test_an_installation_without_jobs_says_so(visitor: Visitor) -> None:
    """Without jobs the page has a sentence and no table."""
    assert "There is no job yet." in visitor.see("/operate/jobs")
    assert "<table" not in visitor.page("/operate/jobs")


def test_counts_and_list_are_the_services(visitor: Visitor) -> None:
    """Counts by queue and state equal the service's, and a page lists 50 jobs."""
    start(visitor, 60)
    visitor.engine.jobs.cancel("job-3")
    counted = visitor.engine.jobs.counts()
    assert counted.rows == [JobCount("retention", "cancelled", 1), JobCount("retention", "waiting", 59)]
    page = visitor.page("/operate/jobs")
    assert ">59<" in page and ">1<" in page
    assert page.count(">Cancel</button>") + page.count(">Retry</button>") == 50
    csv = visitor.http.get("/operate/jobs/counts.csv").content.decode("utf-8-sig")
    assert csv.splitlines()[1].startswith("retention,59,1")


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [("state=cancelled", "job-1", "job-2"), ("queue=retention&state=waiting", "job-2", "job-1"), ("tenant=acme", "", "job-")],
)  # fmt: skip
def test_filters_are_in_the_address(visitor: Visitor, query: str, shown: str, hidden: str) -> None:
    """Queue, state and tenant in the address filter the list."""
    start(visitor, 3)
    visitor.engine.jobs.cancel("job-1")
    page = visitor.http.get(f"/operate/jobs/list?{query}").text
    assert f"/operate/job?job={shown}" in page if shown else "No job matches." in page
    assert f"/operate/job?job={hidden}" not in page


def test_a_job_can_be_cancelled_and_retried(visitor: Visitor) -> None:
    """The buttons cancel and retry a job and the page says so; a retry that is not possible is refused in the page."""
    start(visitor, 1)
    assert "is cancelled" in visitor.act("/operate/job/cancel?job=job-0", "/operate/job?job=job-0", job="job-0").text
    assert visitor.engine.jobs.get("job-0").state == "cancelled"
    visitor.act("/operate/job/retry?job=job-0", "/operate/job?job=job-0", job="job-0")
    assert visitor.engine.jobs.get("job-0").state == "waiting"
    refused = visitor.act("/operate/jobs/retry", "/operate/jobs", status=409, job="job-0")
    assert "only a failed, cancelled or parked job can be retried" in refused.text and "job-0" in refused.text


def test_the_page_of_a_job_has_payload_and_attempts(visitor: Visitor) -> None:
    """A job's page has its payload and attempts; an unknown id is an error in its place."""
    start(visitor, 1, dates=["2026-08-01"])
    text = visitor.see("/operate/job?job=job-0")
    assert '"2026-08-01"' in text and "Attempts 0 of 3" in text and "waiting" in text
    assert "there is no job" in visitor.see("/operate/job?job=none")


def test_only_operators_see_jobs(visitor: Visitor) -> None:
    """Others get 404, for the page and for its actions."""
    visitor.enter("acme", "admin")
    assert visitor.http.get("/operate/jobs").status_code == 404
    assert visitor.http.post("/operate/jobs/cancel", data={"job": "x"}).status_code == 404


def test_a_name_from_the_address_is_escaped(visitor: Visitor) -> None:
    """Values from the address are escaped in fields and errors."""
    for path in ("/operate/jobs", "/operate/job"):
        answer = visitor.http.get(path, params={"tenant": XSS, "job": XSS, "queue": XSS}).text
        assert XSS not in answer

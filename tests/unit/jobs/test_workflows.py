"""What jobs do: which operations they call, and that they may run again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, get_type_hints

import msgspec
import pytest

from hubbub.errors import BadRequestError, TenantsFailedError
from hubbub.jobs.payloads import WORK, checked, owner
from hubbub.model.page import Page
from hubbub.services.fetching import DueDays, FetchedDay
from hubbub.services.integrations import IntegrationView
from hubbub.services.publishing import Aggregated
from hubbub.services.snapshots import SnapshotsMade
from hubbub.services.workflows import Workflows

NOTHING = {
    "fetching.due": Page([]), "published.aggregate": Aggregated(), "snapshots.make": SnapshotsMade(),
    "snapshots.settle": SnapshotsMade(),
}  # fmt: skip
"""Answers of services with nothing to do, by operation; others answer without errors."""
SERVICES = {name: kind for name, kind in get_type_hints(Workflows.__init__).items() if name != "return"}


@dataclass
class Service:
    """A service whose methods call the recorder as `<service>.<method>`, with the real methods' parameters."""

    recorder: Recorder
    name: str

    def __getattr__(self, method: str) -> Any:
        """Return a method that only notes its call."""
        taken = signature(getattr(SERVICES[self.name], method))

        def noted(*args: Any, **params: Any) -> Any:
            bound = taken.bind(self, *args, **params).arguments
            return self.recorder.ask(f"{self.name}.{method}", **{k: v for k, v in bound.items() if k != "self"})

        return noted


@dataclass
class Recorder:
    """A job's task that records calls and gives prepared answers."""

    answers: Mapping[str, Any] = field(default_factory=dict)
    id: str = "job-1"
    tenant: str | None = "acme"
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    started: dict[str, tuple[str, Any, str | None]] = field(default_factory=dict)
    reported: list[int] = field(default_factory=list)

    def ask(self, operation: str, /, **params: Any) -> Any:
        """Record the call and answer."""
        self.asked.append((operation, params))
        answer = self.answers.get(operation, NOTHING.get(operation, {"errors": {}}))
        return answer(**params) if callable(answer) else answer

    def progress(self, percent: int) -> None:
        """Record."""
        self.reported.append(percent)

    def start(self, queue: str, payload: Mapping[str, Any], *, job_id: str, tenant: str | None = None) -> str:
        """Record, once per id."""
        checked(queue, payload)
        self.started.setdefault(job_id, (queue, payload, tenant))
        return job_id

    def busy(self, prefix: str) -> bool:
        """Return False."""
        return False

    def ended(self, prefix: str) -> dict[str, int]:
        """Count the started jobs."""
        return {"completed": sum(job.startswith(prefix) for job in self.started)}


def run(queue: str, payload: Mapping[str, Any], task: Recorder) -> Any:
    """Run a queue's work on a payload as it is stored."""
    kept = checked(queue, payload)
    services: Any = {name: Service(task, name) for name in SERVICES}
    return Workflows(**services).run(task, queue, msgspec.convert(kept, WORK[queue].payload))


def test_an_aggregation_updates_due_rows_or_the_given_days() -> None:
    """With ticks it updates what is due, with dates it writes each day again, and counts are added up."""
    task = Recorder({"published.aggregate": Aggregated(3, 5)})
    run("aggregation", {"relation": "monthly_summary", "ticks": ["2026-03-01T03:00:00Z"]}, task)
    assert task.asked == [("published.aggregate", {"relation": "monthly_summary"})]
    task.asked.clear()
    told = run("aggregation", {"relation": "monthly_summary", "dates": ["2026-02-27", "2026-02-28"]}, task)
    assert [(p["start"], p["end"]) for _, p in task.asked] == [
        ("2026-02-27", "2026-02-28"),
        ("2026-02-28", "2026-03-01"),
    ]
    assert told == {"processed": 3, "created": 10, "errors": {}}


def test_trends_are_about_the_day_before_each_tick() -> None:
    """Two missed nights are two days in one job; a given date is written again."""
    task = Recorder()
    run("trend-aggregation", {"ticks": ["2026-03-01T03:00:00Z", "2026-03-02T03:00:00Z"]}, task)
    assert task.asked == [("published.trends", {"dates": ["2026-02-28", "2026-03-01"]})]
    run("trend-aggregation", {"dates": ["2026-01-05"]}, task)
    assert task.asked[1][1] == {"dates": ["2026-01-05"]}


@pytest.mark.parametrize(
    ("kind", "dates"),
    [("daily", ["2026-03-04", "2026-03-05", "2026-04-01"]), ("weekly", ["2026-03-02", "2026-03-30"]),
     ("monthly", ["2026-03-01", "2026-04-01"])],
)  # fmt: skip
def test_snapshots_of_many_dates_are_made_once_a_period(kind: str, dates: list[str]) -> None:
    """Dates of one week or month are one snapshot; a tick passes on its time, so that each tenant's last period counts."""
    task = Recorder()
    run("snapshots", {"kind": kind, "dates": ["2026-03-04", "2026-03-05", "2026-04-01"]}, task)
    assert [p["date"] for _, p in task.asked] == dates
    task.asked.clear()
    run("snapshots", {"kind": kind, "ticks": ["2026-03-04T02:00:00Z"]}, task)
    assert [p["at"] for name, p in task.asked if name == "snapshots.make"] == ["2026-03-04T02:00:00+00:00"]
    assert ("snapshots.settle", {}) in task.asked or kind != "daily"


def integration(id_: str, tenant: str, settings: Mapping[str, Any] | None = None) -> IntegrationView:
    """Return an integration that can be fetched from."""
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return IntegrationView(
        id_, tenant, "slack", "Talk", "active", settings or {}, "", "", None, None, at, at, True, None
    )


def pages(total: int) -> Any:
    """Answer `integrations.of` page by page."""

    def answer(limit: int, cursor: str | None = None, **_: Any) -> Page[IntegrationView]:
        first = int(cursor or 0)
        rows = [integration(f"int_{n}", f"t{n % 7}") for n in range(first, min(first + limit, total))]
        return Page(rows, str(first + limit) if first + limit < total else None)

    return answer


def test_a_fan_out_starts_each_integration_once_a_day_and_aggregates_after() -> None:
    """1,000 integrations are read in pages and each is started once, though the job runs twice; one aggregation follows."""
    task = Recorder({"integrations.of": pages(1000)}, tenant=None)
    for _ in range(2):
        told = run("fan-out", {"ticks": ["2026-03-02T02:00:00Z"]}, task)
    assert all(params["limit"] <= 200 for _, params in task.asked)
    ingests = {job: one for job, one in task.started.items() if one[0] == "analytics-ingest"}
    assert len(ingests) == 1000
    assert ingests["ingest:2026-03-01:t1:int_8"][2] == "t1"
    assert [one[0] for one in task.started.values()].count("analytics-aggregate") == 1
    assert told == {"days": {"2026-03-01": {"completed": 1000}}, "catching_up": 0}


def test_a_backfill_fetches_days_again_that_were_fetched() -> None:
    """A backfill's jobs have their own ids, so that a fetched day is fetched and aggregated again."""
    task = Recorder({"integrations.of": pages(2)}, tenant=None)
    run("fan-out", {"ticks": ["2026-03-02T02:00:00Z"]}, task)
    run("fan-out", {"dates": ["2026-03-01"], "is_backfill": True}, task)
    assert sum(one[0] == "analytics-ingest" for one in task.started.values()) == 4
    again = Recorder()
    run("analytics-aggregate", {"date": "2026-03-01", "is_backfill": True}, again)
    assert again.asked[0][1]["start"] == "2026-03-01"


def test_a_day_is_fetched_once_for_all_callers() -> None:
    """A past day is one job an integration, whether the night, a person or the tenant itself fetches it; a tenant's run counts its
    own jobs."""
    task = Recorder({"integrations.of": pages(14)}, tenant=None)
    run("fan-out", {"ticks": ["2026-03-02T02:00:00Z"]}, task)
    started = dict(task.started)
    assert run("fan-out", {"dates": ["2026-03-01"]}, task)["days"] == {"2026-03-01": {"completed": 14}}
    task.tenant = "t3"
    assert run("fan-out", {"dates": ["2026-03-01"]}, task)["days"] == {"2026-03-01": {"completed": 2}}
    assert task.started == started


def test_a_day_fetched_before_it_is_over_does_not_stand_for_its_night() -> None:
    """Fetching today leaves the jobs of the coming night to be started."""
    task = Recorder({"integrations.of": pages(2)}, tenant=None)
    today = dt.datetime.now(dt.UTC).date()
    run("fan-out", {"dates": [today.isoformat()]}, task)
    assert len(task.started) == 3
    assert not any(job.startswith("ingest:") for job in task.started)


@pytest.mark.parametrize(
    ("zone", "day"), [("Pacific/Auckland", "2026-03-01"), ("UTC", "2026-03-01"), ("America/New_York", "2026-02-28")]
)
def test_a_night_fetches_the_last_day_that_is_over_in_the_zone(zone: str, day: str) -> None:
    """At 02:00 UTC each zone's last whole day is fetched: in New York that is the day before yesterday."""
    task = Recorder({"integrations.of": Page([integration("int_1", "t1", {"zone": zone})])}, tenant=None)
    told = run("fan-out", {"ticks": ["2026-03-02T02:00:00Z"]}, task)
    assert told["days"] == {day: {"completed": 1}}
    assert [payload["date"] for queue, payload, _ in task.started.values()] == [day, day]


def test_a_night_catches_up_missing_days() -> None:
    """After the night's day each integration with missing days gets one job that fetches them in order, and no second one while it
    runs; dates given by hand start no catch-up."""
    due = [DueDays("t1", "int_8", [dt.date(2026, 2, 28), dt.date(2026, 2, 26)]), DueDays("t2", "int_9", [])]
    task = Recorder({"integrations.of": pages(9), "fetching.due": Page(due)}, tenant=None)
    assert run("fan-out", {"ticks": ["2026-03-02T02:00:00Z"]}, task)["catching_up"] == 1
    (job,) = (one for one in task.started.items() if one[1][0] == "catch-up")
    assert job == (
        "catch-up:t1:int_8:job-1",
        ("catch-up", {"integration_id": "int_8", "dates": ["2026-02-28", "2026-02-26"]}, "t1"),
    )
    task.busy = lambda prefix: prefix.startswith("catch-up:")  # type: ignore[method-assign]
    assert run("fan-out", {"ticks": ["2026-03-02T02:00:00Z"]}, task)["catching_up"] == 0
    assert run("fan-out", {"dates": ["2026-03-01"]}, task)["catching_up"] == 0
    day = FetchedDay("acme", "int_8", dt.date(2026, 2, 28), 3, 0, 0, {}, 1, "fetched", None, None)
    night = Recorder({"fetching.day": day})
    assert run("catch-up", {"integration_id": "int_8", "dates": ["2026-02-28", "2026-02-26"]}, night) == {
        "days": 2,
        "stored": 6,
    }
    assert [(params["date"], params["catching_up"]) for _, params in night.asked] == [
        ("2026-02-28", True),
        ("2026-02-26", True),
    ]


def test_errors_of_tenants_fail_the_job_with_its_report() -> None:
    """A report with errors fails the job as a transient failure, which carries the report."""
    report = {"processed": 1000, "created": 999, "errors": {"bad": "conversations: overflow"}}
    with pytest.raises(TenantsFailedError, match="bad: conversations: overflow") as caught:
        run("aggregation", {"relation": "monthly_summary"}, Recorder({"published.aggregate": report}))
    assert caught.value.details["result"] == report


def test_a_reply_reports_progress_and_names_only_a_reference() -> None:
    """A reply's payload is a reference, and its progress is reported to the job."""

    def made(progress: Any, **_: Any) -> dict[str, Any]:
        progress(90)
        return {"suggestion_id": "sug_1"}

    task = Recorder({"replies.reply": made})
    assert run("ai-responses", {"reference": "pay_1"}, task) == {"suggestion_id": "sug_1"}
    assert task.reported == [10, 90]
    assert [(name, params["tenant"], params["reference"]) for name, params in task.asked] == [
        ("replies.reply", "acme", "pay_1")
    ]


def test_a_report_is_made_under_the_id_that_its_payload_names() -> None:
    """A job that runs again calls for the same report and days, with the payload's formats and its own progress callback."""
    task = Recorder({"reports.make": {"id": "rep_1"}})
    payload = {"report": "rep_1", "kind": "weekly", "start": "2026-03-02", "end": "2026-03-09", "formats": ["csv"]}
    assert run("reports", payload, task) == run("reports", payload, task) == {"id": "rep_1"}
    assert task.asked[0] == task.asked[1]
    name, params = task.asked[0]
    assert name == "reports.make"
    assert params == {**payload, "tenant": "acme", "sections": [], "progress": task.progress}


@pytest.mark.parametrize(
    ("queue", "payload", "named"),
    [
        ("analytics-ingest", {"date": "2026-03-01"}, "integration_id"),
        ("analytics-ingest", {"integration_id": "x", "date": "yesterday"}, "date"),
        ("ai-responses", {"reference": "x", "text": "hello"}, "text"),
        ("aggregation", {}, "relation"),
        ("reports", {}, "reports"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_by_field(queue: str, payload: dict[str, Any], named: str) -> None:
    """An invalid field of a payload is refused by name, before the job starts."""
    with pytest.raises(BadRequestError, match=named):
        checked(queue, payload)


def test_a_stored_payload_is_read_back_unchanged() -> None:
    """Stored dates and times come back from JSON unchanged."""
    kept = checked("fan-out", {"dates": ["2026-03-01"], "ticks": ["2026-03-02T02:00:00Z"]})
    assert msgspec.json.decode(msgspec.json.encode(kept)) == kept
    assert msgspec.convert(kept, WORK["fan-out"].payload).dates == [dt.date(2026, 3, 1)]


@pytest.mark.parametrize(
    ("queue", "given", "tenant", "kept"),
    [
        ("trend-aggregation", {"targetDate": "2026-08-01"}, None, {"dates": ["2026-08-01"]}),
        ("trend-aggregation", {"target_date": "2026-08-01"}, None, {"dates": ["2026-08-01"]}),
        ("trend-aggregation", {"date": "2026-08-01"}, None, {"dates": ["2026-08-01"]}),
        ("snapshots", {"kind": "daily", "teamId": "acme", "targetDate": "2026-08-01"}, "acme",
         {"kind": "daily", "dates": ["2026-08-01"]}),
        ("analytics-ingest", {"organizationId": "acme", "integrationId": "i", "targetDate": "2026-08-01", "isBackfill": True,
         "jobId": "j"}, "acme", {"integration_id": "i", "date": "2026-08-01", "is_backfill": True, "job_id": "j"}),
        ("analytics-aggregate", {"property_id": "acme", "date": "2026-08-01"}, "acme", {"date": "2026-08-01"}),
    ],
)  # fmt: skip
def test_payloads_are_taken_in_the_original_spelling(
    queue: str, given: dict[str, Any], tenant: str | None, kept: dict[str, Any]
) -> None:
    """camelCase, the replaced systems' names of a tenant, and `targetDate` are read as the present names."""
    whose, told = owner(queue, given, None)
    assert (whose, told) == (tenant, kept)
    assert checked(queue, told).items() >= kept.items()


def test_a_payload_with_two_spellings_of_a_field_is_refused() -> None:
    """One date in two spellings, or one id in two, is refused by name."""
    for given in ({"date": "2026-08-01", "targetDate": "2026-08-02"}, {"jobId": "a", "job_id": "b"}):
        with pytest.raises(BadRequestError, match="occurs twice"):
            owner("analytics-aggregate", given, "acme")


def test_a_result_of_trends_has_both_spellings() -> None:
    """A result of trends also has the replaced system's names `organizationsProcessed` and `trendsCreated`."""
    answer = {"tenants_processed": 3, "trends_created": 2, "errors": {}}
    told = run("trend-aggregation", {"dates": ["2026-08-01"]}, Recorder({"published.trends": answer}))
    assert told == answer | {"organizationsProcessed": 3, "trendsCreated": 2}

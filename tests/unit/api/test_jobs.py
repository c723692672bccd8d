"""Jobs and schedules over HTTP: started, listed page by page, cancelled and retried, each tenant its own."""

from __future__ import annotations

import time
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.control.control import SCOPES
from tests.unit.api.conftest import Face

INGEST = {"integration_id": "int_x", "date": "2026-08-01"}


@pytest.fixture
def admin(face: Face) -> Face:
    """A client whose key has all scopes of the tenant."""
    return Face(face.engine, face.http, face.engine.keys.add("acme", SCOPES).key)


def post(face: Face, path: str, body: Any = None) -> httpx2.Response:
    """Post to a route."""
    return face.http.post(path, json=body, headers=face.auth)


def operator(face: Face) -> Face:
    """A client with an operator's key."""
    return Face(face.engine, face.http, face.operator)


def test_a_job_waits_is_cancelled_and_retried(admin: Face) -> None:
    """A started job can be read, cancelled once and retried; an impossible action is 409."""
    started = post(admin, "/v1/jobs/analytics-ingest", {"payload": INGEST, "priority": 1})
    assert started.status_code == 202
    job = started.json()
    assert (job["queue"], job["state"], job["tenant"], job["attempts"], job["progress"]) == (
        "analytics-ingest", "waiting", "acme", 0, 0,
    )  # fmt: skip
    assert admin.get(f"/v1/jobs/{job['id']}").json()["payload"]["date"] == "2026-08-01"
    retried = post(admin, f"/v1/jobs/{job['id']}/retry")
    assert (retried.status_code, retried.json()["code"]) == (409, "conflict")
    assert post(admin, f"/v1/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
    assert post(admin, f"/v1/jobs/{job['id']}/cancel").status_code == 409
    assert post(admin, f"/v1/jobs/{job['id']}/retry").json()["state"] == "waiting"


def test_a_job_with_the_callers_id_starts_once(admin: Face) -> None:
    """The same id starts one job, however often it is sent; another tenant's same id starts another."""
    body = {"payload": INGEST, "id": "nightly-1"}
    first, second = (post(admin, "/v1/jobs/analytics-ingest", body).json()["id"] for _ in range(2))
    assert first == second
    admin.engine.add_tenant("other")
    other = Face(admin.engine, admin.http, admin.engine.keys.add("other", SCOPES).key)
    assert post(other, "/v1/jobs/analytics-ingest", body).json()["id"] != first
    assert len(admin.get("/v1/jobs").json()["rows"]) == 1


def test_jobs_are_read_page_by_page_and_filtered(admin: Face) -> None:
    """Pages return every job once; queue and state filter; an unknown queue or state is 404, and a bad cursor 400."""
    made = [post(admin, "/v1/jobs/analytics-ingest", {"payload": INGEST}).json()["id"] for _ in range(5)]
    post(admin, f"/v1/jobs/{made[0]}/cancel")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = admin.get("/v1/jobs", limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += [row["id"] for row in page["rows"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(made)
    assert [row["id"] for row in admin.get("/v1/jobs", state="cancelled").json()["rows"]] == [made[0]]
    assert admin.get("/v1/jobs", state="failed").json()["rows"] == []
    assert admin.get("/v1/jobs", state="retrying").json()["rows"] == []
    assert admin.get("/v1/jobs", queue="reports").json()["rows"] == []
    assert admin.get("/v1/jobs", queue="nothing").status_code == 404
    assert admin.get("/v1/jobs", state="dead").status_code == 404
    assert admin.get("/v1/jobs", cursor="x").status_code == 400


def test_pages_of_jobs_do_not_shift_while_others_start(admin: Face) -> None:
    """Jobs that start in a later second do not shift the following pages."""
    made = [post(admin, "/v1/jobs/analytics-ingest", {"payload": INGEST}).json()["id"] for _ in range(5)]
    first = admin.get("/v1/jobs", limit=2).json()
    time.sleep(1.1)  # SQLite stores the second in which a job started
    for _ in range(3):
        post(admin, "/v1/jobs/analytics-ingest", {"payload": INGEST})
    second = admin.get("/v1/jobs", limit=2, cursor=first["next"]).json()
    third = admin.get("/v1/jobs", limit=2, cursor=second["next"]).json()
    seen = [row["id"] for page in (first, second, third) for row in page["rows"]]
    assert sorted(seen) == sorted(made)
    assert third["next"] is None


def test_another_tenants_job_is_answered_as_unknown(admin: Face) -> None:
    """Reading, cancelling and retrying another tenant's job give the answer for an unknown job."""
    job = post(admin, "/v1/jobs/analytics-ingest", {"payload": INGEST}).json()["id"]
    admin.engine.add_tenant("other")
    other = Face(admin.engine, admin.http, admin.engine.keys.add("other", SCOPES).key)
    assert other.get("/v1/jobs").json()["rows"] == []
    for answer, missing in (
        (other.get(f"/v1/jobs/{job}"), other.get("/v1/jobs/nothing")),
        (post(other, f"/v1/jobs/{job}/cancel"), post(other, "/v1/jobs/nothing/cancel")),
        (post(other, f"/v1/jobs/{job}/retry"), post(other, "/v1/jobs/nothing/retry")),
    ):
        assert answer.status_code == missing.status_code == 404
        assert answer.json()["detail"].replace(job, "nothing") == missing.json()["detail"]
    assert operator(admin).get(f"/v1/jobs/{job}").json()["tenant"] == "acme"


@pytest.mark.parametrize("queue", ["aggregation", "trend-aggregation", "retention"])
def test_a_tenant_starts_no_job_of_another(admin: Face, queue: str) -> None:
    """Only an operator starts jobs for all tenants; a tenant's key starts none of another tenant."""
    payload = {"relation": "monthly_summary"} if queue == "aggregation" else {}
    for_all = post(admin, f"/v1/jobs/{queue}", {"payload": payload})
    assert (for_all.status_code, for_all.json()["code"]) == (403, "forbidden")
    admin.engine.add_tenant("other")
    for body in (INGEST | {"tenant": "other"}, INGEST | {"tenant": ["acme"]}):
        assert post(admin, "/v1/jobs/analytics-ingest", {"payload": body}).status_code == 404
    assert post(admin, "/v1/jobs/fan-out", {"payload": {"tenant": "other"}}).status_code == 404
    assert operator(admin).get("/v1/jobs").json()["rows"] == []
    assert post(admin, "/v1/jobs/fan-out", {"payload": {"tenant": "acme"}}).json()["tenant"] == "acme"


def test_an_operator_names_the_tenant_of_a_job(admin: Face) -> None:
    """An operator starts jobs for all tenants or for the payload's tenant; a tenant's job without its name is 400."""
    chief = operator(admin)
    nobodys = post(chief, "/v1/jobs/analytics-ingest", {"payload": INGEST})
    assert (nobodys.status_code, "$.tenant" in nobodys.text) == (400, True)
    assert post(chief, "/v1/jobs/analytics-ingest", {"payload": INGEST | {"tenant": "acme"}}).json()["tenant"] == "acme"
    assert post(chief, "/v1/jobs/retention", {"payload": {}}).json()["tenant"] is None


@pytest.mark.parametrize(
    ("queue", "body", "status", "named"),
    [
        ("nothing", {}, 404, "ai-responses"),
        ("analytics-ingest", {"payload": {"date": "2026-08-01"}}, 400, "integration_id"),
        ("analytics-ingest", {"payload": {**INGEST, "secret": "x"}}, 400, "secret"),
        ("analytics-ingest", {"payload": INGEST, "priority": 0}, 400, "priority"),
        ("reports", {"payload": {}}, 400, "reports"),
    ],
    ids=str,
)
def test_a_job_that_cannot_work_is_refused(admin: Face, queue: str, body: Any, status: int, named: str) -> None:
    """A job that cannot work is refused with what is wrong, and none is started."""
    answer = post(admin, f"/v1/jobs/{queue}", body)
    assert answer.status_code == status, answer.text
    assert named in answer.text
    assert admin.get("/v1/jobs").json()["rows"] == []


def test_a_question_becomes_a_job_with_a_reference(face: Face) -> None:
    """`POST /v1/ai/responses` starts a job whose payload is a reference without the text; a bad payload is refused by field."""
    question = {
        "workspace_id": "T1", "user_id": "U1", "channel_id": "C1", "message_ts": "1.5", "triggered_by": "mention",
        "trigger_message_text": "When do you open?", "context_messages": [],
    }  # fmt: skip
    answer = post(face, "/v1/ai/responses", question)
    assert answer.status_code == 202
    read = face.get(f"/v1/jobs/{answer.json()['id']}").json()
    assert set(read["payload"]) == {"reference"}
    assert "When do you open" not in str(read)
    refused = post(face, "/v1/ai/responses", {**question, "triggered_by": "a secret wish"})
    assert (refused.status_code, "triggered_by" in refused.text, "secret wish" in refused.text) == (400, True, False)


def test_schedules_are_the_operators(face: Face) -> None:
    """An operator lists, triggers, pauses, resumes and backfills schedules; a tenant's key gets 403, and errors say why."""
    boss = operator(face)
    assert face.get("/v1/schedules").status_code == 403
    rows = {row["name"]: row for row in boss.get("/v1/schedules").json()["rows"]}
    assert rows["daily-snapshots"]["cron"] == "0 2 * * *"
    assert rows["daily-snapshots"]["next_run"] == "2026-08-21T02:00:00+00:00"
    assert set(rows["daily-snapshots"]) >= {"name", "queue", "cron", "next_run", "last_run", "paused"}
    assert post(boss, "/v1/schedules/daily-snapshots/pause").json()["paused"] is True
    assert post(boss, "/v1/schedules/daily-snapshots/resume").json()["paused"] is False
    job = post(boss, "/v1/schedules/trend-aggregation/trigger", {"date": "2026-08-05"}).json()
    assert boss.get(f"/v1/jobs/{job['id']}").json()["payload"]["dates"] == ["2026-08-05"]
    assert post(boss, "/v1/schedules/trend-aggregation/trigger").status_code == 202
    job = post(boss, "/v1/schedules/analytics-ingest/backfill", {"from": "2026-08-01", "to": "2026-08-04"}).json()
    assert boss.get(f"/v1/jobs/{job['id']}").json()["payload"]["dates"] == ["2026-08-01", "2026-08-02", "2026-08-03"]
    assert post(boss, "/v1/schedules/nightly/pause").status_code == 404
    for path, body, named in (
        ("trigger", {"date": "tomorrow"}, "tomorrow"),
        ("backfill", {"from": "2026-08-04", "to": "2026-08-04"}, "from"),
        ("backfill", {"from": "2016-08-04", "to": "2026-08-04"}, "1100"),
    ):
        answer = post(boss, f"/v1/schedules/trend-aggregation/{path}", body)
        assert (answer.status_code, named in answer.text) == (400, True)


class Stopped:
    """A worker that is stuck."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> list[str]:
        """Do nothing."""
        return []

    def alive(self) -> bool:
        """Return that it is stuck."""
        return False


def test_a_stuck_worker_makes_the_server_unready(face: Face) -> None:
    """With a stuck worker `/readyz` is 503 and names it."""
    app = create_app(face.engine, refresh=False, worker=Stopped())  # type: ignore[arg-type]
    with TestClient(app) as http:
        answer = http.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "stuck: worker")

"""Reports over HTTP: made by a job, listed, downloaded and deleted, each tenant its own."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import httpx2
import openpyxl
import pytest

from hubbub.control.control import SCOPES
from hubbub.reports.formats import FORMATS
from tests.unit.api.conftest import Face, event


@pytest.fixture
def admin(face: Face) -> Face:
    """A client whose key has all scopes of the tenant."""
    return Face(face.engine, face.http, face.engine.keys.add("acme", SCOPES).key)


@pytest.fixture
def other(face: Face) -> Face:
    """A client of another tenant, whose key has all scopes."""
    face.engine.add_tenant("other")
    return Face(face.engine, face.http, face.engine.keys.add("other", SCOPES).key)


def start(face: Face, **body: Any) -> httpx2.Response:
    """Request a report."""
    return face.http.post("/v1/reports", json=body, headers=face.auth)


def test_a_requested_report_is_a_202_with_its_job(face: Face) -> None:
    """The answer is 202 with report, job, location and days; until the report is made, its location has the job's state."""
    answer = start(face, kind="weekly", sections=["summary"], formats=["json"])
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert answer.headers["location"] == f"/v1/reports/{told['id']}"
    assert (told["state"], told["from"], told["to"]) == ("waiting", "2026-08-10", "2026-08-17")
    waiting = face.get(answer.headers["location"]).json()
    assert (waiting["state"], waiting["progress"], waiting["job"]) == ("waiting", 0, told["job"])
    assert face.get(f"/v1/reports/{told['id']}/download").status_code == 404
    assert face.get("/v1/reports").json() == {"rows": [], "next": None}
    job = face.get(f"/v1/jobs/{told['job']}").json()
    assert (job["queue"], job["tenant"]) == ("reports", "acme")
    assert job["payload"] == {
        "report": told["id"], "kind": "weekly", "start": "2026-08-10", "end": "2026-08-17", "sections": ["summary"],
        "formats": ["json"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"kind": "yearly"}, "weekly"),
        ({"sections": ["staff"]}, "staff_performance"),
        ({"formats": ["docx"]}, "xlsx"),
        ({"from": "2026-08-02", "to": "2026-08-01"}, "before"),
        ({"tenant": "other"}, "tenant"),
    ],
    ids=str,
)
def test_a_report_that_cannot_be_made_is_refused_at_once(face: Face, body: dict[str, Any], named: str) -> None:
    """A report that cannot be made is refused before any job is started."""
    answer = start(face, **body)
    assert (answer.status_code, named in answer.text) == (400, True), answer.text
    assert face.get("/v1/jobs").json()["rows"] == []


def test_each_format_is_handed_out_as_a_file(face: Face) -> None:
    """Each file has its name and type, is sent as an attachment in a sandbox, and can be read in parts."""
    assert face.post(event("m1")).json()["accepted"] == 1
    made = face.engine.reports.make("acme", "daily", date="2026-08-01", formats=list(FORMATS))
    for name, one in FORMATS.items():
        answer = face.get(f"/v1/reports/{made.id}/download", format=name)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == one.media_type
        extension = one.file.partition(".")[2]
        assert answer.headers["content-disposition"] == (
            f'attachment; filename="acme-daily-2026-08-01-to-2026-08-02.{extension}"'
        )
        assert (answer.headers["x-content-type-options"], "sandbox" in answer.headers["content-security-policy"]) == (
            "nosniff",
            True,
        )
        assert len(answer.content) == made.files[one.file] == int(answer.headers["content-length"])
        if name == "json":
            data = answer.json()["data"]
            text = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
            assert made.hash == f"sha256:{hashlib.sha256(text).hexdigest()}"
        elif name == "csv":
            assert "summary.csv" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
        elif name == "xlsx":
            assert openpyxl.load_workbook(io.BytesIO(answer.content)).sheetnames[:2] == ["About", "Summary"]
    assert face.get(f"/v1/reports/{made.id}/download", format="docx").status_code == 400
    part = face.http.get(f"/v1/reports/{made.id}/download", headers={**face.auth, "Range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10)


def test_a_format_that_was_not_made_is_404(face: Face) -> None:
    """A format that was not made is 404, with the formats that were."""
    made = face.engine.reports.make("acme", "daily", formats=["csv"])
    answer = face.get(f"/v1/reports/{made.id}/download", format="html")
    assert (answer.status_code, "csv" in answer.json()["detail"]) == (404, True)


def test_reports_are_listed_page_by_page(face: Face) -> None:
    """Pages return every report once; a bad cursor is refused."""
    made = {face.engine.reports.make("acme", "daily", sections=["summary"], formats=["json"]).id for _ in range(5)}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = face.get("/v1/reports", limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += [row["id"] for row in page["rows"]]
        assert all(row["state"] == "made" and row["hash"].startswith("sha256:") for row in page["rows"])
        cursor = page["next"]
        if cursor is None:
            break
    assert (len(seen), set(seen)) == (5, made)
    assert face.get("/v1/reports", cursor="../acme").status_code == 400


def test_another_tenants_report_is_answered_as_unknown(admin: Face, other: Face) -> None:
    """Reading, downloading and deleting another tenant's report, made or waiting, give the answer for an unknown report."""
    made = admin.engine.reports.make("acme", "daily").id
    waiting = start(admin, kind="daily").json()["id"]
    never = "rep_" + "0" * 24
    for report in (made, waiting):
        for method, path in (("GET", ""), ("GET", "/download"), ("DELETE", "")):
            told = []
            for one in (report, never):
                answer = other.http.request(method, f"/v1/reports/{one}{path}", headers=other.auth)
                assert answer.status_code == 404, (method, path)
                told.append(
                    {**answer.json(), "request_id": ""} | {"detail": answer.json()["detail"].replace(one, "ID")}
                )
            assert told[0] == told[1]
    assert other.get("/v1/reports").json()["rows"] == []
    assert [row["id"] for row in admin.get("/v1/reports").json()["rows"]] == [made]


def test_a_report_is_deleted_by_an_admin_key(face: Face, admin: Face) -> None:
    """A key with read cannot delete; after an admin's deletion the report and its files are gone."""
    made = face.engine.reports.make("acme", "daily").id
    assert face.http.delete(f"/v1/reports/{made}", headers=face.auth).status_code == 403
    assert admin.http.delete(f"/v1/reports/{made}", headers=admin.auth).json() == {"id": made, "deleted": True}
    assert admin.http.delete(f"/v1/reports/{made}", headers=admin.auth).status_code == 404
    assert face.get(f"/v1/reports/{made}").status_code == 404
    assert not list((face.engine.settings.data / "reports" / "acme").iterdir())

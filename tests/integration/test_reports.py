"""Reports by a real server and worker: from the request over the job to the file, and through a kill."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.test_serve import until
from tests.integration.test_working import DAY, House, house

WHEN = DAY.date().isoformat()


def filled(place: House) -> dict[str, str]:
    """Give a server a tenant with conversations; return its key's header."""
    place.engine.tenants.add("acme")
    place.engine.tenants.add("other")
    auth = {"Authorization": f"Bearer {place.engine.keys.add('acme').key}"}
    talk = [
        {"type": type_, "time": DAY.isoformat(), "id": f"{type_}{n}", "channel": "sms", "conversation_id": f"c{n}"}
        for n in range(40)
        for type_ in ("message.received", "message.sent")
    ]
    answer = httpx2.post(f"{place.url}/v1/events", json=talk, headers=auth, timeout=60)
    assert answer.json()["accepted"] == 80
    return auth


def made(place: House, auth: dict[str, str], report: str) -> Any:
    """Wait until a report is made; return its description."""

    def found() -> Any:
        answer = httpx2.get(f"{place.url}/v1/reports/{report}", headers=auth, timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.json()["state"] in ("waiting", "active", "retrying", "made"), answer.text
        return answer.json() if answer.json()["state"] == "made" else None

    return until(found, f"{report} is made")


def test_a_report_from_the_request_to_the_file(tmp_path: Path) -> None:
    """A report requested over HTTP is made by a job with progress and downloaded; its numbers and hash are right, and
    another tenant gets 404.
    """
    with house(tmp_path / "data") as place:
        place.serve()
        auth = filled(place)
        asked = httpx2.post(f"{place.url}/v1/reports", json={"kind": "daily", "date": WHEN}, headers=auth, timeout=60)
        assert asked.status_code == 202, asked.text
        about = made(place, auth, asked.json()["id"])
        job = place.ended(asked.json()["job"])
        assert (job["state"], job["progress"], job["result"]["hash"]) == ("completed", 100, about["hash"])
        address = f"{place.url}{asked.headers['location']}/download"
        document = httpx2.get(address, headers=auth, timeout=60).json()
        text = json.dumps(document["data"], sort_keys=True, separators=(",", ":")).encode()
        assert document["report"]["hash"] == f"sha256:{hashlib.sha256(text).hexdigest()}" == about["hash"]
        tables = {table["name"]: table["rows"] for table in document["data"]["sections"]}
        summary = {row["metric"]: row["value"] for row in tables["summary"]}
        assert (summary["messages_received"], summary["messages_sent"], summary["responses"]) == (40, 40, 40)
        for name, start in (("csv", b"PK"), ("xlsx", b"PK"), ("html", b"<!doctype html>")):
            answer = httpx2.get(address, params={"format": name}, headers=auth, timeout=60)
            assert answer.content.startswith(start)
        stranger = {"Authorization": f"Bearer {place.engine.keys.add('other').key}"}
        for path in (address, f"{place.url}/v1/jobs/{asked.json()['job']}"):
            assert httpx2.get(path, headers=stranger, timeout=60).status_code == 404


@pytest.mark.slow
def test_a_server_killed_while_reports_are_made_finishes_them(tmp_path: Path) -> None:
    """After a kill while reports are made none is partial; the next server makes each once."""
    with house(tmp_path / "data") as place:
        server = place.serve()
        auth = filled(place)
        ids = [
            httpx2.post(
                f"{place.url}/v1/reports", json={"kind": "daily", "date": WHEN}, headers=auth, timeout=60
            ).json()["id"]
            for _ in range(4)
        ]
        folder = tmp_path / "data" / "reports" / "acme"
        until(lambda: folder.is_dir() and any(folder.iterdir()), "a report is being written")
        server.kill()
        server.wait()
        for whole in folder.glob("rep_*"):
            assert len(list(whole.iterdir())) == 5
        place.serve()
        for report in ids:
            assert made(place, auth, report)["id"] == report
        rows = httpx2.get(f"{place.url}/v1/reports", headers=auth, timeout=60).json()["rows"]
        assert sorted(row["id"] for row in rows) == sorted(ids)
        assert len({row["hash"] for row in rows}) <= 2, "live figures may settle in between"
        assert sorted(path.name for path in folder.iterdir()) == sorted(ids)


@pytest.mark.slow
def test_a_worker_beside_the_server_makes_its_reports(tmp_path: Path) -> None:
    """With a server that takes no jobs a worker makes the report, and the server serves it."""
    with house(tmp_path / "data") as place:
        place.serve("--no-jobs")
        auth = filled(place)
        place.start("worker")
        body = {"kind": "daily", "date": WHEN, "formats": ["json"]}
        asked = httpx2.post(f"{place.url}/v1/reports", json=body, headers=auth, timeout=60)
        about = made(place, auth, asked.json()["id"])
        assert place.ended(asked.json()["job"])["state"] == "completed"
        address = f"{place.url}{asked.headers['location']}/download"
        assert httpx2.get(address, headers=auth, timeout=60).json()["report"]["hash"] == about["hash"]

"""Jobs and schedules on the command line, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the test's own data folder."""
    monkeypatch.setenv("HUBBUB_DATA", str(tmp_path / "data"))


def test_schedules_and_jobs_by_hand(hubbub: Run) -> None:
    """A triggered job is listed, cancelled, retried and shown; a schedule is paused, resumed and backfilled."""
    rows = hubbub("schedules", "list", "--json").told["rows"]
    assert {"retention", "trend-aggregation", "weekly-snapshots"} <= {row["name"] for row in rows}
    job = hubbub("schedules", "trigger", "retention", "--json").told["id"]
    assert [row["id"] for row in hubbub("jobs", "list", "--state", "waiting", "--json").told["rows"]] == [job]
    assert hubbub("jobs", "cancel", job, "--json").told["state"] == "cancelled"
    assert hubbub("jobs", "retry", job, "--json").told["state"] == "waiting"
    assert hubbub("jobs", "show", job).out.startswith("id")
    assert hubbub("schedules", "pause", "retention", "--json").told["paused"] is True
    assert hubbub("schedules", "resume", "retention", "--json").told["paused"] is False
    told = hubbub(
        "schedules", "backfill", "trend-aggregation", "--from", "2026-08-01", "--to", "2026-08-03", "--json"
    ).told
    assert told["payload"]["dates"] == ["2026-08-01", "2026-08-02"]
    assert "weekly-snapshots" in hubbub("schedules", "list").out


def test_an_unknown_job_or_schedule_is_one_line(hubbub: Run) -> None:
    """An unknown job or schedule ends with one line and code 1, a bad date with 2."""
    for words in (("jobs", "show", "nothing"), ("schedules", "pause", "nightly")):
        ended = hubbub(*words)
        assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert hubbub("schedules", "trigger", "retention", "--date", "soon").code == 2

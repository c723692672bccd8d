"""The folder of reports: written whole or not at all, listed by page, per tenant."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from hubbub.errors import BadInputError, BadRequestError, NotFoundError
from hubbub.model.page import Page
from hubbub.reports.store import About, ReportStore, new_report_id

ROOT = Path(__file__).resolve().parents[3]
ID = "rep_" + "a" * 24
HANGING = """
import sys, time
from pathlib import Path
from hubbub.reports.store import ReportStore

def write(folder):
    (folder / "report.json").write_text("half a rep")
    print("writing", flush=True)
    time.sleep(600)

ReportStore(Path(sys.argv[1])).put("acme", sys.argv[2], write)
"""


def filled(folder: Path) -> About:
    """Write a small report."""
    (folder / "report.json").write_text("{}")
    day = datetime(2026, 8, 20, tzinfo=UTC)
    return About(ID, "acme", "daily", day.date(), day.date(), "UTC", day, "sha256:0", 1, ("summary",), ("json",))


def named(report: str, folder: Path) -> About:
    """Write a small report with this id."""
    return replace(filled(folder), id=report)


@pytest.fixture
def store(tmp_path: Path) -> ReportStore:
    """Return an empty store."""
    return ReportStore(tmp_path / "reports")


def test_a_stored_report_is_listed_shown_and_deleted(store: ReportStore) -> None:
    """A report is there with files and sizes, readable by its owner alone, until it is deleted without a trace."""
    about = store.put("acme", ID, filled)
    assert about == store.about("acme", ID)
    assert (about.kind, about.sections, about.files) == ("daily", ("summary",), {"report.json": 2})
    assert store.page("acme", 10) == Page([about])
    path = store.file("acme", ID, "report.json")
    assert path is not None and path.read_text() == "{}"
    assert store.file("acme", ID, "report.html") is None
    assert all(entry.stat().st_mode & 0o077 == 0 for entry in (path.parent, *path.parent.iterdir()))
    store.delete("acme", ID)
    assert list((store.folder / "acme").iterdir()) == []
    for gone in (store.about, store.delete):
        with pytest.raises(NotFoundError, match=ID):
            gone("acme", ID)


def test_pages_follow_each_other_newest_first(store: ReportStore) -> None:
    """Pages hold every report once, newest first, also if one is made meanwhile."""
    start = datetime(2026, 8, 20, tzinfo=UTC)
    ids = [new_report_id(start + timedelta(seconds=n)) for n in range(7)]
    for one in ids:
        store.put("acme", one, partial(named, one))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = store.page("acme", 3, cursor)
        seen += [row.id for row in page.rows]
        store.put("acme", new_report_id(start + timedelta(days=1)), filled)
        if (cursor := page.next) is None:
            break
    assert seen == ids[::-1]
    assert store.page("nobody", 3) == Page([])
    with pytest.raises(BadRequestError):
        store.page("acme", 3, "../x")


def test_another_tenants_report_is_answered_as_unknown(store: ReportStore) -> None:
    """Another tenant's report is not found, in the same words as an unknown one."""
    store.put("acme", ID, filled)
    for ask in (store.about, store.delete, lambda tenant, report: store.file(tenant, report, "report.json")):
        told = []
        for report in (ID, "rep_" + "b" * 24):
            with pytest.raises(NotFoundError) as error:
                ask("other", report)
            told.append(error.value.message.replace(report, "ID"))
        assert told[0] == told[1]
    assert store.page("other", 10) == Page([])


@pytest.mark.parametrize(
    "name", ["..", "../acme", "", ".", "rep_" + "A" * 24, "rep_" + "a" * 25, ID + "\n", ID + "/x", "\x00"]
)
def test_invalid_names_never_become_a_path(store: ReportStore, name: str) -> None:
    """An invalid report id is not found, an invalid tenant is refused, and neither becomes a path."""
    store.put("acme", ID, filled)
    for ask in (store.about, store.delete):
        with pytest.raises(NotFoundError):
            ask("acme", name)
    with pytest.raises(BadInputError):
        store.about(name, ID)
    assert len(store.page("acme", 10).rows) == 1


def test_a_failed_write_leaves_nothing(store: ReportStore) -> None:
    """An error while writing is raised, and nothing of the report stays."""

    def fails(folder: Path) -> About:
        (folder / "report.json").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.put("acme", ID, fails)
    assert list((store.folder / "acme").iterdir()) == []


def test_a_killed_write_leaves_no_partial_report(store: ReportStore) -> None:
    """A process killed while writing leaves no listed report.

    While it lives its files are left alone; the next write removes them.
    """
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    child = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(store.folder), ID], stdout=subprocess.PIPE, text=True, env=env
    )
    assert child.stdout is not None and child.stdout.readline() == "writing\n"
    try:
        other = "rep_" + "c" * 24
        store.put("acme", other, filled)
        (unfinished,) = (store.folder / "acme").glob(".unfinished-*")
        assert (unfinished / "report.json").exists()
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert [row.kind for row in store.page("acme", 10).rows] == ["daily"]
    with pytest.raises(NotFoundError):
        store.about("acme", ID)
    store.put("acme", ID, filled)
    assert sorted(path.name for path in (store.folder / "acme").iterdir()) == [ID, other]


def test_two_runs_of_a_job_leave_one_report(store: ReportStore) -> None:
    """If a job runs twice at once, the first report stays and the second run returns it."""

    def late(folder: Path) -> About:
        store.put("acme", ID, filled)
        return replace(filled(folder), kind="second")

    assert store.put("acme", ID, late).kind == "daily"
    assert [path.name for path in (store.folder / "acme").iterdir()] == [ID]
    assert json.loads((store.folder / "acme" / ID / "about.json").read_text())["kind"] == "daily"


def test_ids_sort_by_time() -> None:
    """A later id sorts after an earlier one, and two of the same time differ."""
    now = datetime(2026, 8, 20, tzinfo=UTC)
    assert (
        new_report_id(now) < new_report_id(now + timedelta(milliseconds=1)) < new_report_id(now + timedelta(days=9000))
    )
    assert new_report_id(now) != new_report_id(now)

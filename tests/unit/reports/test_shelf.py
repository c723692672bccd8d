"""The folder of reports: whole or not at all, page by page, each tenant its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import BadInputError, BadRequestError, NotFoundError
from hubbub.reports.shelf import Shelf, new_report_id

ROOT = Path(__file__).resolve().parents[3]
ID = "rep_" + "a" * 24
HANGING = """
import sys, time
from pathlib import Path
from hubbub.reports.shelf import Shelf

def write(folder):
    (folder / "report.json").write_text("half a rep")
    print("writing", flush=True)
    time.sleep(600)

Shelf(Path(sys.argv[1])).put("acme", sys.argv[2], write)
"""


def filled(folder: Path) -> Mapping[str, Any]:
    """Write a small report."""
    (folder / "report.json").write_text("{}")
    return {"kind": "daily"}


def named(report: str, folder: Path) -> Mapping[str, Any]:
    """Write a small report that tells its id."""
    return {**filled(folder), "id": report}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Return an empty shelf."""
    return Shelf(tmp_path / "reports")


def test_a_kept_report_is_listed_shown_and_deleted(shelf: Shelf) -> None:
    """A report is there with its files and sizes, private to its owner, until it is deleted; then nothing is left of it."""
    about = shelf.put("acme", ID, filled)
    assert about == {"kind": "daily", "files": {"report.json": 2}} == shelf.about("acme", ID)
    assert shelf.page("acme", 10) == ([about], None)
    path = shelf.file("acme", ID, "report.json")
    assert path is not None and path.read_text() == "{}"
    assert shelf.file("acme", ID, "report.html") is None
    assert path.parent.stat().st_mode & 0o077 == 0
    shelf.delete("acme", ID)
    assert list((shelf.folder / "acme").iterdir()) == []
    for gone in (shelf.about, shelf.delete):
        with pytest.raises(NotFoundError, match=ID):
            gone("acme", ID)


def test_pages_follow_each_other_newest_first(shelf: Shelf) -> None:
    """Pages by cursor hold every report once, in the order of their making, also when one is made meanwhile."""
    start = datetime(2026, 8, 20, tzinfo=UTC)
    ids = [new_report_id(start + timedelta(seconds=n)) for n in range(7)]
    for one in ids:
        shelf.put("acme", one, partial(named, one))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        rows, cursor = shelf.page("acme", 3, cursor)
        seen += [row["id"] for row in rows]
        shelf.put("acme", new_report_id(start + timedelta(days=1)), filled)
        if cursor is None:
            break
    assert seen == ids[::-1]
    assert shelf.page("nobody", 3) == ([], None)
    with pytest.raises(BadRequestError):
        shelf.page("acme", 3, "../x")


def test_another_tenants_report_is_not_there(shelf: Shelf) -> None:
    """With another tenant's name a report is missing in the same words as one that never was."""
    shelf.put("acme", ID, filled)
    for ask in (shelf.about, shelf.delete, lambda tenant, report: shelf.file(tenant, report, "report.json")):
        told = []
        for report in (ID, "rep_" + "b" * 24):
            with pytest.raises(NotFoundError) as error:
                ask("other", report)
            told.append(error.value.message.replace(report, "ID"))
        assert told[0] == told[1]
    assert shelf.page("other", 10) == ([], None)


@pytest.mark.parametrize(
    "name", ["..", "../acme", "", ".", "rep_" + "A" * 24, "rep_" + "a" * 25, ID + "\n", ID + "/x", "\x00"]
)
def test_names_lead_nowhere_else(shelf: Shelf, name: str) -> None:
    """What is no report's id is a report that is not there; what is no tenant's is refused; no path is made of either."""
    shelf.put("acme", ID, filled)
    for ask in (shelf.about, shelf.delete):
        with pytest.raises(NotFoundError):
            ask("acme", name)
    with pytest.raises(BadInputError):
        shelf.about(name, ID)
    assert len(shelf.page("acme", 10)[0]) == 1


def test_a_writing_that_fails_leaves_nothing(shelf: Shelf) -> None:
    """An error half-way is the caller's, and nothing of the report stays."""

    def fails(folder: Path) -> Mapping[str, Any]:
        (folder / "report.json").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        shelf.put("acme", ID, fails)
    assert list((shelf.folder / "acme").iterdir()) == []


def test_a_killed_writing_leaves_no_half_report(shelf: Shelf) -> None:
    """A process killed while it writes leaves nothing that is listed or found; while it lives its files are left alone, and
    the next writing takes away what it left."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    child = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(shelf.folder), ID], stdout=subprocess.PIPE, text=True, env=env
    )
    assert child.stdout is not None and child.stdout.readline() == "writing\n"
    try:
        other = "rep_" + "c" * 24
        shelf.put("acme", other, filled)
        (unfinished,) = (shelf.folder / "acme").glob(".unfinished-*")
        assert (unfinished / "report.json").exists()
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert [row["kind"] for row in shelf.page("acme", 10)[0]] == ["daily"]
    with pytest.raises(NotFoundError):
        shelf.about("acme", ID)
    shelf.put("acme", ID, filled)
    assert sorted(path.name for path in (shelf.folder / "acme").iterdir()) == [ID, other]


def test_two_that_write_the_same_report_leave_one(shelf: Shelf) -> None:
    """When a job runs twice at once the first report stays whole and the second run returns it."""

    def late(folder: Path) -> Mapping[str, Any]:
        shelf.put("acme", ID, filled)
        return {**filled(folder), "kind": "second"}

    assert shelf.put("acme", ID, late)["kind"] == "daily"
    assert [path.name for path in (shelf.folder / "acme").iterdir()] == [ID]
    assert json.loads((shelf.folder / "acme" / ID / "about.json").read_text())["kind"] == "daily"


def test_ids_sort_by_the_moment_they_were_made() -> None:
    """A later id is greater, and two of the same moment differ."""
    now = datetime(2026, 8, 20, tzinfo=UTC)
    assert (
        new_report_id(now) < new_report_id(now + timedelta(milliseconds=1)) < new_report_id(now + timedelta(days=9000))
    )
    assert new_report_id(now) != new_report_id(now)

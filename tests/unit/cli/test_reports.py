"""`hubbub report` and `hubbub reports`, in this process."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.cli.conftest import Run

SUMMARY = ("--kind", "daily", "--date", "2026-08-01", "--sections", "summary,conversations")


def test_a_report_is_made_stored_shown_and_deleted(loaded: Run, tmp_path: Path) -> None:
    """A report is made in the given formats and copied to `--out`; it is listed and shown until it is deleted."""
    made = loaded(
        "report",
        "--tenant",
        "acme",
        *SUMMARY,
        "--format",
        "json",
        "--format",
        "html",
        "--out",
        tmp_path / "out",
        "--json",
    )
    assert made.code == 0, made.err
    assert made.told["formats"] == ["json", "html"]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["acme-daily-2026-08-01-to-2026-08-02.html", "acme-daily-2026-08-01-to-2026-08-02.json"]
    document = json.loads(Path(made.told["paths"]["json"]).read_text())
    assert document["report"]["hash"] == made.told["hash"]
    rows = {row["metric"]: row["value"] for row in document["data"]["sections"][0]["rows"]}
    assert (rows["messages_received"], rows["messages_sent"], rows["response_ms.avg"]) == (1, 1, 300_000)
    assert [row["id"] for row in loaded("reports", "list", "--tenant", "acme", "--json").told["rows"]] == [
        made.told["id"]
    ]
    assert made.told["hash"] in loaded("reports", "show", made.told["id"], "--tenant", "acme").out
    assert loaded("reports", "delete", made.told["id"], "--tenant", "acme").code == 0
    gone = loaded("reports", "show", made.told["id"], "--tenant", "acme")
    assert (gone.code, "there is no report" in gone.err) == (1, True)


def test_the_command_prints_the_paths_of_the_files(loaded: Run) -> None:
    """Without `--json` the command prints the path of each file."""
    made = loaded("report", "--tenant", "acme", *SUMMARY, "--format", "csv")
    assert made.code == 0, made.err
    line = next(line for line in made.out.splitlines() if "report.csv.zip" in line)
    assert Path(line.split()[-1]).stat().st_size > 0


def test_bad_usage_ends_with_two(loaded: Run) -> None:
    """A wrong kind, section or format ends with 2 and names the known ones."""
    for words, named in (
        (("--kind", "yearly"), "daily, weekly, monthly"),
        (("--sections", "staff"), "staff_performance"),
        (("--format", "docx"), "json, csv, xlsx, html, pdf"),
    ):
        ended = loaded("report", "--tenant", "acme", *words)
        assert (ended.code, named in ended.err) == (2, True), ended.err

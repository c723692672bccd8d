"""The commands for rule sets: export, import, and errors in one line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.cli.conftest import Run


def test_a_rule_set_is_printed_and_imported_once(loaded: Run, tmp_path: Path) -> None:
    """`rules import` takes the output of `rules export`; a second import changes nothing."""
    loaded("targets", "add", "first_response", "15", "--tenant", "acme", "--from", "2026-01-01")
    loaded("alerts", "add", "sla", "--name", "Late", "--tenant", "acme")
    loaded("tenants", "add", "other")
    file = tmp_path / "rules.json"
    file.write_text(loaded("rules", "export", "--tenant", "acme").out)
    first = loaded("rules", "import", file, "--tenant", "other", "--json").told
    assert [(row["kind"], row["outcome"]) for row in first["rows"]] == [("target", "added"), ("alert", "added")]
    assert "unchanged" in loaded("rules", "import", file, "--tenant", "other").out
    assert loaded("rules", "export", "--tenant", "other").told == json.loads(file.read_text())


def test_a_file_that_is_no_rule_set_is_one_line(loaded: Run, tmp_path: Path) -> None:
    """A missing file, one that is not JSON and one without an object are named in the error."""
    file = tmp_path / "rules.json"
    for text in (None, "{", "[]"):
        if text is not None:
            file.write_text(text)
        refused = loaded("rules", "import", file, "--tenant", "acme")
        assert (refused.code, "rules.json" in refused.err) == (1, True)

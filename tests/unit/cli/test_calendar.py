"""The commands for business hours: a file in, a table or JSON out, errors with file and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run

HOURS = """
versions:
  - valid_from: 2026-01-01
    week: {monday: [09:00-12:30, 13:30-18:00], friday: [22:00-06:00]}
    holidays: {2026-12-25: []}
"""


def test_hours_are_set_from_a_file_and_shown(loaded: Run, tmp_path: Path) -> None:
    """Hours are set from YAML and shown as a table or JSON; setting says on stderr from which day numbers change."""
    (tmp_path / "hours.yaml").write_text(HOURS)
    told = loaded("tenants", "calendar", "set", "acme", "--file", "hours.yaml")
    assert (told.code, "numbers change from 2026-01-01 on" in told.err) == (0, True)
    assert "09:00-12:30, 13:30-18:00" in told.out and "closed" in told.out
    shown = loaded("tenants", "calendar", "show", "acme", "--json").told
    assert shown["versions"][0]["week"] == {"monday": ["09:00-12:30", "13:30-18:00"], "friday": ["22:00-06:00"]}
    again = loaded("tenants", "calendar", "set", "acme", "--file", "hours.yaml", "--json")
    assert again.told == shown | {"changed_from": None}
    assert again.err == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HOURS.replace("13:30", "12:00"), "hours.yaml: versions[0].week.monday: 12:00-18:00 overlaps 09:00-12:30"),
        (HOURS.replace("friday", "fryday"), "hours.yaml: versions[0].week: there is no 'fryday'"),
        ("a: [", "hours.yaml: not valid YAML"),
        ("versions: []\nversions: []", "hours.yaml: not valid YAML: the key 'versions' occurs twice"),
        (None, "hours.yaml: cannot be read"),
    ],
)
def test_a_bad_file_is_refused_by_name(loaded: Run, tmp_path: Path, text: str | None, message: str) -> None:
    """A bad file ends with 1 and one line on stderr with file and field, and no calendar is set."""
    if text is not None:
        (tmp_path / "hours.yaml").write_text(text)
    told = loaded("tenants", "calendar", "set", "acme", "--file", "hours.yaml")
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith(f"hubbub: {message}") and told.err.count("\n") == 1
    assert loaded("tenants", "calendar", "show", "acme", "--json").told["versions"] == []


def test_an_unknown_tenant_is_not_found(hubbub: Run) -> None:
    """The command ends with 1, and the error names the tenant."""
    told = hubbub("tenants", "calendar", "show", "nobody")
    assert (told.code, "nobody" in told.err) == (1, True)

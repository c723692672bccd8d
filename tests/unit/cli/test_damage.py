"""With a damaged data folder every command that opens it ends with one line on stderr, and changes nothing."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hubbub.app import open_engine
from tests.unit.cli.conftest import Run, commands

DAY = {"start": "2026-08-01", "end": "2026-08-02", "tenant": "acme"}
GIVEN = {
    **DAY,
    "metric": "messages",
    "metrics": "messages",
    "name": "labels",  # a schedule that exists
    "contact": "k",
    "minutes": "5",
    "number": "1",  # of a suggested topic
    "file": "hours.yaml",
    "files": "events.jsonl",
}
SPECIAL = {
    *(words for words, _ in commands() if words[0] == "import" and words != ("import", "events")),
    ("integrations", "add"), ("labels", "set"), ("tenants", "calendar", "set"), ("migrate-control",),
    ("migrate-store",), ("restore",), ("rebind",), ("rules", "import"),
}  # fmt: skip
"""Commands that are not tested here: they read their own file first, or open no engine."""
MORE: dict[tuple[str, ...], tuple[str, ...]] = {
    ("tenants", "delete"): ("--yes", "some-tenant"), ("import", "events"): ("--tenant", "acme"),
}  # fmt: skip
"""What commands need beyond their required parameters."""
NO_FOLDER = {("config", "check"), ("config", "show"), ("metrics",)}
SPAN = ("--tenant", "acme", "--from", "2026-08-01", "--to", "2026-08-02")
FILES = ("pepper", "secret.key", "control.db", "acknowledged", "log.db", "hubbub.db")
OF_JOBS = {"jobs", "schedules", "worker"}


def lines() -> Iterator[list[str]]:
    """Yield a line for every command that opens the data folder."""
    for words, command in commands():
        if words in NO_FOLDER | SPECIAL:
            continue
        line = list(words)
        for parameter in command.params:
            if parameter.required:
                value = GIVEN.get(str(parameter.name), f"some-{parameter.name}")
                line += [parameter.opts[0], value] if parameter.opts[0].startswith("-") else [value]
        yield [*line, *MORE.get(words, ())]


LINES = list(lines())


@pytest.fixture
def broken(loaded: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run commands on a filled folder with a jobs database, without pauses before damaged files are read again."""
    monkeypatch.setattr("hubbub.storage.intact.PAUSE", 0.0)
    assert loaded("jobs", "list").code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("a token\n" * 1000))
    return loaded


def refused(run: Run, line: list[str], file: str) -> None:
    """Run a command that must end with 1 and one line that names the file and advises to restore."""
    ended = run(*line)
    assert (ended.code, ended.out) == (1, ""), (line, ended.err)
    assert ended.err.startswith("hubbub: ") and ended.err.count("\n") == 1, (line, ended.err)
    assert f"hubbub-data/{file}" in ended.err or (file == "control.db" and "control database" in ended.err), ended.err
    assert "restore" in ended.err, ended.err


@pytest.mark.parametrize("file", FILES)
def test_every_command_names_a_damaged_file(broken: Run, file: str) -> None:
    """With noise, text, half or nothing as the file, each command ends with 1 and one line; a file with content stays as it is."""
    path = Path("hubbub-data") / file
    whole = path.read_bytes()
    made = {"noise": os.urandom(9000), "text": b"hello, world\n", "half": whole[: len(whole) // 2], "empty": b""}
    if file == "acknowledged":
        del made["half"], made["empty"]  # half a number is a number: the guard only knows less
    assert len(LINES) > 45
    for damage, content in made.items():
        path.write_bytes(content)
        for line in LINES:
            refused(broken, line, file)
        assert not content or path.read_bytes() == content, damage
    path.write_bytes(whole)
    assert broken("tenants", "list").code == 0


def test_a_damaged_jobs_database_stops_only_commands_about_jobs(broken: Run) -> None:
    """With a damaged jobs database, commands about jobs name it, doctor has a row for it, and queries are answered."""
    Path("hubbub-data/jobs.db").write_bytes(os.urandom(9000))
    for line in LINES:
        if line[0] in OF_JOBS:
            refused(broken, line, "jobs.db")
    rows = {row["check"]: row for row in broken("doctor", "--json").told["rows"]}
    assert not rows["jobs"]["ok"] and "jobs.db is damaged" in rows["jobs"]["found"]
    asked = broken("query", "messages", *SPAN, "--json")
    assert asked.told["rows"][0]["messages"] == 2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A separate disk of 8 MB; skips without the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place]).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path) -> None:
    """Write until the disk has no free byte."""
    with (disk / "rest").open("wb", buffering=0) as rest, suppress(OSError):
        while True:
            rest.write(b"x" * 4096)


def test_a_full_disk_at_start_is_named(broken: Run, disk: Path) -> None:
    """On a full disk every command says in one line that it is full; a new folder on it fails in one line too."""
    data = disk / "data"
    shutil.copytree("hubbub-data", data)
    fill(disk)
    for line in LINES:
        ended = broken(*line, "--data", data)
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1), (line, ended.err)
        assert "full" in ended.err or "No space" in ended.err, (line, ended.err)
    ended = broken("tenants", "list", "--data", disk / "other")
    assert (ended.code, ended.err.count("\n")) == (1, 1), ended.err
    (disk / "rest").unlink()
    assert broken("tenants", "list", "--data", data).code == 0


def test_a_read_only_folder_answers_and_refuses_writes(broken: Run, disk: Path) -> None:
    """In a read-only folder queries are answered, and commands that write fail in one line."""
    data = disk / "data"
    shutil.copytree("hubbub-data", data)
    with open_engine(data, free_floor_mb=0) as engine:
        engine.refresh()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    asked = broken("query", "messages", *SPAN, "--json", "--data", data)
    assert asked.code == 0, asked.err
    assert asked.told["rows"][0]["messages"] == 2
    for line in LINES:
        if line[0] not in ("serve", "worker"):
            ended = broken(*line, "--data", data)
            assert "Traceback" not in ended.err
            assert ended.code == 0 or ended.out or ended.err.count("\n") == 1, (line, ended.err)
    for line in (["tenants", "add", "new"], ["keys", "add", "--tenant", "acme"], ["sign-in"]):
        ended = broken(*line, "--data", data)
        assert (ended.code, ended.err.count("\n")) == (1, 1), (line, ended.err)

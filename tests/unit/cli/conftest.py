"""Running the command line in this process, with the exit of the real program."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from hubbub.app import open_engine
from hubbub.cli.main import command_line, run
from hubbub.model.tenant import KEEP_EVERYTHING


@dataclass(frozen=True)
class Ended:
    """A command's exit code and its two outputs."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        """Return stdout, parsed as JSON."""
        return json.loads(self.out)


Run = Callable[..., Ended]


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it."""

    def below(group: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        for name, command in sorted(group.commands.items()):
            if hasattr(command, "commands"):
                yield from below(command, (*words, name))
            else:
                yield (*words, name), command

    return below(command_line(), ())


@pytest.fixture
def hubbub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in the test's folder, on the default data folder `hubbub-data` there."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"THREADS": "1", "MEMORY_LIMIT": "300MB", "FREE_FLOOR_MB": "0"}.items():
        monkeypatch.setenv(f"HUBBUB_{name}", value)
    monkeypatch.setenv("COLUMNS", "200")

    def execute(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["hubbub", *map(str, words)])
        capsys.readouterr()
        try:
            run()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return execute


EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "message.received", "time": "2026-08-01T10:00:00Z", "id": "m1", "channel": "sms", "conversation_id": "k"},
    {"type": "message.sent", "time": "2026-08-01T10:05:00Z", "id": "m2", "channel": "sms", "conversation_id": "k"},
    {"type": "message.unheard_of", "time": "2026-08-01T10:06:00Z", "id": "m3"},
)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill a data folder once for all tests: a conversation of acme and one refused record, folded."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    with open_engine(folder, free_floor_mb=0) as engine:
        engine.ensure_tenant("acme", None, retention=KEEP_EVERYTHING)
        engine.record("acme", EVENTS, history=True)
        assert engine.refresh()["errors"] == {}
    return folder


@pytest.fixture
def loaded(hubbub: Run, filled: Path, tmp_path: Path) -> Run:
    """Run commands on a copy of the filled folder, beside a file of the same events."""
    shutil.copytree(filled, tmp_path / "hubbub-data")
    (tmp_path / "events.jsonl").write_text("\n".join(json.dumps(e) for e in EVENTS))
    return hubbub

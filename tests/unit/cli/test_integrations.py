"""`hubbub integrations`: tokens come from stdin or a file, and no output shows one."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run

SECRET = "canary-secret-88"
PAGE = (
    "integrations",
    "add",
    "--tenant",
    "acme",
    "--provider",
    "facebook_page",
    "--name",
    "Page",
    "--setting",
    "page_id=7",
)


@pytest.fixture
def told(loaded: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run commands with a token on stdin."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{SECRET}\n"))
    return loaded


def test_an_account_is_added_paused_resumed_and_removed(told: Run) -> None:
    """add, list, show, pause, resume and remove work; no output shows the token, which is read from stdin."""
    made = told(*PAGE, "--setting", "metrics=a,b", "--json")
    assert made.code == 0, made.err
    id_ = made.told["id"]
    assert made.told["settings"] == {"page_id": "7", "metrics": ["a", "b"]}
    printed = made.out + made.err
    for words, state in ((("show",), "active"), (("pause",), "paused"), (("resume",), "active")):
        ended = told("integrations", *words, id_, "--tenant", "acme", "--json")
        assert ended.told["state"] == state
        printed += ended.out + ended.err
    listed = told("integrations", "list")
    assert id_ in listed.out
    assert told("integrations", "remove", id_, "--tenant", "acme").code == 0
    assert told("integrations", "list", "--json").told == {"rows": [], "next": None}
    assert SECRET not in printed + listed.out


def test_settings_are_changed_by_name(told: Run, tmp_path: Path) -> None:
    """`--setting` changes one setting, and `NAME=` resets it; others stay, and the page cannot change."""
    (tmp_path / "token").write_text(SECRET)
    id_ = told(*PAGE, "--secret-file", tmp_path / "token", "--json").told["id"]
    before = told("integrations", "show", id_, "--tenant", "acme", "--json").told["settings"]
    change = ("integrations", "change", id_, "--tenant", "acme", "--json")
    after = told(*change, "--name", "Page", "--setting", "since=2026-08-01", "--setting", "labels=yes").told
    assert (after["name"], after["since"]) == ("Page", "2026-08-01")
    assert after["settings"] == {**before, "since": "2026-08-01", "labels": "yes"}
    assert told(*change, "--setting", "labels=").told["settings"] == {**before, "since": "2026-08-01"}
    refused = told(*change, "--setting", "page_id=8")
    assert (refused.code, "settings.page_id: it stays '7'" in refused.err) == (1, True)


def test_a_token_can_come_from_a_file(told: Run, tmp_path: Path) -> None:
    """`--secret-file` gives the token of a new account or a new token; a missing or empty file is refused."""
    (tmp_path / "token").write_text("from-a-file\n")
    id_ = told(*PAGE, "--secret-file", tmp_path / "token", "--json").told["id"]
    assert told("integrations", "rotate", id_, "--tenant", "acme", "--secret-file", tmp_path / "token").code == 0
    (tmp_path / "token").write_text("")
    for name in ("token", "missing"):
        assert told(*PAGE, "--secret-file", tmp_path / name).code == 1


WHATSAPP = ("integrations", "add", "whatsapp", "--tenant", "acme")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe\x00", "the secrets are not text in UTF-8"), (b"app_secret=a\napp_secret=b", "app_secret: given twice"),
        (b"app_secert=a\nverify_token=b", "whatsapp has no such secret; it knows app_secret"),
        (b"a\nb", "app_secret: 1 to"), (b"\n", "needs app_secret"),
    ],
)  # fmt: skip
def test_unfit_secrets_are_refused_by_name(told: Run, tmp_path: Path, content: bytes, reason: str) -> None:
    """Secrets that are not text, given twice, unknown or missing are refused by name, and nothing is connected."""
    (tmp_path / "secrets").write_bytes(content)
    ended = told(*WHATSAPP, "--secret-file", tmp_path / "secrets")
    assert (ended.code, reason in " ".join(ended.err.split())) == (1, True)
    assert told("integrations", "list", "--json").told["rows"] == []


def test_secrets_as_editors_on_windows_save_them(told: Run, tmp_path: Path) -> None:
    """A byte order mark, Windows line ends and empty lines are not part of a secret."""
    (tmp_path / "secrets").write_bytes(b"\xef\xbb\xbfapp_secret=abc\r\n\r\nverify_token=word\r\n")
    assert told(*WHATSAPP, "--secret-file", tmp_path / "secrets", "--json").code == 0


def test_more_pages_are_announced(told: Run, tmp_path: Path) -> None:
    """A list with more rows prints the next cursor on stderr."""
    (tmp_path / "token").write_text("t")
    for _ in range(3):
        told(*PAGE, "--secret-file", tmp_path / "token")
    ended = told("integrations", "list", "--limit", "2", "--json")
    assert len(ended.told["rows"]) == 2
    assert ended.told["next"] in ended.err
    assert len(told("integrations", "list", "--cursor", ended.told["next"], "--json").told["rows"]) == 1


def test_invalid_arguments_are_refused(told: Run) -> None:
    """A setting without `=` is bad usage; an unknown provider, setting, state, id or tenant is an error."""
    assert told(*PAGE, "--setting", "odd").code == 2
    for words in (
        ("add", "--tenant", "acme", "--provider", "odd"), ("add", "--tenant", "acme", "--provider", "slack", "--setting", "odd=1"),
        ("list", "--state", "odd"), ("show", "int_none", "--tenant", "acme"), ("list", "--tenant", "nobody"),
    ):  # fmt: skip
        ended = told("integrations", *words)
        assert ended.code == 1 and ended.err.startswith("hubbub: "), words

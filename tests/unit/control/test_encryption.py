"""Encryption: only the owner can open a sealed text, and the key is made once."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hubbub.control.encryption import Encryption, key_file
from hubbub.errors import BadSettingError


def test_a_text_opens_for_its_owner_alone(tmp_path: Path) -> None:
    """The same owner opens a sealed text, also in another opening; another tenant, another id or a changed byte fails."""
    sealed = Encryption(tmp_path).seal("canary", "acme", "int_1")
    encryption = Encryption(tmp_path)
    assert encryption.open(sealed, "acme", "int_1") == "canary"
    assert b"canary" not in sealed
    for owner in (("acme", "int_2"), ("beta", "int_1"), ("acmeint", "_1")):
        with pytest.raises(BadSettingError):
            encryption.open(sealed, *owner)
    with pytest.raises(BadSettingError, match="int_1"):
        encryption.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "acme", "int_1")
    assert encryption.seal("canary", "acme", "int_1") != sealed


def test_only_the_given_key_opens_a_text(tmp_path: Path) -> None:
    """A key from the settings writes no file and works in any folder; no other key opens what it sealed."""
    sealed = Encryption(tmp_path, "ab" * 32).seal("text", "acme", "x")
    assert list(tmp_path.iterdir()) == []
    assert Encryption(tmp_path / "elsewhere", "ab" * 32).open(sealed, "acme", "x") == "text"
    with pytest.raises(BadSettingError, match="secret_key"):
        Encryption(tmp_path).open(sealed, "acme", "x")


def test_the_key_file_is_private_whole_and_made_once(tmp_path: Path) -> None:
    """Concurrent openings get the same 32 bytes from one file that only its owner may read, and leave no other file."""
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: key_file(tmp_path / "secret.key"), range(40)))
    assert len(keys) == 1 and len(keys.pop()) == 32
    assert [p.name for p in tmp_path.iterdir()] == ["secret.key"]
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600

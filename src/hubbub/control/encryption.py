"""Encryption of texts in the control database, and the key files beside it.

AES-256-GCM with a nonce for each text. The owner (tenant and id) is authenticated with it, so that a sealed text that is moved to
another row cannot be opened there.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hubbub.errors import BadSettingError, StoreDamagedError

_NONCE = 12


def key_file(path: Path) -> bytes:
    """Return the 32 bytes of a key file that only its owner may read; creates it atomically when missing.

    Raises StoreDamagedError.
    """
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):  # another process was first: its key counts
            os.link(draft, path)
        draft.unlink()
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:  # undecodable bytes also raise a ValueError
        key = b""
    if len(key) != 32:
        raise StoreDamagedError(
            f"{path} is damaged: it does not hold 64 hexadecimal digits; restore it from a backup, or, if it is lost, delete "
            "it and see 'hubbub rebind --help'"
        )
    return key


def derived_key(secret: str, use: str) -> bytes:
    """Return the 32 bytes for one use, derived from a secret key (hexadecimal); the same in every process."""
    return hmac.new(bytes.fromhex(secret), f"hubbub {use}".encode(), hashlib.sha256).digest()


class Encryption:
    """Seals and opens texts with one key: `key` (64 hexadecimal digits), or that of the data folder."""

    def __init__(self, folder: Path, key: str = "") -> None:
        self._cipher = AESGCM(bytes.fromhex(key) if key else key_file(folder / "secret.key"))

    def seal(self, text: str, *owner: str) -> bytes:
        """Encrypt a text for its owner."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, text.encode(), _bound(owner))

    def open(self, sealed: bytes, *owner: str) -> str:
        """Decrypt a text sealed for this owner. Raises BadSettingError for another key."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(owner)).decode()
        except InvalidTag:
            raise BadSettingError(
                f"what is stored for {owner[-1]} was encrypted with another key; set the former secret_key again, restore "
                "the file secret.key, or store it again"
            ) from None


def _bound(owner: tuple[str, ...]) -> bytes:
    return "\0".join(owner).encode()

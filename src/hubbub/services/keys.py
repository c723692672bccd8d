"""API keys: created, listed, replaced and revoked. A key's text is only in the answer that creates it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hubbub.control.control import Control, Key
from hubbub.errors import BadInputError
from hubbub.model.answers import Secret
from hubbub.model.name import check_seen
from hubbub.model.page import Page, check_limit, moment_of, paged, place_of
from hubbub.model.question import parse_moment

LONGEST_OVERLAP = 30 * 86_400
"""Seconds that an old key may still work after it was rotated."""


@dataclass(frozen=True, slots=True)
class KeyView:
    """An API key, without its text."""

    id: str
    tenant: str | None
    """null: an operator's."""
    scopes: Sequence[str]
    label: str
    created_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey(KeyView):
    """A new key."""

    key: Secret
    """Its text, only this once; null when the answer is repeated."""


@dataclass(frozen=True, slots=True)
class RotatedKey(NewKey):
    """A new key in place of another."""

    replaces: KeyView
    """The old key with its new end."""


class KeyService:
    """Manages API keys. An `owner` finds only that tenant's keys."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def of(self, tenant: str | None = None, cursor: str | None = None, limit: int | None = None) -> Page[KeyView]:
        """Return a tenant's API keys, or all, oldest first; `limit` splits them into pages."""
        place = place_of(cursor, str, str)
        after = (moment_of(place[0]), place[1]) if place else None
        keys = self._control.keys(tenant, after, check_limit(limit) + 1 if limit is not None else None)
        return paged(keys, limit, _place, lambda key: KeyView(*_view_fields(key)))

    def get(self, key: str, owner: str | None = None) -> KeyView:
        """Return a key."""
        return KeyView(*_view_fields(self._control.key(key, owner)))

    def add(
        self,
        tenant: str | None,
        scopes: Sequence[str] = ("ingest", "read"),
        label: str = "",
        expires: str | None = None,
    ) -> NewKey:
        """Create a key of a tenant, or of operators. Raises NotFoundError, BadInputError."""
        check_seen("label", label)
        key, text = self._control.add_key(tenant, scopes, label, _end(expires))
        return NewKey(*_view_fields(key), text)

    def revoke(self, key: str, owner: str | None = None) -> KeyView:
        """Revoke a key from now on."""
        self._control.key(key, owner)
        return KeyView(*_view_fields(self._control.revoke_key(key)))

    def rotate(
        self, key: str, overlap: float = 3600, expires: str | None = None, owner: str | None = None
    ) -> RotatedKey:
        """Create a key in place of another, which works for `overlap` seconds more.

        The new one ends with `expires`, or when the old one would have. Raises BadInputError, NotFoundError, and ConflictError
        for a revoked or expired key.
        """
        if not 0 <= overlap <= LONGEST_OVERLAP:
            raise BadInputError(f"overlap: {overlap} is not a number of seconds from 0 to {LONGEST_OVERLAP} (30 days)")
        self._control.key(key, owner)
        new, old, text = self._control.rotate_key(key, overlap, _end(expires))
        return RotatedKey(*_view_fields(new), text, KeyView(*_view_fields(old)))


def _view_fields(
    key: Key,
) -> tuple[str, str | None, Sequence[str], str, datetime | None, datetime | None, datetime | None]:
    """Return the fields of a `KeyView`."""
    return key.id, key.tenant, key.scopes, key.label, key.created_at, key.expires_at, key.revoked_at


def _place(key: Key) -> tuple[str, str]:
    return key.created_at.isoformat() if key.created_at else "", key.id


def _end(expires: str | None) -> datetime | None:
    return parse_moment(expires, "UTC") if expires else None

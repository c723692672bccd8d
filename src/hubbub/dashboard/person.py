"""The person at a page, and the rights of roles."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """Rights of a person; each role includes those before it."""

    VIEWER = 1
    """Numbers of one tenant."""
    ANALYST = 2
    """Also the rows behind them: conversations, events, exports, reports."""
    ADMIN = 3
    """Also the tenant's access, keys and sources."""
    OPERATOR = 4
    """All tenants, and what runs."""


@dataclass(frozen=True)
class Person:
    """The person at a page, with a role in one tenant or (None) in all. `session`: digest of the cookie's token, or empty."""

    role: Role
    tenant: str | None
    label: str = ""
    session: str = ""
    csrf: str = ""
    share: str = ""
    """The token of the shared link, which is then part of every address."""
    locked: str = ""
    """The query string that a shared link fixes."""
    only: str = ""
    """The only page of a shared link; empty: every page of numbers."""

    def may(self, role: Role) -> bool:
        """Whether this person has the rights of a role."""
        return self.role >= role

    def may_open(self, page: str, role: Role) -> bool:
        """Whether this person may see a page, by its name and its role."""
        return self.may(role) and self.only in ("", page)

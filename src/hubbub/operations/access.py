"""The engine's operations that let people in and send them out: links and sessions. `Engine` (app.py) inherits them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from hubbub.store.access import Access, Link, Session

OPERATIONS = ("sign_in_link", "share_link", "links", "revoke_link", "sessions", "end_session", "end_sessions")
"""Those that a command beside a running server may ask it to do."""


class AccessOperations:
    """Who may look at the pages of an engine."""

    access: Access

    def sign_in_link(
        self, tenant: str | None = None, role: str = "operator", label: str = "", seconds: float = 900
    ) -> dict[str, Any]:
        """Make a link that signs in once as a role of a tenant, or as an operator; `path` is its address on the server."""
        link, token = self.access.invite(role, tenant, label, seconds)
        return {**_row(link), "path": f"/sign-in?token={token}"}

    def share_link(
        self,
        tenant: str,
        view: str,
        label: str = "",
        seconds: float = 30 * 86_400,
        page: str = "overview",
        *,
        alone: bool = False,
    ) -> dict[str, Any]:
        """Make a link by which anybody sees one view (a page's query string) of a tenant's numbers, until it ends.

        It opens `page`, and shows that `alone` or all pages of numbers under the view.
        """
        link, token = self.access.share(tenant, view, label, seconds, page, alone=alone)
        return {**_row(link), "path": f"/s/{token}"}

    def links(self, tenant: str | None = None, kind: str | None = None) -> dict[str, Any]:
        """Return the links of a tenant, or of operators, newest first; never their tokens."""
        return {"rows": [_row(one) for one in self.access.links(tenant, kind)]}

    def revoke_link(self, link: str, tenant: str | None = None) -> dict[str, Any]:
        """Make a link useless from now on, and end the session that was come in to by it."""
        return _row(self.access.revoke(link, tenant))

    def sessions(self, tenant: str | None = None) -> dict[str, Any]:
        """Return who of a tenant, or of operators, is signed in, newest first; nothing of it signs anybody in."""
        return {"rows": [_session(one) for one in self.access.sessions(tenant)]}

    def end_session(self, session: str, tenant: str | None = None) -> dict[str, Any]:
        """End a session of a tenant's, or of an operator's, by its id."""
        return _session(self.access.end(session, tenant))

    def end_sessions(self, tenant: str | None = None, besides: str = "") -> dict[str, Any]:
        """End all sessions of a tenant, or of operators, besides the one with an id; says how many there were."""
        return {"tenant": tenant, "ended": self.access.end_all(tenant, besides)}


def _row(one: Link | Session) -> dict[str, Any]:
    return {
        name: value.isoformat() + "Z" if isinstance(value, datetime) else value for name, value in asdict(one).items()
    }


def _session(one: Session) -> dict[str, Any]:
    row = _row(one)
    del row["digest"]
    return {"id": one.id, **row}

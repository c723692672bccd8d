"""The engine's operations that let people in: sign-in links, shared links. `Engine` (app.py) inherits them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from hubbub.store.access import Access, Link

OPERATIONS = ("sign_in_link", "share_link", "links", "revoke_link")
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

    def share_link(self, tenant: str, view: str, label: str = "", seconds: float = 30 * 86_400) -> dict[str, Any]:
        """Make a link by which anybody sees one view (a page's query string) of a tenant's numbers, until it ends."""
        link, token = self.access.share(tenant, view, label, seconds)
        return {**_row(link), "path": f"/s/{token}"}

    def links(self, tenant: str | None = None, kind: str | None = None) -> dict[str, Any]:
        """Return the links of a tenant, or of operators, newest first; never their tokens."""
        return {"rows": [_row(one) for one in self.access.links(tenant, kind)]}

    def revoke_link(self, link: str, tenant: str | None = None) -> dict[str, Any]:
        """Make a link useless from now on."""
        return _row(self.access.revoke(link, tenant))


def _row(link: Link) -> dict[str, Any]:
    return {
        name: value.isoformat() + "Z" if isinstance(value, datetime) else value for name, value in asdict(link).items()
    }

"""Authentication: an API key names its tenant and scopes."""

from __future__ import annotations

import threading
import time
from datetime import UTC
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from hubbub.app import Engine
from hubbub.clock import system_clock
from hubbub.control.control import Key
from hubbub.errors import ForbiddenError, UnauthenticatedError

_REMEMBER_SECONDS = 5.0


class KeyRing:
    """Authenticates keys; remembers valid ones for five seconds, so that a busy sender does not query the database each time."""

    def __init__(self, engine: Engine) -> None:
        self._control = engine.control
        self._known: dict[str, tuple[float, Key]] = {}
        self._revocations = 0
        self._lock = threading.Lock()

    def remembered(self, text: str) -> Key | None:
        """Return the key of `text` if it was checked in the last five seconds and this process revoked no key since."""
        if self._revocations != self._control.revocations:
            with self._lock:
                self._known.clear()
                self._revocations = self._control.revocations
        remembered = self._known.get(text)
        return remembered[1] if remembered is not None and remembered[0] > time.monotonic() else None

    def key(self, text: str) -> Key:
        """Return the key of `text` from the database. Raises UnauthenticatedError."""
        begun = self._control.revocations
        key = self._control.authenticate(text)
        with self._lock:
            if (
                begun == self._control.revocations == self._revocations
            ):  # otherwise the key may have been revoked meanwhile
                if len(self._known) > 10_000:
                    self._known.clear()
                self._known[text] = (time.monotonic() + _remember(key), key)
        return key


def _remember(key: Key) -> float:
    """Return how many seconds a key may be remembered: never beyond its end."""
    if key.expires_at is None:
        return _REMEMBER_SECONDS
    return min(_REMEMBER_SECONDS, (key.expires_at.replace(tzinfo=UTC) - system_clock()).total_seconds())


def bearer(request: Request) -> str:
    """Return the bearer token of a request. Raises UnauthenticatedError."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise UnauthenticatedError(reason="no_key")
    return text.strip()


async def engine_of(request: Request) -> Engine:
    """Return the app's engine."""
    engine: Engine = request.app.state.engine
    return engine


async def caller(request: Request) -> Key:
    """Return the key of a request, as `Admission` identified it."""
    key: Key = request.state.key
    return key


class Access(SecurityBase):
    """A dependency that requires a scope of the request's key. OpenAPI shows it as the route's security."""

    model = HTTPBearer(description="An API key: `hub_live_<id>_<secret>`. Its tenant is the request's tenant.")
    scheme_name = "key"

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def key(self, request: Request) -> Key:
        """Return the key of a request. Raises ForbiddenError."""
        key = await caller(request)
        needed = self.scope if key.tenant is not None else "admin"
        if needed not in key.scopes:
            raise ForbiddenError(
                f"this needs a key with the scope '{needed}'; yours has {', '.join(key.scopes)}", reason="missing_scope"
            )
        return key


class OfTenant(Access):
    """For tenants only: returns the tenant's id."""

    async def __call__(self, request: Request) -> str:
        """Return the tenant of the key."""
        key = await self.key(request)
        if key.tenant is None:
            raise ForbiddenError("this needs a tenant's key; an operator's key names no tenant", reason="no_tenant")
        return key.tenant


class OfTenantOrAll(Access):
    """For tenants and operators: returns the tenant's id, or None for all tenants."""

    async def __call__(self, request: Request) -> str | None:
        """Return the tenant of the key, or None."""
        return (await self.key(request)).tenant


class OfOperator(Access):
    """For operators only: an admin key without a tenant."""

    async def __call__(self, request: Request) -> None:
        """Allow the request."""
        if (await self.key(request)).tenant is not None:
            raise ForbiddenError("this needs an operator's key: one with the scope 'admin' and no tenant")


EngineOf = Annotated[Engine, Depends(engine_of)]
Ingests = Annotated[str, Security(OfTenant("ingest"), scopes=["ingest"])]
Reads = Annotated[str, Security(OfTenant("read"), scopes=["read"])]
Administers = Annotated[str, Security(OfTenant("admin"), scopes=["admin"])]
Exports = Annotated[str, Security(OfTenant("export"), scopes=["export"])]
MayRead = Annotated[str | None, Security(OfTenantOrAll("read"), scopes=["read"])]
MayAdminister = Annotated[str | None, Security(OfTenantOrAll("admin"), scopes=["admin"])]
MayErase = Annotated[str | None, Security(OfTenantOrAll("erase"), scopes=["erase"])]
Operates = Annotated[None, Security(OfOperator("admin"), scopes=["admin", "operator"])]

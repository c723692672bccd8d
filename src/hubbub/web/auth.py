"""Who asks: an API key names its tenant and scopes; a command on this machine shows the server's own token."""

from __future__ import annotations

import hmac
import threading
import time
from datetime import UTC
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from hubbub.app import Engine
from hubbub.clock import system_clock
from hubbub.errors import ForbiddenError, UnauthenticatedError
from hubbub.store.control import Key

_REMEMBER_SECONDS = 5.0


class KeyRing:
    """Checks keys, and remembers good ones for five seconds, so that a busy sender does not ask the database each time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[str, tuple[float, Key]] = {}
        self._lock = threading.Lock()

    def key(self, text: str) -> Key:
        """Return the key that `text` is, or raise UnauthenticatedError."""
        found = self.remembers(text)
        if found is not None:
            return found
        now = time.monotonic()
        key = self._engine.control.authenticate(text)
        with self._lock:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[text] = (now + _remember(key), key)
        return key

    def remembers(self, text: str) -> Key | None:
        """Return the key that `text` is, if that is known without asking the database."""
        found = self._known.get(text)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def forget(self) -> None:
        """Drop what is remembered (a key was revoked)."""
        with self._lock:
            self._known.clear()


def _remember(key: Key) -> float:
    """Return for how many seconds a key may be believed without asking: never beyond its end."""
    if key.expires_at is None:
        return _REMEMBER_SECONDS
    return min(_REMEMBER_SECONDS, (key.expires_at.replace(tzinfo=UTC) - system_clock()).total_seconds())


def bearer(request: Request) -> str:
    """Return the bearer token of a request, or raise UnauthenticatedError."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise UnauthenticatedError
    return text.strip()


async def engine_of(request: Request) -> Engine:
    """Return the engine that the app serves."""
    engine: Engine = request.app.state.engine
    return engine


class Scope:
    """A dependency that lets a request through whose key has a scope, and gives its tenant's id."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> str:
        """Return the tenant of the key; raises UnauthenticatedError or ForbiddenError."""
        ring: KeyRing = request.app.state.keys
        text = bearer(request)
        key = ring.remembers(text)
        if key is None:  # a thread costs more than a kept answer: only a key that has to be looked up takes one
            key = await run_in_threadpool(ring.key, text)
        if self.scope not in key.scopes:
            raise ForbiddenError(f"this needs a key with the scope '{self.scope}'; yours has {', '.join(key.scopes)}")
        if key.tenant is None:
            raise ForbiddenError("this needs a tenant's key; an operator's key names no tenant")
        return key.tenant


class ScopeOrOperator:
    """A dependency that lets through a tenant's key with a scope, which gives its tenant, or an operator, which gives None."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    def __call__(self, request: Request) -> str | None:
        """Return the tenant, or None for an operator, who sees all; raises UnauthenticatedError or ForbiddenError."""
        text = bearer(request)
        token: str = request.app.state.token
        if token and hmac.compare_digest(text.encode(), token.encode()):
            return None
        ring: KeyRing = request.app.state.keys
        key = ring.key(text)
        wanted = self.scope if key.tenant is not None else "admin"
        if wanted not in key.scopes:
            raise ForbiddenError(f"this needs a key with the scope '{wanted}'; yours has {', '.join(key.scopes)}")
        return key.tenant


def operator(request: Request) -> None:
    """Let through the server's local token, or an admin key without a tenant."""
    if ScopeOrOperator("admin")(request) is not None:
        raise ForbiddenError("this needs an operator's key: one with the scope 'admin' and no tenant")


EngineOf = Annotated[Engine, Depends(engine_of)]
Ingests = Annotated[str, Depends(Scope("ingest"))]
Reads = Annotated[str, Depends(Scope("read"))]
MayRead = Annotated[str | None, Depends(ScopeOrOperator("read"))]
MayAdminister = Annotated[str | None, Depends(ScopeOrOperator("admin"))]
Administers = Annotated[str, Depends(Scope("admin"))]
Operates = Annotated[None, Depends(operator)]

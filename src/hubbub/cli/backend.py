"""Where a command does its work: in this process, or through the server that has the data folder open.

A shared store can be opened by a command too, so no server is asked for it.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from hubbub import errors
from hubbub.app import Engine, open_engine
from hubbub.model.event import Event
from hubbub.settings import load

SERVER_FILE = "server.json"


class Local:
    """The engine in this process."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.address = f"http://{engine.settings.host}:{engine.settings.port}"

    def call(self, name: str, /, **params: Any) -> Any:
        """Run an operation of the engine."""
        return self.engine.operation(name)(**params)

    def load(
        self, tenant: str, events: Sequence[Event], origins: Sequence[str] | None, zone: str | None
    ) -> dict[str, Any]:
        """Store events as history; an unknown tenant is made and keeps everything."""
        return self.engine.load(tenant, events, origins, zone)


class Remote:
    """The server beside this command, through its local token."""

    def __init__(self, url: str, token: str) -> None:
        self.address = url
        # Its own machine, without TLS: reading every authority's certificate for it takes 20 ms
        self._client = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=httpx2.Timeout(3600, connect=5),
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False,
        )  # fmt: skip

    def call(self, name: str, /, **params: Any) -> Any:
        """Ask the server to run an operation; its problems are raised as the errors they were."""
        params = {k: v for k, v in params.items() if not callable(v)}  # progress stays with whoever does the work
        try:
            answer = self._client.post(f"/v1/operations/{name}", json=params)
        except httpx2.HTTPError as error:
            raise errors.ServerUnreachableError(f"the server at {self.address} did not answer: {error}") from None
        try:
            told = answer.json()
        except ValueError:
            raise errors.ServerUnreachableError(f"what listens on {self.address} does not answer like Hubbub") from None
        if answer.status_code >= 400:
            raise _as_error(told, answer.headers.get("retry-after", ""))
        return told

    def load(
        self, tenant: str, events: Sequence[Event], origins: Sequence[str] | None, zone: str | None
    ) -> dict[str, Any]:
        """Send events to the server as history."""
        lines = b"\n".join(msgspec.json.encode(event) for event in events).decode()
        answer: dict[str, Any] = self.call("import_events", tenant=tenant, lines=lines, origins=origins, zone=zone)
        return answer

    def answers(self) -> bool:
        """Say whether a Hubbub that knows our token answers there, within five seconds."""
        try:
            return self._client.post("/v1/operations/metrics", json={}, timeout=5).status_code == 200
        except httpx2.HTTPError:
            return False

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


Backend = Local | Remote


def _as_error(problem: Any, pause: str) -> errors.HubbubError:
    if not isinstance(problem, dict):
        return errors.ServerUnreachableError("what listens there does not answer like Hubbub")
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.HubbubError) and kind.code == problem.get("code"):
            error = kind(str(problem.get("detail")))
            if isinstance(error, errors.UpstreamUnavailableError) and pause.isdigit():
                error.retry_after = float(pause)
            return error
    return errors.HubbubError(str(problem.get("detail", "the server failed")))


def ask_server(folder: Path) -> Callable[..., Any]:
    """Return what asks the server of a data folder to run an operation. Servers come and go: one is kept while it answers."""
    known: list[Remote] = []

    def ask(name: str, /, **params: Any) -> Any:
        remote = known[-1] if known else server_of(folder)
        if remote is None:
            raise errors.ServerUnreachableError(
                f"no server runs on the data folder {folder}; start 'hubbub serve' there"
            )
        known[:] = [remote]
        try:
            return remote.call(name, **params)
        except (errors.ServerUnreachableError, errors.UnauthenticatedError):  # gone, or another has its port
            known.clear()
            raise

    return ask


@contextmanager
def backend(data: Path | None) -> Iterator[Backend]:
    """Open the data folder, or go through the server that has it."""
    settings = load(data)
    remote = server_of(settings.data)
    if remote is not None:
        try:
            yield remote
        finally:
            remote.close()
        return
    with open_engine(data) as engine:
        yield Local(engine)


def server_of(folder: Path) -> Remote | None:
    """Return the server that has a data folder open, if one answers."""
    try:
        told = json.loads((folder / SERVER_FILE).read_text())
        remote = Remote(told["url"], told["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if remote.answers():
        return remote
    remote.close()  # a server that was killed left its file behind
    return None

"""Tell by the exit code whether this container's `hubbub serve` or `hubbub worker` is healthy: `healthy.py serve|worker`.

A healthy server answers /readyz with 200. A worker has no port; a healthy one has a recent heartbeat in the jobs database, which
the thread of the schedules writes.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException

from hubbub.errors import HubbubError
from hubbub.jobs.ledger import Ledger
from hubbub.settings import Settings, load

YOUNG = timedelta(seconds=30)
"""Heartbeats come every three seconds; a database that is away for a moment makes them late."""


def serve(settings: Settings) -> str:
    """Return what is wrong with the server on this machine, or nothing. Raises OSError when it does not answer."""
    connection = HTTPConnection("127.0.0.1", settings.port, timeout=8)  # not urllib, which would use a proxy
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        told = answer.read(500).decode(errors="replace")
        return "" if answer.status == 200 else f"/readyz answers {answer.status}: {told}"
    finally:
        connection.close()


def worker(settings: Settings) -> str:
    """Return what is wrong with the workers of this host name, or nothing. Raises DatabaseUnavailableError."""
    ledger = Ledger(settings.jobs_address)
    try:
        beats = [beat for process, beat in ledger.beats().items() if process.startswith(f"{os.uname().nodename}-")]
    finally:
        ledger.close()
    oldest_allowed = datetime.now(UTC).replace(tzinfo=None) - YOUNG
    return "" if any(beat > oldest_allowed for beat in beats) else f"no heartbeat within {YOUNG.seconds} seconds"


def main(what: str) -> str:
    """Look at `serve` or `worker` and return what is wrong, or nothing."""
    try:
        return {"serve": serve, "worker": worker}[what](load())
    except (HubbubError, OSError, HTTPException) as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) or 0)

"""Checks of an installation: problems that an operator should know before users do, and what to do about them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hubbub.control.control import Control
from hubbub.control.integrations import Integrations
from hubbub.errors import NOT_NOW, StoreDamagedError
from hubbub.model.size import size
from hubbub.settings import Settings
from hubbub.storage.store import Store

MOST = 1000
"""Counting stops at this number."""

SHOWN = 5
"""Most items of a kind that are named."""

LATELY = 7
"""Days for which refused records and failed jobs are reported."""

PATIENCE = 300
"""Seconds after which a batch waits too long in the log; with a running server it takes about one."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check: whether it passed, what was found, and what to do if it failed."""

    check: str
    ok: bool
    found: str
    advice: str


def doctor(
    store: Store,
    settings: Settings,
    control: Control,
    integrations: Integrations,
    lost: list[str],
    jobs: Callable[[float], Mapping[str, int] | None],
    now: float,
) -> list[Check]:
    """Return all checks; changes nothing. `lost`: sentences about gaps of sources.

    `jobs` returns how many jobs (up to `MOST`) ended since a time (seconds since 1970) in a state that needs a person, by state;
    None when there never was a job. `now`: seconds since 1970.
    """
    since = now - LATELY * 86_400
    free = shutil.disk_usage(settings.data).free >> 20
    with store.facts.read() as reading:
        events, owners = reading.rows("SELECT count(*), count(DISTINCT tenant) FROM event")[0]
        units = reading.value("SELECT count(*) FROM todo")
        refused, lately, example = reading.rows(
            "SELECT count(*), count(*) FILTER (WHERE received_at >= :since), max(code) FILTER (WHERE received_at >= :since) "
            "FROM quarantine", {"since": since * 1e6},
        )[0]  # fmt: skip
    batches = store.log.behind()
    tenants = len(control.tenants())
    broken = integrations.page(state=("broken", "degraded"), limit=MOST)
    rows = [
        _row("store", True, f"{_counted(events, 'event')} of {_counted(owners, 'tenant')} in {store.facts.name}", ""),
        _row("tenants", tenants > 0, _counted(tenants, "tenant"), "create one: hubbub tenants add NAME --zone ZONE"),
        _row(
            "disk", free > settings.free_floor_mb, f"{size(free << 20)} free",
            f"free space: below {size(settings.free_floor_mb << 20)} events are refused",
        ),
        _row(
            "freshness", not batches and not units, f"{batches:,} batches in the log and {units:,} units not folded yet",
            "hubbub refresh, or let 'hubbub serve' run",
        ),
        *_copy(store),
        _files(store),
        _identities(store),
        _durable(store),
        _log(store, now),
        _row(
            "quarantine", not lately,
            f"{lately:,} records refused in the last {LATELY} days" + (f", for example {example}" if lately else "")
            + f"; {refused:,} are kept",
            "hubbub quarantine list --tenant NAME, correct the sender, then: hubbub quarantine replay",
        ),
        _row(
            "integrations", not broken, _some([f"{i.id} of {i.tenant}: {i.reason}" for i in broken], "integrations to mend"),
            "; ".join(dict.fromkeys(f"{i.action} (hubbub integrations rotate or resume {i.id})" for i in broken[:SHOWN])),
        ),
        _row(
            "coverage", not lost, _some(lost, "gaps of sources"),
            "hubbub coverage lists the days; the next night fetches what it can",
        ),
    ]  # fmt: skip
    return [*rows, *_jobs(lambda: jobs(since))]


def _jobs(ended: Callable[[], Mapping[str, int] | None]) -> list[Check]:
    """Check that no job waits for a person, and that the jobs' database is whole."""
    try:
        ways = ended()
    except (StoreDamagedError, *NOT_NOW) as error:
        return [
            _row("jobs", False, error.message, "restore it, or delete it: schedules then begin with their next tick")
        ]
    if ways is None:
        return []
    some = [f"{_many(n)} {way}" for way, n in ways.items() if n]
    summary = ", ".join(some) or f"none is parked, none failed in the last {LATELY} days"
    return [_row("jobs", not some, summary, "hubbub jobs list --state failed (or parked), then: hubbub jobs retry ID")]


def _copy(store: Store) -> list[Check]:
    """Check that ClickHouse answers and is up to date, where it holds a copy."""
    if store.copy is None:
        return []
    tenants, published = len(store.copy.waiting()), store.copy.published_wait()
    who = f"{tenants} tenants{' and the published tables' if published else ''}"
    found = store.copy.away or f"{who} wait to be copied to {store.copy.server.name}"
    advice = (
        "start ClickHouse; PostgreSQL answers meanwhile"
        if store.copy.away
        else "hubbub refresh, or let 'hubbub serve' run"
    )
    return [_row("copy", store.copy.away is None and not (tenants or published), found, advice)]


def _files(store: Store) -> Check:
    """Check that only the owner may read the folder's files."""
    ours = [
        file for file in store.folder.rglob("*") if file.is_file() and not file.is_relative_to(store.folder / "cache")
    ]
    open_ = sorted(str(file.relative_to(store.folder)) for file in ours if file.stat().st_mode & 0o077)
    return _row(
        "files", not open_, _some([f"{name} may be read by others" for name in open_], "open files"),
        f"chmod 600 these files in {store.folder}, unless another program is meant to read them",
    )  # fmt: skip


def _identities(store: Store) -> Check:
    """Check the files of identities: events missing from them would count twice when resent."""
    known, bad = store.identities.condition()
    return _row(
        "identities", not bad, _some(bad, "damaged files") if bad else f"{known:,} events count once when they are resent",
        "restore the folder from a backup",
    )  # fmt: skip


def _durable(store: Store) -> Check:
    """Check that acknowledged events survive a power failure."""
    bad = store.facts.concerns()
    return _row(
        "durable", not bad, _some(bad, "settings of the server may lose acknowledged events") if bad else "commits are on disk",
        "turn them on in postgresql.conf, for the database and for its user",
    )  # fmt: skip


def _log(store: Store, now: float) -> Check:
    """Check that accepted events do not wait in the log for long."""
    batches, oldest = store.log.backlog()
    waits = now - oldest / 1e6 if oldest is not None else 0
    return _row(
        "log", waits < PATIENCE, f"{batches} batches, the oldest for {waits:.0f} s" if batches else "empty",
        "run 'hubbub refresh' to see what prevents it; events are safe meanwhile",
    )  # fmt: skip


def _some(problems: list[str], what: str) -> str:
    """Return the number of problems and the first of them as a text."""
    return f"{_many(len(problems))} {what}" + "".join(f"; {problem}" for problem in problems[:SHOWN])


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _many(count: int) -> str:
    return str(count) if count < MOST else f"{MOST} or more"


def _row(check: str, ok: bool, found: str, advice: str) -> Check:
    return Check(check, ok, found, "" if ok else advice)

"""kill -9 of real processes: nothing acknowledged is lost or doubled, no fact is partial, no damage goes unnoticed.

tests/extent.py sets the number of rounds. Seeds are fixed and printed, so that a failed round can be repeated.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hubbub import demo
from hubbub.app import Engine
from hubbub.errors import StoreDamagedError
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING
from tests.acceptance.conftest import Tables, open_engine, refreshed, tables_of
from tests.extent import BREAKS, FLIPS, KILLS_INGESTING, KILLS_REFRESHING
from tests.integration.child import TENANTS, event, journalled, prepare, stepping, tenant_of
from tests.integration.conftest import finish, kill_after, start

SEED = 20261122
FILES = ("hubbub.db", "hubbub.db-wal", "log.db", "log.db-wal")
FILE, FACTS_WAL, LOG, WAL = FILES


def stored_ids(engine: Engine) -> Counter[str]:
    """Return how often each id of a numbered event is stored."""
    refreshed(engine)
    with engine.store.facts.read() as reading:
        return Counter(dict(reading.rows("SELECT id, count(*) FROM event GROUP BY id")))


# --- while events come in


def test_kills_while_ingesting_lose_no_acknowledged_event(tmp_path: Path) -> None:
    """After kills during ingestion every acknowledged event is stored once; sending all again gives exact counts and
    the same facts.
    """
    draw = random.Random(SEED)
    folder, journal = tmp_path / "data", tmp_path / "journal"
    first = 0
    waits = []
    for _ in range(KILLS_INGESTING):
        child = start("ingest", folder, journal, first)
        waits.append(round(draw.uniform(0.1, 0.8), 3))
        kill_after(child, waits[-1])
        with open_engine(folder) as engine:
            ids = stored_ids(engine)
        acknowledged = {f"event-{n}" for n in journalled(journal)}
        assert acknowledged <= ids.keys()
        assert set(ids.values()) <= {1}
        # go on after everything ever sent: events in flight may be stored or not, never twice
        first = max([first, *(int(i.removeprefix("event-")) + 3 for i in ids)]) // 3 * 3
    print(f"seed {SEED}: killed after {waits} s; {len(acknowledged)} acknowledged, {ids.total()} stored")
    assert acknowledged
    sent = sorted({*journalled(journal), *(int(i.removeprefix("event-")) for i in ids)})
    with open_engine(folder) as engine:
        before = stored_ids(engine).total()
        stored = duplicates = 0
        for tenant in TENANTS:
            outcome = engine.accept(tenant, [event(n) for n in sent if tenant_of(n) == tenant], history=True)
            stored, duplicates = stored + outcome.stored, duplicates + outcome.duplicates
        assert (stored, duplicates) == (len(sent) - before, before)
        assert stored_ids(engine) == Counter(f"event-{n}" for n in sent)
        assert engine.verify()["clean"]
        rows = {tenant: tables_of(engine, tenant) for tenant in TENANTS}
    with open_engine(tmp_path / "fresh") as engine:
        prepare(engine)
        for tenant in TENANTS:
            engine.accept(tenant, [event(n) for n in sent if tenant_of(n) == tenant], history=True)
        refreshed(engine)
        assert {tenant: tables_of(engine, tenant) for tenant in TENANTS} == rows


# --- in every step of a refresh


def sample() -> dict[str, list[Event]]:
    """Return the demo's events of five days: all types, three tenants, three zones, late and repeated ones included."""
    now = datetime(2026, 3, 12, 15, tzinfo=UTC)
    return {tenant: list(demo.events(tenant, now, days=5)) for tenant, _, _ in demo.tenants()}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store in which the last third of the events is not folded yet."""
    folder = tmp_path_factory.mktemp("template") / "data"
    with open_engine(folder) as engine:
        zones = {tenant: zone for tenant, zone, _ in demo.tenants()}
        events = sample()
        for tenant, zone in zones.items():
            engine.ensure_tenant(tenant, zone, retention=KEEP_EVERYTHING)
            engine.accept(tenant, events[tenant][: len(events[tenant]) * 2 // 3], history=True)
        refreshed(engine)
        for tenant in zones:
            engine.accept(
                tenant, events[tenant][len(events[tenant]) * 2 // 3 :]
            )  # history checks for repeats, and refreshes
    return folder


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tables]:
    """Return all fact rows of a store that got the same events at once and refreshed once."""
    with open_engine(tmp_path_factory.mktemp("truth")) as engine:
        for tenant, zone, _ in demo.tenants():
            engine.ensure_tenant(tenant, zone, retention=KEEP_EVERYTHING)
            engine.accept(tenant, sample()[tenant], history=True)
        refreshed(engine)
        return {tenant: tables_of(engine, tenant) for tenant, _, _ in demo.tenants()}


def kind_of(step: str) -> str:
    """Return the kind of step in a step's name."""
    return step.partition(": ")[2]


@pytest.fixture(scope="module")
def steps(template: Path, truth: dict[str, Tables], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the names of all steps of the template's pending refresh, from a dry run on a copy."""
    folder = tmp_path_factory.mktemp("dry") / "data"
    shutil.copytree(template, folder)
    seen: list[str] = []
    with open_engine(folder) as engine:
        with stepping(seen.append):
            engine.refresh()
        assert {tenant: tables_of(engine, tenant) for tenant in truth} == truth
    return seen


def test_killed_in_a_step_of_refresh(
    template: Path, truth: dict[str, Tables], steps: list[str], tmp_path: Path
) -> None:
    """After a kill before a write of any kind the next refresh gives the rows of a store made from scratch."""
    draw = random.Random(SEED)
    kinds = sorted({kind_of(step) for step in steps})
    assert {"FROM log", "INTO event", "INTO todo", "FROM todo", "INTO state", "INTO response"} <= set(kinds)
    of_kind = {kind: sorted(step for step in steps if kind_of(step) == kind) for kind in kinds}
    chosen = [step for several in of_kind.values() for step in draw.sample(several, min(2, len(several)))]
    chosen = draw.sample(chosen, KILLS_REFRESHING)
    print(f"seed {SEED}: {len(steps)} steps, killed at {chosen}")
    for number, step in enumerate(chosen):
        folder = tmp_path / f"round-{number}"
        shutil.copytree(template, folder)
        assert finish(start("refresh", folder, step)) == -signal.SIGKILL, step
        with open_engine(folder) as engine:
            refreshed(engine)
            assert {tenant: tables_of(engine, tenant) for tenant in truth} == truth, step
        shutil.rmtree(folder)


# --- a damaged store


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, set[str]]]:
    """Kill a process whose acknowledged events are only in the log; yield the folder and their ids."""
    folder = journal = Path()
    for _ in range(10):  # retry if it died between a checkpoint and its next write: then all is in the file itself
        base = tmp_path_factory.mktemp("killed")
        folder, journal = base / "data", base / "journal"
        kill_after(start("ingest", folder, journal, 0, "alone"), 1.0)
        if batches_in(folder / LOG, base / "alone.db") < int((folder / "acknowledged").read_text()):
            break
    acknowledged = {f"event-{n}" for n in journalled(journal)}
    assert acknowledged
    yield folder, acknowledged


def batches_in(log: Path, copy: Path) -> int:
    """Return the number of a log's newest batch, ignoring its write-ahead log."""
    shutil.copyfile(log, copy)
    with closing(sqlite3.connect(copy)) as connection:
        try:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
        except sqlite3.OperationalError:  # it has no tables yet
            return 0
    return int(row[0]) if row else 0


def contents(folder: Path) -> dict[str, bytes]:
    """Return the contents of the non-empty files of facts and log."""
    found = {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}
    return {name: content for name, content in found.items() if content}


def opens_whole_or_refuses(folder: Path, acknowledged: set[str]) -> str:
    """Open a damaged folder: it raises StoreDamagedError and stays unchanged, or holds all that was acknowledged;
    return which.
    """
    before = contents(folder)
    try:
        engine = open_engine(folder)
    except StoreDamagedError as error:
        assert error.code == "store_damaged"
        assert contents(folder) == before
        return "refused"
    with engine:
        ids = stored_ids(engine)
    assert acknowledged <= ids.keys()
    assert set(ids.values()) == {1}
    return "whole"


def test_a_missing_log_is_refused(killed: tuple[Path, set[str]], tmp_path: Path) -> None:
    """Without its write-ahead log a store refuses to open every time; with it put back all events are there."""
    folder = tmp_path / "data"
    shutil.copytree(killed[0], folder)
    kept = (folder / WAL).read_bytes()
    (folder / WAL).unlink()
    for _ in range(3):
        with pytest.raises(StoreDamagedError, match="damaged or missing"):
            open_engine(folder)
    (folder / WAL).write_bytes(kept)
    assert opens_whole_or_refuses(folder, killed[1]) == "whole"


@pytest.mark.parametrize("share", BREAKS)
def test_a_truncated_log_is_refused(killed: tuple[Path, set[str]], tmp_path: Path, share: float) -> None:
    """A store with a truncated write-ahead log is refused as damaged, or holds all acknowledged events."""
    folder = tmp_path / "data"
    shutil.copytree(killed[0], folder)
    os.truncate(folder / WAL, int((folder / WAL).stat().st_size * share))
    found = opens_whole_or_refuses(folder, killed[1])
    print(f"log cut to {share:.1%}: {found}")
    assert found == "refused" or share > 0  # beyond its last commit a WAL may hold frames that were checkpointed before
    assert opens_whole_or_refuses(folder, killed[1]) == found


@pytest.mark.parametrize("seed", range(SEED, SEED + FLIPS))
def test_a_flipped_bit_in_the_log_is_refused(killed: tuple[Path, set[str]], tmp_path: Path, seed: int) -> None:
    """A store with one flipped bit in its write-ahead log is refused as damaged, or holds all acknowledged events."""
    folder = tmp_path / "data"
    shutil.copytree(killed[0], folder)
    log = bytearray((folder / WAL).read_bytes())
    place = random.Random(seed).randrange(len(log))
    log[place] ^= 1 << seed % 8
    (folder / WAL).write_bytes(log)
    print(f"bit flipped at {place} of {len(log)}: {opens_whole_or_refuses(folder, killed[1])}")


def test_a_missing_or_truncated_file_is_refused(killed: tuple[Path, set[str]], tmp_path: Path) -> None:
    """A store whose facts or log file is missing or truncated is refused as damaged, and no other file changes."""
    whole = tmp_path / "whole"
    shutil.copytree(killed[0], whole)
    open_engine(whole).close()  # a checkpoint moves everything into the files
    assert opens_whole_or_refuses(whole, killed[1]) == "whole"
    for name in (FILE, LOG):
        for share in (0.0, 0.3, 0.7, None):
            folder = tmp_path / f"{name}-{share}"
            shutil.copytree(whole, folder)
            if share is None:
                (folder / name).unlink()
            else:
                os.truncate(folder / name, int((folder / name).stat().st_size * share))
            assert opens_whole_or_refuses(folder, killed[1]) == "refused", (name, share)
    alone = tmp_path / "alone"
    shutil.copytree(killed[0], alone)
    (alone / FILE).unlink()
    with pytest.raises(StoreDamagedError, match=r"hubbub\.db"):
        open_engine(alone)


def test_facts_without_their_log_are_refused(tmp_path: Path) -> None:
    """Facts without their write-ahead log after a kill are refused as damaged, unless the kill came just after a checkpoint."""
    found = ""
    for number in range(10):
        folder, journal = tmp_path / f"data-{number}", tmp_path / f"journal-{number}"
        kill_after(start("ingest", folder, journal, 0), 1.0)
        (folder / FACTS_WAL).unlink()
        acknowledged = {f"event-{n}" for n in journalled(journal)}
        assert acknowledged
        found = opens_whole_or_refuses(folder, acknowledged)
        if found == "refused":
            break
    assert found == "refused"
    with pytest.raises(StoreDamagedError, match=r"hubbub\.db or its write-ahead log"):
        open_engine(folder)

"""Backup under load and restore into an empty folder: a prefix of the acknowledged events, or an error that names the damage."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hubbub.errors import BadInputError, ConflictError, NotFoundError, StoreDamagedError
from hubbub.facts.rebuild import rebuild
from hubbub.facts.refresh import refresh
from hubbub.ingest.intake import Intake
from hubbub.model.event import record_from
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.storage import backup, schema
from hubbub.storage import sqlite_identity as identity
from hubbub.storage.backup import Manifest
from hubbub.storage.store import FILE, Store

HOTEL = Tenant(1, "hotel", "UTC", "", KEEP_EVERYTHING)
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def quiet(_: str) -> None:
    """Ignore progress."""


def send(store: Store, ids: list[str]) -> None:
    """Store messages of two conversations by id."""
    items = [
        record_from(
            {
                "type": "message.received" if n % 2 else "message.sent", "timestamp": f"2026-04-{1 + n % 28:02}T10:00:00Z",
                "id": id_, "channel": "x", "conversation_id": f"c{n % 7}", "contact_id": f"p{n % 7}",
            },
            n,
        )
        for n, id_ in enumerate(ids)
    ]  # fmt: skip
    assert not Intake(store, lambda: NOW, lambda _: None).accept(HOTEL, items).rejected


def back_up(folder: Path, target: Path) -> Manifest:
    """Make a backup of a folder without control data."""
    with backup.making(target) as new:
        as_of, counts = backup.copy_store(folder, new, lambda: 5, quiet)
        backup.copy_keys(folder, new)
        manifest = Manifest("1", as_of, None, counts)
        backup.write_manifest(new, manifest, quiet)
    return manifest


def ids_of(folder: Path) -> list[str]:
    """Return the ids of all stored events in order of arrival."""
    store = Store(folder)
    refresh(store)
    with store.facts.read() as reading:
        found = [id_ for (id_,) in reading.rows("SELECT id FROM event ORDER BY seq")]
    assert store.log.behind() == 0
    store.close()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with stored events, waiting events, and a key."""
    store = Store(tmp_path / "data")
    send(store, [f"a{n}" for n in range(50)])
    refresh(store)
    send(store, [f"b{n}" for n in range(50)])
    (tmp_path / "data" / "pepper").write_text("00" * 32)
    yield tmp_path / "data"
    store.close()


def test_a_backup_restores_events_duplicates_and_keys(folder: Path, tmp_path: Path) -> None:
    """A restored folder has the stored and waiting events, knows their duplicates, and has the keys; only the owner can
    read the backup.
    """
    manifest = back_up(folder, tmp_path / "backup")
    assert manifest.counts == {"events": 50, "batches": 2, "batches_waiting": 1}
    assert {"log.db", FILE, "keys/pepper"} <= set(manifest.files)
    for path in (tmp_path / "backup").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    backup.restore(tmp_path / "backup", tmp_path / "back", quiet)
    assert (tmp_path / "back" / "pepper").read_text() == "00" * 32
    assert ids_of(tmp_path / "back") == [f"{x}{n}" for x in "ab" for n in range(50)]
    store = Store(tmp_path / "back")
    send(store, ["a0", "b49", "new"])
    refresh(store)
    with store.facts.read() as reading:
        assert reading.value("SELECT count(*) FROM event") == 101
    store.close()


def test_batches_stored_during_a_backup_count_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches stored after the log was copied are removed from the copied log, and sequence numbers continue after them."""
    plain, store = backup.copy_database, Store(folder)

    def copy(source: Path, target: Path) -> None:
        plain(source, target)
        if source.name == "log.db":
            send(store, ["c"])
            refresh(store)

    monkeypatch.setattr(backup, "copy_database", copy)
    assert back_up(folder, tmp_path / "backup").counts == {"events": 101, "batches": 3, "batches_waiting": 0}
    store.close()
    backup.restore(tmp_path / "backup", tmp_path / "back", quiet)
    back = Store(tmp_path / "back")
    send(back, ["d"])
    back.close()
    assert ids_of(tmp_path / "back")[-2:] == ["c", "d"]


def test_identities_merged_meanwhile_are_copied_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If identity files are merged while they are copied, they are copied again."""
    monkeypatch.setattr(identity, "RECENT", 10)
    plain, store = backup.copy_database, Store(folder)
    done: list[int] = []
    refresh(store)

    def copy(source: Path, target: Path) -> None:
        plain(source, target)
        if source.name == FILE and not done:
            done.append(1)
            send(store, [f"d{n}" for n in range(500)])
            refresh(store)

    monkeypatch.setattr(backup, "copy_database", copy)
    back_up(folder, tmp_path / "backup")
    store.close()
    backup.restore(tmp_path / "backup", tmp_path / "back", quiet)
    back = Store(tmp_path / "back")
    send(back, [*(f"a{n}" for n in range(50)), *(f"d{n}" for n in range(500))])
    back.close()
    assert len(ids_of(tmp_path / "back")) == 600


def test_a_backup_under_load_holds_every_event_acknowledged_before_it(tmp_path: Path) -> None:
    """Under load, each backup holds all events acknowledged before it, in order, and its facts equal a rebuild."""
    store, journal, stop = Store(tmp_path / "data"), [], threading.Event()

    def load() -> None:
        n = 0
        while not stop.is_set():
            batch = [f"e{n + i}" for i in range(5)]
            send(store, batch)
            journal.extend(batch)
            n += 5
            if n % 20 == 0:
                refresh(store)

    thread = threading.Thread(target=load)
    thread.start()
    spans = []
    for number in range(5):
        time.sleep(0.2)
        before = len(journal)
        back_up(tmp_path / "data", tmp_path / f"backup{number}")
        spans.append((before, len(journal)))
    stop.set()
    thread.join()
    store.close()
    for number, (before, after) in enumerate(spans):
        restored = tmp_path / f"back{number}"
        backup.restore(tmp_path / f"backup{number}", restored, quiet)
        found = ids_of(restored)
        assert found == journal[: len(found)]
        assert before <= len(found) <= after + 5
        assert facts(restored) == facts(restored, again=True)
    assert spans[-1][0] > spans[0][0] > 0


def facts(folder: Path, *, again: bool = False) -> dict[str, list[object]]:
    """Return every stored fact, after a rebuild if `again`."""
    store = Store(folder)
    refresh(store)
    if again:
        with store.facts.write() as writing:
            for table in ("response", "episode", "survey", "state"):
                writing.run(f"DELETE FROM {table}")
        rebuild(store, HOTEL.no)
    with store.facts.read() as reading:
        found = {
            t: sorted(map(repr, reading.rows(f"SELECT * FROM {t}"))) for t in ("event", "response", "episode", "state")
        }
    store.close()
    return found  # type: ignore[return-value]


KILLED = """
import os, signal, sys
from pathlib import Path
from hubbub.storage import backup
place, step = Path(sys.argv[1]), int(sys.argv[2])
count = [0]
def say(_):
    count[0] += 1
    if count[0] > step:
        os.kill(os.getpid(), signal.SIGKILL)
with backup.making(place / "backup") as new:
    as_of, counts = backup.copy_store(place / "data", new, lambda: 5, say)
    backup.write_manifest(new, backup.Manifest("1", as_of, None, counts), say)
    say("")
"""


@pytest.mark.parametrize("step", [0, 1, 2, 3, 4])
def test_a_killed_backup_cannot_be_restored(folder: Path, tmp_path: Path, step: int) -> None:
    """A killed backup has no final name, cannot be restored unless its manifest was written, and does not block the next one."""
    child = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(step)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert not (tmp_path / "backup").exists()
    if not (tmp_path / "backup.new" / backup.MANIFEST).exists():
        with pytest.raises(NotFoundError, match="is not a finished backup"):
            backup.restore(tmp_path / "backup.new", tmp_path / "back", quiet)
        assert not (tmp_path / "back").exists()
    back_up(folder, tmp_path / "backup")
    assert not (tmp_path / "backup.new").exists()
    backup.restore(tmp_path / "backup", tmp_path / "back", quiet)
    assert len(ids_of(tmp_path / "back")) == 100


def test_a_failed_backup_leaves_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk while copying leaves neither the backup nor its draft."""

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "copy_file", full)
    with pytest.raises(OSError, match="No space"):
        back_up(folder, tmp_path / "backup")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize("name", ["log.db", FILE, "keys/pepper"])
def test_a_damaged_or_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    """A flipped byte in a file, or a missing file, is refused by name, and nothing is restored."""
    back_up(folder, tmp_path / "backup")
    path = tmp_path / "backup" / name
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(StoreDamagedError, match=f"{name} is damaged"):
        backup.restore(tmp_path / "backup", tmp_path / "back", quiet)
    path.unlink()
    with pytest.raises(StoreDamagedError, match=f"{name} is missing"):
        backup.restore(tmp_path / "backup", tmp_path / "back", quiet)
    assert not (tmp_path / "back").exists()


def test_keys_can_be_restored_from_another_place(folder: Path, tmp_path: Path) -> None:
    """Keys removed from the backup are asked for with --keys, and read from there."""
    back_up(folder, tmp_path / "backup")
    (tmp_path / "backup" / "keys").rename(tmp_path / "safe")
    with pytest.raises(StoreDamagedError, match="--keys"):
        backup.restore(tmp_path / "backup", tmp_path / "back", quiet)
    backup.restore(tmp_path / "backup", tmp_path / "back", quiet, tmp_path / "safe")
    assert (tmp_path / "back" / "pepper").exists()


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    """An existing backup, one in progress, and a non-empty target folder are refused."""
    back_up(folder, tmp_path / "backup")
    with pytest.raises(ConflictError, match="exists already"):
        back_up(folder, tmp_path / "backup")
    with pytest.raises(ConflictError, match="not empty"):
        backup.restore(tmp_path / "backup", folder, quiet)
    with backup.making(tmp_path / "other"), pytest.raises(ConflictError, match="another process"):
        back_up(folder, tmp_path / "other")


def test_another_layout_and_outside_paths_are_refused(folder: Path, tmp_path: Path) -> None:
    """A backup of another layout names the version to restore with; a manifest cannot name a file outside."""
    back_up(folder, tmp_path / "backup")
    place = tmp_path / "backup" / backup.MANIFEST
    whole = json.loads(place.read_text())
    place.write_text(json.dumps(whole | {"layout": schema.VERSION + 1, "hubbub": "9.9"}))
    with pytest.raises(BadInputError, match=r"restore it with Hubbub 9\.9"):
        backup.restore(tmp_path / "backup", tmp_path / "back", quiet)
    place.write_text(json.dumps(whole | {"files": {"../data/pepper": {"bytes": 64, "sha256": ""}}}))
    with pytest.raises(BadInputError, match="not a file of the backup"):
        backup.restore(tmp_path / "backup", tmp_path / "back", quiet)
    place.write_text("{")
    with pytest.raises(BadInputError, match="damaged"):
        backup.restore(tmp_path / "backup", tmp_path / "back", quiet)


def test_a_copy_is_taken_while_a_transaction_is_open(folder: Path, tmp_path: Path) -> None:
    """A backup does not wait for an open transaction, and does not hold its uncommitted changes."""
    store = Store(folder)
    with store.facts.write() as writing:
        writing.run("DELETE FROM event")
        back_up(folder, tmp_path / "backup")
        writing.run("INSERT INTO meta VALUES ('x', 'y')")
    store.close()
    con = sqlite3.connect(tmp_path / "backup" / FILE)
    assert con.execute("SELECT count(*) FROM event").fetchone() == (50,)
    con.close()

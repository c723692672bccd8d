"""Identities: known forever, in tables or files, and movable per tenant."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubbub.storage import sqlite_identity as identity
from hubbub.storage.identity import key_of
from hubbub.storage.sqlite_identity import Identities
from hubbub.storage.store import Store
from tests.embedded import identities_of


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that writes a file for every ten identities."""
    monkeypatch.setattr(identity, "RECENT", 10)
    made = Store(tmp_path)
    yield made
    made.close()


def add(identities: Identities, store: Store, found: list[tuple[int, int]]) -> None:
    """Add identities as a refresh does."""
    with store.facts.write() as writing:
        identities.add(writing, found)
    identities.added(key_of(*one) for one in found)


EXTREMES = [0, 1, -1, 2**63 - 1, -(2**63)]


def test_identities_are_known_in_table_and_files_after_any_number_of_merges(store: Store) -> None:
    """Every added identity is known, for its own tenant alone, after all merges and in a process that opens later."""
    found = [(tenant, ident) for ident in (*EXTREMES, *range(100, 400, 3)) for tenant in (1, 2, 7)]
    keys = [key_of(*one) for one in found]
    for start in range(0, len(found), 7):
        add(identities_of(store), store, found[start : start + 7])
    later = Identities(store.facts, store.folder)
    for one in (identities_of(store), later):
        assert one.known(keys) == set(keys)
        assert not one.known([key_of(3, 100), key_of(1, 101), key_of(2, -2)])
    files = {path.name for path in (store.folder / identity.FOLDER).iterdir()}
    with store.facts.read() as reading:
        assert files == {name for (name,) in reading.rows("SELECT file FROM identity_run")}
    assert 1 <= len(files) <= identity.RUNS + 1


def test_a_tenants_identities_can_be_listed_taken_out_and_brought_in(store: Store) -> None:
    """`of` lists a tenant's identities, `forget` removes them alone, and `take_in` adds them under another number."""
    for start in range(0, 50, 5):
        add(identities_of(store), store, [(tenant, ident) for ident in range(start, start + 5) for tenant in (1, 2)])
    mine = sorted(ident for piece in identities_of(store).of(1) for ident in piece)
    assert mine == list(range(50))
    identities_of(store).forget(1)
    assert [list(piece) for piece in identities_of(store).of(1)] == [[]]
    assert not identities_of(store).known(key_of(1, ident) for ident in mine)
    assert len(identities_of(store).known(key_of(2, ident) for ident in mine)) == 50
    identities_of(store).take_in(9, array("q", mine))
    assert len(identities_of(store).known(key_of(9, ident) for ident in mine)) == 50
    identities_of(store).forget(2)
    identities_of(store).forget(9)
    assert list((store.folder / identity.FOLDER).iterdir()) == []

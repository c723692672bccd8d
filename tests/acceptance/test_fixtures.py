"""Stores that earlier commits wrote open with today's code and give the same answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hubbub.facts.refresh import refresh
from hubbub.facts.verify import verify
from hubbub.storage.store import Store
from tests.fixtures.make import HERE, ROME, UTC_TENANT, restore, totals

STORES = sorted(path.stem for path in HERE.glob("store-*.sql"))
REDEFINED = {
    "store-dev": {"contact_engagement_score": "version 4 of the definitions: a day's score is that at its own end"}
}
"""Metrics redefined since a store was written, with the reason: for these only null or not null is compared."""


@pytest.mark.parametrize("name", STORES)
def test_a_store_of_an_earlier_commit_answers_as_it_did(name: str, tmp_path: Path) -> None:
    """Every number recorded with the store equals today's, in total and by day, and verify finds no difference."""
    folder = tmp_path / "data"
    restore((HERE / f"{name}.sql").read_text(), folder)
    now = json.loads(json.dumps(totals(folder)))
    for question, rows in json.loads((HERE / f"{name}.json").read_text()).items():
        for old, new in zip(rows, now[question], strict=True):
            new |= {m: old[m] for m in REDEFINED.get(name, {}) if (new[m] is None) == (old[m] is None)}
            assert {key: new.get(key) for key in old} == old, question
    store = Store(folder)
    refresh(store)
    assert verify(store, [ROME, UTC_TENANT]).differences == {}
    store.close()


def test_at_least_one_small_store_exists() -> None:
    """At least one store exists, and the fixtures are small."""
    assert STORES
    assert sum(path.stat().st_size for path in HERE.glob("store-*")) < 200_000 * len(STORES)

"""The layout of the store's file: its indexes, and the upgrade of older files."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from hubbub.facts import message, person, state
from hubbub.model.event import TYPES
from hubbub.storage import schema
from hubbub.storage.store import FILE, Store
from tests.fixtures.make import HERE, restore


@pytest.mark.parametrize(
    ("condition", "types"),
    [
        (schema.OF_MESSAGES, message.TYPES),
        (schema.OF_SURVEYS, ("satisfaction.rating_received", "satisfaction.survey_sent")),
        (schema.OF_TASKS, state.TYPES["task"]),
        (schema.OF_CAMPAIGNS, state.TYPES["campaign"]),
        (schema.OF_STAFF, state.TYPES["staff"]),
        (schema.OF_LINKS, person.TYPES),
    ],
)
def test_an_index_holds_the_types_that_its_fold_reads(condition: str, types: tuple[str, ...]) -> None:
    """Each partial index holds exactly the event types of its fold, and no custom type."""
    with sqlite3.connect(":memory:") as con:
        con.execute("CREATE TABLE event (type, task_id, campaign_id, staff_id, contact_id, name)")
        given = [*TYPES, "custom.0", "custom.zz"]
        con.executemany("INSERT INTO event VALUES (?, 1, 1, 1, 1, 1)", [(one,) for one in given])
        found = {one for (one,) in con.execute(f"SELECT type FROM event WHERE {condition}")}
    assert found == set(types)


def made(folder: Path) -> set[tuple[str, str]]:
    """Open a store, and return the indexes, views and triggers of its file."""
    Store(folder).close()
    with sqlite3.connect(folder / FILE) as con:
        rows = con.execute("SELECT name, sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL").fetchall()
    con.close()
    return {(name, re.sub(r"\s+", " ", sql)) for name, sql in rows}


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("store-*.sql")))
def test_an_older_file_has_the_indexes_and_triggers_of_today(name: str, tmp_path: Path) -> None:
    """An older file gets today's indexes and triggers when it is opened."""
    restore((HERE / f"{name}.sql").read_text(), tmp_path / "old")
    assert made(tmp_path / "old") == made(tmp_path / "new")

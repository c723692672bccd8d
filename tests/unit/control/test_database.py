"""The control database: concurrent writes all count, and an error rolls its writes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hubbub.control.database import Database
from hubbub.errors import BadInputError
from tests.conftest import empty_database

metadata = sa.MetaData()
words = sa.Table("words", metadata, sa.Column("word", sa.String(40), primary_key=True))


def test_concurrent_writers_lose_no_row(tmp_path: Path) -> None:
    """Threads that write through two openings of the same file lose no row."""
    url = f"sqlite:///{tmp_path / 'control.db'}"
    databases = [Database(url), Database(url)]
    databases[0].make(words)

    def write(n: int) -> None:
        with databases[n % 2].write() as con:
            con.execute(words.insert().values(word=str(n)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(200)))
    with databases[0].read() as con:
        assert con.execute(sa.select(sa.func.count()).select_from(words)).scalar() == 200
    for database in databases:
        database.close()


def test_an_older_table_gets_the_missing_columns(jobs_url: str) -> None:
    """Existing rows keep their values and get the new columns' defaults; a second call changes nothing."""
    database = Database(jobs_url)
    database.make(words)
    with database.write() as con:
        con.execute(words.insert().values(word="kept"))
    later = sa.Table(
        "words", sa.MetaData(), sa.Column("word", sa.String(40), primary_key=True), sa.Column("said_at", sa.DateTime),
        sa.Column("loud", sa.Boolean, nullable=False, server_default=sa.false()),
    )  # fmt: skip
    for _ in range(2):
        database.make(later)
        with database.read() as con:
            assert con.execute(sa.select(later)).all() == [("kept", None, False)]
    database.close()


def test_an_error_rolls_back_and_does_not_block_the_next_writer(tmp_path: Path) -> None:
    """Writes before an error are rolled back, and the next writer is not blocked."""
    database = Database(f"sqlite:///{tmp_path / 'control.db'}")
    database.make(words)
    with pytest.raises(ZeroDivisionError), database.write() as con:
        con.execute(words.insert().values(word="undone"))
        raise ZeroDivisionError
    with database.write() as con:
        con.execute(words.insert().values(word="kept"))
    with database.read() as con:
        assert list(con.execute(sa.select(words.c.word)).scalars()) == ["kept"]
    database.close()


def test_a_value_that_postgresql_cannot_hold_is_bad_input(postgres: Any) -> None:
    """A NUL, a text longer than its column and too large a number are refused as input, and nothing of them is stored."""
    database = Database(empty_database(postgres))
    numbers = sa.Table("numbers", sa.MetaData(), sa.Column("number", sa.BigInteger))
    database.make(words, numbers)
    for table, value in ((words, "a\0b"), (words, "a" * 41), (numbers, 2**63)):
        (column,) = table.columns
        with pytest.raises(BadInputError, match="the database cannot hold a value"), database.write() as con:
            con.execute(table.insert().values({column: value}))
        with database.read() as con:
            assert con.execute(sa.select(column)).all() == []
    with pytest.raises(BadInputError, match=r"cannot hold a value .*NUL"), database.read() as con:
        con.execute(sa.select(words).where(words.c.word == "a\0b"))
    database.close()

"""A batched statement in SQLite has the effect of the same statements row by row."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubbub.storage.sqlite import ROWS, Database

INSERT = "INSERT INTO t (k, v) VALUES (?, ?)"
ENDS = (" ON CONFLICT DO NOTHING", " ON CONFLICT (k) DO UPDATE SET v = t.v + excluded.v")
Pairs = list[tuple[int, int | None]]


@pytest.mark.parametrize("end", ENDS)
@given(rows=st.lists(st.tuples(st.integers(0, 300), st.none() | st.integers(-9, 9)), max_size=3 * ROWS))
@example(rows=[(n % (ROWS + 1), 1) for n in range(2 * ROWS + 1)])
@settings(max_examples=40, deadline=None)
def test_rows_written_in_bulk_equal_rows_written_one_by_one(end: str, rows: Pairs) -> None:
    """Table and returned count are the same, also with repeated keys."""
    with tempfile.TemporaryDirectory() as folder:
        together, singly = (Database(Path(folder) / name) for name in ("together", "singly"))
        counts = []
        for database in (together, singly):
            database.exclusive(lambda con: con.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER)").close())
        with together.write() as writing:
            counts.append(writing.many(INSERT + end, rows))
        with singly.write() as writing:
            counts.append(sum(writing.run(INSERT + end, row) for row in rows))
        with together.read() as ours, singly.read() as theirs:
            assert ours.rows("SELECT * FROM t ORDER BY k") == theirs.rows("SELECT * FROM t ORDER BY k")
        assert counts[0] == counts[1]
        together.close()
        singly.close()

"""Statements that SQLite and PostgreSQL express differently mean the same, and common statements do too."""

from __future__ import annotations

import ast
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubbub.facts.state import Stretch
from hubbub.storage import schema
from hubbub.storage.dialect import POSTGRESQL, SQLITE, FullDialect
from hubbub.storage.postgresql import translated
from hubbub.storage.store import Store
from hubbub.storage.transaction import Params
from tests.conftest import empty_database
from tests.house.conftest import SOURCE

Both = tuple[Store, Store]


@pytest.fixture(scope="module")
def both(postgres: Any) -> Iterator[Both]:
    """An empty store on each engine."""
    with tempfile.TemporaryDirectory() as folder:
        stores = Store(Path(folder)), Store(Path(folder), empty_database(postgres))
        yield stores
        for store in stores:
            store.close()


def asked(both: Both, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
    """Return the rows of one statement, equal on both in value and type; booleans as 1 or 0."""
    found = []
    for store in both:
        with store.facts.read() as reading:
            rows = reading.rows(sql, params)
            found.append([tuple(int(v) if isinstance(v, bool) else v for v in row) for row in rows])
    assert found[0] == found[1], sql
    assert [[type(v) for v in row] for row in found[0]] == [[type(v) for v in row] for row in found[1]], sql
    return found[0]


def told(both: Both, sql: Any, params: Params = ()) -> Any:
    """Return the value of each dialect's statement, equal on both."""
    found = []
    for store, dialect in zip(both, (SQLITE, POSTGRESQL), strict=True):
        with store.facts.read() as reading:
            assert reading.dialect is dialect
            found.append(reading.value(sql(dialect), params))
    assert found[0] == found[1]
    return found[0]


NUMBERS = (0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0.9999999, 1e15 + 0.5, -1e15 - 0.5, 123456.7890125, 9007199254740993.0)


@pytest.mark.parametrize("number", NUMBERS)
def test_both_engines_truncate_and_round_alike(both: Both, number: float) -> None:
    """A number is truncated toward zero, and with an added half it is rounded away from zero."""
    cut = told(both, lambda d: f"SELECT {d.whole('CAST(:x AS DOUBLE PRECISION)')}", {"x": number})
    assert cut == int(number)
    half = "CAST(:x AS DOUBLE PRECISION) + CASE WHEN CAST(:x AS DOUBLE PRECISION) < 0 THEN -0.5 ELSE 0.5 END"
    assert told(both, lambda d: f"SELECT {d.whole(half)}", {"x": number}) == int(number + (-0.5 if number < 0 else 0.5))


def test_both_engines_read_json_documents_alike(both: Both) -> None:
    """A text or number in a JSON document is found by path; another type, a missing value or no document gives null."""
    said = {"a": {"t": "wörd", "n": 0.25, "i": 3, "l": [1], "z": None, "o": {"n": 1}}, "b": "nul \x00, and \\u0000"}
    found = [
        told(
            both,
            lambda d, at=at, name=name: f"SELECT {getattr(d, at)('CAST(:x AS TEXT)', ('a', name))}",
            {"x": document},
        )
        for document in (json.dumps(said), "{}", None)
        for at in ("text_at", "number_at")
        for name in ("t", "n", "i", "l", "z", "o", "none")
    ]
    texts, numbers, rest = found[:7], found[7:14], found[14:]
    assert texts == ["wörd", *[None] * 6]
    assert numbers == [None, 0.25, 3.0, *[None] * 4]
    assert set(rest) == {None}


def test_lists_are_bound_as_one_text(both: Both) -> None:
    """A list of numbers or texts, also an empty one, is bound as one parameter."""

    def count(within: Any) -> Any:
        return lambda d: f"SELECT count(*) FROM (SELECT 5 AS n, 'a\"b' AS t) AS x WHERE {within(d)}"

    for numbers, n in (([5, -(2**63), 2**63 - 1], 1), ([4], 0), ([], 0)):
        assert told(both, count(lambda d: f"n {d.in_numbers(':x')}"), {"x": json.dumps(numbers)}) == n
    for texts, n in ((['a"b', "ü"], 1), (["a"], 0), ([], 0)):
        assert told(both, count(lambda d: f"t {d.in_texts(':x')}"), {"x": json.dumps(texts)}) == n


def test_rows_without_a_key_have_a_place(both: Both) -> None:
    """A row of a table without a key is deleted alone, by its row id."""
    one, other = (Stretch(name, 1, 2, None, None, None) for name in ("open", "waiting"))
    columns = ("tenant", "entity", "id", *Stretch._fields)
    for store in both:
        with store.facts.write(1) as writing:
            writing.many(schema.insert("state", columns), [(1, "task", "t", *row) for row in (one, one, other)])
            place = writing.dialect.row
            (at,) = writing.rows(f"SELECT {place} FROM state WHERE state = 'waiting'")[0]
            assert writing.many(f"DELETE FROM state WHERE {place} = ?", [(at,)]) == 1
            assert writing.value("SELECT count(*) FROM state") == 2
            writing.run("DELETE FROM state")


def test_an_index_is_named_where_a_planner_needs_it(both: Both) -> None:
    """Both engines accept a statement with an index hint."""

    def sql(dialect: FullDialect) -> str:
        return f"SELECT count(*) FROM event AS e {dialect.by_index('event_conversation')} WHERE e.conversation_id IS NOT NULL"

    assert told(both, sql) == 0


COMMON: dict[str, tuple[Any, ...]] = {
    "SELECT 7 / 2, -7 / 2, (-7) % 3": (3, -3, -1),
    "SELECT min(x), max(x) FROM (SELECT 'b' AS x UNION ALL SELECT 'B' UNION ALL SELECT 'ä' UNION ALL SELECT 'Z') AS y": ("B", "ä"),
    "SELECT lower('ÄB'), lower(NULL), coalesce(lower('X') LIKE 'x%', FALSE)": ("Äb", None, 1),
    "SELECT sum(x), count(*) FILTER (WHERE x > 1), min(x) FROM (SELECT 1 AS x UNION ALL SELECT 4611686018427387904) AS y":
        (4611686018427387905, 1, 1),
    "SELECT replace('abcabc', 'b', ''), replace('abc', 'x', '') <> 'abc', 'a' || '' IS NOT NULL": ("acac", 0, 1),
    "SELECT x FROM (SELECT 2 AS x UNION ALL SELECT NULL UNION ALL SELECT 1) AS y ORDER BY x NULLS FIRST LIMIT 1": (None,),
    "SELECT (1, 'a') < (1, 'b'), (2, 'a') > (1, 'z'), CASE WHEN 1 = 1 THEN 3 END": (1, 1, 3),
    "SELECT (6 & 3) > 0, coalesce(NULL, 4) > 0, 5 BETWEEN 5 AND 6, 'message.read' BETWEEN 'link.clicked' AND 'message.sent'":
        (1, 1, 1, 1),
    "SELECT 'a%b_c' LIKE '%!%b!_%' ESCAPE '!', 'axbc' LIKE '%!%%' ESCAPE '!', '?' || ':x'": (1, 0, "?:x"),
}  # fmt: skip
"""Statement → its row: what Hubbub's statements rely on. Text is compared by byte, and case folding is ASCII only."""


@pytest.mark.parametrize("sql", COMMON)
def test_one_text_means_the_same_on_both_engines(both: Both, sql: str) -> None:
    """Both engines give this row, with values of these types."""
    text = sql.replace("'ÄB'", "CAST('ÄB' AS TEXT)")
    found = []
    for store in both:
        with store.facts.read() as reading:
            if reading.dialect is POSTGRESQL:  # as a store's columns are
                text = text.replace("CAST('ÄB' AS TEXT)", "CAST('ÄB' AS TEXT) COLLATE \"C\"")
                text = text.replace("SELECT min(x), max(x)", 'SELECT min(x COLLATE "C"), max(x COLLATE "C")')
            found.append(tuple(int(v) if isinstance(v, bool) else v for v in reading.rows(text)[0]))
    assert found == [COMMON[sql]] * 2


def test_columns_of_text_compare_byte_by_byte(both: Both) -> None:
    """A store's text columns sort by byte, whatever the database's collation."""
    for store in both:
        with store.facts.write(1) as writing:
            rows = [(1, "contact", name, "f") for name in ("b", "B", "ä", "a", "Z")]
            writing.many(
                schema.upsert("person", ("tenant", "contact_id", "root")),
                [(1, name, root) for _, _, name, root in rows],
            )
    assert [name for (name,) in asked(both, "SELECT contact_id FROM person ORDER BY contact_id")] == [
        "B",
        "Z",
        "a",
        "b",
        "ä",
    ]
    assert asked(both, "SELECT max(contact_id), min(contact_id), lower(max(contact_id)) FROM person") == [
        ("ä", "B", "ä")
    ]


def test_a_row_takes_the_place_of_another_or_stays(both: Both) -> None:
    """`upsert` replaces a row with the key, `insert_new` leaves it, and a batch may repeat a key."""
    for store in both:
        with store.facts.write(2) as writing:
            writing.many(schema.insert_new("todo"), [("message", 2, "a"), ("message", 2, "a")])
            writing.many(schema.insert_new("todo"), [("message", 2, "a"), ("message", 2, "b")])
            writing.many(schema.upsert("stale"), [(2, 5, 1), (2, 5, None)])
    assert asked(both, "SELECT unit, key FROM todo ORDER BY key") == [("message", "a"), ("message", "b")]
    assert asked(both, "SELECT tenant, day, taken FROM stale") == [(2, 5, None)]


def test_a_statement_is_translated_outside_its_texts() -> None:
    """Parameters are renamed and percent signs doubled; quotes and casts are untouched."""
    assert translated("SELECT ?, :a_1, 'it''s ? :b 5%', x::text, 7 % 2") == (
        "SELECT %s, %(a_1)s, 'it''s ? :b 5%%', x::text, 7 %% 2"
    )


ONE_ENGINE = re.compile(
    r"\b(json_extract|json_each|json_type|jsonb?_\w+|group_concat|string_agg|strftime|julianday|ifnull|instr|iif|printf|to_char"
    r"|unnest)\(|\bINSERT OR\b|\bROWID\b|\bctid\b|\bGLOB\b|\bILIKE\b|\bsum\(\w+ (?:=|<>|<|>) ",
    re.IGNORECASE,
)
"""Functions and words that only one engine has."""
OWN = ("sqlite", "postgresql", "dialect", "intact", "published")
"""Files of `storage` that are written for one engine; `control/` uses SQLAlchemy."""


def test_no_statement_uses_a_word_of_one_engine() -> None:
    """Outside the files of the engines no text of the source has a function or word of one engine alone."""
    found = []
    for path in SOURCE.rglob("*.py"):
        if path.parent.name == "control" or (path.parent.name == "storage" and path.stem.startswith(OWN)):
            continue
        texts = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
        found += [
            f"{path.name}:{node.lineno} {hit[0]}"
            for node in texts
            if isinstance(node.value, str) and (hit := ONE_ENGINE.search(node.value))
        ]
    assert found == []

"""Where a text names somebody: whole words, JSON's spellings, and ids too short to be words. The store agrees."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hubbub.store.base import Store

from hubbub.model.naming import named, pattern
from tests.stores import new_store

ACCENT = "anna.é/b@x.it"
ODD = "a'b\"c\\d$"
TOLD: dict[str, dict[str, bool]] = {
    "guest-1": {
        "guest-1": True, "wa:guest-1!": True, "hello guest-1 there": True, '{"a":"\\nguest-1"}': True,
        '{"a":"\\u00e9guest-1"}': True, '{"a":["guest-1"]}': True, "_guest-1_": True, "guest-10": False, "aguest-1": False,
        "guest1": False, "Guest-1": False, "": False,
    },
    ACCENT: {
        ACCENT: True, json.dumps({"a": ACCENT}): True, json.dumps({"a": ACCENT}, ensure_ascii=False): True,
        json.dumps({"a": ACCENT}).replace("/", "\\/").replace("00e9", "00E9"): True, "annaXé/b@x.it": False,
    },
    "k1": {"k1": True, '{"a":"k1"}': True, '{"k1":2}': True, "a k1 b": False, "k1:2": False, '{"a":"see k1"}': False},
    "7": {"7": True, '{"a":7}': False, '{"a":"7"}': True, "17": False},
    ODD: {ODD: True, json.dumps({"a": ODD}): True, "a'b": False},
}  # fmt: skip
"""By id, texts and whether they name it."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = new_store(tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", TOLD)
def test_a_text_names_an_id_or_not(name: str) -> None:
    """An id is found as a whole word, however JSON spells it; a short one as a whole value alone."""
    found = re.compile(pattern([name]))
    assert {text: bool(found.search(text)) for text in TOLD[name]} == TOLD[name]


def test_the_store_finds_the_same(store: Store) -> None:
    """In one column or among several, nulls too, the store finds an id just where this process does."""
    for name, texts in TOLD.items():
        rows = pa.table({"n": list(range(len(texts))), "a": list(texts), "b": pa.nulls(len(texts), pa.string())})
        for columns in (["a"], ["b", "a"], ["a", "b"]):
            select = f"SELECT {named(columns)} FROM told ORDER BY n"
            found = store.query(select, {"told": rows, "pattern": pattern([name])}).rows
            assert [bool(one) for (one,) in found] == list(texts.values()), (name, columns)


def test_several_ids_are_looked_for_at_once() -> None:
    """Any of them is enough."""
    found = re.compile(pattern(["guest-1", "k1"]))
    assert [bool(found.search(text)) for text in ("k1", "x guest-1", "guest-2")] == [True, True, False]

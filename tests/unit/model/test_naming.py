"""Whether a text names an id: as a whole word, in JSON's spellings, and short ids as whole values. The store agrees."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hubbub.facts.erase import Contact
from hubbub.model.naming import pattern
from hubbub.model.tenant import Tenant
from hubbub.storage.store import Store

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
"""By id: texts, and whether they name it."""


@pytest.mark.parametrize("name", TOLD)
def test_a_text_names_an_id_or_not(name: str) -> None:
    """An id is found as a whole word in any JSON spelling; a short one as a whole value alone."""
    found = re.compile(pattern([name]))
    assert {text: bool(found.search(text)) for text in TOLD[name]} == TOLD[name]


@pytest.mark.parametrize("column", ["field", "message", "raw"])
def test_the_store_finds_the_same(tmp_path: Path, column: str) -> None:
    """The store finds the same texts in any column, also beside nulls."""
    columns = ("field", "message", "raw")
    store = Store(tmp_path)
    for no, (name, texts) in enumerate(TOLD.items()):
        rows = [
            (no * 100 + at, no, *(text if one == column else None if one == "field" else "" for one in columns))
            for at, text in enumerate(texts)
        ]
        with store.facts.write() as writing:
            writing.many("INSERT INTO quarantine VALUES (?, ?, 0, 'api', 'bad', ?, ?, ?, 0)", rows)
            found = Contact(Tenant(no, "acme"), (name,), "", (name,)).named(writing, "quarantine", ("id", column))
        assert [text for _, text in sorted(found)] == [text for text, there in texts.items() if there], name
    store.close()


def test_several_ids_are_looked_for_at_once() -> None:
    """A text that names any of several ids matches."""
    found = re.compile(pattern(["guest-1", "k1"]))
    assert [bool(found.search(text)) for text in ("k1", "x guest-1", "guest-2")] == [True, True, False]

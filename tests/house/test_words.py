"""Retired words stay retired: `docs/glossary.md` lists them and their replacements."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.conftest import PAPERS, RECORDS, ROOT, SOURCE, superseded

GLOSSARY = ROOT / "docs" / "glossary.md"
INDEX = ROOT / "docs" / "why" / "README.md"
"""The index repeats the titles of old records."""
RETIRED = GLOSSARY.read_text(encoding="utf-8").split("## Retired words", 1)[1]
ROW = re.compile(r"^\| (?!not|---)(.+?) \| .+? \|(?: (.*?) ?\|)?$", re.MULTILINE)
TEXTS, NAMES = (ROW.findall(part) for part in RETIRED.split("Not as the name of a file", 1))
PHRASES = re.compile(
    "|".join(rf"\b{re.escape(phrase)}\b" for row, _ in TEXTS for phrase in row.split(", ")), re.IGNORECASE
)
WRITTEN = [
    *(paper for paper in PAPERS if paper not in (GLOSSARY, INDEX) and not (paper in RECORDS and superseded(paper, part=True))),
    *(path for path in sorted(SOURCE.rglob("*")) if path.suffix in {".py", ".html", ".js", ".css"}),
    *(ROOT / "examples").rglob("*.yaml"), ROOT / "Makefile",
]  # fmt: skip


@pytest.mark.parametrize("path", WRITTEN, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_retired_word_is_written(path: Path) -> None:
    """No document, message, help text, page, docstring or comment holds a retired word of the glossary."""
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {hit[0]!r}" for number, line in lines for hit in PHRASES.finditer(line)
    ]
    assert found == [], "retired words: docs/glossary.md says what to write in their place"


def test_no_retired_name_comes_back() -> None:
    """A retired name of a file, class or function is used only in the files that the glossary lists for it."""
    retired = {name: set(re.findall(r"`(.+?)`", still)) for row, still in NAMES for name in row.split(", ")}
    assert len(retired) > 30
    there: dict[str, set[str]] = {name: set() for name in retired}
    for path in SOURCE.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        used = {node.name.strip("_").lower() for node in nodes if isinstance(node, kinds)} | {path.stem}
        for name in used & set(retired):
            there[name].add(path.relative_to(SOURCE).as_posix())
    for row, _ in NAMES:  # names of one row share their list
        names = row.split(", ")
        assert set().union(*(there[name] for name in names)) == retired[names[0]], names


def test_the_glossary_explains_each_term_once() -> None:
    """Every term of the glossary has one entry, which is a sentence."""
    text = GLOSSARY.read_text(encoding="utf-8").split("## Retired words", 1)[0]
    entries = re.findall(r"^\| (?!term|---)(.+?) \| (.+) \|$", text, re.MULTILINE)
    assert len(entries) > 50
    assert len({term for term, _ in entries}) == len(entries)
    assert [term for term, meaning in entries if not meaning.endswith(".")] == []

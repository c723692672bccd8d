"""Paths of the project's own files, for tests about the project itself."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "hubbub"
PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RECORDS = sorted((ROOT / "docs" / "why").glob("[0-9]*.md"))


def superseded(record: Path, *, part: bool = False) -> list[str]:
    """Return the numbers of the records that supersede a decision record; with `part` also those that do so in part."""
    line = " ".join(record.read_text(encoding="utf-8").split("\n\n")[1].split())
    found = re.search(rf"\bSuperseded {'(?:in part )?' if part else ''}by ([^.:]*)", line)
    return re.findall(r"\d+", found[1]) if found else []


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """Load the program that writes the reference."""
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pages(reference: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write the reference into a temporary folder and return its pages by name."""
    return {
        page.stem: page.read_text(encoding="utf-8") for page in reference.write(tmp_path_factory.mktemp("reference"))
    }

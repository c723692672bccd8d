"""Where the project's own files are, for tests about the project itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "hubbub"


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
    """Write the reference into a folder of its own and return its pages by name."""
    return {
        page.stem: page.read_text(encoding="utf-8") for page in reference.write(tmp_path_factory.mktemp("reference"))
    }

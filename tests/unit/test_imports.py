"""Imports of a process: rarely used libraries are loaded on their first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

SELDOM = {
    "chdb", "dbos", "httpx2", "joblib", "numpy", "psycopg", "pymupdf", "redis", "sklearn", "slack_sdk", "xlsxwriter",
    "cryptography.x509", "sqlalchemy.dialects.postgresql",
}  # fmt: skip
"""Each takes 0.03 to 1 s of CPU time to import."""


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("hubbub.app", SELDOM | {"fastapi", "jinja2", "uvicorn"}),
        ("hubbub.api.app", SELDOM),
        ("hubbub.cli.main", SELDOM | {"fastapi", "jinja2", "pydantic", "sqlalchemy", "structlog", "uvicorn"}),
    ],
)
def test_libraries_of_few_load_with_their_first_use(module: str, unwanted: set[str]) -> None:
    """The engine, the server and `hubbub --help` start without the libraries that most processes never call."""
    printed = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", printed], capture_output=True, text=True, check=True).stdout
    assert not unwanted & set(loaded.split())

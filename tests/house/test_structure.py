"""The shape of the code: size limits, errors, settings and the lock."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from hubbub import errors
from hubbub.settings import RetentionDays, Settings
from tests.house.conftest import ROOT, SOURCE

LONGEST_FUNCTION = 60
LONGEST_FILE = 450
LONGER_FUNCTIONS: set[str] = set()
LONGER_FILES: set[str] = set()
"""Known to be longer. Remove a name once it is short; avoid adding one."""

TEST_FILES = sorted((ROOT / "tests").rglob("test_*.py"))
ERRORS = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.HubbubError)]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    """Return a file as a syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[Function]:
    """Yield the functions of a file, methods and inner ones included."""
    yield from (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def length(function: Function) -> int:
    """Count the lines of a function without its docstring and decorators."""
    first = function.body[0]
    has_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    text = (first.end_lineno or first.lineno) - first.lineno + 1 if has_text else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - text


PRIVATE = re.compile(r"(^|\.)_[a-z]")
USES_PRIVATE_PARTS = SOURCE / "jobs" / "dbos_private.py"


def foreign_imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports from other packages."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith(("hubbub", "__future__")):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def test_one_file_uses_private_parts_of_libraries() -> None:
    """Only one file imports a name with an underscore from another package."""
    users = {path for path in SOURCE.rglob("*.py") if any(map(PRIVATE.search, foreign_imports(path)))}
    assert users == {USES_PRIVATE_PARTS}


def test_errors_have_a_code_a_status_and_a_retry_flag() -> None:
    """Each error has its own code, an HTTP status, a retry flag, and its docstring's first line as default message."""
    codes = [e.code for e in ERRORS]
    assert len(set(codes)) == len(codes)
    for error in ERRORS:
        own = vars(error)
        assert "code" in own and "status" in own, error.__name__
        assert re.fullmatch(r"[a-z_]+", error.code)
        assert 400 <= error.status <= 599
        assert isinstance(error.retry, bool)
        assert not error.retry or error.status >= 500 or error.status in (408, 429)
        assert error().message == (inspect.getdoc(error) or "").splitlines()[0]
        assert error("what happened").message == str(error("what happened")) == "what happened"


def test_settings_are_few() -> None:
    """There are at most 40 settings, each with a default."""
    assert len(Settings.model_fields) + len(RetentionDays.model_fields) <= 40
    assert all(not field.is_required() for field in Settings.model_fields.values())


def test_functions_are_short() -> None:
    """No function is longer than 60 lines, except those named here."""
    long = {
        f"{path.name}:{f.name}"
        for path in SOURCE.rglob("*.py")
        for f in functions(path)
        if length(f) > LONGEST_FUNCTION
    }
    assert long <= LONGER_FUNCTIONS


def test_files_are_short() -> None:
    """No source file is longer than 450 lines, except those named here."""
    long = {
        path.name for path in SOURCE.rglob("*.py") if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_FILE
    }
    assert long <= LONGER_FILES


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda p: str(p.relative_to(ROOT / "tests")))
def test_every_test_has_a_docstring_and_typed_signature(path: Path) -> None:
    """Each test function has a docstring that is a sentence, and a typed signature."""
    for function in functions(path):
        if function.name.startswith("test_"):
            text = ast.get_docstring(function) or ""
            assert len(text) > 20 and text.rstrip().endswith((".", "!", "?", ")")), f"{path.name}: {function.name}"
            assert function.returns is not None, function.name
            assert all(a.annotation is not None for a in function.args.args if a.arg != "self"), function.name


def lock() -> dict[str, str]:
    """Return the locked packages: name → entry."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / "requirements.lock").read_text(encoding="utf-8"))
    return {re.match(r"[A-Za-z0-9._-]+", e)[0].lower().replace("_", "-"): e for e in entries if "==" in e}  # type: ignore[index]


def test_the_lock_names_no_place_and_hashes_everything() -> None:
    """The lock holds only versions and hashes: no host, index or path; every package has a hash."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host|file:|^-e", text, re.MULTILINE)
    assert lock()
    for name, entry in lock().items():
        assert re.match(r"\S+==\S+", entry), name
        assert "--hash=sha256:" in entry, name


def test_the_lock_pins_every_dependency() -> None:
    """Every dependency of pyproject, also for development and building, is in the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [
        *project["project"]["dependencies"], *project["dependency-groups"]["dev"],
        *(d for extra in project["project"]["optional-dependencies"].values() for d in extra),
    ]  # fmt: skip
    for dependency in asked:
        name = re.match(r"[A-Za-z0-9._-]+", dependency)
        assert name is not None
        assert name[0].lower().replace("_", "-") in lock(), dependency


def tracked() -> list[Path]:
    """Return the files that git tracks, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("needs a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_place_on_a_machine() -> None:
    """No file of the project holds a home or working folder of a machine."""
    place = re.compile(r"(?<![\w.])/(?:home|Users|root|work|mnt)/\w")
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if path != Path(__file__).resolve():
            assert not place.search(text), f"{path.relative_to(ROOT)}: {place.search(text)}"


def test_the_source_holds_no_todo_note() -> None:
    """The source holds no TODO note: open work is in an issue."""
    note = re.compile(r"\b(TODO|FIXME|XXX)\b")
    assert [p.name for p in SOURCE.rglob("*.py") if note.search(p.read_text(encoding="utf-8"))] == []


def test_no_test_asserts_a_time() -> None:
    """No test asserts a measured duration, since machines differ."""
    clock = re.compile(r"assert .*(perf_counter|monotonic|time\.time|process_time)\(")
    assert [p.name for p in TEST_FILES if clock.search(p.read_text(encoding="utf-8"))] == []

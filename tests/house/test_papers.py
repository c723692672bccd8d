"""What the documents state about the project is true: files, functions, and decision records with date and status."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.house.conftest import PAPERS, RECORDS, ROOT, SOURCE, superseded

CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(
    r"(?:[\w.-]+/)*(?:[\w-]+\.(?:py|md|ya?ml|toml|html|js|css|png|service)|Makefile|Containerfile)|(?:[\w.-]+/)+"
)
TREES = (ROOT, SOURCE, ROOT / "docs", ROOT / "deploy", ROOT / "examples")
"""Where a path may begin, besides the document's own folder."""
MADE = {"hubbub.yaml", "hubbub-data/", "build/", "bench/results/", "report.html", "keys/", "tables/"}
"""Files and folders that people or commands make."""
STEP = re.compile(r"`([\w/]+\.py)`: ((?:`\w+`(?:, )?)+)")
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
CURRENT = [paper for paper in PAPERS if paper not in RECORDS or not superseded(paper, part=True)]
"""Documents about the present project: superseded decisions are left out."""


@cache
def names(path: Path) -> frozenset[str]:
    """Return the functions, classes, methods and constants of a file."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    made = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    targets = [t for n in nodes if isinstance(n, ast.Assign) for t in n.targets]
    targets += [n.target for n in nodes if isinstance(n, ast.AnnAssign)]
    return frozenset(made | {t.id for t in targets if isinstance(t, ast.Name)})


def imported(path: Path) -> frozenset[str]:
    """Return the names that a file imports from modules."""
    nodes = (n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ImportFrom))
    return frozenset(alias.asname or alias.name for node in nodes for alias in node.names)


def paths(text: str) -> Iterator[str]:
    """Yield quoted code that looks like a file or folder of the project."""
    for quoted in CODE.findall(text):
        if PATH.fullmatch(quoted) and quoted not in MADE:
            yield quoted


@pytest.mark.parametrize("paper", CURRENT, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_path_in_a_document_exists(paper: Path) -> None:
    """Each file or folder that a document names exists, seen from the root, the package, or the document itself."""
    trees = (*TREES, paper.parent)
    missing = [path for path in paths(paper.read_text(encoding="utf-8")) if not any((t / path).exists() for t in trees)]
    assert missing == []


def test_the_walks_name_functions_that_exist() -> None:
    """Each function, class and table that a walk of ARCHITECTURE.md names is in the file it names."""
    steps = STEP.findall((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    assert len(steps) > 30
    for file, quoted in steps:
        for name in CODE.findall(quoted):
            assert name in names(SOURCE / file), f"{file}: {name}"


def test_names_in_the_table_of_additions_exist() -> None:
    """Each name that a row of CONTRIBUTING.md's table quotes is defined or imported in a file of that row."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Add something", 1)[1].split("\n## ", 1)[0]
    checked = set()
    for row in re.findall(r"^\| an? .*", table, re.MULTILINE):
        quoted = CODE.findall(row)
        files = [
            tree / path for path in paths(row) for tree in TREES if path.endswith(".py") and (tree / path).is_file()
        ]
        known = frozenset().union(*(names(file) | imported(file) for file in files))
        wanted = {name.removesuffix("[…]") for name in quoted if re.fullmatch(r"\w+(\[…])?", name)}
        assert wanted <= known, f"{wanted - known} in: {row}"
        checked |= wanted
    assert {"WORK", "Engine", "NO_IDS", "cacheable", "Sent"} <= checked


def test_the_rooms_are_the_floors_that_imports_are_checked_by() -> None:
    """The rooms in ARCHITECTURE.md are the layers of the import contract, in the same order."""
    table = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Rooms", 1)[1].split("\n## ", 1)[0]
    rows = [CODE.findall(line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["type"] == "layers")
    assert [{Path(room).stem for room in row} for row in rows] == [set(row.split(" | ")) for row in contract["layers"]]


def dated(record: Path) -> tuple[int, str, str, str]:
    """Return number, title, ISO date and status of a decision record, read from its heading and first paragraph."""
    heading, line = record.read_text(encoding="utf-8").split("\n\n")[:2]
    number, title = re.fullmatch(r"# (\d+)\. (.+)", heading).groups()  # type: ignore[union-attr]
    day, month, year = re.match(r"(\d+) (\w+) (\d{4})\.", line).groups()  # type: ignore[union-attr]
    by = " and ".join(superseded(record, part=True))
    part = "in part " if by and not superseded(record) else ""
    status = f"superseded {part}by {by}" if by else "accepted"
    return int(number), title, f"{year}-{MONTHS.index(month) + 1:02}-{int(day):02}", status


def test_decision_records_are_listed_with_date_and_status() -> None:
    """The index lists every record once, with the record's own number, title, date and status."""
    text = (ROOT / "docs" / "why" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d+) \| \[(.+?)\]\((\S+?)\) \| (\S+) \| (.+?) \|$", text, re.MULTILINE)
    assert [(int(number), title, date, status) for number, title, _, date, status in listed] == [
        dated(record) for record in RECORDS
    ]
    assert [target for _, _, target, _, _ in listed] == [record.name for record in RECORDS]
    assert [int(name[:4]) for name in (record.name for record in RECORDS)] == [int(number) for number, *_ in listed]


def test_a_superseding_record_names_the_superseded_one() -> None:
    """A superseded record names a newer one, which names it in turn."""
    by_number = {dated(record)[0]: record for record in RECORDS}
    for number, record in by_number.items():
        for newer in map(int, superseded(record, part=True)):
            assert newer > number
            said = by_number[newer].read_text(encoding="utf-8").split("\n\n")[1]
            assert re.search(rf"\bSupersedes\b.*\b{number}\b", said, re.DOTALL), (
                f"{newer} does not say that it supersedes {number}"
            )

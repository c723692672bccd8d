"""Documentation is complete: the reference covers everything, examples run, and links resolve."""

from __future__ import annotations

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest

import hubbub
from hubbub import errors
from hubbub.dashboard.registry import OPERATOR, TENANT
from hubbub.jobs.policies import QUEUES
from hubbub.jobs.schedule import SCHEDULES
from hubbub.metrics import catalogue, examples
from hubbub.model import event
from hubbub.settings import RetentionDays, Settings
from hubbub.storage.published import ROWS, VIEWS
from tests.house.conftest import PAPERS, ROOT, SOURCE
from tests.served import served

BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def blocks(name: str) -> list[str]:
    """Return the Python blocks of a document."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [textwrap.dedent(body) for _, body in BLOCK.findall(text)]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to an empty folder, without a floor of free space."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUBBUB_FREE_FLOOR_MB", "0")


def test_every_metric_and_dimension_is_in_the_reference(pages: dict[str, str]) -> None:
    """Each metric has a definition and a row with its unit; each of its dimensions is named."""
    for entry in catalogue.entries():
        assert len(entry.definition) > 10, entry.name
        assert f"| `{entry.name}` | {entry.unit} |" in pages["metrics"]
        for dimension in entry.dimensions:
            assert f"`{dimension}`" in pages["metrics"]
    for rollup in catalogue.ROLLUPS:
        assert rollup.doc and rollup.source.doc, rollup.name
        assert all(measure.doc for measure in rollup.measures.values()), rollup.name


def test_every_metric_has_its_worked_example_in_the_reference(pages: dict[str, str]) -> None:
    """The reference has a worked example with a value for each metric."""
    for rollup in catalogue.ROLLUPS:
        section = pages["metrics"].split(f"## {rollup.name}\n", 1)[1].split("\n## ", 1)[0]
        worked = section.partition("**Example**")[2]
        for name in rollup.metrics:
            assert re.search(rf"^\| `{name}(\.\w+)?` \| -?[\d.]+", worked, re.MULTILINE), name


def test_every_event_type_field_and_code_is_in_the_reference(pages: dict[str, str], reference: ModuleType) -> None:
    """Each type, field, alias and rejection code is in the reference, and every field and code has a text."""
    assert {name.partition(".")[0] for name in event.TYPES} == set(reference.TYPE_NOTES)
    assert set(reference.FIELD_NOTES) == event.FIELDS
    found = set(reference.rejection_codes())
    assert found == set(reference.REJECTION_NOTES), "codes without a text, or texts without a code"
    for name in (*event.TYPES, *event.FIELDS, *event.ALIASES, *event.KINDS, *found):
        assert name in pages["events"]


def test_every_setting_is_in_the_reference(pages: dict[str, str]) -> None:
    """Each setting has a description, and is in the reference by name and variable."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`{name}" in pages["settings"]
        assert f"`HUBBUB_{name.upper()}" in pages["settings"]
    assert all(field.description for field in RetentionDays.model_fields.values())


def test_every_command_and_option_is_in_the_reference(pages: dict[str, str], reference: ModuleType) -> None:
    """Each command, argument and option has a help text and is in the reference."""
    for name, command in reference.commands():
        assert command.help, name
        section = pages["cli"].split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no `help`"
            shown = parameter.opts[0] if parameter.opts[0].startswith("-") else (parameter.name or "").upper()
            assert shown in section, name


def test_every_route_and_parameter_is_in_the_reference(pages: dict[str, str], reference: ModuleType) -> None:
    """Each route has a summary and a description, each parameter a text, and all are in the reference."""
    described = reference.description()
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            assert route["summary"] and route["description"], path
            section = pages["http"].split(f"## {method.upper()} {path}\n", 1)[1].split("\n## ", 1)[0]
            for parameter in route.get("parameters", []):
                assert parameter.get("description"), f"{path}: {parameter['name']} has no `description`"
                assert f"`{parameter['name']}`" in section


def test_every_error_and_published_table_is_in_the_reference(pages: dict[str, str], reference: ModuleType) -> None:
    """Each error is in the reference with code and status, and each published table has a section."""
    for error in reference.every_error():
        assert f"| `{error.code}` | {error.status} |" in pages["errors"]
    for name in (*ROWS, *VIEWS):
        assert f"## {name}\n" in pages["relations"]


def test_every_reason_is_in_the_reference(pages: dict[str, str]) -> None:
    """The reasons of request errors in the source are exactly those of the reference."""
    given = set()
    for path in (
        *(SOURCE / "api").glob("*.py"),
        *(SOURCE / "ingest" / "receivers").glob("*.py"),
        SOURCE / "control" / "control.py",
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "reason":
                given |= {one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant) and one.value}
    assert given - {"reason"} == set(errors.REASONS)
    for reason, meaning in errors.REASONS.items():
        assert f"| `{reason}` | {meaning} |" in pages["errors"]


def test_every_queue_and_schedule_is_in_the_reference(pages: dict[str, str]) -> None:
    """Each queue and each schedule is in the reference with its text."""
    for queue in QUEUES.values():
        assert f"| `{queue.name}` | {queue.doc} |" in pages["jobs"]
    for schedule in SCHEDULES:
        assert f"| `{schedule.name}` | `{schedule.cron}` | `{schedule.queue}` | {schedule.doc} |" in pages["jobs"]


def test_every_page_is_in_the_howto() -> None:
    """Each page of the navigation has its title in the dashboard how-to."""
    text = (ROOT / "docs" / "howto" / "dashboard.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].split(", ") for line in text.splitlines() if line.startswith("| ")]
    listed = {title.strip() for row in rows for title in row}
    wanted = {page.title for page in (*TENANT.values(), *OPERATOR.values()) if page.group is not None}
    assert wanted - listed == set()


def test_the_reference_is_fresh(pages: dict[str, str]) -> None:
    """docs/reference equals what the code generates, without other pages; `make docs` writes it."""
    kept = {page.stem: page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md")}
    changed = [f"docs/reference/{name}.md" for name in sorted(pages | kept) if pages.get(name) != kept.get(name)]
    assert changed == [], "not what the code says any more: run 'make docs' and commit what it writes"


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("docs/quickstart.md", 4), ("docs/howto/ask-a-question.md", 4), ("docs/howto/alerts.md", 1),
        ("docs/howto/subscriptions.md", 1), ("docs/howto/targets.md", 2),
    ],
)  # fmt: skip
def test_the_examples_run(empty: None, name: str, least: int) -> None:
    """Every Python block of a page runs in order, assertions included."""
    found = blocks(name)
    assert len(found) >= least
    namespace: dict[str, object] = {}
    for block in found:
        exec(compile(block, name, "exec"), namespace)


def test_the_howto_of_a_metric_runs(empty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The how-to's metric, put into the catalogue, counts events stored before it existed, and its worked example holds."""
    namespace: dict[str, Any] = {}
    for block in blocks("docs/quickstart.md"):
        exec(compile(block, "docs/quickstart.md", "exec"), namespace)
    declared: dict[str, Any] = {}
    declaration, use = blocks("docs/howto/add-a-metric.md")
    exec(compile(declaration, "docs/howto/add-a-metric.md", "exec"), declared)
    for name, metric in declared["SLOW"].metrics.items():
        monkeypatch.setitem(catalogue.METRICS, name, (metric, declared["SLOW"]))
    exec(compile(use, "docs/howto/add-a-metric.md", "exec"), {})
    (worked,) = re.findall(
        r"^```yaml\n(.*?)^```", (ROOT / "docs/howto/add-a-metric.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (example,) = examples.read(worked)
    with hubbub.open("worked") as engine:
        engine.add_tenant("acme")
        assert not engine.accept("acme", example.happened(), history=True).rejected
        days = (day.isoformat() for day in (example.first, example.after))
        (row,) = engine.query("acme", metrics=list(example.gives), start=next(days), end=next(days))["rows"]
    assert {name: row[name] for name in example.gives} == {name: value for name, (value, _) in example.gives.items()}


def test_the_howto_on_reports_runs(empty: None) -> None:
    """Every Python block of the how-to on reports runs: a report is made, and its hash recomputed from the file."""
    namespace: dict[str, object] = {}
    for block in blocks("docs/howto/reports.md"):
        exec(compile(block, "docs/howto/reports.md", "exec"), namespace)


def test_the_howto_of_business_hours_runs(empty: None, tmp_path: Path) -> None:
    """The how-to's calendar is read from a file, and its Python blocks run with it, assertions included."""
    name = "docs/howto/business-hours.md"
    (hours,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "hours.yaml").write_text(hours, encoding="utf-8")
    namespace: dict[str, object] = {}
    for block in blocks(name):
        exec(compile(block, name, "exec"), namespace)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run `hubbub serve` on a folder; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = "from hubbub.cli.main import run; run()"
    command = [sys.executable, "-c", program, "serve", "--data", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            try:
                assert httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200
                break
            except httpx2.TransportError:
                assert process.poll() is None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


def test_the_readme_runs(empty: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every Python block of the README runs: those with a client against a real server, the others embedded."""
    found = blocks("README.md")
    sending = [b for b in found if "hubbub.Client(" in b]
    assert sending and len(sending) < len(found)
    for block in found:
        if block not in sending:
            exec(compile(block, "README.md", "exec"), {})
    assert "'messages': 1" in capsys.readouterr().out
    folder = tmp_path / "served"
    with hubbub.open(folder) as engine:
        engine.add_tenant("acme")
        key = engine.keys.add("acme").key
    with server(folder) as url:
        for block in sending:
            exec(
                compile(block.replace("http://127.0.0.1:8321", url).replace("hub_live_…", key), "README.md", "exec"), {}
            )
    with hubbub.open(folder) as engine:
        engine.refresh()
        with engine.store.facts.read() as reading:
            assert reading.value("SELECT count(*) FROM event") == len(sending)


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    """The README's commands for sending events run in a shell as written, and print the output shown."""
    (block,) = [
        b for b in re.findall(r"^```console\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S) if "curl" in b
    ]
    lines, told = block.rsplit("\n", 2)[0], block.rsplit("\n", 2)[1]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    script = re.sub(r"^\$ ", "", lines, flags=re.MULTILINE).replace("8321", port)
    script = script.replace("hubbub serve &", f'hubbub serve --port {port} 2>log & trap "kill $!" EXIT')
    script = script.replace("curl -X", "curl --silent --retry 60 --retry-delay 1 --retry-connrefused -X")
    (tmp_path / "hubbub").write_text(f'#!/bin/sh\nexec {sys.executable} -m hubbub "$@"\n')
    (tmp_path / "hubbub").chmod(0o755)
    path = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HUBBUB_FREE_FLOOR_MB": "0",
    }
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env={**os.environ, **path}, capture_output=True, text=True,
        timeout=180, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == told


def test_the_api_guide_runs(tmp_path: Path) -> None:
    """Every Python block of the API guide runs against a server, assertions included."""
    found = blocks("docs/howto/use-the-api.md")
    assert len(found) >= 6
    with hubbub.open(tmp_path / "served", free_floor_mb=0) as engine, served(engine) as port:
        key = engine.keys.add(None, ["admin"]).key
        url = f"http://127.0.0.1:{port}"
        told = "\n".join(found).replace("http://127.0.0.1:8321", url).replace("hub_live_…", key)
        namespace: dict[str, Any] = {}
        exec(compile(told, "docs/howto/use-the-api.md", "exec"), namespace)
        namespace["operator"].close()
        namespace["acme"].close()


def test_the_embedding_guide_runs(tmp_path: Path) -> None:
    """Every Python block of the embedding guide runs against a server, assertions included."""
    found = blocks("docs/howto/embed.md")
    assert len(found) >= 4
    with hubbub.open(tmp_path / "served", free_floor_mb=0) as engine, served(engine) as port:
        key = engine.keys.add(None, ["admin"]).key
        url = f"http://127.0.0.1:{port}"
        told = "\n".join(found).replace("http://127.0.0.1:8321", url).replace("hub_live_…", key)
        exec(compile(told, "docs/howto/embed.md", "exec"), {})


def test_commands_in_the_papers_exist(reference: ModuleType) -> None:
    """Every `hubbub …` line in a console block or an indented block is an existing command with existing options."""
    known = dict(reference.commands())
    for paper in PAPERS:
        for line in re.findall(r"^(?:\$ |    )(hubbub [a-z].*)$", paper.read_text(encoding="utf-8"), re.MULTILINE):
            words = line.split("#")[0].split()
            name = next((" ".join(words[:n]) for n in (4, 3, 2) if " ".join(words[:n]) in known), None)
            name = name or ("hubbub import PATH" if words[:2] == ["hubbub", "import"] else None)
            assert name, f"{paper.name}: {line}"
            options = {o for p in known[name].params for o in (*p.opts, *p.secondary_opts)}
            assert {w for w in words if w.startswith("--")} <= options, f"{paper.name}: {line}"


def test_links_resolve() -> None:
    """Every link between documents leads to an existing file."""
    for paper in PAPERS:
        for target in LINK.findall(paper.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://", "#", "mailto:")):
                assert (paper.parent / target.split("#")[0]).exists(), f"{paper.relative_to(ROOT)}: {target}"


def test_the_readme_names_places_that_exist() -> None:
    """Every path that the README quotes exists, or is made by a command."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    made = ("docs/reference/", "bench/results/")
    for path in re.findall(r"`((?:docs|src|bench|examples|tests)/[\w./-]*)`", text):
        assert path in made or (ROOT / path).exists(), path


def test_the_changelog_has_entries_for_this_version() -> None:
    """Unreleased has entries, or this version has a dated section."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = text.split("## [Unreleased]", 1)[1].split("\n## ", 1)[0]
    released = re.search(rf"^## \[{re.escape(hubbub.__version__)}\] - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE)
    assert "- " in section or released

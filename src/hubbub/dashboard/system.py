"""System: checks with advice, this process, and all settings without secrets."""

from __future__ import annotations

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Column, Group, Page, Shown, Widget
from hubbub.dashboard.forms import Fact, data_table, facts
from hubbub.dashboard.person import Role
from hubbub.model.duration import duration
from hubbub.model.plain import plain
from hubbub.model.size import size

NAMES = {"dbos": "DBOS", "fastapi": "FastAPI", "pyarrow": "PyArrow", "sqlalchemy": "SQLAlchemy"}
"""Names of packages as their authors write them."""

WORDS = {"True": "on", "False": "off", "None": "", "{}": ""}
"""How values of settings are written for people."""


def _checks(ask: Ask) -> Shown:
    checks = ask.engine.doctoring.checks().rows
    rows = [{**plain(row), "state": "ok" if row.ok else "look"} for row in checks]
    columns = [
        Column("check", "Check"), Column("state", "State", "state"), Column("found", "Found", "long"),
        Column("advice", "What to do", "long"),
    ]  # fmt: skip
    if all(row.ok for row in checks):
        columns.pop()
    wanting = sum(not row.ok for row in checks)
    return data_table(
        ask, columns, rows, note=f"{wanting} of {len(rows)} need attention." if wanting else "All is well."
    )


def _process(ask: Ask) -> Shown:
    answer = ask.engine.monitoring.system()
    process, folder = answer.process, answer.folder
    return facts(
        ask,
        [
            Fact("Runs for", duration(1000 * process.seconds)), Fact("Memory", size(process.memory)),
            Fact("Threads", process.threads, "count"), Fact("Process", str(process.id)),
            Fact("Data folder", folder.path), Fact("Size of the folder", size(folder.bytes)),
            Fact("Free space", size(folder.free)),
            *(Fact(NAMES.get(name, name.capitalize()), version) for name, version in answer.versions.items()),
        ],
    )  # fmt: skip


def _settings(ask: Ask) -> Shown:
    settings = ask.engine.monitoring.system().settings
    rows = [{**row, "value": _in_words(row["value"])} for row in settings]
    columns = [Column("setting", "Setting"), Column("value", "Value", "long"), Column("meaning", "Meaning", "long")]
    return data_table(
        ask, columns, rows, note="Secrets are left out. They are set by hubbub.yaml, HUBBUB_ variables, or flags."
    )


def _in_words(value: str) -> str:
    listed = value[1:-1].replace("'", "") if value.startswith("[") else value
    return WORDS.get(listed, listed)


PAGE = Page(
    "system", "System",
    (
        Widget("checks", "Checks", _checks, size="list", wide=True, lazy=True),
        Widget("process", "This server", _process, size="list", wide=True),
        Widget("settings", "Settings", _settings, size="list", wide=True),
    ),
    role=Role.OPERATOR, tenant=False, header=False, acts=Role.OPERATOR,
    group=Group.OPERATOR,
)  # fmt: skip

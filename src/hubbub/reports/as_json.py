"""A report as JSON: facts about it, its introduction, and its data. The hash is of the canonical data alone."""

from __future__ import annotations

import json
from pathlib import Path

from hubbub.model.plain import plain, typed
from hubbub.reports.document import Document
from hubbub.reports.introduction import Introduction
from hubbub.reports.tables import ReportData


def write(document: Document, path: Path) -> None:
    """Write a report: `report` has the facts about it, `introduction` the texts, `data` the tables."""
    content = {"report": document.about, "introduction": plain(document.introduction), "data": plain(document.data)}
    with path.open("w", encoding="ascii") as file:
        json.dump(content, file, indent=1, allow_nan=False)


def read(path: Path) -> Document:
    """Read a report that `write` wrote."""
    content = json.loads(path.read_text(encoding="ascii"))
    introduction = content.get("introduction")  # earlier versions wrote none
    return Document(
        content["report"],
        typed(ReportData, content["data"]),
        typed(Introduction, introduction) if introduction else Introduction(),
    )

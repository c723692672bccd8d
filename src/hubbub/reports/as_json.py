"""A report as JSON: facts about it, and its data; the hash is of the data without spaces."""

from __future__ import annotations

import json
from pathlib import Path

from hubbub.reports.document import Document


def write(document: Document, path: Path) -> None:
    """Write a report: `report` describes it, `data` holds the tables."""
    with path.open("w", encoding="ascii") as file:
        json.dump({"report": document.about, "data": document.data}, file, indent=1, sort_keys=True, allow_nan=False)

"""The remarks of a report: late and incomplete numbers, and how to read the numbers."""

from __future__ import annotations

from hubbub.query.result import State
from hubbub.reports.document import Document
from hubbub.reports.layout import bare_steps, summary_rows

WAITING = (State.LIVE, State.INCOMPLETE, State.NOT_FETCHED)


def missing(document: Document) -> str:
    """Return the incomplete numbers of a report as text; empty if all are complete.

    A provisional number, which later events may still change, counts as complete.
    """
    titles = [document.introduction.title(row["metric"]) for row in summary_rows(document) if row["state"] in WAITING]
    return f"not complete: {', '.join(titles[:5])}{' and others' if len(titles) > 5 else ''}" if titles else ""


def late(document: Document) -> list[str]:
    """Return sentences about data that the numbers do not include yet."""
    lacking = missing(document)
    sentences = [f"{lacking[:1].upper()}{lacking[1:]}."] if lacking else []
    return [*([f"{document.introduction.behind}."] if document.introduction.behind else []), *sentences]


def unsettled(document: Document) -> str:
    """Return a sentence with the numbers that may still change; empty if none."""
    names = [
        document.introduction.title(row["metric"])
        for row in summary_rows(document)
        if row["state"] == State.PROVISIONAL
    ]
    return f"May still change: {', '.join(names)}." if names else ""


def colophon(document: Document, left_out: int) -> list[str]:
    """Return sentences on how to read the numbers, and the document's notes. `left_out`: number of columns only in files."""
    lines = ["Numbers equal those of the dashboard and the API for the same days."]
    if document.introduction.beside:
        lines.append("A change in color is beyond its usual noise. Numbers of fewer than 10 things are grey.")
    if any(row.get("state") == State.LIVE for table in document.tables for row in table.rows):
        lines.append("* These days are not over: the number still grows.")
    if document.nothing:
        lines.append(f"Nothing in this period, and so left out: {', '.join(document.nothing)}.")
    if bare_steps(document):
        lines.append("Tables leave out steps of time without anything.")
    if left_out:
        lines.append(f"Workbook, CSV and JSON have {left_out} more columns.")
    return [*lines, *filter(None, [unsettled(document)]), *document.notes]

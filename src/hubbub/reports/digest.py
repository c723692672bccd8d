"""A digest: a report in a few lines, as text and as HTML for mail programs.

Every number is the report's, so mail, file, page and API agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from hubbub.query.result import State
from hubbub.reports.as_mail import mail
from hubbub.reports.dates import short_days
from hubbub.reports.document import Document
from hubbub.reports.formatting import plain, shown
from hubbub.reports.layout import change_in_words, summary_rows
from hubbub.reports.remarks import unsettled


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest: title, lines of plain text, and the same content as HTML."""

    title: str
    lines: tuple[str, ...]
    html: str


def digest(document: Document, notes: Sequence[str], base: str, stop: str) -> Digest:
    """Return the digest of a report.

    `notes`: texts about late or missing data. `base`: address of the dashboard, for links; `stop`: address to unsubscribe; empty:
    none.
    """
    first = " ".join(document.introduction.news)
    days = short_days(date.fromisoformat(document.data.from_), date.fromisoformat(document.data.to))
    lines = (first, *notes, *(need.text for need in document.introduction.needs), *_lines_of(document))
    head = document.introduction.news[0] if document.introduction.news else ""
    title = plain(f"{document.name}, {days}: {head}"[:200])
    return Digest(title, tuple(line for line in lines if line), mail(document, title, notes, base, stop))


def _lines_of(document: Document) -> Iterator[str]:
    for row in summary_rows(document):
        if row["value"] is not None or row["state"] in (State.INCOMPLETE, State.NOT_FETCHED):
            change = change_in_words(row)
            moved = f", {change}" if change.strip("0.% ()points") else ""
            yield f"{document.introduction.title(row['metric'])}: {shown(row['value'], row['unit'])}{moved}"
    if line := unsettled(document):
        yield line

"""The formats of a report: how each is written, and how it is told from others when it is handed out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from hubbub.errors import BadQuestionError
from hubbub.reports import as_csv, as_html, as_json
from hubbub.reports.document import Document


@dataclass(frozen=True)
class Format:
    """One format: the file's name in its report's folder, and its media type.

    `needs` are modules that an extra of the format's name installs.
    """

    name: str
    file: str
    media_type: str
    write: Callable[[Document, Path], None]
    needs: tuple[str, ...] = ()


def _xlsx(document: Document, path: Path) -> None:
    from hubbub.reports import as_xlsx

    as_xlsx.write(document, path)


def _pdf(document: Document, path: Path) -> None:
    from hubbub.reports import as_pdf

    as_pdf.write(document, path)


FORMATS = {
    one.name: one
    for one in (
        Format("json", "report.json", "application/json", as_json.write),
        Format("csv", "report.csv.zip", "application/zip", as_csv.write),
        Format("xlsx", "report.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _xlsx),
        Format("html", "report.html", "text/html; charset=utf-8", as_html.write),
        Format("pdf", "report.pdf", "application/pdf", _pdf, ("fpdf", "uharfbuzz", "pymupdf_fonts")),
    )
}


def chosen(names: Sequence[str]) -> list[Format]:
    """Return the formats of these names, in our order; raises BadQuestionError."""
    for name in names:
        if name not in FORMATS:
            raise BadQuestionError(f"there is no report format {name[:40]!r} (there are {', '.join(FORMATS)})")
    return [one for name, one in FORMATS.items() if name in names]


def writable(names: Sequence[str]) -> list[Format]:
    """Return the formats of these names, to write them; raises BadQuestionError, also when one needs what is not installed."""
    found = chosen(names)
    for one in found:
        if not all(map(find_spec, one.needs)):
            raise BadQuestionError(
                f"the report format '{one.name}' needs more than is installed here: run pip install 'hubbub[{one.name}]', "
                "or ask for other formats"
            )
    return found

"""The formats of a report: writer, file name and media type."""

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
    """A format: file name in the report's folder, media type, and writer.

    `needs`: modules that the extra of the same name installs.
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
    format_.name: format_
    for format_ in (
        Format("json", "report.json", "application/json", as_json.write),
        Format("csv", "report.csv.zip", "application/zip", as_csv.write),
        Format("xlsx", "report.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _xlsx),
        Format("html", "report.html", "text/html; charset=utf-8", as_html.write),
        Format("pdf", "report.pdf", "application/pdf", _pdf, ("fpdf", "uharfbuzz", "pymupdf_fonts")),
    )
}


def chosen(names: Sequence[str]) -> list[Format]:
    """Return the formats of these names, in the order of `FORMATS`. Raises BadQuestionError."""
    for name in names:
        if name not in FORMATS:
            raise BadQuestionError(f"there is no report format {name[:40]!r} (there are {', '.join(FORMATS)})")
    return [format_ for name, format_ in FORMATS.items() if name in names]


def writable(names: Sequence[str]) -> list[Format]:
    """Return the formats of these names. Raises BadQuestionError if one is unknown or needs a module that is not installed."""
    formats = chosen(names)
    for format_ in formats:
        if not all(map(find_spec, format_.needs)):
            raise BadQuestionError(
                f"the report format '{format_.name}' needs more than is installed here: run pip install 'hubbub[{format_.name}]', "
                "or ask for other formats"
            )
    return formats

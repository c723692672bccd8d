"""PDF reports read back: numbers, drawings and facts equal the page's; no name breaks one; the bytes are reproducible."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pymupdf_fonts
import pypdf
import pytest
from fontTools.ttLib import TTFont
from pypdf.generic import ContentStream

from hubbub.app import Engine
from hubbub.errors import BadQuestionError
from hubbub.model.plain import typed
from hubbub.reports import as_json, as_pdf, pdf_sheets
from hubbub.reports.cards import cards
from hubbub.reports.document import Document
from hubbub.reports.formats import FORMATS
from hubbub.reports.layout import layout
from hubbub.reports.sections import SECTIONS
from hubbub.reports.tables import Column, ReportData, Table
from tests.unit.reports.conftest import whole
from tests.unit.reports.test_formats import HOSTILE

NAMES = (
    *HOSTILE, "שלום 123 abc", "مرحبا بالعالم", "Ελληνικά", "Жовтень", "नमस्ते", "สวัสดี", "😀 🎉", "漢字", "W" * 300, "ش" * 300,
    "word " * 60, "{nb}", "\ue000\ue000\ue000\ue000", "x" * 100_000,
)  # fmt: skip


def compact(text: str) -> str:
    """Return a text without spaces, which a PDF holds only as distances."""
    return "".join(text.split())


def read(path: Path) -> pypdf.PdfReader:
    """Open a PDF in strict mode."""
    return pypdf.PdfReader(path, strict=True)


def text_of(path: Path) -> str:
    """Return all text of a PDF without spaces."""
    return compact("".join(page.extract_text() for page in read(path).pages))


def marks(page: pypdf.PageObject, reader: pypdf.PdfReader) -> Iterator[tuple[float, ...]]:
    """Yield the colours that a page draws and fills with, in whole percents of red, green and blue."""
    for operands, operator in ContentStream(page.get_contents(), reader).operations:
        if operator in (b"rg", b"RG"):
            yield tuple(round(100 * float(value)) for value in operands)


@pytest.fixture(scope="module")
def made(engine: Engine) -> dict[str, Any]:
    """Make a weekly report; return its JSON and each path."""
    row = engine.reports.make("acme", "weekly", formats=["json", "html", "pdf"])
    paths = {name: Path(engine.reports.file("acme", row.id, name).path) for name in row.formats}
    return {**whole(engine, row.id), "paths": paths}


def test_the_pdf_holds_the_numbers_of_the_page(made: dict[str, Any]) -> None:
    """Each section has its title, its definition, and every row cell by cell as on the page; notes are at the end."""
    text, at, cells = text_of(made["paths"]["pdf"]), 0, 0
    document = as_json.read(made["paths"]["json"])
    for table in document.read:
        at = text.index(compact(table.title + table.definition), at)
        for line in layout(table, document).lines:
            told = [cell.text for cell in line.cells]
            at = text.index(compact("".join(told)), at)
            cells += len(told)
    for note in document.notes:
        at = text.index(compact(note), at)
    assert cells > 700


def test_the_pdf_begins_with_the_news_and_cards_of_the_page(made: dict[str, Any]) -> None:
    """Days, name, news, and each card with its number are on the first page, before the first section."""
    document, first = as_json.read(made["paths"]["json"]), compact(read(made["paths"]["pdf"]).pages[0].extract_text())
    words = [document.introduction.when, document.name, *document.introduction.news]
    ends = first.index(compact(SECTIONS["conversations"].doc))
    assert all(first.index(compact(each)) < ends for each in words)
    assert all(compact(card.title) in first and compact(card.text) in first for card in cards(document))


def test_the_pdf_holds_the_drawings_of_the_page(made: dict[str, Any]) -> None:
    """Every label and colour of every drawing is in the PDF, and each section is in its outline."""
    page = made["paths"]["html"].read_text(encoding="utf-8")
    drawings = [ElementTree.fromstring(found) for found in re.findall(r'<svg class="plot".*?</svg>', page, re.DOTALL)]
    text, reader = text_of(made["paths"]["pdf"]), read(made["paths"]["pdf"])
    labels = [label.text or "" for drawing in drawings for label in drawing.iter("text")]
    assert len(labels) > 40 and all(compact(label) in text for label in labels)
    colours = [mark for sheet in reader.pages for mark in marks(sheet, reader)]
    wanted = [shape.attrib["fill"] for drawing in drawings for shape in drawing.iter("rect")]
    for colour in set(wanted):
        part = tuple(round(int(colour[n : n + 2], 16) / 2.55) for n in (1, 3, 5))
        assert colours.count(part) >= wanted.count(colour)
    titles = [str(entry["/Title"]) for entry in reader.outline if not isinstance(entry, list)]
    assert titles == [table.title for table in as_json.read(made["paths"]["json"]).read]


def test_the_pdf_has_the_reports_identity(made: dict[str, Any]) -> None:
    """Every fact of the report is in the PDF, its creation date is the report's, and every page has its number and the id."""
    text, reader = text_of(made["paths"]["pdf"]), read(made["paths"]["pdf"])
    for name, value in Document(made["report"], typed(ReportData, made["data"])).facts:
        assert compact(name.replace("_", " ") + value) in text
    assert reader.metadata is not None and reader.metadata.creation_date is not None
    assert reader.metadata.creation_date.isoformat() == made["report"]["made_at"]
    for number, page in enumerate(reader.pages, 1):
        assert f"{number}/{len(reader.pages)}" in compact(page.extract_text())
        assert made["report"]["id"] in page.extract_text()


def test_the_same_document_gives_the_same_bytes(made: dict[str, Any], tmp_path: Path) -> None:
    """Another process, with another zone and hash seed, writes the same bytes, and no other file."""
    program = (
        "import sys; from pathlib import Path\n"
        "from hubbub.reports import as_json, as_pdf\n"
        "as_pdf.write(as_json.read(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    file, zone = tmp_path / "again.pdf", "Asia/Tokyo" if time.timezone != -9 * 3600 else "UTC"
    given = {**os.environ, "PYTHONHASHSEED": "7", "TZ": zone}
    subprocess.run([sys.executable, "-c", program, made["paths"]["json"], file], env=given, check=True)
    assert file.read_bytes() == made["paths"]["pdf"].read_bytes()
    assert list(tmp_path.iterdir()) == [file]


def named_document() -> Document:
    """Return a report whose staff have all kinds of names."""
    columns = [
        Column(name, name, unit, "…")
        for name, unit in (("row", "text"), ("staff_id", "text"), ("responses", "count"), ("state", "text"))
    ]
    rows: list[dict[str, Any]] = [
        {"row": "value", "staff_id": text, "responses": 70_000 + n, "state": "settled"} for n, text in enumerate(NAMES)
    ]
    table = Table("staff_performance", "Staff", "=1", columns, ["responses"], ["N" * 300], rows)
    data = ReportData("acme", "Europe/Berlin", "daily", "2026-08-19", "2026-08-20", "day", 1, [table])
    return Document({"made_at": "2026-08-20T14:00:00+02:00", "hash": "sha256:0", "who": "W" * 300}, data)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report with hostile names."""
    path = tmp_path_factory.mktemp("hostile") / "report.pdf"
    as_pdf.write(named_document(), path)
    return path


def test_no_name_breaks_a_pdf(hostile: Path) -> None:
    """Each number is beside its name; missing characters are boxes, long names are cut, and nothing in the file runs,
    opens or links.
    """
    text = text_of(hostile)
    for n, name in enumerate(NAMES):
        assert f"{70_000 + n:,}" in text, name
    for name in ("<script>alert(1)</script>", "&amp;", "{nb}", "Ελληνικά", "Жовтень", "W" * 300, "word" * 60):
        assert name in text
    for name, told in (("😀 🎉", "▯▯"), ("漢字", "▯▯"), ("a\u202egnp.exe", "a▯gnp.exe"), ("\x1b[31m", "▯[31m")):
        assert f"{told}{70_000 + NAMES.index(name):,}" in text
    assert f"{'x' * pdf_sheets.LONGEST}…" in text and "x" * (pdf_sheets.LONGEST + 1) not in text
    names = "".join(sorted("شלוםمرحبا"))
    assert all(char in text for char in names)
    raw = hostile.read_bytes()
    assert not [
        word
        for word in (b"/JavaScript", b"/JS", b"/Launch", b"/URI", b"/OpenAction/S", b"/EmbeddedFile")
        if word in raw
    ]


@cache
def advances(name: str) -> dict[str, float]:
    """Return the widths of a font's characters, in parts of the font size."""
    style = "B" if "Bold" in name else "I" if "Italic" in name else ""
    font = TTFont(io.BytesIO(pymupdf_fonts.myfont(pdf_sheets.STYLES[style])))
    return {chr(code): font["hmtx"][glyph][0] / font["head"].unitsPerEm for code, glyph in font.getBestCmap().items()}


def test_no_text_of_a_pdf_leaves_its_page(hostile: Path, made: dict[str, Any]) -> None:
    """Every line of text begins within the margin and ends on the page, even a name of 300 wide letters; kerning may
    move an end slightly.
    """
    margin, seen = pdf_sheets.MARGIN * 72 / 25.4, 0
    for path in (hostile, made["paths"]["pdf"]):
        for page in read(path).pages:
            lines: list[tuple[str, float, float]] = []

            def note(text: str, _: Any, at: list[float], font: Any, size: float, lines: Any = lines) -> None:
                if text.strip():
                    wide = advances(str(font["/BaseFont"]))
                    lines.append((text, at[4], size * max(sum(wide[c] for c in x) for x in text.splitlines())))

            page.extract_text(visitor_text=note)
            for text, left, width in lines:
                assert left >= margin - 1 and left + width <= float(page.mediabox.width) - margin / 2, text
            seen += len(lines)
    assert seen > 500


@pytest.mark.parametrize("module", FORMATS["pdf"].needs)
def test_without_the_extra_a_pdf_is_refused_and_the_extra_named(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Without a library, asking for a PDF is refused with the extra to install before anything is made; other formats work."""
    monkeypatch.setitem(sys.modules, module, None)
    before = engine.reports.kept("acme", limit=1000).rows
    for ask in (engine.reports.make, engine.reports.start):
        with pytest.raises(BadQuestionError, match=re.escape("pip install 'hubbub[pdf]'")):
            ask("acme", "weekly", formats=["json", "pdf"])
    assert engine.reports.kept("acme", limit=1000).rows == before
    assert engine.reports.make("acme", "weekly").formats == ("json", "csv", "xlsx", "html")


def test_everything_but_pdf_works_without_the_extra(made: dict[str, Any], tmp_path: Path) -> None:
    """A process without the libraries writes every other format."""
    program = (
        "import sys; from pathlib import Path\n"
        f"sys.modules.update(dict.fromkeys({FORMATS['pdf'].needs!r}))\n"
        "from hubbub.reports import as_json; from hubbub.reports.formats import FORMATS\n"
        "document = as_json.read(Path(sys.argv[1]))\n"
        "for format_ in FORMATS.values():\n"
        "    if not format_.needs: format_.write(document, Path(sys.argv[2]) / format_.file)\n"
    )
    subprocess.run([sys.executable, "-c", program, made["paths"]["json"], tmp_path], check=True)
    assert len(list(tmp_path.iterdir())) == len(FORMATS) - 1
    assert json.loads((tmp_path / "report.json").read_text())["data"] == made["data"]


def test_no_table_of_a_pdf_leaves_a_row_alone_on_a_page(tmp_path: Path) -> None:
    """Tables of 2 to 55 rows begin at many heights: each page that has rows of one has two or more, the total included, and the
    title is on the page of the first rows.
    """
    units = {"row": "text", "staff_id": "text", "responses": "count", "state": "text"}
    columns = [Column(name, name, unit, "…") for name, unit in units.items()]
    tables = []
    for n, count in enumerate(count for k in range(36, 56) for count in (k, 2 + k % 3)):
        rows: list[dict[str, Any]] = [
            {"row": "value", "staff_id": f"s{n}-{k}.", "responses": 1000 * n + k, "state": "settled"}
            for k in range(count)
        ]
        rows[-1]["row"] = "total"
        tables.append(Table("staff_performance", f"Table{n}.", "=1", columns, ["responses"], [], rows))
    data = ReportData("acme", "Europe/Berlin", "daily", "2026-08-19", "2026-08-20", "day", 1, tables)
    document, path = Document({"made_at": "2026-08-20T14:00:00+02:00", "hash": "sha256:0"}, data), tmp_path / "r.pdf"
    as_pdf.write(document, path)
    pages = [compact(page.extract_text()) for page in read(path).pages]
    broken = 0
    for n, table in enumerate(tables):
        told = [compact("".join(cell.text for cell in line.cells)) for line in layout(table, document).lines]
        counts = [count for page in pages if (count := sum(page.count(line) for line in told))]
        assert sum(counts) == len(told) and min(counts) >= 2, (n, counts)
        broken += len(counts) > 1
        assert any(f"Table{n}." in page and told[0] in page for page in pages), n
    assert broken > 8


def test_three_rows_of_the_longest_texts_fit_on_a_page(tmp_path: Path) -> None:
    """Rows that stay together are written even if their texts are as long and wide as can be."""
    columns = [Column(name, name, unit, "…") for name, unit in (("staff_id", "text"), ("responses", "count"))]
    rows: list[dict[str, Any]] = [
        {"row": "value", "staff_id": "W" * 500, "responses": k, "state": "settled"} for k in range(3)
    ]
    tables = [Table("staff_performance", "Long", "=1", columns, ["responses"], [], rows)]
    data = ReportData("acme", "Europe/Berlin", "daily", "2026-08-19", "2026-08-20", "day", 1, tables)
    as_pdf.write(Document({"made_at": "2026-08-20T14:00:00+02:00", "hash": "sha256:0"}, data), tmp_path / "r.pdf")
    assert sum(page.extract_text().count("W") for page in read(tmp_path / "r.pdf").pages) == 3 * 500

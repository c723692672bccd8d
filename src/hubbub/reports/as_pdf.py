"""A report as PDF, for mail and print: the tables and charts of the HTML page, on numbered pages.

The same document gives the same bytes. Text is shaped for its script; a character that the font lacks is an empty box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from xml.etree import ElementTree

import pymupdf_fonts
from fpdf import FPDF
from fpdf.enums import Align, TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace, TTFFont

from hubbub.reports import charts
from hubbub.reports.document import Document, drawn, labelled_by, named, points
from hubbub.reports.formatting import plain, shown, unit_of
from hubbub.reports.sections import SECTIONS, Ranking, Series

FONT, STYLES = "FiraGO", {"": "figo", "B": "figbo", "I": "figit"}
TITLE, HEADING, TEXT, SMALL = 16, 12, 8.5, 7
"""Font sizes in points."""
MARGIN, LINE, PAD, WIDEST = 12.0, 1.35, 1.3, 45.0
"""Millimetres, except the line height, which is relative; no text makes a column wider than WIDEST."""
PIXEL = 0.25
"""Millimetres per pixel of a drawing: letters of 11 pixels have 7.8 points."""
TALLEST = 600
"""Greatest height of a drawing in pixels; a taller one is split."""
LONGEST = 500
"""Longest shown name in characters."""
MISSING = "▯"
PAGES = "\ue000" * 4
"""Placeholder for the number of pages; not in the font, so no text contains it."""
GRAY, RULE = 95, 205
EMPHASIS = {"total": "BOLD", "others": "ITALICS", "none": "ITALICS"}
Style = Literal["", "B", "I"]


def write(document: Document, path: Path) -> None:
    """Write a report."""
    with TemporaryDirectory(dir=path.parent) as fonts:  # the library reads fonts from files until the end
        sheets = _Sheets(document, Path(fonts))
        for table in document.tables:
            _section(sheets, table)
        sheets.output(str(path))


class _Sheets(FPDF):
    """Numbered pages; the first begins with the title and facts about the report."""

    def __init__(self, document: Document, fonts: Path) -> None:
        super().__init__("landscape", "mm", "A4")
        for style, name in STYLES.items():
            file = fonts / f"{name}.ttf"
            file.write_bytes(pymupdf_fonts.myfont(name))
            self.add_font(FONT, style, file)
        self.set_font(FONT, size=TEXT)
        assert isinstance(self.current_font, TTFFont)
        self.known = frozenset(map(chr, self.current_font.cmap))
        about = document.about
        self.set_creation_date(datetime.fromisoformat(str(about["made_at"])))
        self.set_title(self.text_of(document.title))
        self.set_lang("en")
        self.alias_nb_pages(PAGES)
        self.set_margin(MARGIN)
        self.set_auto_page_break(True, MARGIN + 6)
        self.set_draw_color(RULE)
        self.c_margin = 0
        self.foot = self.text_of(" · ".join(str(about[name]) for name in ("tenant", "kind", "id") if name in about))
        self.add_page()
        self.line_of(document.title, TITLE, "B")
        self._facts(document)

    def footer(self) -> None:
        """Write the footer: report and page number."""
        self.set_y(-MARGIN)
        self.set_font(FONT, size=SMALL)
        self.set_text_color(GRAY)
        self.cell(self.epw / 4, text=f"{self.page_no()} / {PAGES}")
        self.cell(self.epw * 3 / 4, text=self.foot, align=Align.R)
        self.set_text_color(0)

    def text_of(self, value: str) -> str:
        """Return a text on one line, cut to the limit, with a box for each character that the font lacks."""
        words = " ".join(plain(value[: LONGEST + 1]).split())
        bounded = words if len(value) <= LONGEST else f"{words[:LONGEST]}…"
        return "".join(char if char in self.known else MISSING for char in bounded)

    def line_of(self, text: str, size: float, style: Style = "") -> None:
        """Write a text below the last one, on as many lines as needed."""
        self.set_font(FONT, style, size)
        height = size / self.k * LINE
        self.multi_cell(self.epw, height, self.text_of(text), align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _facts(self, document: Document) -> None:
        self.set_font(FONT, size=SMALL)
        self.set_text_shaping(True)
        self.ln(2)
        rows = [[self.text_of(name.replace("_", " ")), self.text_of(value)] for name, value in document.facts]
        with self.table(
            rows, borders_layout=TableBordersLayout.NONE, col_widths=(1, 6), first_row_as_headings=False,
            line_height=self.font_size * LINE, text_align=Align.L,
        ):  # fmt: skip
            pass


def _section(sheets: _Sheets, table: Mapping[str, Any]) -> None:
    """Write a section; its heading is on the page of its drawing or of the first table rows."""
    columns = drawn(table)
    drawings = [ElementTree.fromstring(text) for text in _drawings(table, columns)]
    if sheets.will_page_break(30 + (_height(drawings[0]) if drawings else 0)):
        sheets.add_page()
    else:
        sheets.ln(8)
    # names need shaping; series hold only dates and numbers, but many
    sheets.set_text_shaping(not isinstance(SECTIONS[table["name"]], Series))
    sheets.start_section(sheets.text_of(table["title"]))
    sheets.line_of(table["title"], HEADING, "B")
    sheets.line_of(table["definition"], TEXT)
    for drawing in drawings:
        _draw(sheets, drawing)
    if drawings:
        _legend(sheets, columns)
    sheets.ln(2)
    _table(sheets, table)
    sheets.ln(1)
    sheets.set_text_color(GRAY)
    for note in table["notes"]:
        sheets.line_of(note, SMALL)
    sheets.set_text_color(0)


# --- tables


def _table(sheets: _Sheets, table: Mapping[str, Any]) -> None:
    columns = table["columns"]
    head = [sheets.text_of(column["title"]) for column in columns]
    rows = [
        (EMPHASIS.get(str(row.get("row"))), [sheets.text_of(shown(named(row, c), unit_of(c, row))) for c in columns])
        for row in table["rows"]
    ]
    widths = _widths(sheets, head, [cells for _, cells in rows])
    size = SMALL * min(1.0, sheets.epw / sum(widths))
    sheets.set_font(FONT, size=size)
    with sheets.table(
        align=Align.L, borders_layout=TableBordersLayout.HORIZONTAL_LINES, col_widths=widths,
        width=min(sum(widths), sheets.epw), line_height=sheets.font_size * LINE, padding=(0.5, PAD),
        text_align=[Align.L if column["unit"] == "text" else Align.R for column in columns],
    ) as grid:  # fmt: skip
        grid.row(head)
        for emphasis, cells in rows:
            grid.row(cells, style=FontFace(emphasis=emphasis) if emphasis else None)


def _widths(sheets: _Sheets, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[float]:
    """Return the column widths: numbers and heading words are never cut, long names wrap."""
    sheets.set_font(FONT, "B", SMALL)
    widest = [max(map(sheets.get_string_width, title.split()), default=0.0) for title in head]
    for cells in rows:
        widest = [max(had, sheets.get_string_width(cell)) for had, cell in zip(widest, cells, strict=True)]
    return [min(width, WIDEST) + 2 * PAD + 0.1 for width in widest]


# --- drawings


def _drawings(table: Mapping[str, Any], columns: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the drawings of a section as SVG, each fitting a page."""
    rows, section = points(table), SECTIONS[table["name"]]
    if not rows or not columns:
        return
    if not isinstance(section, Ranking):
        yield charts.lines(table["title"], rows, columns)
        return
    most = TALLEST // (charts.BAR * len(columns) + 4)
    for first in range(0, len(rows), most):
        yield charts.bars(table["title"], rows[first : first + most], columns, labelled_by(table, section.by), rows)


def _height(drawing: ElementTree.Element) -> float:
    return float(drawing.attrib["viewBox"].split()[3]) * PIXEL


def _draw(sheets: _Sheets, drawing: ElementTree.Element) -> None:
    """Draw shapes by the library and texts by ourselves: the library does not shape texts in drawings."""
    if sheets.will_page_break(_height(drawing)):
        sheets.add_page()
    texts = drawing.findall("text")
    for unseen in (*texts, *drawing.findall("title")):
        drawing.remove(unseen)
    top = sheets.get_y()
    sheets.image(BytesIO(ElementTree.tostring(drawing)), sheets.l_margin, top, charts.WIDTH * PIXEL)
    sheets.set_font(FONT, size=11 * PIXEL * sheets.k)
    for text in texts:
        x, y = (float(text.attrib[name]) * PIXEL for name in ("x", "y"))
        ends = text.attrib["text-anchor"] == "end"
        room = x if ends else charts.WIDTH * PIXEL - x
        sheets.set_xy(sheets.l_margin + (0 if ends else x), top + y - 0.85 * sheets.font_size)
        sheets.cell(room, sheets.font_size, _fitting(sheets, text.text or "", room), align=Align.R if ends else Align.L)
    sheets.set_xy(sheets.l_margin, top + _height(drawing))


def _fitting(sheets: _Sheets, text: str, room: float) -> str:
    """Return a text cut to fit."""
    whole = cut = sheets.text_of(text)
    while cut and sheets.get_string_width(whole) > room:
        cut = cut[:-1]
        whole = f"{cut}…"
    return whole


def _legend(sheets: _Sheets, columns: Sequence[Mapping[str, Any]]) -> None:
    sheets.set_font(FONT, size=SMALL)
    height = sheets.font_size * LINE
    sheets.ln(1)
    for column, color in zip(columns, charts.COLORS, strict=False):
        with sheets.local_context(fill_color=color):
            sheets.rect(sheets.get_x(), sheets.get_y() + 0.2 * height, 0.6 * height, 0.6 * height, style="F")
        sheets.set_x(sheets.get_x() + height)
        title = sheets.text_of(column["title"])
        sheets.cell(sheets.get_string_width(title) + 6, height, title)
    sheets.ln(height)

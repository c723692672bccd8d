"""A report as PDF, for mail and print: the texts, cards, charts and tables of the HTML page, on numbered A4 pages.

Equal documents give equal bytes. Text is shaped for its script; a character that the font lacks becomes an empty box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from fpdf.enums import Align, TableBordersLayout
from fpdf.fonts import FontFace

from hubbub.reports import charts
from hubbub.reports.cards import Card, cards
from hubbub.reports.document import Document
from hubbub.reports.layout import CellShown, Layout, labels, layout, left_out
from hubbub.reports.pdf_sheets import FONT, HEADING, LEAD, LINE, PAD, QUIET, SMALL, TEXT, TITLE, Sheets
from hubbub.reports.remarks import colophon, late
from hubbub.reports.sections import SECTIONS, Ranking, Series
from hubbub.reports.tables import Column, Table

PIXEL = 0.25
"""Millimetres per pixel of a chart: letters of 11 pixels have 7.8 points."""
WIDEST = 45.0
"""Largest width of a column in millimetres."""
CARD_HEIGHT = 23.0
TIE = 0.1
"""Width in millimetres of a last column without text: its cells span rows that stay on one page, since no page ends in a cell."""
FIRST = 45.0
"""Room in millimetres for the heading of a section, and the head and first rows of its table."""
EMPHASIS = {"total": "BOLD", "others": "ITALICS", "none": "ITALICS"}
COLORS = {"better": (23, 105, 63), "worse": (179, 38, 30), "few": QUIET}
"""Colors of texts by the first word of `CellShown.way` or `Card.way`."""


def write(document: Document, path: Path) -> None:
    """Write a report."""
    with TemporaryDirectory(dir=path.parent) as fonts:  # the library reads fonts from files until the end
        sheets = Sheets(document, Path(fonts))
        _introduction(sheets, document)
        for table in document.read:
            _section(sheets, table, document)
        _end(sheets, document)
        sheets.output(str(path))


# --- words


def _introduction(sheets: Sheets, document: Document) -> None:
    introduction = document.introduction
    sheets.line_of(introduction.when or document.title, SMALL, color=QUIET)
    sheets.line_of(document.name, TITLE, "B")
    sheets.ln(2)
    for number, sentence in enumerate(introduction.news):
        sheets.line_of(sentence, LEAD if number == 0 else TEXT, "B" if number == 0 else "")
        sheets.ln(1)
    if introduction.rest:
        sheets.line_of(introduction.rest, TEXT, color=QUIET)
    _cards(sheets, cards(document))
    for note in late(document):
        sheets.line_of(note, TEXT, color=(138, 82, 0))
    if introduction.needs:
        sheets.ln(4)
        sheets.line_of("Needs you", HEADING, "B")
        for need in introduction.needs:
            sheets.line_of(f"• {need.text}", TEXT)


def _cards(sheets: Sheets, shown: Sequence[Card]) -> None:
    """Draw the cards side by side in frames."""
    if not shown:
        return
    sheets.ln(3)
    wide, top = sheets.epw / len(shown), sheets.get_y()
    for place, card in enumerate(shown):
        left = sheets.l_margin + place * wide
        sheets.rect(left, top, wide, CARD_HEIGHT)
        sheets.boxed(card.title, SMALL, left + 2, top + 2, wide - 3)
        sheets.boxed(card.text, HEADING, left + 2, top + 6, wide - 3, "B")
        sheets.boxed(card.change, SMALL, left + 2, top + 12.5, wide - 3, color=_color(card.way))
        sheets.boxed(card.foot, SMALL - 1, left + 2, top + 17, wide - 3, color=QUIET)
    sheets.set_xy(sheets.l_margin, top + CARD_HEIGHT + 3)


def _color(way: str) -> tuple[int, int, int]:
    return COLORS.get(way.partition(" ")[0], (0, 0, 0))


def _end(sheets: Sheets, document: Document) -> None:
    sheets.ln(8)
    sheets.set_text_shaping(True)
    for line in colophon(document, left_out(document)):
        sheets.line_of(line, SMALL, color=QUIET)
    sheets.ln(1)
    for name, value in document.facts:
        sheets.line_of(f"{name.replace('_', ' ')} {value}", SMALL, color=QUIET)


# --- a section


def _section(sheets: Sheets, table: Table, document: Document) -> None:
    """Write a section; its heading is on the same page as its chart or the first table rows."""
    drawing = _drawing(table, document)
    if sheets.will_page_break(FIRST + (_height(drawing) if drawing is not None else 0)):
        sheets.add_page()
    else:
        sheets.ln(7)
    # names need shaping; series hold only dates and numbers, but many
    sheets.set_text_shaping(not isinstance(SECTIONS[table.name], Series))
    sheets.start_section(sheets.text_of(table.title))
    sheets.line_of(table.title, HEADING, "B")
    sheets.line_of(table.definition, TEXT, color=QUIET)
    if drawing is not None:
        _legend(sheets, table.drawn_columns)
        _draw(sheets, drawing)
    sheets.ln(2)
    _table(sheets, layout(table, document))


def _table(sheets: Sheets, seen: Layout) -> None:
    head = [sheets.text_of(each.title) for each in seen.heads]
    rows = [[sheets.text_of(cell.text) for cell in line.cells] for line in seen.lines]
    widths = _widths(sheets, head, rows)
    size = SMALL * min(1.0, sheets.epw / sum(widths))
    sheets.set_font(FONT, size=size)
    with sheets.table(
        align=Align.L, borders_layout=TableBordersLayout.HORIZONTAL_LINES, col_widths=[*widths, TIE],
        width=sheets.epw, line_height=sheets.font_size * LINE, padding=(0.6, PAD),
        text_align=[*(Align.R if each.is_number else Align.L for each in seen.heads), Align.L],
    ) as grid:  # fmt: skip
        grid.row([*head, ""])
        tied = _tied(len(rows))
        for number, (line, cells) in enumerate(zip(seen.lines, rows, strict=True)):
            row = grid.row()
            for cell, text in zip(line.cells, cells, strict=True):
                row.cell(text, style=_face(cell, EMPHASIS.get(line.kind)))
            if number in tied:
                row.cell("", rowspan=tied[number], padding=(0, 0, 0, 0))


def _tied(count: int) -> Mapping[int, int]:
    """Return which of `count` rows stay on one page with rows after them, and how many: the first two, and the last two.

    Three rows of the longest texts fit on a page.
    """
    return {0: count} if count in (2, 3) else {0: 2, count - 2: 2} if count > 3 else {}


def _face(cell: CellShown, emphasis: str | None) -> FontFace | None:
    if cell.way.partition(" ")[0] in COLORS:
        return FontFace(emphasis=emphasis, color=_color(cell.way))
    return FontFace(emphasis=emphasis) if emphasis else None


def _widths(sheets: Sheets, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[float]:
    """Return the column widths in millimetres: numbers and heading words are never cut, long names wrap."""
    sheets.set_font(FONT, "B", SMALL)
    widest = [max(map(sheets.get_string_width, title.split()), default=0.0) for title in head]
    for cells in rows:
        widest = [max(had, sheets.get_string_width(cell)) for had, cell in zip(widest, cells, strict=True)]
    return [min(width, WIDEST) + 2 * PAD + 0.1 for width in widest]


# --- drawings


def _drawing(table: Table, document: Document) -> ElementTree.Element | None:
    """Return the chart of a section as SVG; None for a ranking or without data."""
    rows, columns = table.points, table.drawn_columns
    if not rows or not columns or isinstance(SECTIONS[table.name], Ranking):
        return None
    return ElementTree.fromstring(charts.over_time(table.title, rows, columns, labels(table, document)[: len(rows)]))


def _height(drawing: ElementTree.Element) -> float:
    return float(drawing.attrib["viewBox"].split()[3]) * PIXEL


def _draw(sheets: Sheets, drawing: ElementTree.Element) -> None:
    """Draw a chart: the library draws the shapes, and `_label` the texts, which the library would not shape."""
    texts = drawing.findall("text")
    for unseen in (*texts, *drawing.findall("title")):
        drawing.remove(unseen)
    top = sheets.get_y()
    sheets.image(BytesIO(ElementTree.tostring(drawing)), sheets.l_margin, top, charts.WIDTH * PIXEL)
    sheets.set_font(FONT, size=11 * PIXEL * sheets.k)
    for text in texts:
        _label(sheets, text, top)
    sheets.set_xy(sheets.l_margin, top + _height(drawing))


def _label(sheets: Sheets, text: ElementTree.Element, top: float) -> None:
    """Write a label of a chart, aligned by its anchor."""
    x, y = (float(text.attrib[name]) * PIXEL for name in ("x", "y"))
    words = sheets.text_of(text.text or "")
    wide = sheets.get_string_width(words)
    start = {"end": x - wide, "middle": x - wide / 2}.get(text.attrib["text-anchor"], x)
    sheets.set_text_color(*QUIET)
    sheets.set_xy(sheets.l_margin + min(max(start, 0), sheets.epw - wide), top + y - 0.85 * sheets.font_size)
    sheets.cell(wide, sheets.font_size, words)
    sheets.set_text_color(0)


def _legend(sheets: Sheets, columns: Sequence[Column]) -> None:
    sheets.set_font(FONT, size=SMALL)
    height = sheets.font_size * LINE
    sheets.ln(1)
    for column, color in zip(columns, charts.COLORS, strict=False):
        with sheets.local_context(fill_color=color):
            sheets.rect(sheets.get_x(), sheets.get_y() + 0.2 * height, 0.6 * height, 0.6 * height, style="F")
        sheets.set_x(sheets.get_x() + height)
        title = sheets.text_of(column.title)
        sheets.cell(sheets.get_string_width(title) + 6, height, title)
    sheets.ln(height)

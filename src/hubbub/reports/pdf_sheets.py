"""Numbered A4 pages for a report: fonts, colors, lines of text, and a footer that names the report."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

import pymupdf_fonts
from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos
from fpdf.fonts import TTFFont

from hubbub.reports.document import Document
from hubbub.reports.formatting import plain

FONT, STYLES = "FiraGO", {"": "figo", "B": "figbo", "I": "figit"}
TITLE, LEAD, HEADING, TEXT, SMALL = 20, 12.5, 12, 9, 7.5
"""Font sizes in points."""
MARGIN, LINE, PAD = 14.0, 1.35, 1.3
"""Millimetres, except the line height, which is relative."""
LONGEST = 500
"""Longest shown name in characters."""
MISSING = "▯"
PAGES = "\ue000" * 4
"""Placeholder for the number of pages; not in the font, so no text contains it."""
QUIET = (96, 101, 110)
RULE = 215
Style = Literal["", "B", "I"]
Color = tuple[int, int, int]


class Sheets(FPDF):
    """Numbered pages of a report."""

    def __init__(self, document: Document, fonts: Path) -> None:
        super().__init__("portrait", "mm", "A4")
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
        self.set_text_shaping(True)

    def footer(self) -> None:
        """Write the footer: report and page number."""
        self.set_y(-MARGIN)
        self.set_font(FONT, size=SMALL)
        self.set_text_color(*QUIET)
        self.cell(self.epw / 4, text=f"{self.page_no()} / {PAGES}")
        self.cell(self.epw * 3 / 4, text=self.foot, align=Align.R)
        self.set_text_color(0)

    def text_of(self, value: str) -> str:
        """Return a text on one line, cut to LONGEST characters, with a box for each character that the font lacks."""
        words = " ".join(plain(value[: LONGEST + 1]).split())
        bounded = words if len(value) <= LONGEST else f"{words[:LONGEST]}…"
        return "".join(char if char in self.known else MISSING for char in bounded)

    def line_of(self, text: str, size: float, style: Style = "", *, color: Color = (0, 0, 0)) -> None:
        """Write a text below the previous one, on as many lines as needed; `size` in points."""
        self.set_font(FONT, style, size)
        self.set_text_color(*color)
        height = size / self.k * LINE
        self.multi_cell(self.epw, height, self.text_of(text), align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_text_color(0)

    def boxed(
        self, text: str, size: float, x: float, y: float, wide: float, style: Style = "", *, color: Color = (0, 0, 0)
    ) -> None:
        """Write a text on one line at a position (mm), smaller if it is wider than `wide` mm; `size` in points."""
        self.set_font(FONT, style, size)
        words = self.text_of(text)
        needed = self.get_string_width(words)
        if needed > wide:
            self.set_font(FONT, style, size * wide / needed)
        self.set_text_color(*color)
        self.set_xy(x, y)
        self.cell(wide, size / self.k * LINE, words)
        self.set_text_color(0)

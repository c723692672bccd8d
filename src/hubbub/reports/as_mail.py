"""A report as HTML for mail programs: tables, widths in percent, bars of background color, styles in the elements.

Mail programs support no SVG and little CSS. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from hubbub.metrics.definition import Unit
from hubbub.reports.cards import Card, cards
from hubbub.reports.document import Document
from hubbub.reports.formatting import plain, shown, unbroken
from hubbub.reports.layout import labels
from hubbub.reports.sections import SECTIONS, Ranking, Summary
from hubbub.reports.tables import Column, Row, Table

MOST_WINDOWS, MOST_VALUES = 31, 8
"""Most windows that a mail shows as bars, and most values of a ranking."""
INK, QUIET, LINE, ACCENT = "#17191d", "#60656e", "#e3e3de", "#2b54c8"
COLORS = {"better": "#17693f", "worse": "#b3261e", "beyond": INK}
FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif"
BUTTON = (
    f"display:inline-block;padding:8px 14px;border-radius:6px;background:{ACCENT};color:#ffffff;font-weight:600;"
    "text-decoration:none"
)
CELL = f"border-bottom:1px solid {LINE};padding:6px 8px 6px 0;font-size:14px"
TABLE = 'role="presentation" width="100%" cellspacing="0" cellpadding="0"'


def mail(document: Document, title: str, notes: Sequence[str], base: str, stop: str) -> str:
    """Return the mail as HTML. `base`: address of the dashboard; `stop`: address to unsubscribe; empty for no links."""
    body = "".join(
        (
            *_introduction(document),
            *_notes(notes),
            *_needs(document, base),
            *_sections(document),
            *_end(document, base, stop),
        )
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="color-scheme" content="light"><title>{_text(title)}</title></head>'
        f'<body style="margin:0;background:#ffffff;color:{INK};{FONT};font-size:14px;line-height:1.45">'
        f'<table {TABLE} style="max-width:640px;margin:0 auto"><tr><td style="padding:20px 16px">{body}</td></tr></table>'
        "</body></html>"
    )


def _introduction(document: Document) -> Iterator[str]:
    introduction = document.introduction
    yield f'<p style="margin:0;color:{QUIET};font-size:12px">{_text(introduction.when or document.title)}</p>'
    yield f'<h1 style="margin:2px 0 10px;font-size:24px;line-height:1.2">{_text(document.name)}</h1>'
    for number, sentence in enumerate(introduction.news):
        size = "font-size:18px;font-weight:600" if number == 0 else "font-size:14px"
        yield f'<p style="margin:0 0 10px;{size}">{_text(sentence)}</p>'
    if introduction.rest:
        yield f'<p style="margin:0 0 10px;color:{QUIET}">{_text(introduction.rest)}</p>'
    if shown_cards := cards(document):
        cells = "".join(_card(card, 100 // len(shown_cards)) for card in shown_cards)
        yield f'<table {TABLE} style="margin:8px 0"><tr>{cells}</tr></table>'


def _card(card: Card, percent: int) -> str:
    kind, _, direction = card.way.partition(" ")
    arrow = {"rises": "▲ ", "falls": "▼ "}.get(direction, "")
    style = f"color:{COLORS[kind]};font-weight:600" if kind in COLORS else f"color:{QUIET}"
    return (
        f'<td width="{percent}%" valign="top" style="border:1px solid {LINE};padding:8px 6px;font-size:12px">'
        f'{_text(card.title)}<br><b style="font-size:17px">{_text(card.text)}</b><br>'
        f'<span style="{style}">{arrow}{_text(card.change)}</span><br>'
        f'<span style="color:{QUIET}">{_text(card.foot)}</span></td>'
    )


def _notes(notes: Sequence[str]) -> Iterator[str]:
    for note in notes:
        yield f'<p style="margin:10px 0;padding:8px 10px;background:#fbf1dd">{_text(note)}</p>'


def _needs(document: Document, base: str) -> Iterator[str]:
    if document.introduction.needs:
        rows = "".join(
            f'<tr><td style="{CELL}">{_text(need.text)}</td><td align="right" style="{CELL}">{_link(base, need.path)}</td></tr>'
            for need in document.introduction.needs
        )
        yield f"{_heading('Needs you')}<table {TABLE}>{rows}</table>"


def _link(base: str, path: str) -> str:
    return f'<a href="{escape(base + path)}" style="color:{ACCENT}">Open</a>' if base else ""


def _heading(text: str) -> str:
    return f'<h2 style="margin:20px 0 4px;font-size:16px">{_text(text)}</h2>'


def _sections(document: Document) -> Iterator[str]:
    """Yield each section that can be shown as bars: the first drawn column as bars, the second as text."""
    for table in document.read:
        columns, rows = (
            table.drawn_columns,
            list(zip(table.points, labels(table, document), strict=False)) if _is_drawn(table) else [],
        )
        most = MOST_VALUES if isinstance(SECTIONS[table.name], Ranking) else MOST_WINDOWS
        longest = max((row[columns[0].name] or 0 for row, _ in rows), default=0)
        if not longest or (len(rows) > most and most == MOST_WINDOWS):
            continue
        lines = "".join(_bar(row, label, columns, longest) for row, label in rows[:most])
        title = f"{table.title}: {columns[0].title.lower()}"
        yield f"{_heading(title)}<table {TABLE}>{lines}</table>"


def _is_drawn(table: Table) -> bool:
    return bool(table.drawn_columns) and not isinstance(SECTIONS[table.name], Summary)


def _bar(row: Row, label: str, columns: Sequence[Column], longest: float) -> str:
    first, *others = columns
    value = row[first.name]
    percent = round(100 * (value or 0) / longest)
    beside = _beside(row, first, others[0]) if others and first.unit == Unit.COUNT else ""
    full = f'<td bgcolor="{ACCENT}" width="{percent}%" height="10" style="line-height:10px;font-size:1px">&nbsp;</td>'
    rest = f'<td width="{100 - percent}%" style="font-size:1px">&nbsp;</td>'
    bar = f'<table {TABLE} style="table-layout:fixed"><tr>{full if percent else ""}{rest if percent < 100 else ""}</tr></table>'
    return (
        f'<tr><td width="26%" style="{CELL}">{_text(label)}</td><td width="34%" style="{CELL}">{bar}</td>'
        f'<td width="16%" align="right" style="{CELL}"><b>{_text(shown(value, first.unit))}</b></td>'
        f'<td width="24%" align="right" style="{CELL};color:{QUIET};font-size:12px">{_text(beside)}</td></tr>'
    )


def _beside(row: Row, first: Column, other: Column) -> str:
    """Return the second drawn count as text, without the words of its title that the first has too: 18 resolved."""
    words, shared = other.title.lower().split(), set(first.title.lower().split())
    return f"{shown(row[other.name], other.unit)} {' '.join(word for word in words if word not in shared)}"


def _end(document: Document, base: str, stop: str) -> Iterator[str]:
    if base:
        page = escape(f"{base}/t/{document.data.tenant}/reports")
        yield f'<p style="margin:20px 0"><a href="{page}" style="{BUTTON}">Open in Hubbub</a></p>'
    ends = [f"{name} {document.about[name]}" for name in ("id", "hash") if name in document.about]
    leave = (
        f' · <a href="{escape(stop)}" style="color:{ACCENT}">Stop this digest</a>, no sign-in needed' if stop else ""
    )
    yield (
        f'<p style="margin:20px 0 0;color:{QUIET};font-size:12px;word-break:break-word">'
        f"A change in color is beyond its usual noise. Numbers equal those of the dashboard for the same days.<br>"
        f"{_text(' · '.join(ends))}{leave}</p>"
    )


def _text(value: str) -> str:
    return escape(unbroken(plain(value)))

"""A report as one HTML page, for screen and print. It fetches nothing, has no script, and follows the reader's theme.

In this order: news, cards, open tasks, sections with charts and tables, facts about the report. Every number is formatted for
people, inside a `<data value="…">` with the exact value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path

from hubbub.reports import charts
from hubbub.reports.cards import cards
from hubbub.reports.document import Document
from hubbub.reports.formatting import plain, unbroken
from hubbub.reports.layout import CellShown, Head, Line, labels, layout, left_out
from hubbub.reports.remarks import colophon, late
from hubbub.reports.sections import SECTIONS, Ranking
from hubbub.reports.style import POLICY, STYLE
from hubbub.reports.tables import Table


def write(document: Document, path: Path) -> None:
    """Write a report."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_page(document))


def _page(document: Document) -> Iterator[str]:
    yield (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(document.title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}"><meta name="color-scheme" content="light dark">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body><main>\n'
    )
    yield from _introduction(document)
    for table in document.read:
        yield from _section(table, document)
    yield from _end(document)
    yield "</main></body></html>\n"


def _introduction(document: Document) -> Iterator[str]:
    introduction = document.introduction
    yield f'<p class="quiet">{_text(introduction.when or document.title)}</p><h1><bdi>{_text(document.name)}</bdi></h1>\n'
    for number, sentence in enumerate(introduction.news):
        yield f'<p class="{"lead" if number == 0 else "more"}">{_text(sentence)}</p>'
    if introduction.rest:
        yield f'<p class="quiet">{_text(introduction.rest)}</p>'
    yield from _cards(document)
    for note in late(document):
        yield f'<p class="late">{_text(note)}</p>'
    if introduction.needs:
        items = "".join(f"<li>{_text(need.text)}</li>" for need in introduction.needs)
        yield f'<h2>Needs you</h2><ul class="needs">{items}</ul>\n'


def _cards(document: Document) -> Iterator[str]:
    if shown := cards(document):
        yield '<ul class="cards">'
        for card in shown:
            yield (
                f'<li><span>{_text(card.title)}</span><b><data value="{json.dumps(card.value)}">{_text(card.text)}</data></b>'
                f'<span class="change {card.way}">{_text(card.change)}</span><small>{_text(card.foot)}</small></li>'
            )
        yield "</ul>\n"


def _section(table: Table, document: Document) -> Iterator[str]:
    title, definition = _text(table.title), _text(table.definition)
    yield f'<section id="{escape(table.name)}"><h2>{title}</h2><p class="quiet">{definition}</p>\n'
    yield chart(table, document)
    seen = layout(table, document)
    yield '<table role="table"><thead><tr role="row">'
    yield from (_head(head) for head in seen.heads)
    yield "</tr></thead><tbody>\n"
    yield from (_line(line, seen.heads) for line in seen.lines)
    yield "</tbody></table></section>\n"


def chart(table: Table, document: Document) -> str:
    """Return the chart of a section with its legend, as HTML; empty for a ranking, whose table has bars, or without data."""
    rows, columns = table.points, table.drawn_columns
    if not rows or not columns or isinstance(SECTIONS[table.name], Ranking):
        return ""
    drawn = charts.over_time(table.title, rows, columns, labels(table, document)[: len(rows)])
    return f'{charts.legend(columns)}<div class="plots" role="group" tabindex="0" aria-label="{_text(table.title)}">{drawn}</div>'


def _head(head: Head) -> str:
    kind = "" if head.is_number else ' class="text"'
    title = f' title="{_text(head.definition)}"' if head.definition else ""
    return f'<th role="columnheader" scope="col"{kind}{title}>{_text(head.title)}</th>'


def _line(line: Line, heads: tuple[Head, ...]) -> str:
    cells = "".join(_cell(cell, head) for cell, head in zip(line.cells, heads, strict=True))
    return f'<tr role="row" class="{escape(line.kind)}">{cells}</tr>\n'


def _cell(cell: CellShown, head: Head) -> str:
    if not head.is_number:
        return f'<td role="rowheader" class="text"><bdi>{_text(cell.text)}</bdi></td>'
    label = f'role="cell" data-label="{_text(head.title)}"'
    if cell.value is None:
        why = f' title="{_text(cell.why)}"' if cell.why else ""
        return f"<td {label}{why}>{_text(cell.text)}</td>"
    text = f'<data value="{json.dumps(cell.value)}">{_text(cell.text)}</data>'
    text = f'<span class="change {cell.way}">{text}</span>' if cell.way else text
    return f"<td {label}>{_bar(cell.share)}{text}</td>"


def _bar(share: float | None) -> str:
    if share is None:
        return ""
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{100 * share:.1f}" height="10"/></svg>'
    )


def _end(document: Document) -> Iterator[str]:
    yield '<footer class="quiet">'
    yield "".join(f"<p>{_text(line)}</p>" for line in colophon(document, left_out(document)))
    facts = "".join(
        f"<dt>{_text(name.replace('_', ' '))}</dt> <dd>{_text(value)}</dd> " for name, value in document.facts
    )
    yield f"<dl>{facts}</dl></footer>\n"


def _text(value: str) -> str:
    return escape(unbroken(plain(value)))

"""A report as one page of HTML with inline charts, to mail and print: it fetches nothing and has no script.

Every number is formatted for people, inside a `<data value="…">` with the exact value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from hubbub.reports import charts
from hubbub.reports.document import Document, drawn, labelled_by, named, points
from hubbub.reports.formatting import plain, reason, shown, unit_of
from hubbub.reports.sections import SECTIONS, Ranking

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 76rem; margin: 2rem auto; padding: 0 1rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; font-size: .85rem }
dd { margin: 0; overflow-wrap: anywhere }
section { margin-top: 2.5rem; break-inside: avoid-page }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #8883; white-space: nowrap }
th.text, td.text { text-align: left; white-space: normal; overflow-wrap: anywhere }
tr.total, tr.others, tr.none { font-style: italic }
tr.total { font-weight: bold }
svg { max-width: 46rem; width: 100%; display: block; margin: 1rem 0 }
svg text { font-size: 11px; fill: currentColor }
.legend { list-style: none; display: flex; gap: 1rem; padding: 0; font-size: .8rem }
.legend span { display: inline-block; width: .8em; height: .8em; margin-right: .4em }
.note { font-size: .85rem; opacity: .8 }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write(document: Document, path: Path) -> None:
    """Write a report."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_page(document))


def _page(document: Document) -> Iterator[str]:
    title = _text(document.title)
    yield (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><h1>{title}</h1>\n<dl>'
    )
    for name, value in document.facts:
        yield f"<dt>{_text(name.replace('_', ' '))}</dt><dd>{_text(value)}</dd>"
    yield "</dl>\n"
    for table in document.tables:
        yield from _section(table)
    yield "</body></html>\n"


def _section(table: Mapping[str, Any]) -> Iterator[str]:
    yield f'<section id="{escape(table["name"])}"><h2>{_text(table["title"])}</h2><p>{_text(table["definition"])}</p>\n'
    yield _chart(table)
    yield '<div class="wide"><table><thead><tr>'
    for column in table["columns"]:
        kind = ' class="text"' if column["unit"] == "text" else ""
        yield f'<th scope="col"{kind} title="{_text(column["definition"])}">{_text(column["title"])}</th>'
    yield "</tr></thead><tbody>\n"
    for row in table["rows"]:
        yield f'<tr class="{escape(str(row.get("row", "value")))}">'
        for column in table["columns"]:
            yield _cell(named(row, column), unit_of(column, row), reason(row, column["name"]))
        yield "</tr>\n"
    yield "</tbody></table></div>"
    for note in table["notes"]:
        yield f'<p class="note">{_text(note)}</p>'
    yield "</section>\n"


def _cell(value: Any, unit: str, why: str) -> str:
    if isinstance(value, str):
        return f'<td class="text"><bdi>{_text(value)}</bdi></td>'
    if value is None:
        return f'<td title="{_text(why)}">–</td>' if why else "<td>–</td>"
    return f'<td><data value="{json.dumps(value)}">{_text(shown(value, unit))}</data></td>'


def _chart(table: Mapping[str, Any]) -> str:
    rows, columns = points(table), drawn(table)
    if not rows or not columns:
        return ""
    section = SECTIONS[table["name"]]
    if isinstance(section, Ranking):
        drawing = charts.bars(table["title"], rows, columns, labelled_by(table, section.by))
    else:
        drawing = charts.lines(table["title"], rows, columns)
    return drawing + charts.legend(columns)


def _text(value: str) -> str:
    return escape(plain(value))

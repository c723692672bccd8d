"""A digest: a report in a few lines, as text and as HTML for mail programs.

Every number comes from the report, so mail, file, page and API agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from hubbub.metrics.catalogue import title_of
from hubbub.query.result import State
from hubbub.query.usual import Usual
from hubbub.reports.formatting import near, plain, shown

CELL = "padding:4px 10px;border-bottom:1px solid #ddd"


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest: title, lines of text, and the same as HTML."""

    title: str
    lines: tuple[str, ...]
    html: str


def digest(
    data: Mapping[str, Any], usual: Mapping[str, Usual], news: Sequence[str], notes: Sequence[str], page: str, stop: str
) -> Digest:
    """Return the digest of a report's `data`; `usual`: the usual range of the report's period by metric.

    `news`: sentences on what is unusual, or that nothing is. `notes`: what is late or missing. `page`, `stop`: addresses to open
    the report and to unsubscribe, empty for none.
    """
    rows = _summary(data)
    head = f"{data['kind'].capitalize()} digest, {_days(data)}"
    first = " ".join(news)
    table = [f"{title_of(row['metric'])}: {shown(row['value'], row['unit'])}{_change(row)}" for row in rows]
    lines = (first, *notes, *table, *_unsettled(rows))
    return Digest(
        plain(f"{data['tenant']}, {_days(data)}: {first}"[:200]),
        lines,
        _page(head, first, notes, rows, usual, page, stop),
    )


def missing(data: Mapping[str, Any]) -> str:
    """Return which numbers of a report are incomplete, in words; empty where all are complete.

    A provisional number, which later events may change within its horizon, counts as complete.
    """
    waiting = (State.LIVE, State.INCOMPLETE, State.NOT_FETCHED)
    titles = [title_of(row["metric"]) for row in _summary(data) if row["state"] in waiting]
    return f"not complete: {', '.join(titles[:5])}{' and others' if len(titles) > 5 else ''}" if titles else ""


def _summary(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = [row for section in data["sections"] if section["name"] == "summary" for row in section["rows"]]
    return [row for row in rows if row["value"] is not None or row["state"] in (State.INCOMPLETE, State.NOT_FETCHED)]


def _days(data: Mapping[str, Any]) -> str:
    return str(data["from"]) if data["kind"] == "daily" else f"{data['from']} to {data['to']}"


def _change(row: Mapping[str, Any]) -> str:
    if not row["absolute"]:
        return ""
    sign = "+" if row["absolute"] > 0 else ""
    if row["unit"] == "share":
        return f" ({sign}{row['absolute'] * 100:.1f} points)"
    return f" ({sign}{row['relative'] * 100:.0f} %)" if row["relative"] is not None else ""


def _unsettled(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = [title_of(row["metric"]) for row in rows if row["state"] == State.PROVISIONAL]
    return [f"May still change: {', '.join(names)}."] if names else []


def _page(
    head: str,
    first: str,
    notes: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    usual: Mapping[str, Usual],
    page: str,
    stop: str,
) -> str:
    paragraphs = "".join(f"<p>{escape(plain(note))}</p>" for note in notes)
    body = "".join(
        f'<tr><td style="{CELL}">{escape(title_of(row["metric"]))}</td>'
        f'<td style="{CELL};text-align:right"><b>{escape(shown(row["value"], row["unit"]))}</b></td>'
        f'<td style="{CELL}">{escape(_change(row).strip(" ()"))}</td>'
        f'<td style="{CELL};color:#666">{escape(_band(row, usual.get(row["metric"])))}</td></tr>'
        for row in rows
    )
    after = "".join(f"<p>{escape(line)}</p>" for line in _unsettled(rows))
    links = [f'<a href="{escape(page)}">Open in Hubbub</a>'] * bool(page) + [
        f'<a href="{escape(stop)}">Stop this digest</a>, no sign-in needed'
    ] * bool(stop)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>'
        f'<body style="font:15px/1.5 system-ui,sans-serif;max-width:640px"><p style="color:#666">{escape(head)}</p>'
        f'<h2>{escape(plain(first))}</h2>{paragraphs}<table style="border-collapse:collapse">{body}</table>{after}'
        f'<p style="color:#666">{" · ".join(links)}</p></body></html>'
    )


def _band(row: Mapping[str, Any], usual: Usual | None) -> str:
    if usual is None or usual.low is None or usual.high is None:
        return ""
    return f"usual {near(usual.low, row['unit'])} – {near(usual.high, row['unit'])}"

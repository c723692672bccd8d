"""How cells are written: values for people, and texts from outside made harmless."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from hubbub.metrics.definition import Unit
from hubbub.query.result import UNKNOWN
from hubbub.query.waiting import countdown
from hubbub.reports.tables import Column, Row

_UNWRITABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
"""Controls, lone surrogates, and marks that change the direction of text."""
_LINES = re.compile("(\r\n|[\r\n\v\f\x85\u2028\u2029])")
_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
COUNTDOWN = "countdown"
"""Unit of a distance to a target in ms, above 0 past it."""
NAMES = {"others": "others", "none": "(none)", "total": "total"}
"""Names of summary rows."""


def plain(text: str) -> str:
    """Return a text without characters that text files cannot hold or that change the direction of others."""
    return _UNWRITABLE.sub("\ufffd", text)


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: an apostrophe before each line that could be one."""
    return "".join(part if number % 2 else _quoted(part) for number, part in enumerate(_LINES.split(text)))


def _quoted(line: str) -> str:
    begins = line.lstrip(" \t\xa0\ufeff\u200b\u2007\u202f\u3000")
    return f"'{line}" if line.startswith("\t") or begins.startswith(_STARTS) else line


def spreadsheet(text: str) -> str:
    """Return a text as a spreadsheet cell: `plain` and `harmless`."""
    led = "'" if text[:1] in ("\t", "\r") else ""
    safe = harmless(plain(text))
    return safe if safe.startswith("'") else led + safe


def in_sentence(title: str) -> str:
    """Return a title as it stands inside a sentence: without its first capital, unless it begins with an abbreviation like AI."""
    return title if title[:2].isupper() else f"{title[:1].lower()}{title[1:]}"


def unit_of(column: Column, row: Row) -> str:
    """Return the unit of a cell: its column's, or its row's where rows have units."""
    return str(row["unit"] if column.unit == "row" else column.unit)


def shown(value: Any, unit: str) -> str:
    """Write a value for people: durations with units, shares in percent, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return plain(value)
    if unit == Unit.MS:
        return duration(float(value))
    if unit == COUNTDOWN:
        return countdown(int(value))
    if unit == Unit.SHARE:
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def near(value: float | None, unit: str) -> str:
    """Write a number that may be a fraction of a count, like a median of counts."""
    if value is None or unit != Unit.COUNT:
        return shown(value, unit)
    if value >= 10 or float(value).is_integer():
        return f"{round(value):,}"
    return f"{value:.1f}"


def about(value: float | None, unit: str) -> str:
    """Write a rounded number: minutes without seconds, and seconds without tenths."""
    if value is None or unit != Unit.MS or value < 600_000:
        whole = value is not None and unit == Unit.MS and 10_000 <= value < 59_500
        return f"{value / 1000:.0f} s" if value is not None and whole else near(value, unit)
    minutes = round(value / 60_000)
    return near(minutes * 60_000, unit) if minutes >= 60 else f"{minutes} min"


def between(low: float, high: float, unit: str) -> str:
    """Write a range: counts whole, shares without a decimal unless it is narrow, and the unit of shares once.

    Where both ends read alike, it is one value.
    """
    if unit == Unit.MS and low < 1:
        return f"up to {about(high, unit)}"
    if unit == Unit.SHARE:
        digits = 0 if high - low >= 0.05 else 1
        first, last, sign = f"{100 * low:.{digits}f}", f"{100 * high:.{digits}f}", "%"
    else:
        first, last, sign = *(f"{round(end):,}" if unit == Unit.COUNT else about(end, unit) for end in (low, high)), ""
    return f"{first} – {last}{sign}" if first != last else f"{last}{sign}"


def changed(absolute: float | None, relative: float | None, unit: str) -> str:
    """Write a change in its own unit: points of shares, time of durations, else a number, with its part of a count.

    Empty for none, and 0 or 0.0 for one too small to write.
    """
    if absolute is None:
        return ""
    if unit == Unit.SHARE:
        words = f"{100 * absolute:+.1f} points"
    elif unit == Unit.MS:
        words = f"{'+' if absolute > 0 else '-'}{about(abs(absolute), unit)}" if absolute else "0"
    elif unit == Unit.COUNT:
        words = f"{absolute:+,.0f}{f' ({relative:+.0%})' if relative else ''}"
    else:
        words = f"{absolute:+,.2f}"
    small = not words.strip("+-0.% pointsm()")
    return words.lstrip("+-") if small else words.replace("-", "−")


def reason(row: Row, column: str) -> str:
    """Return why a row has no number in a column; empty where it has one or none exists."""
    return UNKNOWN.get(row.get(f"{column}.state", ""), "")


def moment(text: str) -> str:
    """Write an RFC 3339 time for people: midnight as the date, else with offset, which distinguishes doubled hours."""
    return text[:10] if text[10:19] == "T00:00:00" else f"{text[:10]} {text[11:16]} {text[19:]}"


def day(text: str) -> str:
    """Write the day of an RFC 3339 time for people: Sat 28 Nov 2026."""
    at = datetime.fromisoformat(text)
    return f"{at:%a} {at.day} {at:%b} {at.year}"


def instant(text: str) -> str:
    """Write an RFC 3339 time of an event for people: Sat 28 Nov 2026, 17:19."""
    return f"{day(text)}, {datetime.fromisoformat(text):%H:%M}"


def duration(ms: float) -> str:
    """Write milliseconds as 12 h 5 min, 12 h, 3 min 20 s, 4.2 s or 250 ms; negative ones with a minus sign."""
    if ms < 0:
        return f"−{duration(-ms)}"
    seconds = ms / 1000
    if seconds < 1:
        return f"{ms:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return _in_two(int(seconds), 60, "min", "s")
    if seconds < 86_400 * 2:
        return _in_two(int(seconds // 60), 60, "h", "min")
    return f"{seconds / 86_400:.1f} d"


def _in_two(amount: int, size: int, large: str, small: str) -> str:
    whole, rest = divmod(amount, size)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"

"""Formatting of cells: values for people, and outside texts without control characters and formulas."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from hubbub.metrics.definition import Unit
from hubbub.model.duration import duration
from hubbub.query.result import UNKNOWN
from hubbub.query.waiting import countdown
from hubbub.reports.tables import Column, Row

_UNWRITABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
"""Controls, lone surrogates, and marks that change the direction of text."""
_LINES = re.compile("(\r\n|[\r\n\v\f\x85\u2028\u2029])")
_DURATION = r"\d[\d.,]* (?:ms|s|min|h|d)\b(?: \d+ (?:s|min|h)\b)?"
_NUMBER = rf"(?:{_DURATION}|\d[\d.,]*%?)"
_TOGETHER = re.compile(rf"{_NUMBER} – {_NUMBER}|{_DURATION}|\bn = \d")
"""Durations, ranges of numbers or durations, and "n = 5"."""
JOINER = "\u2060"
"""Forbids a break after a dash, where a no-break space alone does not."""
_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
FEWEST = 5
"""Fewest things of which a share is written in percent."""
COUNTDOWN = "countdown"
"""Unit of the time to a target in ms; above 0: past the target."""
POINTS = "points"
"""Unit of a difference between shares."""
WRITTEN = ("topic", "intent")
"""Dimensions whose values are written as words."""
NAMES = {"others": "others", "none": "not given", "total": "total"}
"""Names of summary rows."""


def plain(text: str) -> str:
    """Replace characters that text files cannot hold, or that change the direction of text."""
    return _UNWRITABLE.sub("\ufffd", text)


def unbroken(text: str) -> str:
    """Return a text without breaks inside durations and ranges: "7 h 49 min" and "66 – 85%" stay on one line."""
    return _TOGETHER.sub(lambda number: number[0].replace(" – ", f" –{JOINER} ").replace(" ", "\xa0"), text)


def harmless(text: str) -> str:
    """Return a text that no spreadsheet reads as a formula: each line that could be one gets an apostrophe."""
    return "".join(part if number % 2 else _quoted(part) for number, part in enumerate(_LINES.split(text)))


def _quoted(line: str) -> str:
    begins = line.lstrip(" \t\xa0\ufeff\u200b\u2007\u202f\u3000")
    return f"'{line}" if line.startswith("\t") or begins.startswith(_STARTS) else line


def spreadsheet(text: str) -> str:
    """Return a text as a spreadsheet cell: `plain` and `harmless`."""
    led = "'" if text[:1] in ("\t", "\r") else ""
    safe = harmless(plain(text))
    return safe if safe.startswith("'") else led + safe


def in_words(dimension: str, value: str) -> str:
    """Return a value of a dimension as words: the topic air_conditioning is "air conditioning"; of others as it is."""
    words = value.replace("_", " ")
    return words if dimension in WRITTEN and words.strip() else value


def in_sentence(title: str) -> str:
    """Return a title for use inside a sentence: its first letter small, unless it begins with an abbreviation like AI."""
    return title if title[:2].isupper() else f"{title[:1].lower()}{title[1:]}"


def unit_of(column: Column, row: Row) -> str:
    """Return the unit of a cell: its column's, or its row's if rows have units."""
    return str(row["unit"] if column.unit == "row" else column.unit)


def shown(value: Any, unit: str) -> str:
    """Format a value for people: durations (ms) with units, shares in percent, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return plain(value)
    if unit == Unit.MS:
        return duration(float(value))
    if unit == COUNTDOWN:
        return countdown(int(value))
    if unit == POINTS:
        return changed(float(value), None, Unit.SHARE)
    if unit == Unit.SHARE:
        return f"{value:.1%}"
    digits = 1 if unit == Unit.INDEX else 2
    return (f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}").replace("-", "−")


def of_few(value: float | None, n: int | None, unit: str) -> str:
    """Write a share of fewer than five things as a count, like "2 of 3"; empty for other numbers."""
    if value is None or unit != Unit.SHARE or not n or n >= FEWEST:
        return ""
    return f"{round(value * n)} of {n}"


def near(value: float | None, unit: str) -> str:
    """Format a number; a count may be a fraction, like a median of counts."""
    if value is None or unit != Unit.COUNT:
        return shown(value, unit)
    if value >= 10 or float(value).is_integer():
        return f"{round(value):,}"
    return f"{value:.1f}"


def about(value: float | None, unit: str) -> str:
    """Format a rounded number: durations of 10 s to 1 min in whole seconds, from 10 min in whole minutes."""
    if value is None or unit != Unit.MS or value < 600_000:
        whole = value is not None and unit == Unit.MS and 10_000 <= value < 59_500
        return f"{value / 1000:.0f} s" if value is not None and whole else near(value, unit)
    minutes = round(value / 60_000)
    return near(minutes * 60_000, unit) if minutes >= 60 else f"{minutes} min"


def between(low: float, high: float, unit: str) -> str:
    """Format a range: whole counts; shares without decimals unless the range is narrow; the percent sign once.

    If both ends look the same, only one is written.
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
    """Format a change in its own unit: percentage points, time, or a number; of a count also the relative change.

    Empty for None; 0 or 0.0 for a change that rounds to zero.
    """
    if absolute is None:
        return ""
    if unit == Unit.SHARE:
        words = f"{100 * absolute:+.1f} points"
    elif unit == Unit.MS:
        words = f"{'+' if absolute > 0 else '-'}{about(abs(absolute), unit)}" if absolute else "0"
    elif unit == Unit.COUNT:
        part = f"{relative or 0:+.0%}"
        words = f"{absolute:+,.0f}{f' ({part})' if part.strip('+-0%') else ''}"
    else:
        words = f"{absolute:+,.{1 if unit == Unit.INDEX else 2}f}"
    small = not words.strip("+-0.% pointsm()")
    return words.lstrip("+-") if small else words.replace("-", "−")


def reason(row: Row, column: str) -> str:
    """Return the reason why a row has no number in a column; empty if it has one, or none can exist."""
    return UNKNOWN.get(row.get(f"{column}.state", ""), "")


def moment(text: str) -> str:
    """Format an RFC 3339 time: midnight as the date, others with the offset, which distinguishes repeated hours."""
    return text[:10] if text[10:19] == "T00:00:00" else f"{text[:10]} {text[11:16]} {text[19:]}"


def day(text: str) -> str:
    """Format the day of an RFC 3339 time: Sat 28 Nov 2026."""
    at = datetime.fromisoformat(text)
    return f"{at:%a} {at.day} {at:%b} {at.year}"


def window_start(text: str) -> str:
    """Format the beginning of a window (RFC 3339): midnight as its day, others with the offset, for hours that repeat."""
    return day(text) if text[10:19] in ("", "T00:00:00") else f"{instant(text)} {text[19:]}".rstrip()


def instant(text: str) -> str:
    """Format an RFC 3339 time: Sat 28 Nov 2026, 17:19."""
    return f"{day(text)}, {datetime.fromisoformat(text):%H:%M}"

"""Lines of a chat that a phone exported as text: which lines begin a message, and when it was written.

A phone writes dates and times in its language: `[31.12.19, 22:01:05] Ada: hi`, `12/31/19, 10:01 PM - Ada: hi`, `31/12/2019 10:01
p. m. - Ada: hi`, `2019/12/31 午後10:01 - Ada: hi`, with digits of several scripts. The first line that begins a message sets the
form of the whole file; lines in another form are text. All dates of the file together decide which number is the day.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

_BLANK = r"[ \u00a0\u202f\u2009]"
_MARKS = "\u200c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
_ANY = rf"[{_MARKS}]{{0,3}}"
"""Direction marks, which phones in Arabic, Persian and Hebrew write between numbers. Only few: a line may be full of them."""
_FORENOON = (
    "am", "a", "vm", "fm", "ص", "πμ", "午前", "上午", "凌晨", "清晨", "早上", "오전", "öö", "de", "ap", "sa", "dop", "pd",
    "पूर्वाह्न", "ก่อนเที่ยง", "पू", "मपू", "قظ", "قبلازظهر", "לפנה״צ", 'לפנה"צ', "vorm", "da manhã", "pg", "fh", "пр об", "пре подне",
    "pre podne", "претпл", "priešpiet", "e paradites", "ጥዋት", "முற்பகல்", "ಪೂರ್ವಾಹ್ನ", "පෙව", "နံနက်", "yb",
)  # fmt: skip
_AFTERNOON = (
    "pm", "p", "nm", "em", "م", "μμ", "午後", "下午", "中午", "晚上", "오후", "ös", "du", "ip", "ch", "odp", "md",
    "अपराह्न", "หลังเที่ยง", "अप", "मउ", "بظ", "بعدازظهر", "אחה״צ", 'אחה"צ', "nachm", "da tarde", "ptg", "eh", "сл об", "по подне",
    "po podne", "попл", "popiet", "e pasdites", "ከሰዓት", "பிற்பகல்", "ಅಪರಾಹ್ನ", "පව", "ညနေ", "yh", "pop",
)  # fmt: skip


def _spelt(marker: str) -> str:
    """Return a marker like `a. m.` without dots, blanks and direction marks."""
    return re.sub(rf"{_BLANK}|[.{_MARKS}]", "", marker.casefold())


_HALF = {_spelt(word): hours for hours, words in ((0, _FORENOON), (12, _AFTERNOON)) for word in words}
_MARKER = "(?:" + "|".join(
    rf"[.{_MARKS}]{{0,3}}{_BLANK}?".join(map(re.escape, word.casefold())) + r"\.?" for word in sorted(_HALF, key=len, reverse=True)
) + ")"  # fmt: skip
_DATE = (
    rf"(?P<a>\d{{1,4}})\.?{_ANY}(?P<mark>[./-]){_ANY}{_BLANK}?(?P<b>\d{{1,2}}){_ANY}(?P=mark){_ANY}{_BLANK}?"
    rf"(?P<c>\d{{1,4}})\.?(?:{_BLANK}г\.?)?{_ANY}[,،、]?"
)
_BETWEEN = rf"{_ANY}{_BLANK}+{_ANY}(?:(?!{_MARKER}{_BLANK}+{_ANY}\d)[^\W\d]{{1,3}}\.?{_BLANK}+(?=\d))?"
"""Some languages write a short word between date and time, which is not a marker like `pm`."""
_TIME = (
    rf"(?:(?P<before>{_MARKER}){_BLANK}?{_ANY})?(?P<h>\d{{1,2}})(?:[:.]|{_BLANK}h{_BLANK})(?P<m>\d\d)"
    rf"(?:[:.](?P<s>\d\d))?(?:{_BLANK}ч\.?)?(?:{_ANY}{_BLANK}?{_ANY}(?P<after>{_MARKER}))?{_ANY}"
)
_HEADER = re.compile(
    rf"(?P<open>\[)?{_ANY}{_DATE}{_BETWEEN}{_TIME}(?(open)\]{_BLANK}|{_BLANK}{_ANY}[-–]{_BLANK})(?P<rest>.*)\Z",
    re.IGNORECASE | re.DOTALL,
)
_EARLIEST = 2009
"""The first year of such chats; an earlier date was misread."""
_BUDDHIST = 543
"""Phones in Thai may write years of the Buddhist era, which are this much higher."""
_ORDERS: dict[str, Callable[[int, int, int], tuple[int, int, int]]] = {
    "day first": lambda a, b, c: (c, b, a), "month first": lambda a, b, c: (c, a, b), "year first": lambda a, b, c: (a, b, c),
}  # fmt: skip


class OpenDatesError(ValueError):
    """Every date of the file is valid day first and month first; the message shows one."""


@dataclass(frozen=True, slots=True)
class Header:
    """The beginning of a message: the three numbers of its date in order, its time of day, and the rest of the line."""

    numbers: tuple[int, int, int]
    hour: int
    minute: int
    second: int
    form: tuple[object, ...]
    rest: str
    text: str


@dataclass(slots=True)
class Line:
    """A message: its line number in the file, its header, and its text."""

    number: int
    header: Header
    more: list[str]

    @property
    def text(self) -> str:
        """The text after the header, over all lines."""
        return "\n".join([self.header.rest, *self.more]).rstrip("\n")


def header_of(line: str) -> Header | None:
    """Return the header of a line that begins a message, or None."""
    line = line.lstrip(_MARKS)
    match = _HEADER.match(line)
    if match is None:
        return None
    marker = match["before"] or match["after"]
    half = _HALF.get(_spelt(marker)) if marker else None
    hour, minute, second = int(match["h"]), int(match["m"]), int(match["s"] or 0)
    if (marker and (half is None or hour > 12)) or hour > 23 or minute > 59 or second > 59:
        return None
    hour = hour if half is None else hour % 12 + half
    years = len(match["a"]) == 4, len(match["c"]) == 4
    form = (
        bool(match["open"]),
        match["mark"],
        years,
        match["s"] is not None,
        bool(match["before"]),
        bool(match["after"]),
    )
    numbers = int(match["a"]), int(match["b"]), int(match["c"])
    return Header(numbers, hour, minute, second, form, match["rest"], line[: match.start("rest")].strip(_MARKS + " "))


def messages(lines: Iterable[str]) -> Iterator[Line | int]:
    """Yield the messages of a file's lines; an int is the number of a line before the first message."""
    form: tuple[object, ...] | None = None
    current: Line | None = None
    for number, text in enumerate(lines, 1):
        header = header_of(text)
        if header is not None and form in (None, header.form):
            if current is not None:
                yield current
            form, current = header.form, Line(number, header, [])
        elif current is not None:
            current.more.append(text)
        elif text.strip(_MARKS + " \t"):
            yield number
    if current is not None:
        yield current


def order_of(headers: list[Header], day_first: bool | None, latest: date) -> str:
    """Return the order of day, month and year in which the most headers are valid dates.

    A chat goes forward in time, so of several such orders the one that goes back least often is chosen. Raises OpenDatesError
    when two orders go back equally often and `day_first` is None.
    """
    sums = {name: _judged(headers, name, latest) for name in _ORDERS}
    if (
        sums["year first"][0]
        and headers[0].form[2] != (True, False)
        and (sums["day first"][0] or sums["month first"][0])
    ):
        del sums["year first"]  # a year of two digits comes last, where possible
    if day_first is not None and headers[0].form[2] != (True, False):
        return "day first" if day_first else "month first"
    best = max(sums.values())
    fitting = [name for name, sum_ in sums.items() if sum_ == best]
    if len(fitting) > 1:
        raise OpenDatesError(
            f"{headers[0].text!r} may have the day or the month first, like all other dates of the file"
        )
    return fitting[0]


def _judged(headers: list[Header], name: str, latest: date) -> tuple[int, int]:
    """Return how many headers are dates in this order, and how often they go back by more than a day, negated."""
    days = [day for header in headers if (day := day_of(header, name, latest)) is not None]
    return len(days), -sum(later < earlier - timedelta(days=1) for earlier, later in pairwise(days))


def day_of(header: Header, order: str, latest: date) -> date | None:
    """Return the date of a header; None if it is impossible, or outside the years of such chats."""
    year, month, day = _ORDERS[order](*header.numbers)
    year += 2000 if year < 100 else -_BUDDHIST if year >= _EARLIEST + _BUDDHIST else 0
    if not _EARLIEST <= year <= latest.year:
        return None
    try:
        parsed = date(year, month, day)
    except ValueError:
        return None
    return parsed if parsed <= latest else None


class Clock:
    """Converts wall-clock times in a zone to moments, in the order of a chat. In the hour that clocks repeat in autumn it takes the
    later moment if the earlier one would go back in time.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._last: datetime | None = None

    def moment(self, local: datetime) -> datetime:
        """Return the aware time of a wall-clock time."""
        first, second = (local.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        earlier, later = first.timestamp(), second.timestamp()
        back = self._last is not None and earlier < self._last.timestamp() <= later
        self._last = second if back else first
        return self._last


def plain_name(text: str) -> str:
    """Return a name or number without direction marks and odd spaces."""
    return re.sub(rf"{_BLANK}+", " ", text.strip(_MARKS + " \u00a0\u202f").lstrip("~").strip(_MARKS + " \u00a0\u202f"))


def person_id(name: str) -> str:
    """Return a person's id: the digits of a telephone number, like WhatsApp's own ids, else the name."""
    return re.sub(r"\D", "", name) if re.fullmatch(r"\+[\d\s().\u2010-\u2015-]{6,24}", name) else name

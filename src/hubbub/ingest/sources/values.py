"""Values of a mapped row: where each comes from (a column, a template, a table, a time format) and how it is made."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

Row = Dict[str, Any]
HOLE = re.compile(r"\{([^{}]+)\}")
_WHOLE = re.compile(r"-?\d+\.0+\Z")


class FieldError(ValueError):
    """A value of a row that cannot be used; the field is known to the caller."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Rows that a template or the whole mapping is meant for: every column must fit."""

    tests: tuple[tuple[str, frozenset[str] | None, bool], ...] = ()  # column, values (None: empty), wanted
    pairs: tuple[tuple[str, str, bool], ...] = ()  # column, another column, whether they are to be the same

    @property
    def columns(self) -> set[str]:
        """The columns that the condition reads."""
        return {column for column, _, _ in self.tests} | {column for a, b, _ in self.pairs for column in (a, b)}

    def fits(self, row: Row) -> bool:
        """Say whether the row fits."""
        for column, other, wanted in self.pairs:
            if (plain(cell(row, column)) == plain(cell(row, other))) is not wanted:
                return False
        for column, values, wanted in self.tests:
            content = plain(cell(row, column))
            if ((content == "") if values is None else (content in values)) is not wanted:
                return False
        return True


ALL_ROWS = Condition()


@dataclass(frozen=True, slots=True)
class Rule:
    """Where one value comes from."""

    const: Any = None
    template: str | None = None
    column: str | None = None
    row: bool = False
    values: dict[str, Any] | None = None
    default: Any = None
    has_default: bool = False
    number: bool = False
    times: float = 1
    slug: bool = False
    hash: bool = False
    format: str = "rfc3339"
    zone: ZoneInfo | None = None
    step: timedelta | None = None
    before: str | None = None

    @property
    def columns(self) -> set[str]:
        """The columns that the rule reads."""
        return {self.column} if self.column is not None else set(HOLE.findall(self.template or ""))


def cell(row: Row, column: str) -> Any:
    """Return a row's value; None when there is none.

    `a.b` looks into nested objects, `a.0` into lists; of `a|b` the first that is filled counts.
    """
    if column in row:
        return row[column]
    if "|" in column:
        return next((found for one in column.split("|") if plain(found := cell(row, one)) != ""), None)
    content: Any = row
    for part in column.split("."):
        if isinstance(content, list):
            content = content[int(part)] if part.isdecimal() and int(part) < len(content) else None
        else:
            content = content.get(part) if isinstance(content, dict) else None
    return content


def plain(content: Any) -> str:
    """Write a value as text for ids and comparisons: null is empty, `3.0` is `3`, true is `true`."""
    if content is None:
        return ""
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, datetime):
        return content.isoformat()
    text = str(content).strip()
    return text[:-2] if text.endswith(".0") and _WHOLE.match(text) else text


def slug(text: str) -> str:
    """Make a tenant id or account name of any text: `Virgin America` becomes `virgin-america`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")


def pseudonym(text: str) -> str:
    """Return a short stable stand-in for a name or address."""
    return hashlib.sha256(text.strip().lower().encode("utf-8", "surrogateescape")).hexdigest()[:16]


def value_of(rule: Rule, row: Row, number: int) -> Any:
    """Return what a rule gives for row `number`, or None; raises FieldError for what cannot be used."""
    if rule.row:
        content: Any = number
    elif rule.template is not None:
        content = HOLE.sub(lambda hole: plain(cell(row, hole.group(1))), rule.template)
    elif rule.column is None:
        return rule.const
    else:
        content = cell(row, rule.column)
    if isinstance(content, str) and not content.isascii():
        _check_decoded(content)
    if rule.before is not None and content is not None:
        content = plain(content).partition(rule.before)[0]
    if rule.values is not None:
        key = plain(content)
        if key in rule.values:
            content = rule.values[key]
        elif rule.has_default:
            content = rule.default
        else:
            raise FieldError(
                f"column {rule.column!r} holds {key[:60]!r}, which 'values' does not list and there is no 'default'"
            )
    if rule.has_default and plain(content) == "":
        content = rule.default
    if rule.slug and content is not None:
        content = slug(plain(content))
    if rule.hash and plain(content) != "":
        content = pseudonym(plain(content))
    return number_of(content, rule.times) if rule.number else content


def _check_decoded(text: str) -> None:
    """Bytes that are not in the file's encoding come in as lone surrogates, which no store could keep."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FieldError("the bytes are not in the file's encoding; name it with 'encoding' in the mapping") from None


def number_of(content: Any, times: float) -> int | float | None:
    """Read a number; empty gives None. Whole numbers stay whole, so that a `duration_ms` of `12.0` is one."""
    text = plain(content)
    if text == "":
        return None
    try:
        number = float(text) * times if times != 1 or not re.fullmatch(r"[+-]?\d+", text) else int(text)
    except ValueError:
        raise FieldError(f"{text[:60]!r} is not a number") from None
    if not math.isfinite(number):
        raise FieldError(f"{text[:60]!r} is not a finite number")
    if isinstance(number, float) and times != 1:
        number = round(number, 9)  # 0.1 * 3 should be 0.3
    return int(number) if number == int(number) and abs(number) < 2**53 else number


def time_of(rule: Rule, row: Row, number: int) -> datetime | None:
    """Return the aware time a rule gives for row `number`, or None where it is empty; raises FieldError."""
    if rule.column is None and rule.template is None:
        content: Any = rule.const
    else:
        content = value_of(rule, row, number)
    if isinstance(content, str):
        content = content.strip()
    if content is None or content == "":
        return None
    moment = content if isinstance(content, datetime) else _parse(str(content), rule.format)
    if moment.tzinfo is None:
        if rule.zone is None:
            raise FieldError(f"{plain(content)[:60]!r} has no offset; say with 'zone' which zone it is in")
        moment = moment.replace(tzinfo=rule.zone)
    try:
        return moment.astimezone(UTC) + (rule.step * number if rule.step else timedelta(0))
    except OverflowError:
        raise FieldError(f"{plain(content)[:60]!r} is outside the years 1 to 9999") from None


@lru_cache(maxsize=4096)  # the events of one row share their time, and reading it costs more than all the rest
def _parse(text: str, form: str) -> datetime:
    try:
        if form == "rfc3339":
            return datetime.fromisoformat(text)
        if form == "rfc2822":
            return parsedate_to_datetime(text)
        if form.startswith("epoch"):
            micros = Decimal(text) * (1_000_000 if form == "epoch_s" else 1_000)
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))
        return datetime.strptime(text, form)  # noqa: DTZ007 - the mapping says the zone, where the text has none
    except (ValueError, TypeError, IndexError, OverflowError, ArithmeticError):
        raise FieldError(f"{text[:60]!r} is not a time in the format {form!r}") from None

"""Values of a mapped row: the source of each (a column, a template, a table, a time format) and its conversion."""

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
    """An unusable value of a row; the caller knows the field."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The rows that a template or the whole mapping applies to: every column must match."""

    tests: tuple[tuple[str, frozenset[str] | None, bool], ...] = ()  # column, values (None: empty), expected
    pairs: tuple[tuple[str, str, bool], ...] = ()  # column, second column, whether they must be equal

    @property
    def columns(self) -> set[str]:
        """The columns that the condition reads."""
        return {column for column, _, _ in self.tests} | {column for a, b, _ in self.pairs for column in (a, b)}

    def fits(self, row: Row) -> bool:
        """Say whether the row matches."""
        for column, second, expected in self.pairs:
            if (plain(cell(row, column)) == plain(cell(row, second))) is not expected:
                return False
        for column, values, expected in self.tests:
            content = plain(cell(row, column))
            if ((content == "") if values is None else (content in values)) is not expected:
                return False
        return True


ALL_ROWS = Condition()


@dataclass(frozen=True, slots=True)
class Rule:
    """The source of a value."""

    const: Any = None
    template: str | None = None
    column: str | None = None
    row: bool = False
    values: dict[str, Any] | None = None
    default: Any = None
    has_default: bool = False
    number: bool = False
    times: float = 1
    comma: bool = False
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
    """Return a row's value; None if absent.

    `a.b` reads nested objects, `a.0` lists, `a|b` the first of both that has a value.
    """
    if column in row:
        return row[column]
    if "|" in column:
        return next((value for name in column.split("|") if plain(value := cell(row, name)) != ""), None)
    content: Any = row
    for part in column.split("."):
        if isinstance(content, list):
            content = content[int(part)] if part.isdecimal() and int(part) < len(content) else None
        else:
            content = content.get(part) if isinstance(content, dict) else None
    return content


def plain(content: Any) -> str:
    """Return a value as text for ids and comparisons: null is empty, `3.0` is `3`, true is `true`."""
    if content is None:
        return ""
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, datetime):
        return content.isoformat()
    text = str(content).strip()
    return text[:-2] if text.endswith(".0") and _WHOLE.match(text) else text


def slug(text: str) -> str:
    """Return a tenant id or account name for any text: `Virgin America` becomes `virgin-america`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")


def pseudonym(text: str) -> str:
    """Return a short stable pseudonym of a name or address."""
    return hashlib.sha256(text.strip().lower().encode("utf-8", "surrogateescape")).hexdigest()[:16]


def value_of(rule: Rule, row: Row, number: int) -> Any:
    """Return a rule's value for row `number`, or None; raises FieldError for an unusable one."""
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
    if rule.comma and isinstance(content, str):
        content = re.sub(r"[\s.'’]", "", content).replace(",", ".")
    if rule.values is not None:
        key = plain(content)
        if key in rule.values:
            content = rule.values[key]
        elif rule.has_default:
            content = rule.default
        else:
            raise FieldError(
                f"column {rule.column!r} holds {key[:60]!r}, which 'values' does not list, and 'default' is missing"
            )
    if rule.has_default and plain(content) == "":
        content = rule.default
    if rule.slug and content is not None:
        content = slug(plain(content))
    if rule.hash and plain(content) != "":
        content = pseudonym(plain(content))
    return number_of(content, rule.times) if rule.number else content


def _check_decoded(text: str) -> None:
    """Raise FieldError for lone surrogates: bytes outside the file's encoding, which no store can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FieldError("the bytes are not in the file's encoding; name it with 'encoding' in the mapping") from None


def number_of(content: Any, times: float) -> int | float | None:
    """Return a number; None for an empty value. Whole numbers become int, so that a `duration_ms` of `12.0` is valid."""
    text = plain(content)
    if text == "":
        return None
    try:
        number = float(text) * times if times != 1 or not re.fullmatch(r"[+-]?\d+", text) else int(text)
    except ValueError:
        hint = ': for a decimal comma write decimal: ","' if re.fullmatch(r"[+-]?[\d.\s]*,\d+", text) else ""
        raise FieldError(f"{text[:60]!r} is not a number{hint}") from None
    if not math.isfinite(number):
        raise FieldError(f"{text[:60]!r} is not a finite number")
    if isinstance(number, float) and times != 1:
        number = round(number, 9)  # 0.1 * 3 should be 0.3
    return int(number) if number == int(number) and abs(number) < 2**53 else number


def time_of(rule: Rule, row: Row, number: int) -> datetime | None:
    """Return a rule's aware time for row `number`, or None when empty; raises FieldError."""
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
            raise FieldError(f"{plain(content)[:60]!r} has no offset; give its zone as 'zone' in the mapping")
        moment = moment.replace(tzinfo=rule.zone)
    try:
        return moment.astimezone(UTC) + (rule.step * number if rule.step else timedelta(0))
    except OverflowError:
        raise FieldError(f"{plain(content)[:60]!r} is outside the years 1 to 9999") from None


@lru_cache(maxsize=4096)  # the events of a row share their time, and parsing it is the largest cost
def _parse(text: str, form: str) -> datetime:
    try:
        if form == "rfc3339":
            return datetime.fromisoformat(text)
        if form == "rfc2822":
            return parsedate_to_datetime(text)
        if form.startswith("epoch"):
            micros = Decimal(text) * (1_000_000 if form == "epoch_s" else 1_000)
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))
        return datetime.strptime(text, form)  # noqa: DTZ007 - the mapping gives the zone, where the text has none
    except (ValueError, TypeError, IndexError, OverflowError, ArithmeticError):
        raise FieldError(f"{text[:60]!r} is not a time in the format {form!r}") from None

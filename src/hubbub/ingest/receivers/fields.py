"""Fields of JSON from elsewhere: a value of an unexpected type counts as absent, and is never an error."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hubbub.errors import BadRequestError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 4_102_444_800
"""The year 2100, in seconds."""
_LONE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object."""

    of: Mapping[str, object]

    def __bool__(self) -> bool:
        return bool(self.of)

    def has(self, name: str) -> bool:
        """Say whether a name has a value."""
        return self.of.get(name) is not None

    def child(self, *path: str) -> Fields:
        """Return the object at the end of a path; an empty one if absent."""
        value = self._at(path)
        return Fields(value) if isinstance(value, dict) else Fields({})

    def children(self, *path: str) -> list[Fields]:
        """Return the objects of the list at the end of a path; other values become empty objects."""
        values = self._at(path)
        return (
            [Fields(value if isinstance(value, dict) else {}) for value in values] if isinstance(values, list) else []
        )

    def texts(self, *path: str) -> list[str]:
        """Return the texts of the list at the end of a path, whole numbers as digits."""
        values = self._at(path)
        texts = [_text(value) for value in values] if isinstance(values, list) else []
        return [value for value in texts if value]

    def text(self, *path: str) -> str:
        """Return the text at the end of a path, a whole number as digits; "" for anything else."""
        return _text(self._at(path))

    def number(self, *path: str) -> float | None:
        """Return the number at the end of a path, also from text; None for anything else."""
        value = self._at(path)
        try:
            number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    def moment(self, *path: str, unit: float = 1.0) -> datetime | None:
        """Return the Unix time at the end of a path, in units of `unit` seconds; None for anything else."""
        number = self.number(*path)
        if number is None or not 0 < number * unit < _LAST:
            return None
        return _EPOCH + timedelta(microseconds=round(number * unit * 1e6))

    def _at(self, path: tuple[str, ...]) -> object:
        value: object = self.of
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def object_of(body: bytes) -> Fields:
    """Return a body's JSON object. Raises BadRequestError."""
    parsed = _parsed(body)
    if not isinstance(parsed, dict):
        raise BadRequestError("the body is not a JSON object", reason="unreadable")
    return Fields(parsed)


def objects_of(body: bytes) -> list[Fields]:
    """Return the objects of a body's JSON array; other values become empty objects. Raises BadRequestError."""
    parsed = _parsed(body)
    if not isinstance(parsed, list):
        raise BadRequestError("the body is not a JSON array", reason="unreadable")
    return [Fields(each if isinstance(each, dict) else {}) for each in parsed]


def _parsed(body: bytes) -> object:
    """Return a body's JSON; None if it has none. A lone surrogate, which no text can be stored with, becomes U+FFFD."""
    try:
        parsed: object = json.loads(body)
        text = json.dumps(parsed, ensure_ascii=False)
        return json.loads(_LONE.sub("\ufffd", text)) if _LONE.search(text) else parsed
    except (ValueError, RecursionError):
        return None


def rfc3339(moment: datetime | None) -> str | None:
    """Return an aware moment as text; None for none."""
    return moment.isoformat() if moment is not None else None


def filled(**fields: object) -> dict[str, object]:
    """Return the fields with a value."""
    return {name: value for name, value in fields.items() if value is not None and value != "" and value is not False}

"""Reading JSON that somebody else wrote: a value of another kind than expected is one that is not there, and never an error."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hubbub.errors import BadRequestError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 4_102_444_800
"""The year 2100, in seconds."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object."""

    of: Mapping[str, object]

    def __bool__(self) -> bool:
        return bool(self.of)

    def has(self, name: str) -> bool:
        """Say whether there is something under a name."""
        return self.of.get(name) is not None

    def one(self, *path: str) -> Fields:
        """Return the object at the end of a path; an empty one where there is none."""
        found = self._at(path)
        return Fields(found) if isinstance(found, dict) else Fields({})

    def many(self, *path: str) -> list[Fields]:
        """Return the objects of the list at the end of a path; anything else in it is an empty object."""
        found = self._at(path)
        return [Fields(one if isinstance(one, dict) else {}) for one in found] if isinstance(found, list) else []

    def texts(self, *path: str) -> list[str]:
        """Return the texts of the list at the end of a path, whole numbers as their digits."""
        found = self._at(path)
        texts = [_text(one) for one in found] if isinstance(found, list) else []
        return [one for one in texts if one]

    def text(self, *path: str) -> str:
        """Return the text at the end of a path, a whole number as its digits; "" for anything else."""
        return _text(self._at(path))

    def number(self, *path: str) -> float | None:
        """Return the number at the end of a path, also one written as text; None for anything else."""
        found = self._at(path)
        try:
            number = float(found) if isinstance(found, str | int | float) and not isinstance(found, bool) else math.nan
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    def moment(self, *path: str, unit: float = 1.0) -> datetime | None:
        """Return the Unix time at the end of a path, in units of so many seconds; None for anything else."""
        number = self.number(*path)
        if number is None or not 0 < number * unit < _LAST:
            return None
        return _EPOCH + timedelta(microseconds=round(number * unit * 1e6))

    def _at(self, path: tuple[str, ...]) -> object:
        found: object = self.of
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def object_of(body: bytes) -> Fields:
    """Return the JSON object that a body is. Raises BadRequestError."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadRequestError("the body is not a JSON object", reason="unreadable")
    return Fields(found)


def filled(**fields: object) -> dict[str, object]:
    """Return the fields that say something."""
    return {name: value for name, value in fields.items() if value is not None and value != "" and value is not False}

"""A setting of an integration: what it holds, and those that several services share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hubbub.errors import BadInputError
from hubbub.model.plain import JsonObject
from hubbub.model.question import parse_date
from hubbub.model.tenant import check_zone

LONGEST_LIST = 1000


@dataclass(frozen=True)
class Setting:
    """A setting of an integration: a text that matches a pattern, or a list of such texts.

    A `fixed` one stays once it is set: it says which account is read, or where its days begin.
    """

    name: str
    doc: str
    form: str = r"[^\x00-\x1f]{1,200}"
    required: bool = False
    many: bool = False
    default: Any = None
    fixed: bool = False

    def read(self, value: object) -> str | list[str]:
        """Return a usable value. Raises BadInputError naming the setting."""
        texts = value if self.many else [value]
        if self.many and isinstance(value, str):
            texts = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(texts, list) or len(texts) > LONGEST_LIST:
            raise BadInputError(f"settings.{self.name}: must be a list of at most {LONGEST_LIST} texts ({self.doc})")
        for part in texts:
            if not isinstance(part, str) or not re.fullmatch(self.form, part):
                raise BadInputError(f"settings.{self.name}: {str(part)[:80]!r} cannot be used ({self.doc})")
        if self.name == "zone":
            check_zone(texts[0])
        if self.name == "since":
            parse_date(texts[0])
        return texts if self.many else str(texts[0])


def check_settings(provider: str, settings: Iterable[Setting], values: JsonObject) -> dict[str, Any]:
    """Return the settings to store, without empty ones. Raises BadInputError naming an unknown, missing or unusable one."""
    known = {setting.name: setting for setting in settings}
    for name in values:
        if name not in known:
            raise BadInputError(
                f"settings.{str(name)[:80]}: {provider} has no such setting; it knows {', '.join(known)}"
            )
    missing = [s.name for s in known.values() if s.required and values.get(s.name) in (None, "", [])]
    if missing:
        raise BadInputError(f"settings.{missing[0]}: {provider} needs it ({known[missing[0]].doc})")
    return {name: known[name].read(value) for name, value in values.items() if value not in (None, "", [])}


BASE_URL = r"https?://[^\s/?#@]+(/[^\s?#]*)?"
ZONE = Setting(
    "zone", "IANA time zone of the days to fetch; UTC if absent", r"[\w+/-]{1,64}", default="UTC", fixed=True
)

LABELS = Setting(
    "labels",
    "yes: messages are labelled as they arrive; their texts are read and not stored",
    r"yes|no",
    default="no",
)
SINCE = Setting("since", "first day to fetch, like 2026-08-01; if absent, the day of connecting", r"\d{4}-\d{2}-\d{2}")

"""Names of the ids in events: staff, contacts, channels, accounts and campaigns.

A name is a label; the id is the identity. A renamed channel is the same channel, and no number depends on a name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from hubbub.errors import BadInputError
from hubbub.model.event import nearest

KINDS: Mapping[str, str] = {
    "staff": "staff_id", "contact": "contact_id", "room": "channel_id", "account": "account_id", "campaign": "campaign_id",
}  # fmt: skip
"""Kind of a name -> the event's field that holds ids of this kind."""
KIND_OF: Mapping[str, str] = {field: kind for kind, field in KINDS.items()}
"""Field (and dimension) of ids -> their kind."""
LONGEST_NAME, LONGEST_ID = 200, 512
"""Characters."""
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Name:
    """A name: `kind` as in KINDS, the `id` as in events, the `name` for people.

    `valid_from` (aware): since when the name is valid, where the source says it; None: since it was received.
    """

    kind: str
    id: str
    name: str
    valid_from: datetime | None = None


def check_kind(kind: str) -> str:
    """Return a kind of names. Raises BadInputError for an unknown one."""
    if kind not in KINDS:
        raise BadInputError(f"kind {kind[:40]!r} is not one of {', '.join(KINDS)}{nearest(kind, list(KINDS))}")
    return kind


def plain(name: str) -> str:
    """Return a name as it is stored: one line, only visible characters, at most LONGEST_NAME of them; may be empty."""
    seen = "".join(c if _seen(c) else " " for c in name[: 4 * LONGEST_NAME])
    return " ".join(unicodedata.normalize("NFC", seen).split())[:LONGEST_NAME].strip()


def check_seen(field: str, text: str) -> str:
    """Return a text in which every character can be seen. Raises BadInputError that names the field and the character."""
    if hidden := next((character for character in text if not _seen(character)), ""):
        raise BadInputError(f"{field}: holds {hidden!r}, which cannot be seen; write text on one line")
    return text


def _seen(character: str) -> bool:
    """Whether a character is text: no control, surrogate, private or direction-changing character."""
    return unicodedata.category(character) not in ("Cc", "Cs", "Cn", "Co") and character not in _TURNING


def searched(text: str) -> str:
    """Return a text in the form that names are searched by: lower case, without full-width forms and accents."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in apart if not unicodedata.combining(c))

"""The attributes of stored events."""

from __future__ import annotations

import json
from typing import Any

from hubbub.storage.transaction import Row


def attributes_of(row: Row) -> Row:
    """Return the attributes of an event as stored; empty without any."""
    attributes: dict[str, Any] = json.loads(row["attributes"]) if row["attributes"] else {}
    return attributes

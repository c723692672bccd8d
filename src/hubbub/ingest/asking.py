"""Decide whether a text asks a question. This happens when a message arrives, because most tenants store no texts.

A text asks when it contains a question mark, in any script, in its author's own words. These parts are left out:

- addresses: `https://example.org/?a=b`, and parameters like `?a=b` anywhere;
- code between backticks, in a line or in blocks;
- lines that quote (`> ...`, which Slack writes as `&gt; ...`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MARKS = "?\uff1f\u061f\u037e\u055e\u1367\u2047\u2048\u2049\u203d\u2e2e"
"""Question marks: Latin, fullwidth, Arabic, Greek, Armenian, Ethiopic, `??`, `?!`, `!?`, interrobang, reversed."""

MOST_SIGNS = 512
"""Characters of a field of an event."""

_ASKS = re.compile(f"[{MARKS}]")
_NOT_OWN = re.compile(
    r"```(?:.|\n)*?(?:```|\Z)"
    r"|`[^`\n]*`"
    r"|^[ \t]*(?:>|&gt;).*$"
    r"|https?://[^\s|>]*"
    r"|\?[\w.%-]{1,100}=",
    re.MULTILINE | re.IGNORECASE,
)


def asks(text: str | None) -> bool | None:
    """Return whether a text asks a question; None without a text."""
    if not text or text.isspace():
        return None
    return _ASKS.search(text) is not None and _ASKS.search(_NOT_OWN.sub(" ", text)) is not None


def signs_field(names: Iterable[str]) -> str | None:
    """Return names of reactions as the field `signs`: sorted, each once, joined by commas, as many as fit; None without names."""
    whole = ""
    for name in sorted({"".join(name.replace(",", " ").split()) for name in names} - {""}):
        if len(whole) + len(name) < MOST_SIGNS and name.isprintable():
            whole += f",{name}" if whole else name
    return whole or None

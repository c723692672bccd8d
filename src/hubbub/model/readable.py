"""Texts as people read them: the marks of chat services in a stored text become words.

A stored text is as its service sent it, because a text that is imported again must be the same. All that show texts or look for
words in them read them by `readable`: pages, lists of the API, rules, the model that labels, label review, and suggested topics.
"""

from __future__ import annotations

import re

_MARKED = re.compile(
    r"<(?:(?P<link>https?://[^\s|<>]+)|(?:mailto|tel):(?P<address>[^\s|<>]+)|(?P<sign>[@#!])(?P<of>[^\s|<>]+))"
    r"(?:\|(?P<name>[^<>]*))?>"
)
"""Links and mentions as chat services mark them: <https://example.com|our page>, <@U123|ada>, <#C123|help>, <!here>."""
_ESCAPED = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_ESCAPE = re.compile("|".join(_ESCAPED))
"""The three characters that Slack and others escape."""


def readable(text: str) -> str:
    """Return a text with its marked links and mentions as words, and `&lt;`, `&gt;`, `&amp;` as characters.

    A link is its title, else its address; a mention its name, else its id: `@ada`, `#help`. Other angle brackets stay.
    """
    if "<" in text:
        text = _MARKED.sub(_unmarked, text)
    return _ESCAPE.sub(lambda escaped: _ESCAPED[escaped[0]], text) if "&" in text else text


def escaped(text: str) -> str:
    """Return a text with `&`, `<` and `>` as Slack stores them; it finds a readable text among stored ones."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _unmarked(marked: re.Match[str]) -> str:
    name = marked["name"]
    if marked["sign"] is None:
        return str(name or marked["link"] or marked["address"])
    if marked["sign"] == "!":  # a group of people names itself with its @, a date is written out
        return str(name or f"@{marked['of']}")
    return f"{marked['sign']}{(name or marked['of']).removeprefix(marked['sign'])}"

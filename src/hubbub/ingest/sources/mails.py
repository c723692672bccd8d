"""Archives of mails: mbox files of any program, and the text archives of mailing lists (pipermail). Headers only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from email.errors import MessageError
from email.header import decode_header, make_header
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO

from hubbub.ingest.sources.rows import Fault, Row, lines
from hubbub.ingest.sources.values import pseudonym

_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
START = re.compile(rf"From .+ {_DAY} [A-Z][a-z]{{2}} +\d+ \d\d:\d\d:\d\d (?:[+-]\d{{4}} |[A-Z]{{3,5}} )?\d{{4}}\s*\Z")
"""The line before a mail; some programs add a zone."""
ID = re.compile(r"<[^<>\s]+>")
_LANGUAGE = re.compile(r"(=\?[^?*\s]+)\*[^?\s]*(?=\?)")
"""The language in an encoded word (RFC 2231), which Python's decoder does not read."""


def mails(path: Path, stream: BinaryIO) -> Iterator[tuple[str, Row | Fault]]:
    """Yield the headers of each mail of an archive; subjects and bodies are not read."""
    headers: dict[str, str] = {}
    name, start, inside, number = "", 0, False, 0
    for number, raw in enumerate(lines(stream), 1):
        line = decoded(raw or b"").removeprefix("\ufeff")
        if START.match(line):
            if start:
                yield f"{path.name} line {start}", _mail(path, headers)
            headers, name, start, inside = {}, "", number, True
        elif inside and raw is not None and not line.strip():
            inside = False
        elif inside and line[:1] in (" ", "\t") and name:
            headers[name] += " " + line.strip()
        elif inside:
            name, _, content = line.partition(":")
            name = name.strip().lower()
            headers.setdefault(name, content.strip())
    if start:
        yield f"{path.name} line {start}", _mail(path, headers)
    elif number:
        yield (
            path.name,
            Fault("unreadable_file", "it holds no mail: no line is like 'From ada Tue Apr  1 11:48:02 1997'"),
        )


def _mail(path: Path, headers: dict[str, str]) -> Row:
    ids = {name: " ".join(ID.findall(headers.get(name, ""))) for name in ("message-id", "in-reply-to", "references")}
    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
        date = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        date = ""
    name, address = sender(headers.get("from", ""))
    return {
        "list": path.resolve().parent.name,
        "from_name": name,
        "from_hash": pseudonym(address) if address else "",
        "date": date,
        "message_id": ids["message-id"],
        "in_reply_to": ids["in-reply-to"],
        "references": ids["references"],
    }


def sender(text: str) -> tuple[str, str]:
    """Return name and address of a From header. The address identifies the person, whatever the name.

    Archives of lists write `ada at example.org (Ada L)`; addresses that they obscure further stay unchanged.
    """
    address, _, tail = text.partition(" (")
    name = tail.rstrip(")").strip()
    if "@" in text and not re.search(r"@\S*\s|\s@", address.strip()):
        name, address = parseaddr(text)
    elif "<" in text:
        name, _, tail = text.rpartition("<")
        address = tail.partition(">")[0]
    return plain_name(name.strip().strip('"')), re.sub(r"^(\S+) at (\S+)$", r"\1@\2", address.strip()).lower()


def decoded(raw: bytes) -> str:
    """Return the text of a line: UTF-8, else Windows-1252, which older programs wrote without declaring it."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def plain_name(name: str) -> str:
    """Return a name whose encoded words are decoded; one that cannot be decoded stays as it is."""
    try:
        return str(make_header(decode_header(_LANGUAGE.sub(r"\1", name))))
    except (MessageError, UnicodeError, LookupError, ValueError):
        return name

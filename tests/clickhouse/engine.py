"""The engine of the ClickHouse that tests run: statements as a server takes them, on handles of chdb."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from chdb.state.sqlitelike import Connection

HEAD = 1 << 20

OF_THE_INTERFACE = {
    "query", "database", "session_id", "session_timeout", "session_check", "query_id", "quota_key", "role", "user", "password",
    "compress", "decompress", "buffer_size", "wait_end_of_query", "default_format", "client_protocol_version",
}  # fmt: skip
"""Names in a URL that are not settings."""

INSERT = re.compile(
    rb"""\s* (INSERT \s (?: `(?:[^`\\]|\\.)*` | "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*'
             | (?! \b(?:SELECT|WITH|VALUES|FORMAT|INFILE)\b ) [^`"'] )++ )
         FORMAT \s+ (\w+) [ \t]* \r?\n?""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
"""An insert whose data follow it. They are streamed: the engine takes a newline in them for the end of a statement otherwise."""

FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)


class ClickHouseError(Exception):
    """An error as ClickHouse words it."""

    def __init__(self, text: str, code: int = 1001, name: str = "STD_EXCEPTION") -> None:
        found = re.search(r"Code: (\d+)\. .*", text, re.DOTALL)
        self.code = int(found[1]) if found else code
        super().__init__(found[0].strip() if found else f"Code: {code}. DB::Exception: {text} ({name})")


@dataclass(frozen=True)
class Answer:
    """What a statement gave: bytes in a format, or nothing in no format."""

    body: bytes
    format: str | None
    summary: dict[str, int]


@dataclass(frozen=True)
class Request:
    """A statement as it came in: what the URL said, and the statement with its data."""

    params: dict[str, str]
    statement: Iterator[bytes]

    def settings(self) -> tuple[tuple[str, str], ...]:
        """Return the settings of this statement."""
        own = {k: v for k, v in self.params.items() if k not in OF_THE_INTERFACE and not k.startswith("param_")}
        for name in own:
            if not re.fullmatch(r"\w+", name):
                raise ClickHouseError(f"Unknown setting '{name}'.", 115, "UNKNOWN_SETTING")
        return tuple(sorted(own.items()))


class Engine:
    """The engine of this process, and handles on it that are used again for statements of the same settings and database."""

    def __init__(self, folder: Path) -> None:
        self._place = str(folder)
        self._first = Connection(self._place)  # the engine lives as long as any handle
        self.version, self.zone = self._first.query("SELECT version(), timezone()", "TSV").bytes().decode().split()
        self._lock = threading.Lock()
        self._idle: dict[tuple[Any, ...], list[Connection]] = {}

    def close(self) -> None:
        """Close all handles, and with the last one the engine."""
        for handles in self._idle.values():
            for handle in handles:
                handle.close()
        self._first.close()

    def answer(self, request: Request) -> Answer:
        """Run a statement. Raises ClickHouseError."""
        use = (request.settings(), request.params.get("database"))
        try:
            handle = self._take(use)
            answer = _run(handle, request)
        except RuntimeError as error:  # what the engine raises; the handle is left to the collector
            raise ClickHouseError(str(error)) from error
        with self._lock:
            self._idle.setdefault(use, []).append(handle)
        return answer

    def _take(self, use: tuple[tuple[tuple[str, str], ...], str | None]) -> Connection:
        with self._lock:
            if handles := self._idle.get(use):
                return handles.pop()
        handle = Connection(self._place)
        settings, database = {"implicit_select": "0", **dict(use[0])}, use[1]  # `1` is no statement on a server
        handle.query("SET " + ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items()))
        if database:
            handle.query(f"USE {_named(database)}")
        return handle


def _quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _named(text: str) -> str:
    """Return a text as a name in SQL."""
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _run(handle: Connection, request: Request) -> Answer:
    """Run a statement on a handle that is ready for it."""
    head = b""
    for chunk in request.statement:
        head += chunk
        if len(head) > HEAD:
            break
    if found := INSERT.match(head):
        with handle.send_insert(found[1].decode(), found[2].decode()) as inserter:
            for chunk in chain([head[found.end() :]], request.statement):
                inserter.append(chunk)
            done = inserter.finish()
        summary = {
            "written_rows": done.rows_written,
            "written_bytes": done.bytes_written,
            "elapsed_ns": int(done.elapsed * 1e9),
        }
        return Answer(b"", None, summary)
    statement = (head + b"".join(request.statement)).decode()
    kind = handle._conn.classify_query(statement[:HEAD])
    if kind["statement_count"] > 1:  # the engine would run them all, a server runs none
        raise ClickHouseError("Syntax error (Multi-statements are not allowed)", 62, "SYNTAX_ERROR")
    default = request.params.get("default_format", "TabSeparated")
    bound = {name.removeprefix("param_"): value for name, value in request.params.items() if name.startswith("param_")}
    result = handle.query(statement, default, params=bound)
    body: bytes = result.bytes()
    summary = {
        "read_rows": result.storage_rows_read(), "read_bytes": result.storage_bytes_read(),
        "written_rows": result.rows_written(), "written_bytes": result.bytes_written(),
        "result_rows": result.rows_read(), "result_bytes": len(body), "elapsed_ns": int(result.elapsed() * 1e9),
    }  # fmt: skip
    explicit = FORMAT.search(statement)
    has_rows = body or kind["query_class"].name == "READ_ONLY"
    return Answer(body, (explicit[1] if explicit else default) if has_rows else None, summary)

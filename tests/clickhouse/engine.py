"""The engine of the ClickHouse that tests run: sessions on handles of chdb, statements as a server takes them."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from chdb.state.sqlitelike import Connection

HEAD = 1 << 20
LONGEST_SESSION = 3600

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


@dataclass
class Session:
    """A handle of the engine that one client uses again and again: it has temporary tables and settings of its own."""

    handle: Connection
    busy: bool = True
    until: float = 0


@dataclass(frozen=True)
class Answer:
    """What a statement gave: bytes in a format, or nothing in no format."""

    body: bytes
    format: str | None
    summary: dict[str, int]


@dataclass
class Request:
    """A statement as it came in: what the URL and a form said, tables sent along, and the statement with its data."""

    params: dict[str, str]
    statement: Iterator[bytes]
    tables: dict[str, bytes] = field(default_factory=dict)

    def settings(self) -> dict[str, str]:
        """Return the settings for this one statement. The id goes into `log_comment`, where KILL QUERY can see it."""
        ours = OF_THE_INTERFACE | {
            f"{table}_{what}" for table in self.tables for what in ("format", "structure", "types")
        }
        found = {k: v for k, v in self.params.items() if k not in ours and not k.startswith("param_")}
        for name in found:
            if not re.fullmatch(r"\w+", name):
                raise ClickHouseError(f"Unknown setting '{name}'.", 115, "UNKNOWN_SETTING")
        return {"log_comment": self.params.get("query_id", "")} | found


class Engine:
    """The one engine of this process, and the sessions that it holds."""

    def __init__(self, folder: Path) -> None:
        self._place = str(folder)
        self._first = Connection(self._place)  # the engine lives as long as any handle
        self.version, self.zone = self._first.query("SELECT version(), timezone()", "TSV").bytes().decode().split()
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def close(self) -> None:
        """Close all handles, and with the last one the engine."""
        for session in self._sessions.values():
            session.handle.close()
        self._first.close()

    def answer(self, request: Request) -> Answer:
        """Run a statement in its session, or in none. Raises ClickHouseError."""
        try:
            with self._handle(request.params) as handle, _context(handle, request), _tables(handle, request):
                return _run(handle, request)
        except RuntimeError as error:  # what the engine raises
            raise ClickHouseError(str(error)) from error

    @contextmanager
    def _handle(self, params: Mapping[str, str]) -> Iterator[Connection]:
        name = params.get("session_id")
        if name is None:
            with closing(self._open()) as handle:
                yield handle
            return
        seconds = int(params.get("session_timeout", 60))
        if seconds > LONGEST_SESSION:
            raise ClickHouseError(
                f"Session timeout '{seconds}' is larger than max_session_timeout", 374, "INVALID_SESSION_TIMEOUT"
            )
        session = self._take(name, must_exist=params.get("session_check") == "1")
        try:
            yield session.handle
        finally:
            session.until = time.monotonic() + seconds
            session.busy = False

    def _take(self, name: str, must_exist: bool) -> Session:
        with self._lock:
            now = time.monotonic()
            for old in [k for k, s in self._sessions.items() if not s.busy and s.until < now]:
                self._sessions.pop(old).handle.close()
            session = self._sessions.get(name)
            if session is None and must_exist:
                raise ClickHouseError("Session not found", 372, "SESSION_NOT_FOUND")
            if session is None:
                self._sessions[name] = session = Session(self._open())
            elif session.busy:
                raise ClickHouseError(f"Session {name} is locked by a concurrent client", 373, "SESSION_IS_LOCKED")
            session.busy = True
            return session

    def _open(self) -> Connection:
        handle = Connection(self._place)
        handle.query("SET implicit_select = 0")  # off on a server: `1` is no statement there
        return handle


def _quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _named(text: str) -> str:
    """Return a text as a name in SQL."""
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


@contextmanager
def _context(handle: Connection, request: Request) -> Iterator[None]:
    """Apply the settings and the database of a request, for this request only."""
    settings, database = request.settings(), request.params.get("database")
    undo = []
    if "session_id" in request.params:
        names = ", ".join(map(_quoted, settings))
        query = f"SELECT name, value, changed, currentDatabase() AS used FROM system.settings WHERE name IN ({names})"
        before = [json.loads(line) for line in handle.query(query, "JSONEachRow").bytes().splitlines()]
        old = (f"{row['name']} = {_quoted(row['value']) if row['changed'] else 'DEFAULT'}" for row in before)
        undo = ["SET " + ", ".join(old), *([f"USE {_named(before[0]['used'])}"] if database else [])]
    try:
        handle.query("SET " + ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items()))
        if database:
            handle.query(f"USE {_named(database)}")
        yield
    finally:
        for statement in undo:
            with suppress(RuntimeError):  # a database that the request dropped
                handle.query(statement)


@contextmanager
def _tables(handle: Connection, request: Request) -> Iterator[None]:
    """Have the tables that were sent along while a statement runs."""
    made = []
    try:
        for name, data in request.tables.items():
            kinds = request.params.get(f"{name}_types", "").split(",")
            columns = request.params.get(f"{name}_structure") or ", ".join(
                f"_{n} {kind}" for n, kind in enumerate(kinds, 1)
            )
            handle.query(f"CREATE TEMPORARY TABLE {_named(name)} ({columns})")
            made.append(name)
            with handle.send_insert(
                f"INSERT INTO {_named(name)}", request.params.get(f"{name}_format", "TabSeparated")
            ) as inserter:
                inserter.append(data)
                inserter.finish()
        yield
    finally:
        for name in made:
            handle.query(f"DROP TEMPORARY TABLE {_named(name)}")


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
    if re.match(r"\s*KILL\s", statement, re.IGNORECASE):
        statement = re.sub(r"\bquery_id\b", "Settings['log_comment']", statement)
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

"""Tables: CSV and Parquet, row by row, in bounded memory whatever a cell holds."""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hubbub.errors import BadInputError
from hubbub.ingest.sources.rows import CUT, MAX_CELL, Fault, Row, broken_off, too_long

MAX_GROUP = 512 * 2**20
"""Largest row group of Parquet, unpacked, in bytes: it may be a single cell."""
_AT_ONCE = 4096
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DELIMITERS = ";\t|,"
_CSV_ERRORS = {
    "unexpected end of data": "a quote opens in this record and is never closed",
    "expected after": "a quote inside a quoted cell is not doubled, or one was opened and never closed",
}

Check = Callable[[list[str]], None]
"""Checks the names of the columns; raises BadInputError."""


def csv_rows(
    path: Path, stream: BinaryIO, check: Check, *, encoding: str = "utf-8", delimiter: str = ","
) -> Iterator[tuple[str, Row | Fault]]:
    """Yield the rows of a table. A byte order mark sets its encoding; of an incomplete record only the first line is lost.

    Raises BadInputError for an unusable header.
    """
    if codecs.lookup(encoding).name == "utf-8":
        head = stream.peek(2)[:2]  # type: ignore[attr-defined]
        encoding = "utf-16" if head in _UTF_16 else "utf-8-sig"
    csv.field_size_limit(MAX_CELL)  # the default limit would end the file at the first long message
    with io.TextIOWrapper(stream, encoding, "surrogateescape", newline="") as text:
        lines = _Lines(text)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise BadInputError(f"{path}: the first line must name the columns: {error}") from None
        if not header:
            raise BadInputError(f"{path}: the first line must name the columns, but it is empty")
        check(header)
        while True:
            origin = f"{path.name} line {lines.begin()}"
            try:
                cells = next(reader, None)
            except csv.Error as error:
                fault = Fault("invalid_csv", _reason(str(error)))
                yield origin, broken_off(fault) if lines.broken_off() else fault
                lines.reread()
                continue
            if cells is None:
                return
            if len(cells) == len(header):
                yield origin, dict(zip(header, cells, strict=True))
            elif cells:
                fault = Fault("invalid_csv", f"has {len(cells)} cells where the header has {len(header)}")
                yield origin, broken_off(fault) if lines.broken_off() else fault


def _reason(error: str) -> str:
    reason = next((text for part, text in _CSV_ERRORS.items() if part in error), error)
    return f"not valid CSV: {reason}"


class _Lines:
    """Lines of a table for `csv`; remembers those of the current record."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._waiting: deque[str] = deque()
        self._current: list[str] = []
        self._number = 1

    def begin(self) -> int:
        """Begin a record; return the number of its first line."""
        self._number += len(self._current)
        self._current = []
        return self._number

    def broken_off(self) -> bool:
        """Say whether the current record is the file's last line, without a line end."""
        return len(self._current) == 1 and bool(self._current[0]) and self._current[0][-1] not in "\r\n"

    def reread(self) -> None:
        """Put back all lines of the record but its first, to be read as records of their own."""
        self._waiting.extendleft(reversed(self._current[1:]))
        del self._current[1:]

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._text.readline(MAX_CELL + 1)
        if not line:
            raise StopIteration
        if len(line) > MAX_CELL:
            while line and line[-1] not in "\r\n":
                line = self._text.readline(MAX_CELL)
            self._current.append("")
            raise csv.Error(too_long("the line", MAX_CELL))
        self._current.append(line)
        return line


def delimiter_hint(header: list[str]) -> str:
    """Return advice for a header that was read as one column but looks like several."""
    delimiter = next((d for d in _DELIMITERS if len(header) == 1 and d in header[0]), None)
    return (
        f"; its cells seem to be separated by {delimiter!r}: write delimiter: {delimiter!r} in the mapping"
        if delimiter
        else ""
    )


def parquet_rows(path: Path, stream: BinaryIO, check: Check) -> Iterator[tuple[str, Row | Fault]]:
    """Yield the rows of a Parquet file. Raises BadInputError for unusable columns, pa.ArrowException for damage."""
    with pq.ParquetFile(stream) as first:
        schema, groups = first.schema_arrow, first.metadata
        check(schema.names)
        # Texts stay dictionaries, because a thousand rows with the same long text would become a thousand copies.
        texts = [f.name for f in schema if _is_text(f.type)]
        number = 0
        with pq.ParquetFile(stream, metadata=groups, read_dictionary=texts) as file:
            for index in range(groups.num_row_groups):
                # Other metadata are not read: pyarrow ends the process over damaged metadata of a column.
                rows, size = groups.row_group(index).num_rows, groups.row_group(index).total_byte_size
                if size > MAX_GROUP:
                    problem = too_long("this row group", MAX_GROUP)
                    yield (
                        f"{path.name} rows {number + 1} to {number + rows}",
                        Fault("too_long", f"{problem}: write smaller ones"),
                    )
                    number += rows
                    continue
                for batch in file.iter_batches(batch_size=_AT_ONCE, row_groups=[index]):
                    for row in _rows(batch):
                        number += 1
                        yield f"{path.name} row {number}", row
            if number != groups.num_rows:
                reason = f"the file declares {groups.num_rows} rows, but has {number}"
                yield path.name, Fault(CUT, reason)


def _rows(batch: pa.RecordBatch) -> Iterator[Row | Fault]:
    # Python's times have no nanoseconds, so nanoseconds are cut to microseconds, as in the store.
    schema = pa.schema(
        [f.with_type(pa.timestamp("us", f.type.tz)) if pa.types.is_timestamp(f.type) else f for f in batch.schema]
    )
    table = pa.Table.from_batches([batch]).cast(schema, safe=False)
    longest = sum(map(_longest, batch.columns))
    step = max(1, min(_AT_ONCE, 4 * MAX_CELL // max(1, longest)))
    for start in range(0, table.num_rows, step):
        for row in _python(table.slice(start, step)):
            if isinstance(row, Fault):
                yield row
                continue
            large = longest > MAX_CELL and next(
                (name for name, cell in row.items() if isinstance(cell, str | bytes) and len(cell) > MAX_CELL), None
            )
            yield Fault("too_long", too_long(f"column {large!r}", MAX_CELL)) if large else row


def _python(table: pa.Table) -> Iterator[Row | Fault]:
    """Yield rows; a row with a value that Python cannot hold (a lone surrogate, the year 10000) is refused alone."""
    try:
        yield from table.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException) as error:
        if table.num_rows == 1:
            yield Fault("invalid_field", f"a value cannot be read: {error}")
            return
        for number in range(table.num_rows):
            yield from _python(table.slice(number, 1))


def _longest(column: pa.Array) -> int:
    """Return the bytes of a column's longest text, 0 for other columns."""
    values = column.dictionary if isinstance(column, pa.DictionaryArray) else column
    return pc.max(pc.binary_length(values)).as_py() or 0 if _is_text(values.type) and len(values) else 0


def _is_text(kind: pa.DataType) -> bool:
    return any(
        fits(kind)
        for fits in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    )

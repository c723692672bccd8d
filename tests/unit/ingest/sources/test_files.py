"""Files of every format become events or rejections, and the example mappings fit the real data sets."""

from __future__ import annotations

import gzip
import json
import statistics
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hubbub.errors import BadInputError
from hubbub.ingest.accept import EARLIEST, LATEST, Bounds, check
from hubbub.ingest.sources import files, mails, mapping, objects, tables, values
from hubbub.ingest.sources import rows as rows_
from hubbub.ingest.sources.summary import Record
from hubbub.model.event import Event, Rejection

ROOT = Path(__file__).resolve().parents[4]
DATA = ROOT.parent / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not there (../shared/data)")

EVENT = {"type": "message.sent", "time": "2026-03-01T12:00:00Z", "id": "1", "value": 2.5}
ROWS = "events:\n  - {type: {const: message.sent}, time: t, id: i, contact_id: c}\n"


def items_of(
    path: Path | list[Path], rows: mapping.Mapping | None = None, where: dict[str, str] | None = None
) -> list[Record | Rejection]:
    """Return all items of an import."""
    return list(files.read(path if isinstance(path, list) else [path], rows, where=where).records())


def events_of(
    path: Path | list[Path], rows: mapping.Mapping | None = None, where: dict[str, str] | None = None
) -> list[Event]:
    """Return the events of an import; fail on any rejection."""
    found = items_of(path, rows, where)
    assert not [item for item in found if isinstance(item, Rejection)]
    return [item.event for item in found if isinstance(item, Record)]


def refusals(path: Path, rows: mapping.Mapping | None = None) -> list[Rejection]:
    """Return the rejections of an import."""
    return [item for item in items_of(path, rows) if isinstance(item, Rejection)]


def write(path: Path, content: str | bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def mapped(folder: Path, text: str = ROWS) -> mapping.Mapping:
    """Return the mapping with this text."""
    return mapping.load(write(folder / "m.yaml", text))


def test_every_format_gives_the_same_event(tmp_path: Path) -> None:
    """JSONL, gzip, JSON (array, object, lines), CloudEvents, CSV, TSV and Parquet give the same event."""
    line = json.dumps(EVENT)
    cloud = {
        "specversion": "1.0",
        "type": "hubbub.message.sent",
        "source": "s",
        "id": "1",
        "time": EVENT["time"],
        "data": {"value": 2.5},
    }
    moment = pa.array([datetime(2026, 3, 1, 12, tzinfo=UTC)], pa.timestamp("ns", "UTC"))
    table = pa.table({"type": ["message.sent"], "time": moment, "id": ["1"], "value": [2.5]})
    pq.write_table(table, tmp_path / "e.parquet")
    paths = [
        write(tmp_path / "e.jsonl", line + "\n\n"),
        write(tmp_path / "e.jsonl.gz", gzip.compress(line.encode())),
        write(tmp_path / "a.json", json.dumps([EVENT], indent=2)),
        write(tmp_path / "o.json", json.dumps(EVENT, indent=2)),
        write(tmp_path / "l.json", "\ufeff" + line + "\n"),
        write(tmp_path / "c.json", json.dumps([cloud])),
        write(
            tmp_path / "e.csv", "\ufeff" + ",".join(EVENT) + "\r\n" + ",".join(str(v) for v in EVENT.values()) + "\r\n"
        ),
        write(tmp_path / "e.tsv", "\t".join(EVENT) + "\n" + "\t".join(str(v) for v in EVENT.values()) + "\n"),
        tmp_path / "e.parquet",
    ]
    for path in paths:
        (event,) = events_of(path)
        event.source = None
        assert event == Event(type="message.sent", time=datetime(2026, 3, 1, 12, tzinfo=UTC), id="1", value=2.5), path


def test_a_bad_line_is_rejected_alone(tmp_path: Path) -> None:
    """A bad line is rejected with its number, and the good lines beside it are read in order."""
    lines = [json.dumps(EVENT), '{"type": "message.sent"}', "{oops", "[]", json.dumps(EVENT | {"id": "2"})]
    found = items_of(write(tmp_path / "e.jsonl", "\n".join(lines)))
    assert [i.message.partition(":")[0] if isinstance(i, Rejection) else i.origin for i in found] == [
        "e.jsonl line 1", "e.jsonl line 2", "e.jsonl line 3", "e.jsonl line 5",
    ]  # fmt: skip
    assert [i.code for i in found if isinstance(i, Rejection)] == ["missing_field", "invalid_json"]
    assert [i.index for i in found if isinstance(i, Rejection)] == [1, 2]


def test_a_time_without_an_offset_breaks_no_import(tmp_path: Path) -> None:
    """An event time without an offset is rejected on checking, and does not break the import's summary."""
    lines = [json.dumps(EVENT), json.dumps(EVENT | {"time": "2026-02-01T12:00:00"}), json.dumps(EVENT)]
    run = files.read([write(tmp_path / "e.jsonl", "\n".join(lines))])
    found = list(run.records())
    _, _, refused = check([i.event for i in found if isinstance(i, Record)], Bounds(EARLIEST, LATEST))
    assert [(r.index, r.code) for r in refused] == [(1, "invalid_time")]
    assert (run.summary["records"], run.summary["first"], run.summary["last"]) == (3, EVENT["time"], EVENT["time"])


def test_a_csv_row_is_named_by_its_first_physical_line(tmp_path: Path) -> None:
    """After a multi-line cell, a record's line is the physical line on which it begins."""
    path = write(tmp_path / "e.csv", 't,i,c\n2026-03-01T12:00:00Z,1,"a\nb\nc"\nsoon,2,x\n')
    (refused,) = refusals(path, mapped(tmp_path))
    assert refused.message.startswith("e.csv line 5: 'time': 'soon' is not a time")


def test_a_csv_row_of_another_width_is_refused(tmp_path: Path) -> None:
    """A row with too many or too few cells is rejected with both counts; empty lines are skipped."""
    path = write(tmp_path / "e.csv", "t,i,c\n2026-03-01T12:00:00Z,1\n\n2026-03-01T12:00:00Z,2,x\n1,2,3,4\n")
    assert [r.message for r in refusals(path, mapped(tmp_path))] == [
        "e.csv line 2: has 2 cells where the header has 3", "e.csv line 5: has 4 cells where the header has 3",
    ]  # fmt: skip


def test_bytes_of_another_encoding_are_refused_or_read(tmp_path: Path) -> None:
    """Latin-1 bytes in a file read as UTF-8 reject the row with advice; with `encoding` they are decoded."""
    path = write(tmp_path / "e.csv", "t,i,c\n2026-03-01T12:00:00Z,1,Zoë\n".encode("latin-1"))
    (refused,) = refusals(path, mapped(tmp_path))
    assert (refused.code, refused.field) == ("invalid_field", "contact_id")
    assert "name it with 'encoding'" in refused.message
    assert [e.contact_id for e in events_of(path, mapped(tmp_path, "encoding: latin-1\n" + ROWS))] == ["Zoë"]


@pytest.mark.parametrize(
    ("text", "lines", "stored"),
    [
        ('t,i,c\n{0},1,"x\n{0},2,x\n{0},3,x\n', {2: "never closed"}, ["2", "3"]),
        ('t,i,c\n{0},1,x\n{0},2,"x\n{0},3,"x"\n{0},4,x\n', {3: "not doubled"}, ["1", "3", "4"]),
        ('t,i,c\n{0},1,"say "hi" there"\n{0},2,x\n', {2: "not doubled"}, ["2"]),
        ('t,i,c\r\n{0},1,"x\r\n{0},2,x', {2: "never closed"}, ["2"]),
        ('t,i,c\n{0},1,"a\n""b"" c"\n{0},2,x\n', {}, ["1", "2"]),
    ],
)
def test_an_open_quote_rejects_its_record_alone(
    tmp_path: Path, text: str, lines: dict[int, str], stored: list[str]
) -> None:
    """An unclosed quote is one rejection with its line, and the lines after it are read as rows."""
    path = write(tmp_path / "e.csv", text.format("2026-03-01T12:00:00Z"))
    found = items_of(path, mapped(tmp_path))
    assert [i.event.id for i in found if isinstance(i, Record)] == stored
    refused = [i for i in found if isinstance(i, Rejection)]
    assert [i.message.partition(":")[0] for i in refused] == [f"e.csv line {n}" for n in lines]
    assert all(word in i.message for i, word in zip(refused, lines.values(), strict=True))


@pytest.mark.parametrize("spoilt", ['"name": "\\ud83d"', '"name": "\udcff"', '"duration_ms": 1e999'])
@pytest.mark.parametrize("name", ["e.json", "e.jsonl", "one.json"])
def test_a_bad_character_rejects_its_record_alone(tmp_path: Path, name: str, spoilt: str) -> None:
    """A lone surrogate, a byte that is not UTF-8 or an infinite number rejects one record, in every form of JSON."""
    records = [
        json.dumps(EVENT),
        json.dumps(EVENT)[:-1] + f", {spoilt}}}",
        json.dumps(EVENT | {"id": "3"}),
    ]
    body = f"[{','.join(records)}]" if name == "e.json" else "\n".join(records)
    found = items_of(write(tmp_path / name, ("\ufeff" + body).encode("utf-8", "surrogateescape")))
    good, _, refused = check([i.event if isinstance(i, Record) else i for i in found], Bounds(EARLIEST, LATEST))
    assert ([e.id for e in good], [r.index for r in refused]) == (["1", "3"], [1])
    assert refused[0].field == ("name" if "name" in spoilt else None)


def test_text_in_utf_16_is_read_or_named(tmp_path: Path) -> None:
    """A UTF-16 CSV is read; JSON in UTF-16 or UTF-32 is one rejection with advice."""
    table = ",".join(EVENT) + "\r\n" + ",".join(map(str, EVENT.values())) + "\r\n"
    assert [e.id for e in events_of(write(tmp_path / "e.csv", table.encode("utf-16")))] == ["1"]
    for name in ("e.json", "e.jsonl"):
        for encoding in ("utf-16", "utf-16-le", "utf-32"):
            (refused,) = refusals(write(tmp_path / name, json.dumps(EVENT).encode(encoding)))
            assert (refused.code, "save it as UTF-8" in refused.message) == ("unreadable_file", True)


def test_headers_that_mislead_are_refused_with_advice(tmp_path: Path) -> None:
    """A semicolon header is refused with the delimiter to set; a duplicate column is refused only if it is read."""
    for rows in (mapped(tmp_path), None):
        with pytest.raises(BadInputError, match="delimiter: ';'"):
            items_of(write(tmp_path / "e.csv", "type;time;c\n"), rows)
    assert len(events_of(write(tmp_path / "e.csv", "t;i;c\n2026-03-01T12:00:00Z;1;x\n"),
                         mapped(tmp_path, 'delimiter: ";"\n' + ROWS))) == 1  # fmt: skip
    with pytest.raises(BadInputError, match="column 't' occurs twice"):
        items_of(write(tmp_path / "e.csv", "t,i,c,t\n"), mapped(tmp_path))
    with pytest.raises(BadInputError, match="column 'time' occurs twice"):
        items_of(write(tmp_path / "e.csv", "type,time,time\n"))
    assert len(events_of(write(tmp_path / "e.csv", "t,i,c,x,x\n2026-03-01T12:00:00Z,1,x,2,3\n"), mapped(tmp_path))) == 1


def test_too_long_parts_are_rejected_by_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line, cell, column or file beyond its limit is rejected by place, and the records beside it are read."""
    for module in (rows_, tables, objects):
        monkeypatch.setattr(module, "MAX_CELL", 1000)
    monkeypatch.setattr(rows_.lines, "__defaults__", (1000,))
    good, long = json.dumps(EVENT), json.dumps(EVENT | {"name": "x" * 2000})
    table = pa.table({**{k: [v] * 3 for k, v in EVENT.items()}, "name": ["x", "x" * 2000, "x"]})
    pq.write_table(table, tmp_path / "e.parquet")
    for path, places in (
        (write(tmp_path / "e.jsonl.gz", gzip.compress(f"{good}\n{long}\n{good}\n".encode())), ["e.jsonl.gz line 2"]),
        (write(tmp_path / "e.csv", f"type,time\nmessage.sent,{EVENT['time']}\n{'x' * 2000}\nmessage.sent,{EVENT['time']}\n"),
         ["e.csv line 3"]),
        (tmp_path / "e.parquet", ["e.parquet row 2"]),
    ):  # fmt: skip
        found = items_of(path)
        assert [i.message.partition(":")[0] for i in found if isinstance(i, Rejection)] == places
        assert len(found) == 3
    monkeypatch.setattr(tables, "MAX_GROUP", 100)
    assert "row group" in refusals(tmp_path / "e.parquet")[0].message
    monkeypatch.setattr(objects, "MAX_FILE", 1000)
    assert [r.code for r in refusals(write(tmp_path / "e.json.gz", gzip.compress(long.encode())))] == ["too_long"]


def test_a_parquet_value_that_python_cannot_hold_rejects_its_row(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 reject their row, and the other rows of the batch are read."""
    texts = pa.Array.from_buffers(pa.string(), 3, pa.array([b"a", b"\xff", b"c"], pa.binary()).buffers())
    pq.write_table(
        pa.table({"type": ["message.sent"] * 3, "time": [EVENT["time"]] * 3, "id": texts}), tmp_path / "e.parquet"
    )
    found = items_of(tmp_path / "e.parquet")
    assert [i.event.id if isinstance(i, Record) else i.message.partition(":")[0] for i in found] == [
        "a", "e.parquet row 2", "c",
    ]  # fmt: skip


def test_records_under_a_json_path_are_read(tmp_path: Path) -> None:
    """Rows may lie in lists under a JSON path, and can read their parents; a path that does not exist is a rejection."""
    export = {"name": "x", "chats": [
        {"id": 7, "messages": [{"t": EVENT["time"], "i": 1}, 5]}, {"id": 8, "messages": []}, {"id": 9, "posts": []},
        {"id": 10, "messages": [{"t": EVENT["time"], "i": 2}]},
    ]}  # fmt: skip
    rows = (
        "records: chats.messages\nevents:\n  - {type: {const: message.sent}, time: t, id: i, channel_id: parent.id}\n"
    )
    found = items_of(write(tmp_path / "e.json", json.dumps(export)), mapped(tmp_path, rows))
    assert [(i.event.id, i.event.channel_id) for i in found if isinstance(i, Record)] == [("1", "7"), ("2", "10")]
    assert [(i.code, i.message) for i in found if isinstance(i, Rejection)] == [
        ("invalid_event", "e.json record 2: an object is needed"),
        ("no_records",
         "e.json record 3: 'messages' of the mapping's 'records' is missing; the object has 'id', 'posts'"),
    ]  # fmt: skip
    with pytest.raises(BadInputError, match="'records' of a mapping is for JSON files"):
        files.read([write(tmp_path / "e.csv", "t\n")], mapped(tmp_path, rows))


def test_rows_left_out_are_counted_by_reason(tmp_path: Path) -> None:
    """The summary counts rows left out by a filter, by `when` or by an empty list."""
    text = (
        "where: {i: [a, b, c]}\nevents:\n  - {when: {c: x}, each: l, type: {const: message.sent}, time: t, id: item}\n"
    )
    lines = [{"t": EVENT["time"], "i": i, "c": c, "l": items} for i, c, items in (
        ("a", "x", ["1", "2"]), ("b", "y", ["3"]), ("c", "x", []), ("d", "x", ["4"]),
    )]  # fmt: skip
    run = files.read([write(tmp_path / "e.jsonl", "\n".join(map(json.dumps, lines)))], mapped(tmp_path, text))
    assert len(list(run.records())) == 2
    assert (run.summary["records"], run.summary["left_out"]) == (3, {"when": 1, "each": 1, "where": 1})


def test_a_record_that_names_another_tenant_is_refused(tmp_path: Path) -> None:
    """A record that names the import's tenant, in any spelling, is accepted; one that names another is refused."""
    path = write(
        tmp_path / "e.jsonl", "\n".join(json.dumps(EVENT | {"propertyId": name}) for name in ("Acme", "other"))
    )
    found = list(files.read([path], tenant="acme").records())
    assert [i.code if isinstance(i, Rejection) else i.event.id for i in found] == ["1", "other_tenant"]


def test_unfit_tables_are_refused_before_the_first_row(tmp_path: Path) -> None:
    """A column that the mapping needs and the file lacks, or that is no event field, is named with the file before any row."""
    path = write(tmp_path / "e.csv", "t,i\n")
    with pytest.raises(
        BadInputError, match=r"e\.csv: the column 'c', which the mapping m\.yaml reads, is missing; .* 't', 'i'"
    ):
        items_of(path, mapped(tmp_path))
    with pytest.raises(BadInputError, match=r"e\.csv: column 't' is not an event field; .*--map"):
        items_of(path)
    with pytest.raises(BadInputError, match="must name the columns"):
        items_of(write(tmp_path / "e.csv", ""))
    with pytest.raises(BadInputError, match="the column 'brand', which"):
        items_of(write(tmp_path / "f.csv", "t,i,c\n"), mapped(tmp_path), {"brand": "x"})


def test_unfit_paths_are_refused(tmp_path: Path) -> None:
    """A missing file, a folder, an unknown format and mails without a mapping are refused by name."""
    write(tmp_path / "e.txt", "")
    write(tmp_path / "e.mbox", MAIL)
    for name, reason in (
        ("none.csv", "does not exist"),
        ("", "is a folder"),
        ("e.txt", "does not show the format"),
        ("e.mbox", "--map"),
    ):
        with pytest.raises(BadInputError, match=reason):
            files.read([tmp_path / name])


@pytest.mark.parametrize("name", ["e.jsonl.gz", "e.parquet", "e.csv.gz"])
def test_a_damaged_file_is_one_rejection(tmp_path: Path, name: str) -> None:
    """A truncated or foreign file is one rejection with its name, not a crash."""
    found = refusals(
        write(
            tmp_path / name,
            gzip.compress(b"type,time\n")[:-6]
            if "csv" in name
            else gzip.compress(b"\n")[:-6]
            if "gz" in name
            else b"PAR1",
        )
    )
    assert [r.code for r in found] == ["unreadable_file"]
    assert found[0].message.startswith(name)


def test_where_narrows_the_rows(tmp_path: Path) -> None:
    """The mapping's filter and the caller's both apply, and neither changes row numbers, so that ids stay the same."""
    text = (
        "where: {c: [x, y]}\nevents:\n  - {type: {const: message.sent}, time: {const: '2026-01-01T00:00:00Z'},"
        " contact_id: c, id: {template: '{file}:{row}'}}\n"
    )
    path = write(tmp_path / "e.csv", "c\nz\nx\ny\n")
    assert [e.id for e in events_of(path, mapped(tmp_path, text))] == ["e:1", "e:2"]
    assert [e.id for e in events_of(path, mapped(tmp_path, text), {"c": "y"})] == ["e:2"]


def threads(tmp_path: Path, rows: list[dict[str, Any]], rule: str) -> list[tuple[Any, ...]]:
    """Return conversation, opener, is_opener, answered and brand of each row under a conversation rule."""
    columns = ("conversation", "opener", "is_opener", "answered", "brand")
    attributes = ", ".join(f"{c}: {{column: {c}, default: '-'}}" for c in columns)
    fields = "type: {const: message.sent}, time: {const: '2026-01-01T00:00:00Z'}"
    text = f"conversation: {rule}\nevents:\n  - {{{fields}, attributes: {{{attributes}}}}}\n"
    path = write(tmp_path / "rows.jsonl", "\n".join(json.dumps(row) for row in rows))
    found = [json.loads(bytes(e.attributes)) for e in events_of(path, mapped(tmp_path, text))]
    return [tuple(f[c] for c in columns) for f in found]


def test_a_row_belongs_to_the_conversation_of_its_topmost_ancestor(tmp_path: Path) -> None:
    """A row belongs to its topmost ancestor, in any order of rows; a carried value applies to the whole thread."""
    rows: list[dict[str, Any]] = [
        {"id": 3, "parent": "2.0", "by": "acme", "out": True},
        {"id": 2, "parent": "1.0", "by": "bob"},
        {"id": 1, "parent": None, "by": "ada"},
        {"id": 4, "parent": None, "by": "eve"},
    ]
    rule = "{id: id, parent: parent, author: by, carry: {brand: {column: by, when: {out: true}}}}"
    assert threads(tmp_path, rows, rule) == [
        ("1", "ada", "false", "bob", "acme"), ("1", "ada", "false", "ada", "acme"), ("1", "ada", "true", "-", "acme"),
        ("4", "eve", "true", "-", "-"),
    ]  # fmt: skip


def test_conversations_with_missing_parents_and_loops(tmp_path: Path) -> None:
    """Replies to the same missing row are one conversation without an opener; a loop, even of one row, has one id."""
    pairs = [("b", "gone"), ("c", "gone"), ("y", "z"), ("x", "y"), ("z", "x"), ("s", "s")]
    rows: list[dict[str, Any]] = [{"id": key, "parent": up, "by": "u"} for key, up in pairs]
    rule = "{id: id, parent: parent, author: by, carry: {brand: {column: id}}}"
    assert [(row[0], row[2]) for row in threads(tmp_path, rows, rule)] == [
        ("gone", "false"), ("gone", "false"), ("x", "true"), ("x", "true"), ("x", "true"), ("s", "true"),
    ]  # fmt: skip


def test_the_first_row_of_a_group_opens_its_conversation(tmp_path: Path) -> None:
    """With a group column the opener is the author of the group's first row by the order column."""
    rows: list[dict[str, Any]] = [
        {"id": 2, "g": "t", "at": "b", "by": "agent"},
        {"id": 1, "g": "t", "at": "a", "by": "guest"},
    ]
    rule = "{id: id, group: g, order: at, author: by, carry: {brand: {column: by}}}"
    assert threads(tmp_path, rows, rule) == [
        ("t", "guest", "false", "-", "guest"),
        ("t", "guest", "true", "-", "guest"),
    ]


def test_a_long_chain_of_replies_is_followed(tmp_path: Path) -> None:
    """A thread of twenty thousand replies, each to the one before, is followed to its root."""
    rows: list[dict[str, Any]] = [{"id": n, "parent": n - 1 if n else None, "by": "u"} for n in range(20_000, -1, -1)]
    rule = "{id: id, parent: parent, author: by, carry: {brand: {column: by}}}"
    assert {row[0] for row in threads(tmp_path, rows, rule)} == {"0"}


MAIL = """From ada at example.org  Tue Apr  1 11:48:02 1997
From: ada at example.org (Ada L)
Date: Tue, 1 Apr 97 11:48:02 +0200
Subject: first,
 folded
Message-ID: <1@x>

From here on it is body.
From: nobody

From bob @end|ng |rom ex@mp|e@org  Wed Apr  2 00:00:00 2025
From: bob @end|ng |rom ex@mp|e@org (Bob)
Date: Wed, 2 Apr 2025 00:00:00 +0000
In-Reply-To: Your message of "Tue"
 <1@x>
References: <0@x> <1@x>
Message-ID: <2@x>

From cy at example.org  Wed Apr  2 00:00:00 2025
From: cy at example.org (Cy)
Date: once
References: <0@x>
 <gone@x>
Message-ID: <3@x>
"""


def test_mail_archives_are_read_by_their_headers(tmp_path: Path) -> None:
    """'From ' in a body starts no mail, folded headers are joined, and either header gives the thread."""
    path = write(tmp_path / "1997.txt", MAIL)
    example = mapping.load(ROOT / "examples" / "email-r-lists.yaml")
    first, second, third = items_of(path, example)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert (first.event.type, first.event.conversation_id, first.event.channel_id) == (
        "message.received",
        "<1@x>",
        tmp_path.name,
    )
    assert first.event.time == datetime(1997, 4, 1, 9, 48, 2, tzinfo=UTC)
    assert (second.event.type, second.event.conversation_id) == ("message.sent", "<1@x>")
    assert second.event.contact_id == first.event.contact_id
    assert second.origin == "1997.txt line 11"
    assert isinstance(third, Rejection)
    assert (third.code, third.field) == ("missing_field", "time")


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("Jurgen <j@x.org>", "Jurgen", "j@x.org"), ('"Jurgen K." <J@x.org>', "Jurgen K.", "j@x.org"),
        ("j@x.org (Jurgen)", "Jurgen", "j@x.org"), ("j at x.org (Jurgen K)", "Jurgen K", "j@x.org"),
        ("Jurgen <j at x.org>", "Jurgen", "j@x.org"), ("j@x.org", "", "j@x.org"), ('"K., J" <j@x.org>', "K., J", "j@x.org"),
        ("=?utf-8?q?J=C3=BCrgen?= <j@x.org>", "Jürgen", "j@x.org"), ('"k@y via list" <j@x.org>', "k@y via list", "j@x.org"),
        ("bob @end|ng |rom ex@mp|e@org (Bob)", "Bob", "bob @end|ng |rom ex@mp|e@org"), ("", "", ""),
    ],
)  # fmt: skip
def test_an_address_is_one_person(text: str, name: str, address: str) -> None:
    """One address is one person, whatever the name and however the archive writes it."""
    assert mails.sender(text) == (name, address)


def test_an_mbox_of_gmail_is_read(tmp_path: Path) -> None:
    """Lines between mails may have a zone; two names of one address are one person, whose second mail is no reply."""
    start, date = "From 17@xxx Mon Mar 02 10:00:00 +0000 2026\n", "Date: Mon, 2 Mar 2026 10:00:00 +0000\n"
    mail = start + date + "From: {}\nMessage-ID: <{}@x>\n{}\nhi\n\n"
    text = mail.format("Jurgen <j@x>", 1, "") + mail.format('"Jurgen K." <j@x>', 2, "In-Reply-To: <1@x>\n")
    example = mapping.load(ROOT / "examples" / "email-r-lists.yaml")
    first, second = events_of(write(tmp_path / "all.mbox", text), example)
    assert [first.type, second.type, second.conversation_id] == ["message.received", "message.received", "<1@x>"]
    assert first.contact_id == second.contact_id
    (refused,) = refusals(write(tmp_path / "none.mbox", "Dear all,\n"), example)
    assert "it holds no mail" in refused.message


def example(name: str, pattern: str, where: dict[str, str] | None = None) -> tuple[list[Record], dict[str, Any]]:
    """Return the records and the summary of a real data set under its example mapping."""
    run = files.read(sorted(DATA.glob(pattern)), mapping.load(ROOT / "examples" / f"{name}.yaml"), where=where)
    found = list(run.records())
    assert not [item for item in found if isinstance(item, Rejection)]
    assert run.read_bytes == run.total_bytes
    return [item for item in found if isinstance(item, Record)], run.summary


def counts(name: str) -> dict[str, Any]:
    """Return the independent counts of a real data set."""
    return dict(json.loads((DATA / "COUNTS.json").read_text())[name])


def waits(records: list[Record]) -> dict[str, float]:
    """Return the seconds from the first inbound to the next outbound message of each conversation."""
    asked: dict[str, datetime] = {}
    out: dict[str, float] = {}
    for event in sorted((r.event for r in records), key=lambda e: (e.time, e.type != "message.received")):
        conversation = event.conversation_id or ""
        if event.type == "message.received":
            asked.setdefault(conversation, event.time)
        elif conversation in asked:
            out.setdefault(conversation, (event.time - asked[conversation]).total_seconds())
    return out


@real
def test_tweets_of_airlines_equal_the_counts() -> None:
    """Every row gives a message and a classification; topics, sentiments, confidence and airlines equal the counts."""
    expected = counts("twitter-airlines")
    records, summary = example("twitter-airlines", "twitter-airlines/Tweets.csv")
    topics = [r for r in records if r.event.type == "topic.classified"]
    assert summary["records"] == summary["people_messages"] == len(topics) == expected["rows"]
    assert len({(r.tenant, r.event.id) for r in records}) == 2 * expected["distinct_tweet_ids"]
    assert Counter(r.event.topic or "-" for r in topics) == expected["negativereason"]
    assert Counter(r.event.sentiment for r in topics) == expected["sentiment"]
    assert Counter(r.tenant for r in topics) == {values.slug(k): n for k, n in expected["airline"].items()}
    assert round(statistics.mean(r.event.confidence or 0 for r in topics), 6) == expected["mean_sentiment_confidence"]
    narrowed, _ = example("twitter-airlines", "twitter-airlines/Tweets.csv", {"airline": "United"})
    assert len(narrowed) == 2 * expected["airline"]["United"]


@real
def test_tweets_of_support_teams_equal_the_counts() -> None:
    """Brands become tenants, and the 644 opening tweets with a direct answer have the counted waits.

    The conversation rule finds 66 answers more: 52 where the customer wrote again before the brand answered, and 14 in
    threads that the brand began. For the 644 both rules give the same wait, to the second.
    """
    expected = counts("twitter-support")
    records, summary = example("twitter-support", "twitter-support/twcs.csv")
    assert summary["records"] == expected["tweets"]
    kinds = Counter(r.event.type for r in records)
    assert (kinds["message.received"], kinds["message.sent"]) == (expected["inbound"], expected["outbound"])
    assert len({r.tenant for r in records}) == expected["brands"]
    assert (summary["first"], summary["last"]) == (expected["first"][:19] + "Z", expected["last"][:19] + "Z")
    by_id = {r.event.id: r.event for r in records}
    direct: dict[str, float] = {}
    for event in by_id.values():
        opening = by_id.get(parent(event))
        if event.type == "message.sent" and opening and opening.type == "message.received" and not parent(opening):
            wait = (event.time - opening.time).total_seconds()
            direct[opening.id or ""] = min(wait, direct.get(opening.id or "", wait))
    assert len(direct) == expected["opening_tweets_answered_by_brand"]
    assert statistics.median(direct.values()) == expected["first_response_seconds_median"]
    derived = waits(records)
    assert {key: derived[key] for key in direct} == direct
    assert len(derived) == 644 + 52 + 14
    assert statistics.median(derived.values()) == 590.5


def parent(event: Event) -> str:
    """Return the id that a tweet or mail answers, or an empty text."""
    return str(json.loads(bytes(event.attributes)).get("in_reply_to", "")) if bytes(event.attributes) else ""


@real
def test_mails_of_lists_equal_the_counts() -> None:
    """Every mail of the archives is read, with one reply more than counted, whose folded header the count missed."""
    expected = counts("email-r-lists")
    records, summary = example("email-r-lists", "email-r-lists/*/*.txt")
    assert summary["records"] == expected["messages"]
    per_list = Counter(r.event.channel_id for r in records)
    assert per_list == {name: expected[name] for name in ("r-announce", "r-devel", "r-package-devel")}
    by_id = {r.event.id: r.event for r in records}
    replies = [e for e in by_id.values() if parent(e)]
    present = [e for e in replies if parent(e) in by_id]
    assert (len(replies), len(present)) == (expected["replies"] + 1, expected["replies_with_parent_present"] + 1)
    late = [e for e in present if e.time.year > 1999]
    assert all(e.time >= by_id[parent(e)].time for e in late)


@real
def test_posts_of_sellers_equal_the_sums() -> None:
    """Posts and their counters equal the known sums, and the 53 repeated posts have the ids of the first."""
    expected = counts("facebook-live-sellers")
    records, summary = example("facebook-live-sellers", "facebook-live-sellers/Live.csv")
    posts = [r.event for r in records if r.event.type == "content.published"]
    assert summary["records"] == len(posts) == expected["rows"]
    assert len({e.id for e in posts}) == expected["distinct_post_ids"]
    assert len({e.account_id for e in posts}) == expected["pages"]
    for name in ("reactions", "comments", "shares"):
        assert sum(r.event.value or 0 for r in records if r.event.name == f"num_{name}") == expected[f"sum_{name}"]


@real
def test_each_intent_is_one_event() -> None:
    """Each label of the intent data sets is one event with its own id; utterances without labels give none."""
    expected = counts("intents")
    records, summary = example("nlupp-hotels", "intents/nlupp-hotels/*.json")
    assert summary["records"] == expected["nlupp_hotels_utterances"]
    assert len({r.event.message_id for r in records}) == 503 - expected["nlupp_hotels_without_intent"]
    assert dict(Counter(r.event.intent for r in records).most_common(8)) == expected["top"]
    records, _ = example("banking77", "intents/banking77/train.csv")
    assert len({r.event.id for r in records}) == expected["banking77_rows"]
    assert len({r.event.intent for r in records}) == expected["banking77_intents"]


@real
@pytest.mark.parametrize(
    ("name", "file", "types"),
    [
        ("zendesk-tickets", "dbt_zendesk/ticket_data.csv",
         {"conversation.started": 10, "task.created": 10, "conversation.resolved": 8, "task.completed": 8}),
        ("zendesk-comments", "dbt_zendesk/ticket_comment_data.csv", {"message.received": 20}),
        ("facebook-pages-posts", "dbt_facebook_pages/facebook_pages_post_history_data.csv", {"content.published": 100}),
        ("facebook-pages-daily", "dbt_facebook_pages/facebook_pages_daily_page_metrics_total_data.csv",
         {"metric.observed": 66}),
        ("twilio-messages", "dbt_twilio/twilio_message_data.csv", {"message.sent": 10, "message.delivered": 10}),
    ],
)  # fmt: skip
def test_rows_of_warehouse_connectors_are_events(name: str, file: str, types: dict[str, int]) -> None:
    """Rows of warehouse connectors become events of the expected types, none rejected."""
    records, summary = example(name, f"connector-seeds/{file}")
    assert Counter(r.event.type for r in records) == types
    assert summary["records"] == counts("connector-seeds")[file]


@real
@pytest.mark.parametrize(("file", "records"), [("single", "messages"), ("batch", "chats.list.messages")])
def test_messages_of_telegram_lie_under_a_path(tmp_path: Path, file: str, records: str) -> None:
    """Telegram's messages, of one chat or of all, are read by their path, with the known authors and times."""
    folder = DATA / "chat-exports" / "telegram"
    rows = (
        f"records: {records}\nevents:\n  - {{type: {{const: message.received}}, contact_id: from, id: {{template: '{{row}}'}},"
        " time: {column: date_unixtime, format: epoch_s}, channel_id: {column: parent.name, default: chat}}\n"
    )
    found = events_of(folder / f"test_{file}_export.json", mapped(tmp_path, rows))
    right = json.loads((folder / "target.json").read_text())
    assert [(e.contact_id, e.time.strftime("%Y-%m-%dT%H:%M:%S")) for e in found] == [
        (r["author"], r["timestamp"]) for r in right
    ]
    assert {e.channel_id for e in found} == {"Chatname" if file == "batch" else "chat"}

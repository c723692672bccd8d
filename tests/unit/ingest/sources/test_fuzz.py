"""Damaged files, mappings and exports give events, rejections or a named error, and account for every record."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hubbub.errors import BadInputError, BadQuestionError
from hubbub.ingest.accept import EARLIEST, LATEST, Bounds, check
from hubbub.ingest.sources import files, mapping, slack
from hubbub.ingest.sources.catalogue import IMPORTERS, recognised
from hubbub.ingest.sources.importer import Import, Options
from hubbub.ingest.sources.package import package_at
from hubbub.ingest.sources.summary import Record
from tests.extent import FUZZ
from tests.mutations import mutated
from tests.unit.ingest.sources.exports import EXPORTS

TIME = "2026-03-01T12:00:00Z"
EXAMPLES = sorted((Path(__file__).resolve().parents[4] / "examples").glob("*.yaml"))
ROWS = "events:\n  - {type: {const: message.sent}, time: t, id: i, channel: c}\n"
RECORDS = [{"t": TIME, "i": f"id{n}", "c": ("sms", "a,b", 'say "x"', "two\nlines", "é")[n % 5]} for n in range(12)]
EVENTS = [{"type": "message.sent", "time": TIME, "id": f"id{n}", "attributes": {"n": n, "é": [1.5]}} for n in range(12)]


def table() -> bytes:
    """Return the records as CSV."""
    cells = [[str(v).replace('"', '""') for v in record.values()] for record in RECORDS]
    return ("t,i,c\n" + "".join('{},{},"{}"\n'.format(*row) for row in cells)).encode()


def parquet() -> bytes:
    """Return the events as Parquet."""
    out = io.BytesIO()
    pq.write_table(pa.table({name: [str(e[name]) for e in EVENTS] for name in ("type", "time", "id")}), out)
    return out.getvalue()


def lines(records: list[dict[str, object]]) -> bytes:
    """Return records as lines of JSON."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records).encode()


MAIL = "From a@x Sun Mar 01 12:00:00 2026\nFrom: A <a@x>\nDate: Sun, 1 Mar 2026 12:00:00 +0000\nMessage-ID: <{}@x>\n\nhi\n\n"
FORMATS: dict[str, tuple[bytes, str | None]] = {
    "e.csv": (table(), ROWS),
    "e.jsonl": (lines([dict(one) for one in EVENTS]), None),
    "rows.jsonl": (lines([dict(one) for one in RECORDS]), ROWS),
    "e.json": (json.dumps(EVENTS).encode(), None),
    "under.json": (json.dumps({"a": [{"b": RECORDS[:6]}, {"b": RECORDS[6:]}]}).encode(), "records: a.b\n" + ROWS),
    "e.jsonl.gz": (gzip.compress(lines([dict(one) for one in EVENTS])), None),
    "e.parquet": (parquet(), None),
    "e.mbox": ("".join(MAIL.format(n) for n in range(12)).encode(),
               "events: [{type: {const: message.sent}, time: date, id: message_id, contact_id: from_hash}]"),
}  # fmt: skip


def accounted(run: Import) -> tuple[list[str], int]:
    """Read an import to its end, check its counts, and return the ids of good events and the number of rejections."""
    found = list(run.records())
    good, _, refused = check([i.event if isinstance(i, Record) else i for i in found], Bounds(EARLIEST, LATEST))
    assert len(good) + len(refused) == len(found)
    left_out = run.summary["left_out"]
    assert isinstance(left_out, dict)
    assert run.summary["records"] == len(found) + sum(n for reason, n in left_out.items() if reason in ("when", "each"))
    assert all(one.message for one in refused)
    return [str(event.id) for event in good], len(refused)


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, name: str) -> None:
    """Every record of a damaged file is an event or a rejection with a message; a file without events has a rejection.

    Undamaged JSON lines are stored, whatever is beside them.
    """
    body, text = FORMATS[name]
    rows = None
    if text is not None:
        (tmp_path / "m.yaml").write_text(text)
        rows = mapping.load(tmp_path / "m.yaml")
    for seed in range(FUZZ):
        damaged = mutated(body, seed)
        (tmp_path / name).write_bytes(damaged)
        try:
            good, refused = accounted(files.read([tmp_path / name], rows))
        except BadInputError as error:
            assert name in str(error), seed
            continue
        if name.endswith(".jsonl") and b"\0" not in damaged[:4] and damaged[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            there = [line for line in damaged.split(b"\n") if line.removeprefix(b"\xef\xbb\xbf").strip()]
            assert len(there) == len(good) + refused, seed
            whole = [line for line in body.split(b"\n") if line and line in there]
            assert {f"id{body.split(bytes([10])).index(line)}" for line in whole} <= set(good), seed
        elif damaged.strip() and len(good) < 12 and name not in ("e.csv", "e.mbox", "e.json"):
            assert good or refused, seed


def test_a_damaged_mapping_is_refused_by_its_name_or_works(tmp_path: Path) -> None:
    """A damaged mapping is refused with a file name, or reads a good file without a crash."""
    (tmp_path / "e.csv").write_bytes(table())
    for seed in range(FUZZ):
        original = (ROWS.encode(), *(path.read_bytes() for path in EXAMPLES))[seed % (len(EXAMPLES) + 1)]
        path = tmp_path / "m.yaml"
        path.write_bytes(mutated(original, seed))
        try:
            accounted(files.read([tmp_path / "e.csv"], mapping.load(path)))
        except BadInputError as error:
            assert "m.yaml" in str(error) or "e.csv" in str(error), seed


def export() -> bytes:
    """Return a Slack export as a ZIP file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("users.json", json.dumps([{"id": "U9", "is_bot": True}]))
        for day in (5, 6):
            messages = [
                {"type": "message", "user": f"U{n}", "ts": f"16045736{day}{n}.000200", "text": "hi"} for n in range(5)
            ]
            archive.writestr(f"help/2020-11-0{day}.json", json.dumps(messages))
        archive.writestr("C0DUMP.json", json.dumps({"channel_id": "C0DUMP", "name": "dump", "messages": messages}))
    return out.getvalue()


def in_a_day(body: bytes, seed: int) -> bytes:
    """Return an export in which one file was damaged before packing."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(out, "w") as new:
        for number, name in enumerate(old.namelist()):
            new.writestr(name, mutated(old.read(name), seed) if number == seed % 4 else old.read(name))
    return out.getvalue()


@pytest.mark.parametrize("damage", [mutated, in_a_day])
def test_a_damaged_slack_export_is_read_or_refused(tmp_path: Path, damage: Callable[[bytes, int], bytes]) -> None:
    """Every message of a damaged ZIP, or of a damaged file in it, is an event or a rejection; an unreadable export is named."""
    body = export()
    for seed in range(FUZZ):
        (tmp_path / "e.zip").write_bytes(damage(body, seed))
        try:
            good, refused = accounted(slack.read(tmp_path / "e.zip"))
        except BadInputError as error:
            assert "e.zip" in str(error), seed
            continue
        if damage is in_a_day:
            untouched = 5 if seed % 4 in (1, 2, 3) else 15
            assert len(good) >= untouched, seed
            assert good or refused


def told(kind: str, path: Path) -> tuple[list[str], int]:
    """Read an export to its end as `accounted` does, in UTC and with the day first where that is open."""
    options = Options(zone=ZoneInfo("UTC"), day_first=True if kind == "whatsapp" else None)
    return accounted(IMPORTERS[kind].load().open(package_at(path), options))


@pytest.mark.parametrize("packed", ["plain", "ZIP", "in a ZIP"])
@pytest.mark.parametrize("kind", EXPORTS)
def test_a_damaged_chat_is_read_or_refused(tmp_path: Path, kind: str, packed: str) -> None:
    """A damaged export of any messenger, plain, in a ZIP or as a damaged ZIP, gives events, rejections or a named error."""
    name, body = EXPORTS[kind]
    path = tmp_path / ("e.zip" if packed != "plain" else name.rpartition("/")[2])
    if kind == "instagram":
        path = tmp_path / "instagram" / path.name
        path.parent.mkdir()
    for seed in range(FUZZ // 4):
        damaged = mutated(body, seed)
        if packed == "plain":
            path.write_bytes(damaged)
        else:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(name, body if packed == "ZIP" else damaged)
            if packed == "ZIP":
                path.write_bytes(mutated(path.read_bytes(), seed))
        try:
            recognised(package_at(path))
            good, refused = told(kind, path)
        except (BadInputError, BadQuestionError) as error:
            assert path.name in str(error), seed
            continue
        assert good or refused, seed

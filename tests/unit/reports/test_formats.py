"""Every format read back: its numbers equal the JSON's, and no text in it is more than text."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openpyxl
import pytest

from hubbub.app import Engine
from hubbub.metrics.catalogue import title_of
from hubbub.model.duration import duration
from hubbub.model.plain import plain as to_plain
from hubbub.model.plain import typed
from hubbub.reports import as_json
from hubbub.reports.cards import cards
from hubbub.reports.dates import windows_in_words
from hubbub.reports.document import Document
from hubbub.reports.formats import FORMATS
from hubbub.reports.formatting import NAMES, harmless, moment, plain, shown, spreadsheet
from hubbub.reports.sections import SECTIONS, Ranking
from hubbub.reports.tables import Column, ReportData, Table, data_hash
from hubbub.settings import REPORT_FORMATS, Reports
from tests.unit.reports.conftest import open_engine, whole

HOSTILE = (
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "  =1", "\xa0=1", "ok\n=1+1", "ok\r\n@x", "＝1",
    "http://x.invalid", "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "a\x00b", "\x1b[31m", "a\u202egnp.exe",
    "\u2066x", "\ud800", "\ufffe", "]]>", "&amp;", "12345", "{=1}", "'quoted", "total", "",
)  # fmt: skip
"""Hostile names of staff, intents and channels."""


@dataclass
class Page(HTMLParser):
    """A parsed HTML report: tags with attributes, text, and table rows by section."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    rows: dict[str, list[list[Any]]] = field(default_factory=dict)
    text: str = ""
    section: str = ""
    cell: bool = False

    def __post_init__(self) -> None:
        """Initialize the parser."""
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag."""
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag == "section":
            self.section = str(given["id"])
        elif tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        elif tag in ("td", "th"):
            self.rows[self.section][-1].append("")
            self.cell = True
        elif tag == "data" and self.section:
            self.rows[self.section][-1][-1] = float(str(given["value"]))

    def handle_data(self, data: str) -> None:
        """Record a text."""
        self.text += data
        if self.cell and isinstance(self.rows[self.section][-1][-1], str):
            self.rows[self.section][-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        """Record the end of a cell."""
        self.cell = self.cell and tag not in ("td", "th")


def page(path: Path) -> Page:
    """Read an HTML report."""
    found = Page()
    found.feed(path.read_text(encoding="utf-8"))
    return found


def _marked(body: bytes) -> str:
    """Return a text without its byte order mark, which must be there for spreadsheets to read UTF-8."""
    assert body.startswith(b"\xef\xbb\xbf")
    return body.decode("utf-8-sig")


def tables_of_csv(path: Path) -> dict[str, list[dict[str, str]]]:
    """Read a ZIP of CSV files."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {
            name.removesuffix(".csv"): list(csv.DictReader(io.StringIO(_marked(archive.read(name)), newline="")))
            for name in archive.namelist()
        }


@pytest.fixture(scope="module")
def made(engine: Engine) -> dict[str, Any]:
    """Make a weekly report in all formats; return its JSON and each path."""
    row = engine.reports.make("acme", "weekly", formats=list(FORMATS))
    paths = {name: Path(engine.reports.file("acme", row.id, name).path) for name in FORMATS}
    return {**whole(engine, row.id), "paths": paths}


def seen(made: dict[str, Any], table: dict[str, Any]) -> Iterator[list[Any]]:
    """Yield the rows of a section as people read it: label and known brief numbers; of the summary value, previous and change."""
    if table["name"] == "summary":
        for row in table["rows"]:
            yield [title_of(row["metric"]), row["value"], row["previous"], row["absolute"]]
        return
    section, step = SECTIONS[table["name"]], made["data"]["step"]
    for row in table["rows"]:
        if isinstance(section, Ranking):
            label = words(row, section.by)
        else:
            label = windows_in_words([row["window"]], step)[0] if row["window"] else "Total"
        known = [name for name in section.brief if any(other[name] is not None for other in table["rows"])]
        yield [label, *(row[name] for name in known)]


LABELS = {"window", *(section.by for section in SECTIONS.values() if isinstance(section, Ranking))}
"""Columns that name a row: a window, or a value of a dimension."""


def words(row: dict[str, Any], name: str) -> Any:
    """Return a cell as files for people show it."""
    if name in LABELS and row[name] is None:
        return NAMES[row["row"]]
    return moment(row[name]) if name == "window" else row[name]


def test_csv_holds_the_numbers_of_the_json(made: dict[str, Any]) -> None:
    """Each section is a file with the JSON's columns and rows; numbers are equal to the last digit, and null is empty."""
    found = tables_of_csv(made["paths"]["csv"])
    assert list(found) == ["about", *(t["name"] for t in made["data"]["sections"]), "columns", "notes"]
    for table in made["data"]["sections"]:
        rows = found[table["name"]]
        assert len(rows) == len(table["rows"])
        for told, row in zip(rows, table["rows"], strict=True):
            for name, value in row.items():
                if isinstance(value, str):
                    assert told[name] == spreadsheet(value)
                else:
                    assert told[name] == ("" if value is None else str(value))


def test_the_workbook_holds_the_numbers_of_the_json(made: dict[str, Any]) -> None:
    """Each section is a sheet with the JSON's rows, numbers as numbers, windows as dates, and its charts; no formula, no link."""
    book = openpyxl.load_workbook(made["paths"]["xlsx"])
    assert book.sheetnames == ["About", *(t["title"] for t in made["data"]["sections"])]
    for table in made["data"]["sections"]:
        sheet = book[table["title"]]
        cells = list(sheet.iter_rows(min_row=2, max_row=1 + len(table["rows"])))
        for told, row in zip(cells, table["rows"], strict=True):
            for cell, column in zip(told, table["columns"], strict=False):
                value = words(row, column["name"])
                if column["name"] == "window" and row["window"] is not None:
                    assert cell.value == datetime.fromisoformat(row["window"]).replace(tzinfo=None)
                elif isinstance(value, str):
                    assert (cell.value, cell.data_type) == (spreadsheet(value), "s")
                else:
                    assert cell.value == (None if value is None else pytest.approx(value, rel=1e-14))
        assert all(c.data_type != "f" and c.hyperlink is None for r in sheet.iter_rows() for c in r)
        assert len(vars(sheet)["_charts"]) == bool(table["drawn"])


def test_hours_of_a_workbook_have_their_offset(tmp_path: Path) -> None:
    """An hourly window is a date with time, shown with its offset, so that the repeated hour of October is unambiguous."""
    hours = ["2026-10-25T00:00:00+02:00", "2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]
    columns = [Column("row", "Row", "text"), Column("window", "Window", "text")]
    rows = [{"row": "window", "window": hour} for hour in hours]
    table = Table("conversations", "Conversations", "", columns, [], [], rows)
    data = ReportData("acme", "Europe/Berlin", "daily", "2026-10-25", "2026-10-26", "hour", 1, [table])
    document = Document({"made_at": hours[0]}, data)
    FORMATS["xlsx"].write(document, tmp_path / "r.xlsx")
    cells = [
        row[1] for row in openpyxl.load_workbook(tmp_path / "r.xlsx")["Conversations"].iter_rows(min_row=2, max_row=4)
    ]
    assert [(c.value, c.number_format) for c in cells] == [
        (datetime.fromisoformat("2026-10-25"), "yyyy-mm-dd"),
        (datetime.fromisoformat("2026-10-25T02:00"), 'yyyy-mm-dd hh:mm "+02:00"'),
        (datetime.fromisoformat("2026-10-25T02:00"), 'yyyy-mm-dd hh:mm "+01:00"'),
    ]


def test_the_page_holds_the_numbers_of_the_json(made: dict[str, Any]) -> None:
    """Each section is a table of the JSON's rows with brief columns and exact numbers in `data`; nothing runs or is fetched."""
    found = page(made["paths"]["html"])
    for table in made["data"]["sections"]:
        _, *rows = found.rows[table["name"]]
        assert len(rows) == len(table["rows"])
        for told, row in zip(rows, seen(made, table), strict=True):
            for cell, value in zip(told, row, strict=False):
                assert cell == value or (value is None and cell in ("–", "")), (table["name"], row[0])
    assert not {"script", "link", "img", "iframe", "object", "a", "form", "base"} & {tag for tag, _ in found.tags}
    given = [name for _, attributes in found.tags for name in attributes]
    assert not [name for name in given if name.startswith("on") or name in ("href", "src")]
    policies = [attributes["content"] for _, attributes in found.tags if "http-equiv" in attributes]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert "@import" not in found.text and "url(" not in found.text


def test_the_page_leaves_out_what_has_nothing(tmp_path: Path) -> None:
    """Without ratings, intents and staff the page has none of their sections and columns, and half a year only the days with
    messages; it names what it left out. The JSON has all.
    """
    with open_engine(tmp_path / "data") as engine:
        engine.add_tenant("chat", zone="UTC")
        sent = {"type": "message.received", "contact_id": "c1", "channel": "sms"}
        days = [
            {**sent, "time": f"2026-0{n}-10T10:00:00Z", "id": f"{n}", "conversation_id": f"k{n}"} for n in range(1, 7)
        ]
        engine.record("chat", days, history=True)
        report = engine.reports.make("chat", "daily", start="2026-01-01", end="2026-07-01")
        found = page(Path(engine.reports.file("chat", report.id, "html").path))
        sections = whole(engine, report.id, "chat")["data"]["sections"]
    assert set(found.rows) == {"conversations", "channel_breakdown", "summary"}
    shown_days = [row[0] for row in found.rows["conversations"]]
    assert [day.split()[-1] for day in shown_days] == ["When", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Total"]
    assert len(sections) == 7 and max(len(section["rows"]) for section in sections) == 182
    assert "Nothing in this period, and so left out: Response times, Staff, Satisfaction, Top intents." in found.text
    assert "AI resolution" not in found.text.partition("Summary")[0]


def test_the_page_begins_with_news_and_ends_with_ids(made: dict[str, Any]) -> None:
    """Name, days and news are before the first number; id and hash are after the last table."""
    text = made["paths"]["html"].read_text(encoding="utf-8").partition("<body>")[2]
    order = [
        "Weekly report · Monday 10 to Sunday 16 August 2026 · against the week before",
        "acme",
        made["introduction"]["news"][0],
    ]
    places = [text.index(each) for each in order]
    assert places == sorted(places) and places[-1] < text.index('class="cards"') < text.index("<table")
    assert text.rindex("</table>") < text.index(made["report"]["id"]) < text.index(made["report"]["hash"])


def test_cards_are_numbers_of_the_summary(made: dict[str, Any]) -> None:
    """Each card is a row of the summary with its change in its own unit; satisfaction is first."""
    document = as_json.read(made["paths"]["json"])
    shown_cards = cards(document)
    by_metric = {
        row["metric"]: row for table in made["data"]["sections"] if table["name"] == "summary" for row in table["rows"]
    }
    assert len(shown_cards) == 4 and shown_cards[0].metric == "csat"
    for card in shown_cards:
        row = by_metric[card.metric]
        assert (card.value, card.text) == (row["value"], shown(row["value"], row["unit"]))
        if row["unit"] == "share":
            assert card.change == f"{100 * row['absolute']:+.1f} points".replace("-", "−")


def test_drawings_are_well_formed(made: dict[str, Any]) -> None:
    """Every drawing is well-formed; counts are columns in proportion, durations a point each."""
    drawings = re.findall(r'<svg class="plot".*?</svg>', made["paths"]["html"].read_text(encoding="utf-8"), re.DOTALL)
    counts, times, _ = (ElementTree.fromstring(drawing) for drawing in drawings)
    rows = made["data"]["sections"][1]["rows"][:-1]
    started = [row["conversations_started"] for row in rows if row["conversations_started"]]
    heights = [float(bar.attrib["height"]) for bar in counts.findall("rect") if bar.attrib["class"] == "s0"]
    assert heights == pytest.approx([heights[0] * n / started[0] for n in started], abs=0.2)
    assert len(times.findall(".//circle")) == 14


def test_each_format_has_the_reports_identity(made: dict[str, Any]) -> None:
    """Id, tenant, zone, range, time, definition version and data hash are in every format, and the hash is the data's."""
    about = made["report"]
    assert about["hash"] == data_hash(typed(ReportData, made["data"]))
    csv_about = {row["name"]: row["value"] for row in tables_of_csv(made["paths"]["csv"])["about"]}
    sheet = openpyxl.load_workbook(made["paths"]["xlsx"])["About"]
    book_about = {row[0].value: row[1].value for row in sheet.iter_rows()}
    text = page(made["paths"]["html"]).text
    for name in ("id", "tenant", "kind", "zone", "from", "to", "made_at", "definition_version", "hash"):
        assert csv_about[name] == book_about[name] == str(about[name])
        assert str(about[name]) in text


def test_the_formats_are_those_of_the_settings() -> None:
    """The formats are those of the settings; one that needs an extra is no default."""
    assert tuple(FORMATS) == REPORT_FORMATS
    assert [name for name in FORMATS if not FORMATS[name].needs] == Reports.model_construct().formats


def hostile_document() -> Document:
    """Return a report with hostile texts."""
    columns = [
        Column(name, name, unit, "…")
        for name, unit in (("row", "text"), ("intent", "text"), ("intents", "count"), ("state", "text"))
    ]
    rows: list[dict[str, Any]] = [
        {"row": "value", "intent": text, "intents": n, "state": "settled"} for n, text in enumerate(HOSTILE)
    ]
    table = Table("top_intents", "Top intents", "=1", columns, ["intents"], ["=note"], rows)
    data = ReportData("acme", "Europe/Berlin", "daily", "2026-08-19", "2026-08-20", "day", 1, [table])
    return Document({"made_at": "2026-08-20T14:00:00+02:00", "hash": "sha256:0", "who": HOSTILE[0]}, data)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the hostile report in all formats."""
    folder = tmp_path_factory.mktemp("hostile")
    for one in FORMATS.values():
        one.write(hostile_document(), folder / one.file)
    return {name: folder / one.file for name, one in FORMATS.items()}


def _joined(text: str) -> str:
    """Return a text with one kind of line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def lines(text: str) -> Iterator[str]:
    """Yield the lines of a cell."""
    yield from re.split(r"[\r\n\v\f\x85\u2028\u2029]", text)


def test_no_cell_of_a_spreadsheet_is_a_formula(hostile: dict[str, Path]) -> None:
    """In CSV and workbook no line of a cell begins like a formula, and no cell is a formula or link."""
    read = [row["intent"] for row in tables_of_csv(hostile["csv"])["top_intents"]]
    sheet = openpyxl.load_workbook(hostile["xlsx"])["Top intents"]
    cells = [row[1] for row in sheet.iter_rows(min_row=2, max_row=1 + len(HOSTILE))]
    assert all(cell.data_type in ("s", "inlineStr") or cell.value is None for cell in cells)
    assert all(cell.hyperlink is None for row in sheet.iter_rows() for cell in row)
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    for text in [*read, *(str(cell.value or "") for cell in cells)]:
        assert not text.startswith(("\t", "\r"))
        assert not any(line.lstrip(" \t\xa0").startswith(("=", "+", "-", "@", "＝")) for line in lines(text)), text
    assert len(read) == len(HOSTILE)
    with zipfile.ZipFile(hostile["xlsx"]) as book:
        assert not [name for name in book.namelist() if "externalLink" in name or "vba" in name.lower()]
        for name in book.namelist():
            if name.endswith((".xml", ".rels")):
                ElementTree.fromstring(book.read(name))
        assert b"<f>" not in book.read("xl/worksheets/sheet2.xml")


def test_no_text_of_a_page_is_markup(hostile: dict[str, Path]) -> None:
    """Names are shown as text: none of their tags, attributes or direction marks reaches the page."""
    found = page(hostile["html"])
    names = [row[0] for row in found.rows["top_intents"][1:]]
    assert [_joined(name) for name in names] == [_joined(plain(text)) for text in HOSTILE]
    tags = {tag for tag, _ in found.tags}
    assert not {"script", "img"} & tags
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    raw = hostile["html"].read_bytes()
    assert b"\x00" not in raw and "\u202e" not in raw.decode() and "\u2066" not in raw.decode()


def test_json_keeps_names_exactly_in_plain_ascii(hostile: dict[str, Path]) -> None:
    """JSON holds every name exactly, in ASCII."""
    raw = hostile["json"].read_bytes()
    assert raw.isascii() and b"\x00" not in raw
    document = hostile_document()
    assert json.loads(raw)["data"] == to_plain(document.data)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1", "'=1"),
        (" =1", "' =1"),
        ("a\n=1", "a\n'=1"),
        ("a\r\n-1\nb", "a\r\n'-1\nb"),
        ("\tx", "'\tx"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_an_apostrophe_goes_before_what_could_be_a_formula(text: str, safe: str) -> None:
    """Each line of a cell that could be a formula gets an apostrophe; others stay unchanged."""
    assert harmless(text) == safe


def test_values_are_written_for_people() -> None:
    """Durations are in words, shares in percent, counts with separators, minus is no hyphen, and null is a dash."""
    values = (
        (None, "ms"), (250, "ms"), (-90_000, "ms"), (0.125, "share"), (12345, "count"), (4.25, "number"), (-12.23, "score"),
        (-3, "count"),
    )  # fmt: skip
    written = ["–", "250 ms", "−1 min 30 s", "12.5%", "12,345", "4.25", "−12.23", "−3"]
    assert [shown(value, unit) for value, unit in values] == written
    times = ("2026-08-10T00:00:00+02:00", "2026-10-25T02:00:00+01:00")
    assert [moment(text) for text in times] == ["2026-08-10", "2026-10-25 02:00 +01:00"]
    assert [duration(ms) for ms in (4_200, 200_000, 43_500_000, 260_000_000)] == [
        "4.2 s",
        "3 min 20 s",
        "12 h 5 min",
        "3 d",
    ]

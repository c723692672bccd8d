"""Mapping files: their rules, the events they give, and the errors that name their mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import BadInputError
from hubbub.ingest.sources import mapping, values
from hubbub.model.event import Event, Rejection

ROOT = Path(__file__).resolve().parents[4]
MORE = "type: {const: message.received}, time: {const: '2026-01-01T00:00:00Z'}"

Load = Callable[[str], mapping.Mapping]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads a mapping from its text."""

    def from_text(text: str) -> mapping.Mapping:
        path = tmp_path / "m.yaml"
        path.write_text(text)
        return mapping.load(path)

    return from_text


def one(load: Load, rules: str, row: dict[str, Any], number: int = 0) -> Event:
    """Return the single event of a row under a template with `rules`."""
    (event,) = load(f"events:\n  - {{{rules}}}").events(row, number)
    assert isinstance(event, Event), event
    return event


def refused(load: Load, rules: str, row: dict[str, Any]) -> Rejection:
    """Return the single rejection of a row under a template with `rules`."""
    (item,) = load(f"events:\n  - {{{rules}}}").events(row, 0)
    assert isinstance(item, Rejection), item
    return item


@pytest.mark.parametrize(
    ("rule", "row", "expected"),
    [
        ("author", {"author": "u1"}, "u1"),
        ("author", {"author": 17}, "17"),
        ("author", {"author": "3.0"}, "3"),
        ("author", {"author": 3.0}, "3"),
        ("author", {"author": "3.5"}, "3.5"),
        ("author", {"author": ""}, None),
        ("author", {}, None),
        ("from.id", {"from": {"id": "u1"}}, "u1"),
        ("from.id", {"from.id": "flat"}, "flat"),
        ("{const: bot}", {}, "bot"),
        ("{template: 'tweet:{n}/{n}'}", {"n": "3.0"}, "tweet:3/3"),
        ("{template: '{a.__class__}{0}{}'}", {"a": "x"}, "{}"),
        ("{row: true}", {}, "7"),
        ("{column: a, values: {x: ada, 2: bob}}", {"a": "x"}, "ada"),
        ("{column: a, values: {x: ada, 2: bob}}", {"a": 2}, "bob"),
        ("{column: a, values: {x: ada}, default: other}", {"a": "z"}, "other"),
        ("{column: a, values: {x: ada}, default: null}", {"a": "z"}, None),
        ("{column: a, default: nobody}", {"a": " "}, "nobody"),
        ("{column: a, slug: true}", {"a": "Virgin America!"}, "virgin-america"),
        ("{column: a, before: _}", {"a": "page_post_x"}, "page"),
        ("{column: a, hash: true}", {"a": "Ada@Example.org "}, values.pseudonym("ada@example.org")),
    ],
)
def test_a_rule_takes_its_text_from_each_kind_of_place(
    load: Load, rule: str, row: dict[str, Any], expected: str | None
) -> None:
    """A rule takes its text from column, constant, template, row number, table, slug, cut or pseudonym."""
    assert one(load, f"{MORE}, contact_id: {rule}", row, 7).contact_id == expected


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("{column: t}", "2026-03-01T12:00:00+02:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("{column: t, zone: America/New_York}", "2026-07-01 12:00:00", datetime(2026, 7, 1, 16, tzinfo=UTC)),
        ("{column: t, zone: America/New_York}", "2026-07-01 12:00:00Z", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("{column: t, format: rfc2822}", "Tue, 1 Apr 97 11:48:02 +0200", datetime(1997, 4, 1, 9, 48, 2, tzinfo=UTC)),
        ("{column: t, format: epoch_s}", "1604573608.000200", datetime(2020, 11, 5, 10, 53, 28, 200, tzinfo=UTC)),
        ("{column: t, format: epoch_ms}", "1604573608123", datetime(2020, 11, 5, 10, 53, 28, 123000, tzinfo=UTC)),
        ("{column: t, format: '%d.%m.%Y', zone: Europe/Berlin}", "1.3.2026", datetime(2026, 2, 28, 23, tzinfo=UTC)),
        ("{const: '2026-01-01T00:00:00Z', step_seconds: 90}", "", datetime(2026, 1, 1, 0, 10, 30, tzinfo=UTC)),
        ("{const: 2026-01-01T00:00:00Z}", "", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_their_format_and_zone(load: Load, rule: str, text: str, expected: datetime) -> None:
    """A time is read in its format, in its own offset or else in the given zone, to the microsecond."""
    event = one(load, f"type: {{const: message.sent}}, time: {rule}", {"t": text}, 7)
    assert event.time == expected


@pytest.mark.parametrize(
    ("rule", "text", "code", "reason"),
    [
        ("t", "soon", "invalid_time", "'soon' is not a time in the format 'rfc3339'"),
        ("t", "2026-03-01 12:00:00", "invalid_time", "has no offset; give its zone as 'zone'"),
        ("{column: t, format: epoch_s}", "1e99", "invalid_time", "is not a time"),
        ("{column: t, format: epoch_s}", "nan", "invalid_time", "is not a time"),
        ("t", "0001-01-01T00:00:00+14:00", "invalid_time", "outside the years"),
        ("t", "", "missing_field", "'time' is required"),
    ],
)
def test_times_that_cannot_be_read(load: Load, rule: str, text: str, code: str, reason: str) -> None:
    """An unreadable time, one without a zone and a missing one are rejected with the field and advice."""
    item = refused(load, f"type: {{const: message.sent}}, time: {rule}", {"t": text})
    assert (item.code, item.field) == (code, "time")
    assert reason in item.message


def test_numbers_are_read_and_scaled(load: Load) -> None:
    """Number fields are read from text and scaled; whole numbers stay whole."""
    rules = f"{MORE}, value: v, duration_ms: {{column: s, times: 1000}}, confidence: c"
    rules += ", attributes: {n: {column: v, number: true}}"
    event = one(load, rules, {"v": "12.5", "s": "0.3", "c": "1.0"})
    assert (event.value, event.duration_ms, event.confidence) == (12.5, 300, 1.0)
    assert isinstance(event.duration_ms, int)
    assert json.loads(bytes(event.attributes)) == {"n": 12.5}


@pytest.mark.parametrize(
    ("text", "value"),
    [("0,95", 0.95), ("1.234,5", 1234.5), ("1 234", 1234), ("1’234,50", 1234.5), ("-7", -7), ("", None)],
)
def test_numbers_with_a_comma_need_the_setting_decimal(load: Load, text: str, value: float | None) -> None:
    """`decimal: ","` reads numbers with a decimal comma; without it they are rejected with that advice."""
    assert one(load, MORE + ', value: {column: v, decimal: ","}', {"v": text}).value == value
    if "," in text and "’" not in text:
        assert 'decimal: ","' in refused(load, f"{MORE}, value: v", {"v": text}).message


@pytest.mark.parametrize("text", ["many", "nan", "1e999", "-inf"])
def test_unusable_numbers_are_rejected_by_field(load: Load, text: str) -> None:
    """A value that is not a finite number is rejected with its field."""
    item = refused(load, f"{MORE}, value: v", {"v": text})
    assert (item.code, item.field) == ("invalid_field", "value")
    assert "number" in item.message


def test_a_value_missing_in_the_table_is_rejected(load: Load) -> None:
    """A value that is missing from a table without a default is rejected with column and value."""
    item = refused(load, f"{MORE}, contact_id: {{column: a, values: {{x: y}}}}", {"a": "z"})
    assert item.field == "contact_id"
    assert "column 'a' holds 'z'" in item.message


def test_a_rejection_holds_only_columns_of_the_mapping(load: Load) -> None:
    """A rejection holds only columns of the mapping, so that no text gets into quarantine."""
    item = refused(
        load, "type: {const: message.sent}, contact_id: a, time: t", {"a": "u1", "t": "x", "text": "a secret"}
    )
    assert "u1" in item.raw
    assert "secret" not in item.raw + item.message


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ("a: x", [True, False, False]),
        ("a: [x, y]", [True, True, False]),
        ("a: {not: x}", [False, True, True]),
        ("a: {not: [x, y]}", [False, False, True]),
        ("a: {empty: true}", [False, False, True]),
        ("a: {empty: false}", [True, True, False]),
        ("b: 'True'", [True, False, False]),
        ("b: true", [True, True, False]),
        ("n: 3", [True, True, False]),
        ("a: x, n: 4", [False, False, False]),
    ],
)
def test_a_template_applies_if_all_its_conditions_hold(load: Load, when: str, fits: list[bool]) -> None:
    """A template applies if all its conditions hold: equal, one of several, not, empty, a truth value, a number."""
    rows: list[dict[str, Any]] = [
        {"a": "x", "b": "True", "n": "3.0"},
        {"a": "y", "b": True, "n": 3},
        {"a": "", "b": None},
    ]
    made = load(f"events:\n  - {{{MORE}, when: {{{when}}}}}")
    assert [bool(list(made.events(row, 0))) for row in rows] == fits


def test_a_row_may_give_several_events(load: Load) -> None:
    """Each template gives its own event; with `each`, one per list element or per filled column."""
    made = load(f"""
source: test
events:
  - {{{MORE}, id: id}}
  - {{type: {{const: intent.classified}}, time: {{const: "2026-01-01T00:00:00Z"}}, each: intents, intent: item,
     id: {{template: "{{id}}:{{key}}"}}}}
  - {{type: {{const: metric.observed}}, time: {{const: "2026-01-01T00:00:00Z"}}, each: [likes, shares, views],
     name: key, value: item, id: {{template: "{{id}}:{{key}}"}}}}
""")
    row = {"id": "7", "intents": ["book", "ask"], "likes": "3", "shares": "", "views": 0}
    found = [event for event in made.events(row, 0) if isinstance(event, Event)]
    assert [(e.id, e.intent, e.name, e.value) for e in found] == [
        ("7", None, None, None), ("7:0", "book", None, None), ("7:1", "ask", None, None),
        ("7:likes", None, "likes", 3.0), ("7:views", None, "views", 0.0),
    ]  # fmt: skip
    assert {e.source for e in found} == {"test"}
    assert len(list(made.events({"id": "8", "intents": None}, 0))) == 1


@pytest.mark.parametrize(
    ("rule", "text", "revision"),
    [
        ("u", "7", 7), ("u", "7.0", 7), ("u", "", None), ("{column: u}", "2026-08-01T10:00:00.000001Z", 1785578400_000001),
        ("{column: u}", "2026-08-01 12:00:00+02:00", 1785578400_000000),
        ("{column: u, zone: Europe/Rome}", "2026-08-01 12:00", 1785578400_000000),
        ("{column: u, format: epoch_s}", "1785578400.5", 1785578400_500000),
        ("{column: u, format: '%d/%m/%Y', zone: UTC}", "01/08/2026", 1785542400_000000), ("{const: 3}", "", 3),
    ],
)  # fmt: skip
def test_a_revision_is_a_number_or_a_time(load: Load, rule: str, text: str, revision: int | None) -> None:
    """A number is the revision itself, a time its microseconds, so that the later of two reports counts."""
    (event,) = load(f"events:\n  - {{{MORE}, revision: {rule}}}").events({"u": text}, 0)
    assert isinstance(event, Event)
    assert event.revision == revision


def test_an_invalid_revision_rejects_its_row(load: Load) -> None:
    """A revision that is no time, or has no offset, is rejected with its field."""
    for text in ("soon", "2026-08-01 12:00"):
        (refused,) = load(f"events:\n  - {{{MORE}, revision: {{column: u}}}}").events({"u": text}, 0)
        assert isinstance(refused, Rejection)
        assert refused.field == "revision"


def test_a_mapping_may_give_the_tenant_of_a_row(load: Load) -> None:
    """A mapping may give the tenant per row, as a slug; an empty column gives none."""
    made = load(f"tenant_from: airline\nevents:\n  - {{{MORE}}}")
    assert [made.tenant_of({"airline": a}, 0) for a in ("Virgin America", "", None)] == ["virgin-america", None, None]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be a mapping"),
        ("events: []", "events: give a list"),
        ("evnets: []", r"evnets: unknown key; did you mean 'events'"),
        ("events: [{time: t}]", r"events\[0\]: 'type' is missing"),
        ("events: [{type: t}]", r"events\[0\]: 'time' is missing"),
        (
            "events: [{" + MORE + ", contact: a}]",
            r"events\[0\].contact: no such event field; did you mean 'contact_id'",
        ),
        (
            "events: [{type: {const: message.recieved}, time: t}]",
            r"events\[0\].type: 'message.recieved' is not an event",
        ),
        ("events: [{" + MORE + ", contact_id: {columm: a}}]", r"contact_id.columm: unknown key; did you mean 'column'"),
        (
            "events: [{" + MORE + ", contact_id: {column: a, const: b}}]",
            "contact_id: give a column name, or exactly one",
        ),
        ("events: [{" + MORE + ", contact_id: {column: a, zone: UTC}}]", "are for 'time' and 'revision' only"),
        ("events: [{" + MORE + ", contact_id: a, contact_id: b}]", "the key 'contact_id' occurs twice .*line 1"),
        (
            "events: [{" + MORE + ", revision: changed}, {" + MORE + ", revision: r}]",
            "exclude each other in one mapping",
        ),
        ("records: 3\nevents: [{" + MORE + "}]", "records: must be a text"),
        ("events: [{" + MORE + ", revision: {column: a, zone: localtime}}]", "revision.zone: zone 'localtime' is not"),
        ("events: [{" + MORE + ", contact_id: {column: a, values: [x]}}]", "contact_id.values: must be a table"),
        ("events: [{" + MORE + ", when: [a]}]", r"events\[0\].when: must be a mapping"),
        ("events: [{" + MORE + ", when: {a: {like: x}}}]", r"when.a.like: unknown key"),
        ("events: [{" + MORE + ", each: 3}]", r"events\[0\].each: give a column"),
        ("events: [{type: {const: message.sent}, time: {column: t, zone: Mars/Base}}]", "time.zone: .*Mars/Base"),
        ("events: [{type: {const: message.sent}, time: {column: t, format: iso}}]", "time.format: 'iso' is neither"),
        ("events: [{type: {const: message.sent}, time: {const: soon}}]", "time.const: 'soon' is not a time"),
        ("format: xls\nevents: [{" + MORE + "}]", "format: 'xls' is not one of csv, json"),
        ("encoding: klingon\nevents: [{" + MORE + "}]", "encoding: 'klingon' is unknown"),
        ("conversation: {id: a}\nevents: [{" + MORE + "}]", "conversation: give 'id' and either 'parent'"),
        ("events: !!python/object/apply:os.system [ls]", "not valid YAML"),
        ("a: [", "not valid YAML"),
    ],
)
def test_mistakes_are_named(load: Load, text: str, reason: str) -> None:
    """A mistake in a mapping is refused on loading with the file, the key and advice."""
    with pytest.raises(BadInputError, match=reason) as error:
        load(text)
    assert "m.yaml: " in str(error.value)


def test_a_missing_mapping_file_is_named(tmp_path: Path) -> None:
    """A missing mapping file is refused with its path."""
    with pytest.raises(BadInputError, match=r"none\.yaml: cannot be read"):
        mapping.load(tmp_path / "none.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda p: p.stem)
def test_examples_are_valid(path: Path) -> None:
    """Every example mapping loads, begins with a comment, and has a source."""
    assert mapping.load(path).source
    assert path.read_text().startswith("# ")

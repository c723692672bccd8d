"""The content of a report: the planner's numbers, rankings with the rest as one row, and a hash of the data."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine
from hubbub.clock import fixed
from hubbub.errors import BadQuestionError, BadRequestError, ForbiddenError
from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Stored
from hubbub.model.name import Name
from hubbub.query import layout
from hubbub.reports.sections import SECTIONS, Ranking, Series, Summary
from tests.unit.reports.conftest import WEEK, events, open_engine, whole

Tables = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def tables(engine: Engine) -> Tables:
    """Return the rows of a weekly report by section."""
    data = whole(engine, engine.reports.make("acme", "weekly", formats=["json"]).id)["data"]
    return {table["name"]: table["rows"] for table in data["sections"]}


def asked(engine: Engine, metrics: tuple[str, ...], **question: Any) -> list[dict[str, Any]]:
    """Return the planner's answer for the week."""
    found: list[dict[str, Any]] = engine.query(
        "acme", metrics=metrics, start=WEEK[0], end=WEEK[1], details=True, **question
    )["rows"]
    return found


def figures(row: dict[str, Any], metrics: tuple[str, ...]) -> dict[str, Any]:
    """Return a row's values of these metrics."""
    return {name: row[name] for name in metrics}


SERIES = [name for name, section in SECTIONS.items() if isinstance(section, Series) and not section.of_targets]
RANKINGS = [name for name, section in SECTIONS.items() if isinstance(section, Ranking)]


def test_the_sections_are_those_of_the_contract() -> None:
    """Names and order of the sections are stable; a section draws its own metrics and ranks by counts."""
    assert list(SECTIONS) == [
        "summary", "conversations", "response_times", "targets", "staff_performance", "satisfaction", "top_intents",
        "channel_breakdown",
    ]  # fmt: skip
    for section in SECTIONS.values():
        assert set(section.drawn) <= set(section.metrics)
        for name in section.rank if isinstance(section, Ranking) else ():
            assert find(name).unit == "count"


@pytest.mark.parametrize("name", SERIES)
def test_a_series_equals_the_query(engine: Engine, tables: Tables, name: str) -> None:
    """Each day of a series, and its total, equal the query's answer, with the n of each mean."""
    metrics = SECTIONS[name].metrics
    *days, total = tables[name]
    answers = asked(engine, metrics, grain="day")
    assert [row["window"] for row in days] == [row["window"] for row in answers]
    for row, told in [*zip(days, answers, strict=True), (total, asked(engine, metrics, grain="week")[0])]:
        assert figures(row, metrics) == figures(told, metrics)
        for metric, details in told["details"].items():
            if (n := row.get(f"{metric.partition('.')[0]}.n")) is not None:
                assert n == details["n"]
    assert all(row["row"] == "window" for row in days) and total["row"] == "total"


@pytest.mark.parametrize("name", RANKINGS)
def test_a_ranking_equals_the_query(engine: Engine, tables: Tables, name: str) -> None:
    """Each value of a ranking has the query's numbers, in order of its counts; others, null and total have those of
    their own query.
    """
    section = SECTIONS[name]
    assert isinstance(section, Ranking)
    by_value = {row[section.by]: row for row in asked(engine, section.metrics, grain="week", by=[section.by])}
    rows = {kind: [row for row in tables[name] if row["row"] == kind] for kind in ("value", "others", "none", "total")}
    shown = [row[section.by] for row in rows["value"]]
    for row in rows["value"]:
        assert figures(row, section.metrics) == figures(by_value[row[section.by]], section.metrics)
    leads = [[row[metric] for metric in section.rank if metric in section.metrics] for row in rows["value"]]
    assert [lead[0] for lead in leads] == sorted((lead[0] for lead in leads), reverse=True)
    rest = [value for value in by_value if value is not None and value not in shown]
    if rest:
        (others,) = rows["others"]
        (told,) = asked(engine, section.metrics, grain="week", where={section.by: rest})
        assert figures(others, section.metrics) == figures(told, section.metrics)
        assert len(shown) == section.most
    for row in rows["none"]:
        assert figures(row, section.metrics) == figures(by_value[None], section.metrics)
    assert (None in by_value) == bool(rows["none"])
    for metric in section.metrics:
        if isinstance(find(metric).declared, Stored):
            assert sum(row[metric] for row in tables[name][:-1]) == rows["total"][0][metric]


def test_the_summary_compares_with_the_week_before(engine: Engine, tables: Tables) -> None:
    """Each metric of the summary has the query's value, previous value, change and state."""
    metrics = SECTIONS["summary"].metrics
    (told,) = asked(engine, metrics, grain="week", compare="previous")
    assert [row["metric"] for row in tables["summary"]] == list(metrics)
    for row in tables["summary"]:
        compared, details = told["compare"][row["metric"]], told["details"][row["metric"]]
        assert (row["value"], row["previous"], row["state"]) == (
            told[row["metric"]], compared["previous"], details["state"],
        )  # fmt: skip
        assert {name: row[name] for name in ("absolute", "relative", "label")} == compared["change"]


def test_a_daily_report_has_hours_and_a_monthly_one_days(engine: Engine) -> None:
    """One day is shown by hour, one month by day, and a longer range by the report's kind."""
    asked_for: tuple[tuple[str, dict[str, Any], int, str], ...] = (
        ("daily", {"date": "2026-08-12"}, 24, "hour"),
        ("monthly", {"date": "2026-07-03"}, 31, "day"),
        ("daily", {"start": "2026-08-10", "end": "2026-08-20"}, 10, "day"),
        ("weekly", {"start": "2026-08-01", "end": "2026-08-20"}, 4, "week"),
        ("weekly", {"start": "2026-08-10", "end": "2026-08-17"}, 7, "day"),
        ("monthly", {"start": "2026-01-01", "end": "2026-07-01"}, 6, "month"),
    )
    for kind, where, steps, step in asked_for:
        made = engine.reports.make("acme", kind, sections=["conversations"], formats=["json"], **where)
        data = whole(engine, made.id)["data"]
        assert (len(data["sections"][0]["rows"]) - 1, data["step"]) == (steps, step), (kind, where)


def test_without_a_date_it_is_the_last_period_that_is_over(engine: Engine) -> None:
    """On Thursday 20 August a daily report covers the 19th, a weekly one Monday 10th to 16th, a monthly one July."""
    spans = {}
    for kind in ("daily", "weekly", "monthly"):
        made = engine.reports.make("acme", kind, sections=["summary"], formats=["json"])
        spans[kind] = (str(made.from_), str(made.to))
    assert spans == {
        "daily": ("2026-08-19", "2026-08-20"), "weekly": WEEK, "monthly": ("2026-07-01", "2026-08-01"),
    }  # fmt: skip


def test_the_hash_is_that_of_the_data_and_only_changes_with_it(engine: Engine) -> None:
    """The hash can be recomputed from the file; a report made again has the same, other sections another."""
    made = [engine.reports.make("acme", "weekly", formats=["json"]) for _ in range(2)]
    text = json.dumps(whole(engine, made[0].id)["data"], sort_keys=True, separators=(",", ":"))
    assert made[0].hash == made[1].hash == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert made[0].id != made[1].id
    assert engine.reports.make("acme", "weekly", sections=["summary"], formats=["json"]).hash != made[0].hash


def test_a_report_counts_no_event_that_arrives_meanwhile(tmp_path: Path) -> None:
    """Events that arrive and are folded while a report is made are in none of its sections."""
    with open_engine(tmp_path / "data") as engine:
        engine.add_tenant("acme")
        one = {"type": "message.received", "time": "2026-08-12T10:00:00Z", "channel": "sms"}
        engine.record("acme", one)

        def meanwhile(_: int) -> None:
            engine.record("acme", one)
            engine.refresh()

        made = engine.reports.make("acme", "weekly", formats=["json"], progress=meanwhile)
        tables = {table["name"]: table["rows"] for table in whole(engine, made.id)["data"]["sections"]}
        summary = {row["metric"]: row["value"] for row in tables["summary"]}
        told = [tables[name][-1]["messages_received"] for name in ("conversations", "channel_breakdown")]
        assert [summary["messages_received"], *told] == [1, 1, 1]


def test_a_report_under_an_id_is_made_once(engine: Engine) -> None:
    """A second call with a report's id returns the first report."""
    report = "rep_" + "0" * 24
    first = engine.reports.make("acme", "weekly", formats=["json"], report=report)
    assert engine.reports.make("acme", "daily", formats=["html"], report=report) == first


@pytest.mark.parametrize(
    ("asked_for", "named"),
    [
        ({"kind": "yearly"}, "daily, weekly, monthly"),
        ({"kind": "daily", "sections": ["sumary"]}, "summary"),
        ({"kind": "daily", "formats": ["docx"]}, "json, csv, xlsx, html, pdf"),
        ({"kind": "daily", "date": "yesterday"}, "yesterday"),
        ({"kind": "daily", "date": "2026-08-01", "start": "2026-08-01", "end": "2026-08-02"}, "'from' and 'to'"),
        ({"kind": "daily", "start": "2026-08-01"}, "'from' and 'to'"),
        ({"kind": "daily", "start": "2026-08-02", "end": "2026-08-02"}, "must be before"),
        ({"kind": "weekly", "date": "2000-01-01"}, "1999-12-27"),
        ({"kind": "daily", "date": "2026-08-21"}, "has not begun"),
        ({"kind": "daily", "start": "2020-01-01", "end": "2026-01-01"}, "1100 rows"),
        ({"kind": "daily", "report": "../acme"}, "cannot name a report"),
    ],
    ids=str,
)
def test_an_invalid_report_is_refused_by_name(engine: Engine, asked_for: dict[str, Any], named: str) -> None:
    """A wrong kind, section, format, date, range or id is refused with advice, and nothing is stored."""
    before = engine.reports.kept("acme", limit=1000).rows
    with pytest.raises((BadQuestionError, BadRequestError), match=named):
        engine.reports.make("acme", **asked_for)
    assert engine.reports.kept("acme", limit=1000).rows == before


def test_too_many_values_are_refused_with_their_section(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section with too many values is refused by name, and a report without it can be made."""
    monkeypatch.setattr(layout, "MAX_ROWS", 25)
    with pytest.raises(BadQuestionError, match="section 'top_intents'"):
        engine.reports.make("acme", "weekly", sections=["top_intents"], formats=["json"])
    assert engine.reports.make("acme", "weekly", sections=["conversations"], formats=["json"]).sections == (
        "conversations",
    )


def test_names_of_rows_can_be_names_of_values(tmp_path: Path) -> None:
    """Intents named like a report's own rows are values; one called "(none)" is in a note."""
    with open_engine(tmp_path / "data") as engine:
        engine.add_tenant("acme")
        for name in ("total", "others", "none", "(none)", None):
            engine.record("acme", {"type": "intent.classified", "time": "2026-08-12T10:00:00Z", "intent": name})
        made = engine.reports.make("acme", "weekly", sections=["top_intents"], formats=["json"])
        (table,) = whole(engine, made.id)["data"]["sections"]
        assert [(row["row"], row["intent"], row["intents"]) for row in table["rows"]] == [
            ("value", "none", 1), ("value", "others", 1), ("value", "total", 1), ("none", None, 1), ("total", None, 5),
        ]  # fmt: skip
        assert any("(none)" in note for note in table["notes"])


def at(engine: Engine, day: str) -> None:
    """Set the engine's clock to noon of a day."""
    engine.clock = engine.retained._clock = engine.intake._clock = engine.queries._clock = fixed(
        datetime.fromisoformat(f"{day}T12:00:00Z")
    )


def test_hours_past_retention_are_null(tmp_path: Path) -> None:
    """Every hour and the total of a day whose facts are deleted are null with the state gone, never 0."""
    with open_engine(tmp_path / "data") as engine:
        engine.add_tenant("acme", retention={"facts": 10})
        engine.record("acme", {"type": "message.received", "time": "2026-08-12T10:00:00Z", "id": "m"})
        at(engine, "2026-09-09")
        engine.retention()
        made = engine.reports.make("acme", "daily", date="2026-08-12", sections=["conversations"], formats=["json"])
        (table,) = whole(engine, made.id)["data"]["sections"]
        assert [row["row"] for row in table["rows"]] == ["window"] * 24 + ["total"]
        assert {(row["messages_received"], row["state"]) for row in table["rows"]} == {(None, "gone")}
        assert any("past retention" in note for note in table["notes"])


def test_a_deleted_previous_period_has_a_note(tmp_path: Path) -> None:
    """If the compared days are deleted, the previous value is null, with a note."""
    with open_engine(tmp_path / "data") as engine:
        engine.add_tenant("acme", retention={"facts": 15})
        for day in ("2026-08-09", "2026-08-12"):
            at(engine, day)
            engine.record("acme", {"type": "message.received", "time": f"{day}T10:00:00Z"})
        at(engine, "2026-08-26")
        engine.retention()
        start, end = "2026-08-11", "2026-08-14"
        made = engine.reports.make("acme", "daily", start=start, end=end, sections=["summary"], formats=["json"])
        (table,) = whole(engine, made.id)["data"]["sections"]
        (received,) = [row for row in table["rows"] if row["metric"] == "messages_received"]
        assert (received["value"], received["previous"], received["label"]) == (1, None, "n/a")
        assert any(note.startswith("Of the period before, ") for note in table["notes"]), table["notes"]


def test_settings_switch_reports_off_and_choose_their_folder(tmp_path: Path) -> None:
    """With `reports.enabled` false none is made; `folder` and `formats` set where and how they are stored."""
    with open_engine(tmp_path / "off", reports={"enabled": False}) as engine:
        engine.add_tenant("acme")
        with pytest.raises(ForbiddenError, match=r"reports\.enabled"):
            engine.reports.make("acme", "daily")
    with open_engine(tmp_path / "on", reports={"folder": tmp_path / "kept", "formats": ["csv"]}) as engine:
        engine.add_tenant("acme")
        made = engine.reports.make("acme", "daily")
        assert (tmp_path / "kept" / "acme" / made.id / "report.csv.zip").stat().st_size == made.files["report.csv.zip"]
        assert list(made.files) == ["report.csv.zip"]


def test_every_section_has_the_same_content_alone(engine: Engine) -> None:
    """Each section has the same content alone as among all others."""
    all_ = whole(engine, engine.reports.make("acme", "weekly", formats=["json"]).id)["data"]["sections"]
    for table in all_:
        made = engine.reports.make("acme", "weekly", sections=[table["name"]], formats=["json"])
        assert whole(engine, made.id)["data"]["sections"] == [table]
    assert sum(isinstance(section, Series) for section in SECTIONS.values()) == 4


def test_targets_have_a_section(tmp_path: Path) -> None:
    """A tenant with targets has a section with the query's shares, null where no target was in force; others have none."""
    with open_engine(tmp_path / "data") as engine:
        engine.add_tenant("acme")
        engine.record("acme", list(events()), history=True)
        before = whole(engine, engine.reports.make("acme", "weekly", formats=["json"]).id)["data"]["sections"]
        engine.targets.add("acme", "first_response", 20, valid_from="2026-08-12")
        made = engine.reports.make("acme", "weekly", formats=["json", "html", "xlsx", "csv"])
        sections = {table["name"]: table for table in whole(engine, made.id)["data"]["sections"]}
        metrics = SECTIONS["targets"].metrics
        days = asked(engine, metrics, grain="day")
    assert "targets" not in {table["name"] for table in before}
    *shown, _ = sections["targets"]["rows"]
    assert [figures(row, metrics) for row in shown] == [figures(day, metrics) for day in days]
    assert [row["state"] for row in shown][:2] == ["no_target"] * 2
    assert 0 < shown[3]["first_response_within_target"] < 1


def test_a_ranking_of_ids_has_a_column_of_names(tmp_path: Path) -> None:
    """If staff have names, a column after the ids shows them in JSON and HTML, and the numbers are unchanged."""
    with open_engine(tmp_path) as engine:
        engine.add_tenant("acme")
        engine.record("acme", list(events()), history=True)
        asked: dict[str, Any] = {
            "kind": "weekly",
            "date": WEEK[0],
            "sections": ["staff_performance"],
            "formats": ["json", "csv", "html"],
        }
        plain = engine.reports.make("acme", **asked)
        engine.names.take("acme", [Name("staff", "=staff 1", "Ada <b>")])
        named = engine.reports.make("acme", **asked)
        before, after = (
            json.loads(Path(engine.reports.file("acme", one.id, "json").path).read_text())["data"]["sections"][0]
            for one in (plain, named)
        )
        html = Path(engine.reports.file("acme", named.id, "html").path).read_text()
    assert {row["staff_id"]: row["staff_id.name"] for row in after["rows"] if row["row"] == "value"} == {
        row["staff_id"]: "Ada <b>" if row["staff_id"] == "=staff 1" else row["staff_id"]
        for row in before["rows"] if row["row"] == "value"
    }  # fmt: skip
    assert [{k: v for k, v in row.items() if k != "staff_id.name"} for row in after["rows"]] == before["rows"]
    assert "Ada &lt;b&gt;" in html and "Ada <b>" not in html


@pytest.mark.parametrize("name", [name for name, section in SECTIONS.items() if not isinstance(section, Summary)])
def test_the_table_of_a_section_has_numbers(name: str) -> None:
    """A section has brief metrics for page and PDF, all of them its own."""
    section = SECTIONS[name]
    assert section.brief and set(section.brief) <= set(section.metrics) and set(section.drawn) <= set(section.metrics)

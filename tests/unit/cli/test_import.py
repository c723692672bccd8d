"""`hubbub import events`: files in, a summary out; a new tenant is made."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from hubbub.app import open_engine
from hubbub.ingest.sources.summary import rfc3339
from tests.unit.cli.conftest import Run

KEYS = {
    "records", "stored", "duplicates", "corrected", "rejected", "people_messages", "bot_messages", "system_messages",
    "conversations", "threads", "replies", "channels", "first", "last",
}  # fmt: skip
CSV = """type,time,id,channel,conversation_id
message.received,2020-08-01T10:00:00Z,a,sms,k
message.sent,2020-08-01T10:05:00Z,b,sms,k
message.sent,never,c,sms,k
"""


def test_jsonl_is_imported_with_a_summary(loaded: Run) -> None:
    """The summary has every key that other programs read; a second import stores nothing and counts duplicates."""
    again = loaded("import", "events", "events.jsonl", "--tenant", "acme", "--json")
    assert again.code == 0
    assert set(again.told) >= KEYS
    assert (again.told["records"], again.told["stored"], again.told["duplicates"]) == (3, 0, 2)
    assert again.told["rejected"] == {"unknown_type": 1}
    assert "events.jsonl line 3" in again.err
    (row,) = loaded(
        "query", "messages", "--tenant", "acme", "--from", "2026-08-01", "--to", "2026-08-02", "--json"
    ).told["rows"]
    assert row["messages"] == 2


def test_an_unknown_tenant_is_made_and_keeps_everything(hubbub: Run) -> None:
    """An unknown tenant is made with `--zone` and unlimited retention, which stderr says once; old events are stored."""
    Path("old.csv").write_text(CSV)
    ended = hubbub("import", "events", "old.csv", "--tenant", "newcomer", "--zone", "Europe/Rome", "--json")
    assert (ended.code, ended.told["stored"], ended.told["rejected"]) == (0, 2, {"invalid_time": 1})
    assert "newcomer" in ended.err and "without a retention" in ended.err and "Europe/Rome" in ended.err
    (row,) = hubbub("tenants", "list", "--json").told["rows"]
    assert (row["zone"], set(row["retention"].values())) == ("Europe/Rome", {None})
    known = hubbub("import", "events", "old.csv", "--tenant", "newcomer", "--json")
    assert "without a retention" not in known.err


def test_a_dry_run_stores_nothing(hubbub: Run) -> None:
    """`--dry-run` checks every record and counts refusals, and stores no event, record or tenant."""
    Path("old.csv").write_text(CSV + "message.unheard_of,2020-08-01T10:00:00Z,d,sms,k\n")
    ended = hubbub("import", "events", "old.csv", "--tenant", "newcomer", "--dry-run", "--json")
    assert (ended.code, ended.told["dry_run"], ended.told["records"]) == (0, True, 4)
    assert (ended.told["stored"], ended.told["rejected"]) == (0, {"invalid_time": 1, "unknown_type": 1})
    assert hubbub("tenants", "list", "--json").told["rows"] == []
    assert hubbub("import", "events", "old.csv", "--tenant", "newcomer", "--json").told["stored"] == 2


def test_a_mapping_turns_columns_into_fields(hubbub: Run) -> None:
    """`--map` names a mapping of columns to fields; a missing file is an error on stderr."""
    columns = "tweet_id,airline,name,tweet_created,negativereason,airline_sentiment,airline_sentiment_confidence"
    Path("tweets.csv").write_text(f"{columns}\n1,United,ann,2015-02-24 11:35:52 -0800,Late Flight,negative,0.9\n")
    mapping = Path(__file__).parents[3] / "examples" / "twitter-airlines.yaml"
    ended = hubbub("import", "events", "tweets.csv", "--map", mapping, "--json")
    assert (ended.code, ended.told["records"], ended.told["stored"]) == (0, 1, 2), ended.err
    assert [r["tenant"] for r in hubbub("tenants", "list", "--json").told["rows"]] == ["united"]
    missing = hubbub("import", "events", "tweets.csv", "--map", "none.yaml")
    assert (missing.code, missing.out) == (1, "")
    assert "none.yaml" in missing.err


def test_several_files_count_together(hubbub: Run) -> None:
    """Files of different formats in one command give one summary; `--where` imports only matching rows."""
    Path("a.csv").write_text(CSV)
    Path("b.json").write_text(
        json.dumps([{"type": "message.sent", "time": "2020-08-02T10:00:00Z", "id": "z", "channel": "mail"}])
    )
    told = hubbub("import", "events", "a.csv", "b.json", "--tenant", "t", "--json").told
    assert (told["stored"], told["first"], told["last"]) == (3, "2020-08-01T10:00:00Z", "2020-08-02T10:00:00Z")
    only = hubbub("import", "events", "a.csv", "--tenant", "u", "--where", "id=a", "--json").told
    assert only["stored"] == 1


def test_many_tenants_fold_together(hubbub: Run) -> None:
    """All tenants of a file are folded after the import, and the advice names one of them."""
    Path("rows.csv").write_text("who,id\nacme,a\nbeta,b\ngamma,c\n")
    Path("map.yaml").write_text(
        "tenant_from: who\nevents:\n  - {type: {const: message.sent}, id: id, time: {const: '2020-08-01T10:00:00Z'}}\n"
    )
    ended = hubbub("import", "events", "rows.csv", "--map", "map.yaml")
    assert (ended.code, "query messages --tenant acme" in ended.err) == (0, True)
    with open_engine(Path("hubbub-data")) as engine:
        assert [(row.tenant, row.state) for row in engine.monitoring.freshness().rows] == [
            (tenant, "fresh") for tenant in ("acme", "beta", "gamma")
        ]
        assert engine.refresh() == {"events": 0, "units": {}, "errors": {}}


ROWS = "events:\n  - {type: {const: message.sent}, id: id, time: t, channel: c}\n"
TIME = "2020-08-01T10:00:00Z"


def test_the_tenant_is_named_once(hubbub: Run) -> None:
    """`--tenant` with `tenant_from` is bad usage, and so is neither; a row without a tenant is refused by its line."""
    Path("rows.csv").write_text(f"who,id,t,c\nacme,a,{TIME},x\n,b,{TIME},x\n")
    Path("map.yaml").write_text("tenant_from: who\n" + ROWS)
    both = hubbub("import", "events", "rows.csv", "--tenant", "beta", "--map", "map.yaml")
    assert (both.code, both.out, "tenant_from" in both.err) == (2, "", True)
    assert hubbub("import", "events", "rows.csv").code == 2
    ended = hubbub("import", "events", "rows.csv", "--map", "map.yaml", "--json")
    assert (ended.code, ended.told["stored"], ended.told["rejected"]) == (0, 1, {"no_tenant": 1})
    assert "rows.csv line 3: 'tenant_from' of the mapping gives no tenant for this row" in ended.err
    assert [r["tenant"] for r in hubbub("tenants", "list", "--json").told["rows"]] == ["acme"]


def test_an_import_without_a_known_row_ends_with_1(hubbub: Run) -> None:
    """An import that stores and knows no row ends with 1, and says how many rows were read, refused and left out, and why."""
    Path("rows.csv").write_text(f"id,t,c\na,{TIME},x\nb,{TIME},x\n")
    Path("never.yaml").write_text(ROWS.replace("{type", "{when: {c: y}, type"))
    Path("map.yaml").write_text(ROWS)
    Path("empty.csv").write_text("id,t,c\n")
    Path("bad.csv").write_text("id,t,c\na,soon,x\n")
    for words, said, left_out in (
        ("rows.csv --map never.yaml", "2 rows match no 'when'", {"when": 2}),
        ("rows.csv --map map.yaml --where c=y", "2 rows do not match 'where'", {"where": 2}),
        ("empty.csv --map map.yaml", "0 records were read, 0 refused, 0 left out", {}),
        ("bad.csv --map map.yaml", "1 records were read, 1 refused, 0 left out", {}),
    ):
        for more in ((), ("--dry-run",)):
            ended = hubbub("import", "events", *words.split(), "--tenant", "t", "--json", *more)
            assert (ended.code, ended.told["stored"], ended.told["left_out"]) == (1, 0, left_out), words
            assert said in ended.err and "Nothing was imported" in ended.err
    assert hubbub("import", "events", "rows.csv", "--map", "map.yaml", "--tenant", "t", "--dry-run").code == 0
    for _ in range(2):
        assert hubbub("import", "events", "rows.csv", "--map", "map.yaml", "--tenant", "t").code == 0


TICKETS = (
    "id,status,updated_at\n1,solved,2020-08-01T10:00:00Z\n2,solved,2020-08-01T11:00:00Z\n",
    "id,status,updated_at\n1,open,2020-08-02T10:00:00Z\n2,solved,2020-08-01T11:00:00Z\n",
    "id,status,updated_at\n1,solved,2020-08-03T10:00:00Z\n2,solved,2020-08-01T11:00:00Z\n",
)
TICKET = "events:\n  - {{type: {{const: custom.ticket}}, id: id, time: updated_at, status: status{}}}\n"


def test_newer_exports_replace_older_values(hubbub: Run) -> None:
    """With a revision, newer exports replace older values; without one the first stays, and contradictions are counted."""
    for name, revision, corrected, ends in (
        ("by-time", ", revision: {column: updated_at}", 1, "2020-08-03T10:00:00Z"),
        ("by-change", ", revision: changed", 1, "2020-08-03T10:00:00Z"),
        ("neither", "", 0, "2020-08-01T10:00:00Z"),
    ):
        Path("map.yaml").write_text(TICKET.format(revision))
        for number, text in enumerate(TICKETS):
            Path("tickets.csv").write_text(text)
            ended = hubbub("import", "events", "tickets.csv", "--map", "map.yaml", "--tenant", name, "--json")
            told = {key: ended.told[key] for key in ("stored", "duplicates", "corrected")}
            if number == 0:
                assert told == {"stored": 2, "duplicates": 0, "corrected": 0}
            else:
                assert told == {"stored": 0, "duplicates": 2 - corrected, "corrected": corrected}, (name, number)
                assert ended.told["notes"] == ({} if corrected else {"contradicts": 1})
                assert corrected or "tickets.csv line 2: the stored event with this id has other values" in ended.err
        again = hubbub("import", "events", "tickets.csv", "--map", "map.yaml", "--tenant", name, "--json")
        assert (again.told["duplicates"], again.told["corrected"]) == (2, 0)
        with open_engine(Path("hubbub-data")) as engine:
            no = engine.control.tenant(name).no
            with engine.store.facts.read() as reading:
                when = reading.value("SELECT time FROM event WHERE tenant = ? AND id = '1'", (no,))
            assert rfc3339(datetime.fromtimestamp(when / 1e6, UTC)) == ends


def test_a_rating_that_counts_nowhere_has_a_note(hubbub: Run) -> None:
    """Ratings outside their scale are stored, counted as notes and named by file and line."""
    values = [(0, None), (6, None), (4.5, None), (5, None), (0, 10), (11, 10)]
    Path("r.jsonl").write_text("\n".join(json.dumps(
        {"type": "satisfaction.rating_received", "time": TIME, "id": str(n), "survey_id": str(n), "value": v, "scale": s})
        for n, (v, s) in enumerate(values)))  # fmt: skip
    for more in (("--dry-run",), ()):
        ended = hubbub("import", "events", "r.jsonl", "--tenant", "t", "--json", *more)
        assert (ended.told["rejected"], ended.told["notes"]) == ({}, {"counts_nowhere": 4})
        assert "r.jsonl line 3: a rating of 4.5 is stored, but never counted" in ended.err


TWICE = "id,status,t\n1,open,2020-08-01T10:00:00Z\n2,open,2020-08-01T10:00:00Z\n1,solved,2020-08-01T10:00:00Z\n"


def test_a_file_with_an_event_twice_corrects_it_once(hubbub: Run) -> None:
    """With `revision: changed` the last row of an id counts, and importing the file again corrects nothing."""
    Path("map.yaml").write_text(TICKET.format(", revision: changed").replace("updated_at", "t"))
    Path("tickets.csv").write_text(TWICE)
    words = ("import", "events", "tickets.csv", "--map", "map.yaml", "--tenant", "t", "--json")
    first, again = hubbub(*words).told, hubbub(*words).told
    assert (first["records"], first["stored"], first["corrected"], first["left_out"]) == (3, 2, 0, {"again": 1})
    assert (again["stored"], again["duplicates"], again["corrected"]) == (0, 2, 0)
    Path("tickets.csv").write_text(TWICE.replace("1,solved", "1,closed"))
    assert hubbub(*words).told["corrected"] == 1
    with open_engine(Path("hubbub-data")) as engine, engine.store.facts.read() as reading:
        assert reading.value("SELECT status FROM event WHERE id = '1'") == "closed"


def test_a_file_that_was_cut_ends_with_1(hubbub: Run) -> None:
    """With one truncated file of several, all readable records are stored, the place is named, and the command ends with 1."""
    event = json.dumps({"type": "message.sent", "time": TIME, "id": "{}", "channel": "mail"})
    whole = "".join(event.replace("{}", str(n)) + "\n" for n in range(3))
    Path("whole.jsonl").write_text(whole)
    assert hubbub("import", "events", "whole.jsonl", "--tenant", "t", "--json").code == 0
    Path("cut.jsonl").write_text(whole.replace('"0"', '"9"')[:-30])
    Path("cut.json").write_text("[" + event + ", {")
    Path("cut.csv").write_text(CSV.replace("message.sent,never,c,sms,k\n", "message.sent,2020-08-"))
    for name, stored, place in (
        ("cut.jsonl", 1, "cut.jsonl line 3"),
        ("cut.json", 0, "cut.json"),
        ("cut.csv", 2, "cut.csv line 4"),
    ):
        ended = hubbub("import", "events", "whole.jsonl", name, "--tenant", "t", "--json")
        assert (ended.code, ended.told["stored"], ended.told["rejected"]) == (1, stored, {"unreadable_file": 1}), name
        assert f"{place}: " in ended.err and "are truncated or damaged" in ended.err


CHAT = "31/12/19, 10:00 - Ada: hi\n31/12/19, 10:05 - Hotel: hello\n"


def test_a_path_without_a_kind_is_described(hubbub: Run) -> None:
    """A path without a kind is only described; with a tenant it is imported, and an unknown file is refused."""
    Path("chat.txt").write_text(CHAT)
    looked = hubbub("import", "chat.txt", "--json")
    assert (looked.code, looked.told["kind"], looked.told["people_messages"]) == (0, "whatsapp", 2)
    assert looked.told["next"] == "hubbub import whatsapp chat.txt --tenant NAME --zone ZONE"
    assert hubbub("tenants", "list", "--json").told["rows"] == []
    assert hubbub("import", "chat.txt", "--tenant", "t").code == 2
    ended = hubbub("import", "--tenant", "t", "--zone", "UTC", "--staff", "hotel", "--json", "chat.txt")
    assert (ended.code, ended.told["stored"], ended.told["conversations"]) == (0, 2, 1)
    again = hubbub("import", "whatsapp", "chat.txt", "--tenant", "t", "--zone", "UTC", "--staff", "hotel", "--json")
    assert (again.code, again.told["duplicates"]) == (0, 2)
    (row,) = hubbub(
        "query", "first_response_ms.avg", "--tenant", "t", "--from", "2019-12-31", "--to", "2020-01-01", "--json"
    ).told["rows"]
    assert row["first_response_ms.avg"] == 300_000
    Path("letter.txt").write_text("dear all\n")
    for words, said in ((("letter.txt",), "begins with b'dear all"), (("nothing.zip",), "does not exist")):
        refused = hubbub("import", *words, "--tenant", "t")
        assert (refused.code, refused.out) == (1, "") and said in refused.err

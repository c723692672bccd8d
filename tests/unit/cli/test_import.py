"""`hubbub import events`: files in, a summary out, the tenant made when it is new."""

from __future__ import annotations

import json
from pathlib import Path

from hubbub.app import open_engine
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
    """The summary has every key of the contract; a second import changes nothing and says so."""
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
    """CSV of years ago is kept; the tenant is made with the asked zone, and stderr says that it keeps everything."""
    Path("old.csv").write_text(CSV)
    ended = hubbub("import", "events", "old.csv", "--tenant", "newcomer", "--zone", "Europe/Rome", "--json")
    assert (ended.code, ended.told["stored"], ended.told["rejected"]) == (0, 2, {"invalid_time": 1})
    assert "newcomer" in ended.err and "keeping everything" in ended.err and "Europe/Rome" in ended.err
    (row,) = hubbub("tenants", "list", "--json").told["rows"]
    assert (row["zone"], set(row["retention"].values())) == ("Europe/Rome", {None})
    known = hubbub("import", "events", "old.csv", "--tenant", "newcomer", "--json")
    assert "keeping everything" not in known.err


def test_a_dry_run_stores_nothing(hubbub: Run) -> None:
    """--dry-run reads and checks all, counts what it would refuse, and leaves no event, record or tenant behind."""
    Path("old.csv").write_text(CSV + "message.unheard_of,2020-08-01T10:00:00Z,d,sms,k\n")
    ended = hubbub("import", "events", "old.csv", "--tenant", "newcomer", "--dry-run", "--json")
    assert (ended.code, ended.told["dry_run"], ended.told["records"]) == (0, True, 4)
    assert (ended.told["stored"], ended.told["rejected"]) == (0, {"invalid_time": 1, "unknown_type": 1})
    assert hubbub("tenants", "list", "--json").told["rows"] == []
    assert hubbub("import", "events", "old.csv", "--tenant", "newcomer", "--json").told["stored"] == 2


def test_a_mapping_turns_columns_into_fields(hubbub: Run) -> None:
    """--map names which columns are which fields; a mapping that is not there is a line on stderr."""
    columns = "tweet_id,airline,name,tweet_created,negativereason,airline_sentiment,airline_sentiment_confidence"
    Path("tweets.csv").write_text(f"{columns}\n1,United,ann,2015-02-24 11:35:52 -0800,Late Flight,negative,0.9\n")
    mapping = Path(__file__).parents[3] / "examples" / "twitter-airlines.yaml"
    ended = hubbub("import", "events", "tweets.csv", "--tenant", "t", "--map", mapping, "--json")
    assert (ended.code, ended.told["records"], ended.told["stored"]) == (0, 1, 2), ended.err
    assert [r["tenant"] for r in hubbub("tenants", "list", "--json").told["rows"]] == ["united"]
    missing = hubbub("import", "events", "tweets.csv", "--tenant", "t", "--map", "none.yaml")
    assert (missing.code, missing.out) == (1, "")
    assert "none.yaml" in missing.err


def test_several_files_count_together(hubbub: Run) -> None:
    """Files of different formats in one command give one summary; --where keeps only rows with that value."""
    Path("a.csv").write_text(CSV)
    Path("b.json").write_text(
        json.dumps([{"type": "message.sent", "time": "2020-08-02T10:00:00Z", "id": "z", "channel": "mail"}])
    )
    told = hubbub("import", "events", "a.csv", "b.json", "--tenant", "t", "--json").told
    assert (told["stored"], told["first"], told["last"]) == (3, "2020-08-01T10:00:00Z", "2020-08-02T10:00:00Z")
    only = hubbub("import", "events", "a.csv", "--tenant", "u", "--where", "id=a", "--json").told
    assert only["stored"] == 1


def test_many_tenants_fold_together(hubbub: Run) -> None:
    """A file for several tenants ends with all of them folded, and with advice that names one of them."""
    Path("rows.csv").write_text("who,id\nacme,a\nbeta,b\ngamma,c\n")
    Path("map.yaml").write_text(
        "tenant_from: who\nevents:\n  - {type: {const: message.sent}, id: id, time: {const: '2020-08-01T10:00:00Z'}}\n"
    )
    ended = hubbub("import", "events", "rows.csv", "--tenant", "rest", "--map", "map.yaml")
    assert (ended.code, "query messages --tenant acme" in ended.err) == (0, True)
    with open_engine(Path("hubbub-data")) as engine:
        assert [(row["tenant"], row["state"]) for row in engine.freshness()["rows"]] == [
            (tenant, "fresh") for tenant in ("acme", "beta", "gamma")
        ]
        assert engine.refresh() == {"events": 0, "units": {}, "errors": {}}

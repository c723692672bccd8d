"""The commands for targets: add, list, remove, and errors in one line."""

from __future__ import annotations

from tests.unit.cli.conftest import Run


def test_targets_are_set_listed_and_ended(loaded: Run) -> None:
    """An added target is listed and named with queries of its metric, with its days in force; removing it ends it."""
    added = loaded(
        "targets", "add", "first_response", "15", "--tenant", "acme", "--channel", "sms", "--share", "0.9",
        "--from", "2026-01-01", "--json",
    ).told  # fmt: skip
    assert (added["minutes"], added["channel"], added["share"], added["valid_to"]) == (15, "sms", 0.9, None)
    assert loaded("targets", "list", "--tenant", "acme", "--json").told["rows"] == [added]
    assert "first_response" in loaded("targets", "list", "--tenant", "acme").out
    asked = (
        "query",
        "first_response_ms.p50",
        "--tenant",
        "acme",
        "--from",
        "2026-08-01",
        "--to",
        "2026-09-01",
        "--where",
        "channel=sms",
    )
    (named,) = loaded(*asked, "--json").told["targets"]
    assert (named["id"], named["from"], named["to"]) == (added["id"], "2026-08-01", "2026-09-01")
    assert "target of first_response_ms.p50: 15 minutes, wanted for 90%" in " ".join(loaded(*asked).err.split())
    assert loaded("targets", "remove", added["id"], "--tenant", "acme", "--json").told["valid_to"] is not None


def test_an_unknown_aim_is_refused_in_one_line(loaded: Run) -> None:
    """An unknown aim is refused, and the error lists the known ones."""
    told = loaded("targets", "add", "answer", "15", "--tenant", "acme")
    assert (told.code, "aim: 'answer' is not one of first_response, next_response, resolution" in told.err) == (1, True)

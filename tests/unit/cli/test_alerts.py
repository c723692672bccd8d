"""`alerts change`: it has the fields of the route, and changes only the given ones."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from hubbub.api.alerts import RuleChange
from hubbub.cli import alerts
from tests.unit.cli.conftest import Run

TENANT = ("--tenant", "acme")
ADDED = (
    "alerts", "add", "threshold", *TENANT, "--name", "Many", "--metric", "messages_received", "--limit", "50", "--by", "channel",
    "--where", "channel=sms", "--quiet", "22:00-07:00", "--json",
)  # fmt: skip
NOT_OF_A_RULE = {"id", "paused", "judged_to", "error", "open_incidents", "created_at", "not_judged"}


def rule(loaded: Run, id_: str) -> dict[str, Any]:
    """Return the fields of a stored rule that its owner wrote."""
    shown: dict[str, Any] = loaded("alerts", "show", id_, *TENANT, "--json").told
    return {name: value for name, value in shown.items() if name not in NOT_OF_A_RULE}


def test_the_command_takes_the_fields_of_the_route() -> None:
    """Each field of PATCH is an option, except `paused`, which has the commands pause and resume."""
    options = set(inspect.signature(alerts.change).parameters) - {"id_", "tenant", "default", "data", "as_json"}
    assert {"destinations" if option == "to" else option for option in options} == set(RuleChange.model_fields) - {
        "paused"
    }


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ((), {}),
        (("--limit", "9"), {"limit": 9.0}),
        (("--name", "Too many", "--grain", "hour"), {"name": "Too many", "grain": "hour"}),
        (("--urgent", "--most", "3"), {"urgent": True, "most": 3}),
        (("--by", "", "--where", ""), {"by": None, "where": {}}),
        (("--quiet", "", "--close-after", "4"), {"quiet": "", "close_after": 4}),
        (("--where", "channel=mail"), {"where": {"channel": ["mail"]}}),
        (("--default", "quiet", "--default", "where", "--most", "3"), {"quiet": "", "where": {}, "most": 3}),
    ],
)
def test_only_given_fields_change(loaded: Run, words: tuple[str, ...], changed: dict[str, Any]) -> None:
    """Given fields get their new values, an empty value clears a field, and all others stay."""
    id_ = loaded(*ADDED).told["id"]
    before = rule(loaded, id_)
    assert loaded("alerts", "change", id_, *TENANT, *words).code == 0
    assert rule(loaded, id_) == before | changed


def test_a_rule_on_waits_is_about_a_limit_or_about_targets(loaded: Run) -> None:
    """A rule on response times watches the longest wait with a limit, and waits past their target without; a change switches."""
    id_ = loaded("alerts", "add", "sla", *TENANT, "--name", "Waits", "--json").told["id"]
    for words, metric, limit in (
        (("--limit", "900000"), "oldest_waiting_ms", 900_000),
        (("--name", "Long waits"), "oldest_waiting_ms", 900_000),
        (("--default", "limit"), "waiting_past_target", 0),
        (("--name", "Waits"), "waiting_past_target", 0),
    ):
        assert loaded("alerts", "change", id_, *TENANT, *words).code == 0
        assert (rule(loaded, id_)["metric"], rule(loaded, id_)["limit"]) == (metric, limit), words


def test_destinations_are_replaced_and_taken_away(loaded: Run) -> None:
    """`--to` replaces all destinations; with an empty value nobody is notified."""
    id_ = loaded(*ADDED).told["id"]
    first, second = (
        loaded("destinations", "add", "mail", *TENANT, "--to", f"{name}@acme.example", "--json").told["id"]
        for name in "ab"
    )
    for words, destinations in ((("--to", first), [first]), (("--to", second), [second]), (("--to", ""), [])):
        assert loaded("alerts", "change", id_, *TENANT, *words, "--json").told["destinations"] == destinations


def test_an_invalid_change_leaves_the_rule(loaded: Run) -> None:
    """An unknown metric, a limit of the wrong kind and another tenant's rule are refused in one line, and the rule stays."""
    id_ = loaded(*ADDED).told["id"]
    before = rule(loaded, id_)
    loaded("tenants", "add", "other")
    for words in (
        ("--metric", "mesages"), ("--quiet", "noon"), ("--direction", "either"), ("--to", "dst_none"),
        ("--default", "limit"), ("--default", "name"), ("--default", "limits"),
    ):  # fmt: skip
        refused = loaded("alerts", "change", id_, *TENANT, *words)
        assert (refused.code > 0, refused.err.count("\n")) == (True, 1), words
    assert loaded("alerts", "change", id_, "--tenant", "other", "--limit", "1").code == 1
    assert rule(loaded, id_) == before


def test_a_replay_shows_the_floors_that_its_kind_has(loaded: Run) -> None:
    """A replay of a rule on waits shows limits as durations and no floors of counts, and "0 incidents" if there are none."""
    waits = loaded("alerts", "try", "sla", *TENANT, "--limit", "3600000")
    assert "0 incidents from" in waits.out and "1 h 30 min" in waits.out
    for word in ("at least", "times", "chance", "nothing to show"):
        assert word not in waits.out
    assert "chance" in loaded("alerts", "try", "change", *TENANT, "--metric", "messages_received").out
    assert loaded("alerts", "try", "sla", *TENANT, "--json").told["metric"] == "waiting_past_target"

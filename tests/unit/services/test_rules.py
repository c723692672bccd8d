"""Rule sets: an import copies a tenant's rules to another tenant, once, and resubscribes nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.app import Engine
from hubbub.errors import BadInputError
from hubbub.model.plain import plain
from hubbub.settings import load

FROM, TO = "hotel", "spa"


@pytest.fixture
def engine(tmp_path: Path, jobs_url: str) -> Iterator[Engine]:
    """Two tenants with a destination of the same name; the first has rules, a digest and targets. Control data is at
    `jobs_url`.
    """
    with Engine(load(tmp_path / "data", free_floor_mb=0, control_url=jobs_url, secret_key="5c" * 32)) as opened:
        for tenant in (FROM, TO):
            opened.add_tenant(tenant)
            opened.destinations.add(tenant, "mail", "marta@aurora.example", "Marta")
        (marta,) = opened.destinations.of(FROM).rows
        limit = {"name": "Many", "kind": "threshold", "metric": "messages", "limit": 50, "where": {"channel": ["chat"]}}
        opened.alerts.add(FROM, {**limit, "destinations": [marta.id], "quiet": "22:00-07:00"})
        late = opened.alerts.add(FROM, {"name": "Late", "kind": "sla"})
        opened.alerts.change(FROM, late.id, {"paused": True})
        opened.subscriptions.add(FROM, marta.id, "daily", at="08:00", sections=["summary"])
        opened.targets.add(FROM, "first_response", 30, priority="High", share=0.9, valid_from="2026-01-01")
        opened.targets.add(FROM, "first_response", 20, priority="High", valid_from="2026-03-01")
        yield opened


def test_an_import_makes_the_same_rules_once(engine: Engine) -> None:
    """After an import both exports are equal; a second import changes nothing and keeps all ids."""
    document = plain(engine.rules.export(FROM))
    first = engine.rules.import_(TO, document)
    assert (first.added, first.changed, first.unchanged) == (5, 0, 0)
    assert plain(engine.rules.export(TO)) == document
    ids = _ids(engine)
    second = engine.rules.import_(TO, json.loads(json.dumps(document)))
    assert (second.added, second.changed, second.unchanged) == (0, 0, 5)
    assert _ids(engine) == ids
    assert engine.rules.import_(FROM, document).unchanged == 5


def _ids(engine: Engine) -> list[str]:
    rows = (engine.alerts.of(TO).rows, engine.subscriptions.of(TO).rows, engine.targets.of(TO).rows)
    return [str(row.id) for some in rows for row in some]


def test_an_export_holds_no_address_and_no_id(engine: Engine) -> None:
    """An export names destinations by kind and name alone, without addresses and ids."""
    (marta,) = engine.destinations.of(FROM).rows
    text = json.dumps(plain(engine.rules.export(FROM)))
    assert '"mail: Marta"' in text
    assert "aurora.example" not in text
    assert marta.id not in text


def test_an_import_changes_differences_and_leaves_other_rules(engine: Engine) -> None:
    """An import changes a different limit, hour and share; rules it does not name stay."""
    document = plain(engine.rules.export(FROM))
    engine.rules.import_(TO, document)
    engine.alerts.add(TO, {"name": "Own", "kind": "sla"})
    document["alerts"][0]["limit"] = 80
    document["subscriptions"][0]["at"] = "09:00"
    document["targets"][1]["share"] = 0.5
    done = engine.rules.import_(TO, document)
    assert (done.added, done.changed, done.unchanged) == (0, 3, 2)
    changed = plain(engine.rules.export(TO))
    assert [rule["name"] for rule in changed["alerts"]] == ["Many", "Late", "Own"]
    assert changed["subscriptions"] == document["subscriptions"]
    assert changed["targets"] == document["targets"]
    assert [rule["limit"] for rule in changed["alerts"]] == [80, 0, 0]


def test_a_stopped_subscription_stays_stopped(engine: Engine) -> None:
    """An import does not restart a stopped subscription."""
    document = plain(engine.rules.export(FROM))
    engine.rules.import_(TO, document)
    (digest,) = engine.subscriptions.of(TO).rows
    engine.subscriptions.stop(TO, digest.id)
    outcomes = {row.kind: row.outcome for row in engine.rules.import_(TO, document).rows}
    assert outcomes == {"target": "unchanged", "alert": "unchanged", "subscription": "stopped"}
    assert [row.state for row in engine.subscriptions.of(TO).rows] == ["stopped"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"alert": []}, "there is no field 'alert'"),
        ({"alerts": [{"name": "x", "kind": "sla", "limt": 1}]}, "alerts, item 1: there is no field 'limt'.*limit"),
        ({"alerts": [{"kind": "sla"}]}, "name"),
        (
            {"alerts": [{"name": "x", "kind": "sla", "destinations": ["mail: Nobody"]}]},
            "no 'mail: Nobody'; add it first",
        ),
        ({"alerts": [{"name": "x", "kind": "sla"}] * 2}, "2 items are 'x'"),
        (
            {"alerts": [{"name": "x", "kind": "threshold", "metric": "mesages", "limit": 1}]},
            "alerts, item 1 \\('x'\\).*messages",
        ),
        ({"subscriptions": [{"destination": "mail: Marta", "kind": "yearly"}]}, "subscriptions, item 1: .*yearly"),
        (
            {"targets": [{"aim": "first_response", "minutes": 0, "valid_from": "2026-01-01"}]},
            "targets, item 1: minutes: 0",
        ),
        ({"targets": [{"aim": "first_response", "minutes": 5, "valid_from": "soon"}]}, "valid_from"),
        ({"targets": "none"}, "targets"),
    ],
)
def test_an_invalid_item_is_refused_with_its_place(engine: Engine, document: dict[str, Any], words: str) -> None:
    """The error names the item and the field, and nothing is stored."""
    before = plain(engine.rules.export(TO))
    with pytest.raises(BadInputError, match=f"(?s){words}"):
        engine.rules.import_(TO, document)
    assert plain(engine.rules.export(TO)) == before


def test_every_invalid_item_is_named_and_none_is_stored(engine: Engine) -> None:
    """Every bad item is named with place and reason, and the good ones beside them are not stored."""
    document = plain(engine.rules.export(FROM))
    document["targets"].append({"aim": "resolution", "minutes": 0, "valid_from": "2026-01-01"})
    document["alerts"].insert(1, {"name": "Odd", "kind": "threshold", "metric": "mesages", "limit": 1})
    document["subscriptions"].append({"destination": "mail: Marta", "kind": "weekly", "at": "25:00"})
    before = plain(engine.rules.export(TO))
    with pytest.raises(BadInputError) as refused:
        engine.rules.import_(TO, document)
    assert refused.value.message.startswith("nothing was imported: targets, item 3: minutes: 0")
    assert "; alerts, item 2 ('Odd'): " in refused.value.message
    assert "; subscriptions, item 2: at: '25:00'" in refused.value.message
    assert (plain(engine.rules.export(TO)), _ids(engine)) == (before, [])
    for part, place in (("targets", 2), ("alerts", 1), ("subscriptions", 1)):
        del document[part][place]
    assert engine.rules.import_(TO, document).added == 5


@pytest.mark.parametrize(
    "limit",
    ["hubbub.control.alerts.MOST_RULES", "hubbub.control.subscriptions.MOST", "hubbub.control.targets.MOST_TARGETS"],
)
def test_a_failing_import_is_undone(engine: Engine, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """An import that exceeds a maximum at its last item is undone, also in cached tenants."""
    document = plain(engine.rules.export(FROM))
    document["subscriptions"].append({"destination": "mail: Marta", "kind": "weekly"})
    monkeypatch.setattr(limit, 1)
    with pytest.raises(BadInputError, match="this tenant has 1"):
        engine.rules.import_(TO, document)
    assert (plain(engine.rules.export(TO)), _ids(engine)) == ({"alerts": [], "subscriptions": [], "targets": []}, [])
    monkeypatch.undo()
    assert engine.rules.import_(TO, document).added == 6


def test_two_destinations_of_one_name_are_refused(engine: Engine) -> None:
    """A destination name with two addresses is refused."""
    engine.destinations.add(TO, "mail", "other@aurora.example", "Marta")
    with pytest.raises(BadInputError, match="2 are called 'mail: Marta'"):
        engine.rules.import_(TO, plain(engine.rules.export(FROM)))


def test_http_carries_a_rule_set(engine: Engine) -> None:
    """The body of GET can be sent with PUT and another tenant's key; without the scope admin it is refused."""
    keys = {tenant: engine.keys.add(tenant, ["read", "admin"]).key for tenant in (FROM, TO)}
    with TestClient(create_app(engine)) as client:
        document = client.get("/v1/rules", headers={"Authorization": f"Bearer {keys[FROM]}"}).json()
        sent = client.put("/v1/rules", json=document, headers={"Authorization": f"Bearer {keys[TO]}"})
        reads = engine.keys.add(TO, ["read"]).key
        refused = client.put("/v1/rules", json=document, headers={"Authorization": f"Bearer {reads}"})
    assert (sent.status_code, sent.json()["added"], refused.status_code) == (200, 5, 403)
    assert plain(engine.rules.export(TO)) == document

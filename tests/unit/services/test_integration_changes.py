"""Changes of an integration's name, settings and secrets: what stays, what is refused, and when new settings apply."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from hubbub.app import Engine
from hubbub.clock import fixed
from hubbub.errors import BadInputError, NotFoundError
from hubbub.ingest.providers import PROVIDERS
from hubbub.settings import load
from tests.unit.ingest.receivers.bodies import delivery, telegram, telegram_message
from tests.unit.ingest.receivers.sending import TOPIC, WHSEC, curve_public

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
GROUP = {"id": -100, "type": "supergroup", "title": "Help"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with the tenants acme and beta."""
    with Engine(load(data=tmp_path / "data", free_floor_mb=0), fixed(NOW)) as made:
        for tenant in ("acme", "beta"):
            made.add_tenant(tenant)
        yield made


def take(engine: Engine, id_: str, number: int) -> None:
    """Receive a message of person 5 in a thread of a group."""
    message = telegram_message(message_id=number, chat=GROUP, message_thread_id=3, **{"from": {"id": 5}})
    engine.receiving.take_trusted(engine.integration_store.get("acme", id_), delivery(telegram(message=message)))


def test_messages_are_read_with_the_current_settings(engine: Engine) -> None:
    """A person named as staff sends from then on; earlier messages stay received."""
    id_ = engine.integrations.add("acme", "telegram", settings={"bot_id": "99"}).id
    take(engine, id_, 1)
    engine.integrations.change("acme", id_, settings={"staff_ids": ["5"]})
    take(engine, id_, 2)
    engine.refresh()
    with engine.store.facts.read() as reading:
        stored = reading.rows("SELECT message_id, type, staff_id FROM event ORDER BY message_id")
    assert [tuple(row) for row in stored] == [
        ("99:-100:1", "message.received", None),
        ("99:-100:2", "message.sent", "5"),
    ]


def test_only_given_settings_change_and_null_removes_one(engine: Engine) -> None:
    """A change affects only the named settings; null, an empty text and an empty list remove one; a name can change alone."""
    made = engine.integrations.add("acme", "telegram", settings={"bot_id": "99", "staff_ids": "5"}, name="Help")
    change = engine.integrations.change
    assert change("acme", made.id, settings={"labels": "yes"}).settings == {
        "bot_id": "99", "staff_ids": ["5"], "labels": "yes",
    }  # fmt: skip
    assert change("acme", made.id, settings={"labels": None, "staff_ids": []}).settings == {"bot_id": "99"}
    renamed = change("acme", made.id, name="Help desk")
    assert (renamed.name, renamed.settings) == ("Help desk", {"bot_id": "99"})
    assert change("acme", made.id, name="").name == "telegram"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"bot_id": "98"}, "settings.bot_id: it stays '99'"), ({"bot_id": None}, "settings.bot_id: telegram needs it"),
        ({"staff": "5"}, "settings.staff: telegram has no such setting"), ({"staff": None}, "has no such setting"),
        ({"labels": "maybe"}, "settings.labels: 'maybe' cannot be used"), ({}, "give a new name, or settings"),
        ({"staff_ids": ["x" * 200] * 1000}, "settings: "),
    ],
)  # fmt: skip
def test_an_invalid_change_is_refused_by_name(engine: Engine, settings: dict[str, object], reason: str) -> None:
    """Another account, missing or unknown settings and unusable values are refused by name, and nothing changes."""
    made = engine.integrations.add("acme", "telegram", settings={"bot_id": "99"})
    with pytest.raises(BadInputError, match=reason):
        engine.integrations.change("acme", made.id, settings=settings)
    after = engine.integrations.get("acme", made.id)
    assert (after.name, after.settings, after.changed_at) == (made.name, made.settings, made.changed_at)


def test_another_tenants_integration_is_not_found(engine: Engine) -> None:
    """Another tenant's integration cannot be changed."""
    id_ = engine.integrations.add("beta", "telegram", settings={"bot_id": "99"}).id
    with pytest.raises(NotFoundError):
        engine.integrations.change("acme", id_, name="mine")


def test_an_earlier_first_day_makes_the_days_before_due(engine: Engine) -> None:
    """An earlier `since` makes earlier days due; the zone of days cannot change."""
    id_ = engine.integrations.add("acme", "facebook_page", "token", settings={"page_id": "7"}).id
    store, ledger = engine.integration_store, engine.coverage._ledger
    with engine.database.read() as con:
        ledger.follow(con)
    assert engine.integrations.get("acme", id_).since == NOW.date()
    assert engine.integrations.change("acme", id_, settings={"since": "2026-08-18"}).since == date(2026, 8, 18)
    with engine.database.read() as con:
        ledger.follow(con)
    due = ledger.due(store.get("acme", id_), NOW, NOW - NOW)
    assert due == [date(2026, 8, 19), date(2026, 8, 18)]
    with pytest.raises(BadInputError, match=r"settings\.zone: it stays 'UTC'"):
        engine.integrations.change("acme", id_, settings={"zone": "Asia/Tokyo"})


def test_a_changed_setting_makes_a_broken_integration_active(engine: Engine) -> None:
    """A changed setting makes a broken integration active; a new name does not."""
    id_ = engine.integrations.add("acme", "twilio", "token", settings={"account_sid": "AC" + "0" * 32}).id
    store = engine.integration_store
    store.broken(store.get("acme", id_), "404", "check base_url")
    assert engine.integrations.change("acme", id_, name="Phones").state == "broken"
    assert engine.integrations.change("acme", id_, settings={"base_url": "http://127.0.0.1:9"}).state == "active"
    with pytest.raises(BadInputError, match=r"settings\.account_sid: it stays"):
        engine.integrations.change("acme", id_, settings={"account_sid": None})


@pytest.mark.parametrize(
    ("provider", "name", "good", "bad"),
    [
        ("sendgrid", "public_key", curve_public(), "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"),
        ("ses", "topic_arn", TOPIC, "arn:aws:s3:::bucket"), ("ses", "topic_arn", TOPIC, TOPIC + ":sub"),
        ("resend", "secret", WHSEC, "whsec_?"), ("standard_webhooks", "secret", WHSEC, "whsec_not-base64"),
    ],
)  # fmt: skip
def test_an_unusable_secret_is_refused(engine: Engine, provider: str, name: str, good: str, bad: str) -> None:
    """A secret that could verify nothing is refused in a new integration and in a rotation, and is not repeated in the error."""
    with pytest.raises(BadInputError, match=f"secrets.{name}: it is not ") as refused:
        engine.integrations.add("acme", provider, secrets={name: bad})
    assert bad not in refused.value.message.replace("arn:aws:sns:...", "")
    made = engine.integrations.add("acme", provider, secrets={name: good})
    with pytest.raises(BadInputError, match=f"secrets.{name}: it is not "):
        engine.integrations.rotate("acme", made.id, secrets={name: bad})


def test_settings_that_name_the_account_are_fixed() -> None:
    """Every required setting of a service is fixed, since it names the account."""
    required = {(one.name, s.name): s.fixed for one in PROVIDERS.values() for s in one.settings if s.required}
    assert required
    assert all(required.values())

"""Promises of all receivers: setup texts, checked secrets, and no crash on any body."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from hubbub.errors import BadInputError, BadRequestError, ForgedError
from hubbub.ingest.providers import PROVIDERS, provider
from hubbub.ingest.receivers.base import Options
from hubbub.ingest.receivers.catalogue import RECEIVERS
from hubbub.model.event import Event, Rejection, record_from
from tests.extent import FUZZ
from tests.unit.ingest.receivers.bodies import comment, delivery, page, talk, telegram, telegram_message

WHOLE: dict[str, list[Any]] = {
    "slack": [
        {"type": "event_callback", "event": {
            "type": "message", "subtype": "message_changed", "channel": "C1", "ts": "1785499200.000100",
            "message": {"ts": "1785499100.0", "user": "U1", "thread_ts": "1785499000.0", "parent_user_id": "U2", "reactions": []},
        }},
        {"event": {"type": "reaction_added", "item": {"type": "message", "channel": "C", "ts": "1785499200.0"}, "user": "U"}},
    ],
    "whatsapp": [{"entry": [{"changes": [{"field": "messages", "value": {
        "metadata": {"phone_number_id": "7", "display_phone_number": "39"}, "contacts": [{"wa_id": "1", "user_id": "B"}],
        "messages": [{"from": "1", "id": "w", "timestamp": "1785499200", "type": "edit", "edit": {"original_message_id": "x"}}],
        "statuses": [{"id": "w", "status": "read", "timestamp": "1785499200", "recipient_id": "1", "errors": [{"code": 1}]}],
    }}]}]}],
    "messenger": [talk({"message": {"mid": "m", "attachments": [{"type": "image"}]}}, {"read": {"watermark": 1785499200000}})],
    "instagram": [talk({"message": {"mid": "m", "is_deleted": True}}, {"reaction": {"mid": "m", "action": "react"}})],
    "facebook_page": [page(comment(), comment(verb="remove"), {"item": "photo", "post_id": "P_1", "from": {"id": "P"}})],
    "telegram": [telegram(message=telegram_message()), telegram(message_reaction={"new_reaction": [{"emoji": "+"}]})],
}  # fmt: skip
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    "",
    "x" * 600,
    "\ud800",
    [],
    {},
    [[]],
    [None, 5, "a"],
    {"a": {"b": []}},
    "9" * 40,
)


def damaged(value: Any, chance: random.Random) -> Any:
    """Return a JSON value with some parts removed, doubled or of another kind."""
    if chance.random() < 0.08:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {name: damaged(one, chance) for name, one in value.items() if chance.random() > 0.05}
    if isinstance(value, list):
        return [damaged(one, chance) for one in value for _ in range(chance.choice((0, 1, 1, 1, 2)))]
    return value


@pytest.mark.parametrize("name", WHOLE)
def test_no_body_breaks_a_receiver(name: str) -> None:
    """Any damaged body is refused as unreadable or read."""
    chance = random.Random(7)
    for _ in range(FUZZ):
        body = damaged(chance.choice(WHOLE[name]), chance)
        try:
            content = json.dumps(body).encode()
            content = content[: chance.randrange(len(content) + 1)] if chance.random() < 0.1 else content
            found = RECEIVERS[name].read(delivery(content), Options("int_1", settings={"bot_id": "9"}))
        except BadRequestError:
            continue
        for event in found.events:
            assert isinstance(record_from(dict(event)), Event | Rejection)
        assert all(isinstance(count, int) and word for word, count in found.ignored.items())


@pytest.mark.parametrize("name", RECEIVERS)
def test_nothing_is_verified_without_a_signature(name: str) -> None:
    """A missing, empty or wrong signature is forged, whatever the body, before anything is parsed."""
    secrets = {one.name: "s" for one in RECEIVERS[name].setup.secrets}
    for headers in ({}, {"x-hub-signature-256": "sha256=0", "x-slack-signature": "v0=0", "x-twilio-signature": "="}):
        for body in (b"", b"{", b"\xff" * 9):
            with pytest.raises(ForgedError):
                RECEIVERS[name].verify(delivery(body, **headers), secrets)


@pytest.mark.parametrize("name", RECEIVERS)
def test_every_setup_names_its_address_and_secrets(name: str) -> None:
    """Each setup names its address and the secrets we make, and documents every secret."""
    setup = RECEIVERS[name].setup
    steps = " ".join(setup.steps)
    assert RECEIVERS[name].provider == name and "{address}" in steps and setup.title
    for secret in setup.secrets:
        assert (f"{{{secret.name}}}" if secret.ours else secret.name) in steps or not secret.ours
        assert len(secret.doc) > 5


def test_secrets_are_checked_by_name() -> None:
    """Unknown and missing secrets are refused by name, our own are generated, and a token alone only fetches."""
    with pytest.raises(BadInputError, match="signing"):
        provider("slack").check_secrets({"signing": "x"}, {})
    with pytest.raises(BadInputError, match="app_secret"):
        provider("whatsapp").check_secrets({}, {})
    given, made = provider("whatsapp").check_secrets({"app_secret": "x"}, {})
    assert given == {"app_secret": "x", **made} and len(made["verify_token"]) == 32
    assert provider("telegram").check_secrets({}, {})[1].keys() == {"secret_token"}
    assert provider("facebook_page").check_secrets({"token": "t"}, {}) == ({"token": "t"}, {})
    for name, setting in {"zendesk": "base_url", "chatwoot": "account_id", "twilio": "account_sid"}.items():
        with pytest.raises(BadInputError, match=f"settings.{setting}: {name} needs it to fetch days"):
            provider(name).check_secrets({"token": "t"}, {})
        assert provider(name).check_secrets({"token": "t"}, {setting: "1"}) == ({"token": "t"}, {})
    assert PROVIDERS["slack"].fetches(("token",)) and not PROVIDERS["slack"].receives(("token",))

"""Delivery: real receivers on loopback get each message once in effect, also after an outage; quiet hours, limits and secrets
hold."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.alerts.notifications import after_quiet
from hubbub.alerts.rules import rule_from
from hubbub.app import Engine
from hubbub.control.outbox import PATIENCE, Draft
from hubbub.errors import BadInputError
from hubbub.model.plain import plain
from hubbub.model.tenant import Tenant
from hubbub.outgoing.webhook import signature
from hubbub.services.destinations import NewDestination
from hubbub.settings import load
from tests.mail_server import mail_server
from tests.services import Call, Reply, Service, service

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Clocked:
    """An engine with a tenant and a clock that a test moves."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        """Open it."""
        self.now = NOW
        self.engine = Engine(load(folder, free_floor_mb=0, **settings), lambda: self.now)
        self.engine.add_tenant("hotel", name="Hotel Aurora")

    def close(self) -> None:
        """Close it."""
        self.engine.close()

    def webhook(self, receiver: Service) -> NewDestination:
        """Add a receiver as a destination."""
        return self.engine.destinations.add("hotel", "webhook", f"{receiver.url}/in")


def opened(folder: Path, receiver: Service) -> closing[Clocked]:
    """Open an engine that may call a receiver on loopback."""
    return closing(Clocked(folder / "data", allow_private_hosts=[receiver.place]))


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks specification gets the signature printed there."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    found = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_arrives_signed_under_its_own_id(tmp_path: Path) -> None:
    """A test message arrives at once, signed with the secret that was shown once; its `webhook-id` is the message's id."""
    with service(lambda _: Reply()) as receiver, opened(tmp_path, receiver) as clocked:
        made = clocked.webhook(receiver)
        sent = clocked.engine.destinations.test("hotel", made.id)
        (call,) = receiver.calls
    key = base64.b64decode(str(made.secret).removeprefix("whsec_"))
    signed = f"{sent.id}.{int(NOW.timestamp())}.".encode() + call.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert (sent.state, call.headers["webhook-id"]) == ("sent", sent.id)
    assert call.headers["webhook-signature"] == f"v1,{expected}"
    assert json.loads(call.body)["data"]["tenant"] == "hotel"


@pytest.mark.parametrize(
    ("away", "state"),
    [(timedelta(hours=7, minutes=20), "sent"), (timedelta(hours=8), "sent"), (timedelta(hours=9), "failed")],
)
def test_a_receiver_that_is_away_gets_each_message_once(tmp_path: Path, away: timedelta, state: str) -> None:
    """A receiver that is down for up to eight hours gets each message once, under one id. After longer outages messages fail with
    the reason, and can be retried by hand."""
    took: list[str] = []

    def answer(call: Call) -> Reply:
        if clocked.now < NOW + away:
            return Reply(status=503)
        took.append(call.headers["webhook-id"])
        return Reply()

    with service(answer) as receiver, opened(tmp_path, receiver) as clocked:
        made = clocked.webhook(receiver)
        first = [clocked.engine.destinations.test("hotel", made.id).id for _ in range(3)]
        while clocked.now < NOW + PATIENCE + timedelta(hours=1):
            clocked.now += timedelta(minutes=5)
            clocked.engine.messages.deliver()
        rows = clocked.engine.messages.of("hotel").rows
        assert {row.state for row in rows} == {state}
        assert sorted(took) == (sorted(first) if state == "sent" else [])
        if state == "failed":
            assert all("503" in row.why for row in rows)
            clocked.engine.messages.retry("hotel", first[0])
            clocked.engine.messages.deliver()
            assert took == [first[0]]
    assert 10 < len(receiver.calls) < 3 * 40


def test_a_message_waits_no_longer_when_the_clock_goes_back(tmp_path: Path) -> None:
    """A failed message is retried after its pause, even if the clock went back 23 hours in between; an untried one keeps its
    scheduled time."""
    back = timedelta(hours=23)
    answers = iter([Reply(status=503), Reply()])
    with service(lambda _: next(answers)) as receiver, opened(tmp_path, receiver) as clocked:
        made = clocked.webhook(receiver)
        sent = clocked.engine.destinations.test("hotel", made.id)
        later = Draft("msg_later", "hotel", made.id, "test", {"title": "Later"}, NOW - back, NOW + timedelta(hours=2))
        clocked.engine.outbox.put(later)
        clocked.now = NOW - back
        clocked.engine.messages.move_back(clocked.now, back)
        clocked.now += timedelta(minutes=1)
        clocked.engine.messages.deliver()
        messages = [clocked.engine.outbox.message(id_) for id_ in (sent.id, later.id)]
        assert [message.state for message in messages] == ["sent", "waiting"]
        assert messages[1].next_try == later.not_before


def test_mail_arrives_and_a_refused_address_gives_the_reason(tmp_path: Path) -> None:
    """A real SMTP server gets one mail with text, HTML and its own id; a mail to a refused address fails with the server's
    reply."""
    with mail_server(refuse="nobody") as (port, came):
        mail = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "hubbub@aurora.example"}
        with closing(Clocked(tmp_path / "data", mail=mail)) as clocked:
            good = clocked.engine.destinations.add("hotel", "mail", "marta@aurora.example")
            bad = clocked.engine.destinations.add("hotel", "mail", "nobody@aurora.example")
            sent = clocked.engine.destinations.test("hotel", good.id)
            refused = clocked.engine.destinations.test("hotel", bad.id)
    (one,) = came
    assert (sent.state, refused.state) == ("sent", "failed")
    assert "550 no such user" in refused.why
    assert one["To"] == "marta@aurora.example"
    assert sent.id in one["Message-ID"]
    assert [part.get_content_type() for part in one.iter_parts()] == ["text/plain", "text/html"]


def test_without_a_mail_server_a_mail_fails_and_says_what_to_do(tmp_path: Path) -> None:
    """Without a mail server the message fails and names the setting to set."""
    with closing(Clocked(tmp_path / "data")) as clocked:
        made = clocked.engine.destinations.add("hotel", "mail", "marta@aurora.example")
        assert "Set mail.host" in clocked.engine.destinations.test("hotel", made.id).why


def test_slack_texts_mention_nobody(tmp_path: Path) -> None:
    """Text from outside is escaped: a tenant's name that looks like a mention of the whole channel is plain text."""
    with service(lambda _: Reply(b"ok")) as receiver, opened(tmp_path, receiver) as clocked:
        clocked.engine.tenants.change("hotel", name="<!channel> & co")
        made = clocked.engine.destinations.add("hotel", "slack", f"{receiver.url}/services/T0/B0/x")
        assert clocked.engine.destinations.test("hotel", made.id).state == "sent"
        assert "&lt;!channel&gt; &amp; co" in receiver.calls[0].told["text"]


@pytest.mark.parametrize(
    ("kind", "to", "words"),
    [
        ("mail", "marta", "mail address"), ("mail", "a@b.example, c@d.example", "mail address"),
        ("mail", "A <a@b.example>", "mail"),
        ("webhook", "http://hooks.example/x", "https"), ("webhook", "ftp://x", "https"), ("slack", "general", "https"),
        ("pager", "x", "one of"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_is_refused(tmp_path: Path, kind: str, to: str, words: str) -> None:
    """Several addresses, display names, plain http and unknown kinds are refused, and the error says what to write."""
    with closing(Clocked(tmp_path / "data")) as clocked, pytest.raises(BadInputError, match=words):
        clocked.engine.destinations.add("hotel", kind, to)


def test_a_private_address_is_never_called_and_secrets_lie_encrypted(tmp_path: Path) -> None:
    """A webhook to a private address is never called; its path and secret are in the database and in lists only encrypted or not at
    all."""
    with service(lambda _: Reply()) as receiver, closing(Clocked(tmp_path / "data")) as clocked:
        made = clocked.engine.destinations.add("hotel", "webhook", f"https://{receiver.place}/secret-path-7f3a")
        found = clocked.engine.destinations.test("hotel", made.id)
        assert (found.state, receiver.calls) == ("waiting", [])
        assert "private network" in found.why
        assert "secret-path" not in json.dumps(plain(clocked.engine.destinations.of("hotel")))
        stored = b"".join(file.read_bytes() for file in (tmp_path / "data").glob("control.db*"))
    assert b"secret-path-7f3a" not in stored
    assert made.secret and made.secret.removeprefix("whsec_").encode() not in stored


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])


@given(ZONES, st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)), st.times(), st.times())  # noqa: DTZ001 - of any zone
def test_quiet_hours_end_where_they_say(zone: str, at: datetime, first: time, last: time) -> None:
    """Outside quiet hours a message goes at once; inside it goes at their end, within a day, unless the rule is urgent."""
    first, last = first.replace(second=0, microsecond=0), last.replace(second=0, microsecond=0)
    if first == last:
        return
    tenant, now = Tenant(1, "a", zone), at.replace(tzinfo=UTC)
    rule = rule_from({"name": "x", "kind": "sla", "limit": 1, "quiet": f"{first:%H:%M}-{last:%H:%M}"})
    local = now.astimezone(tenant.tz).time()
    inside = first <= local < last if first < last else local >= first or local < last
    sent = after_quiet(rule, tenant, now)
    assert after_quiet(replace(rule, urgent=True), tenant, now) == now
    if not inside:
        assert sent == now
    else:
        assert (
            sent.astimezone(tenant.tz).time() == last
            or sent.astimezone(tenant.tz).utcoffset() != now.astimezone(tenant.tz).utcoffset()
        )
        assert now - timedelta(hours=1) <= sent <= now + timedelta(hours=25)


def test_beyond_the_limit_of_a_day_the_rest_is_one_summary(tmp_path: Path) -> None:
    """With a limit of two messages a day the rest is held, the incident says so, and the next day brings one summary."""
    with service(lambda _: Reply()) as receiver, opened(tmp_path, receiver) as clocked:
        made = clocked.webhook(receiver)
        rule = {
            "name": "Many", "kind": "threshold", "metric": "messages", "limit": 2, "grain": "hour", "close_after": 1,
            "destinations": [made.id], "most": 2,
        }  # fmt: skip
        clocked.engine.alerts.add("hotel", rule)
        for hour in range(4):
            at = NOW + timedelta(hours=2 * hour, minutes=5)
            clocked.now = at
            events = [{"type": "message.received", "time": at, "id": f"{hour}-{n}"} for n in range(3)]
            clocked.engine.record("hotel", events)
            clocked.now = NOW + timedelta(hours=2 * hour + 1, minutes=16)
            clocked.engine.judging.judge()
            clocked.engine.messages.deliver()
        states = [row.state for row in clocked.engine.messages.of("hotel").rows]
        assert (states.count("sent"), states.count("held")) == (2, 5)
        newest = clocked.engine.incidents.of("hotel").rows[0]
        entries = clocked.engine.incidents.get("hotel", newest.id).entries
        assert any("was not notified: more than 2 messages" in entry.text for entry in entries)
        clocked.now = NOW + timedelta(days=1)
        clocked.engine.judging.judge()
        clocked.engine.judging.judge()
        clocked.engine.messages.deliver()
    summaries = [call for call in map(_told, receiver.calls) if call["type"] == "incident.summary"]
    assert len(summaries) == 1
    assert len(summaries[0]["data"]["titles"]) == 5


def test_a_message_counts_for_the_day_on_which_it_arrives(tmp_path: Path) -> None:
    """Two messages held by quiet hours until morning count for that morning's day; the rest is the next day's summary."""
    start = NOW.replace(hour=21, minute=16)
    received: dict[str, int] = {}
    with service(lambda _: Reply()) as receiver, opened(tmp_path, receiver) as clocked:
        made = clocked.webhook(receiver)
        rule = {
            "name": "Any", "kind": "threshold", "metric": "messages", "limit": 0, "grain": "hour", "close_after": 1,
            "destinations": [made.id], "most": 2, "quiet": "22:00-07:00",
        }  # fmt: skip
        clocked.engine.alerts.add("hotel", rule)
        for hour in range(48):
            clocked.now = start + timedelta(hours=hour)
            if hour in (0, 15):
                sent = {"type": "message.received", "time": clocked.now, "id": str(hour)}
                clocked.engine.record("hotel", [sent])
            clocked.engine.judging.judge()
            before = len(receiver.calls)
            clocked.engine.messages.deliver()
            day = f"{clocked.now:%d}"
            received[day] = received.get(day, 0) + len(receiver.calls) - before
    kinds = [call["type"] for call in map(_told, receiver.calls)]
    assert kinds == ["incident.opened", "incident.closed", "incident.summary"]
    assert received == {"02": 0, "03": 2, "04": 1}


def test_a_closing_message_waits_for_the_opening_message(tmp_path: Path) -> None:
    """The message of a closing waits while that of its opening is retried; once delivered, both arrive in order."""
    answers = iter([Reply(status=503)] * 3)
    with service(lambda _: next(answers, Reply())) as receiver, opened(tmp_path, receiver) as clocked:
        made = clocked.webhook(receiver)
        rule = {
            "name": "Any", "kind": "threshold", "metric": "messages", "limit": 0, "grain": "hour", "close_after": 1,
            "destinations": [made.id],
        }  # fmt: skip
        clocked.engine.alerts.add("hotel", rule)
        clocked.engine.record("hotel", [{"type": "message.received", "time": NOW, "id": "first"}])
        for minutes in range(76, 196, 2):
            clocked.now = NOW + timedelta(minutes=minutes)
            clocked.engine.judging.judge()
            clocked.engine.messages.deliver()
    kinds = [call["type"] for call in map(_told, receiver.calls)]
    assert kinds == ["incident.opened"] * 4 + ["incident.closed"]


def _told(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call.body)
    return found

"""Webhooks over HTTP: verified, stored once, and without a trace of forged bodies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
import pytest
from structlog.testing import capture_logs

from hubbub.services.integrations import made_for
from tests.unit.api.conftest import NOW, Face

SECRET = "canary-secret-5b1e"
CANARY = "canary words"
STAMP = str(int(NOW.timestamp()))


def slack(body: bytes, secret: str = SECRET, stamp: str = STAMP) -> dict[str, str]:
    """Return the headers of Slack's signature."""
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}


def meta(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """Return the header of Meta's signature."""
    return {"X-Hub-Signature-256": f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"}


def message(ts: str = "1785499200.000100", **fields: Any) -> bytes:
    """Return a Slack message as an event callback."""
    inner = {"type": "message", "channel": "C1", "user": "U1", "ts": ts, "text": CANARY, **fields}
    return json.dumps({"type": "event_callback", "event": inner}).encode()


def whatsapp(*messages: dict[str, Any], **value: Any) -> bytes:
    """Return a body of WhatsApp messages."""
    inner = {"metadata": {"phone_number_id": "7", "display_phone_number": "39055"}, "messages": list(messages), **value}
    change = {"field": "messages", "value": inner}
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}).encode()


def text(id_: str = "wamid.1", at: int = 1785499200, **fields: Any) -> dict[str, Any]:
    """Return a WhatsApp message."""
    return {"from": "39123", "id": id_, "timestamp": str(at), "type": "text", "text": {"body": CANARY}, **fields}


class Hook:
    """An integration of acme, and requests to its address."""

    def __init__(self, face: Face, provider: str, sign: Callable[..., dict[str, str]], **how: Any) -> None:
        self.face, self.sign = face, sign
        self.row = face.engine.integrations.add("acme", provider, **how)
        self.path = f"/v1/hooks/{provider}/{self.row.id}"

    def send(self, body: bytes, **headers: str) -> httpx2.Response:
        """Send a signed body."""
        return self.face.http.post(self.path, content=body, headers={**self.sign(body), **headers})


@pytest.fixture
def hook(face: Face) -> Hook:
    """Connect a Slack workspace that sends its messages."""
    return Hook(face, "slack", slack, secrets={"signing_secret": SECRET})


@pytest.fixture
def phone(face: Face) -> Hook:
    """Connect a WhatsApp number."""
    return Hook(face, "whatsapp", meta, secrets={"app_secret": SECRET, "verify_token": "word"})


def test_a_body_is_stored_once_however_often_it_comes(hook: Hook) -> None:
    """A body is stored once with counts; a retry, and the mention of the same message, are duplicates, and no text is stored."""
    first = hook.send(message())
    assert (first.status_code, first.json()["accepted"], first.json()["ignored"]) == (200, 1, {})
    assert hook.send(message()).json()["duplicates"] == 1
    assert hook.send(message(type="app_mention")).json()["duplicates"] == 1
    stored = hook.face.stored()
    assert [(row["source"], row["id"], row["channel_id"]) for row in stored] == [
        ("slack", "C1:1785499200.000100", "C1")
    ]
    assert CANARY not in json.dumps(stored)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-Slack-Signature": "v0=" + "0" * 64}, "bad_signature"), ({"X-Slack-Signature": ""}, "no_signature"),
        ({"X-Slack-Request-Timestamp": "x"}, "no_signature"), (slack(message(), "other"), "bad_signature"),
        (slack(message(), stamp=str(int(STAMP) - 301)), "old_signature"), ({"X-Slack-Signature": "ü"}, "bad_signature"),
    ],
)  # fmt: skip
def test_a_forged_body_is_401_and_leaves_no_text(hook: Hook, headers: dict[str, str], reason: str) -> None:
    """A forged body is neither stored nor quarantined; a log line and the delivery log have integration and reason, and no text."""
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in (slack(message()) | headers).items()]
    with capture_logs() as logs:
        answer = hook.face.http.post(hook.path, content=message(), headers=encoded)
    assert (answer.status_code, answer.json()["code"]) == (401, "forged")
    engine = hook.face.engine
    assert hook.face.stored() == [] and engine.quarantine.of("acme").rows == []
    forged = [line for line in logs if line["event"] == "forged delivery"]
    assert [(line["integration"], line["reason"]) for line in forged] == [(hook.row.id, reason)]
    noted = engine.monitoring.deliveries("acme").rows
    assert [(row.outcome, row.reason, row.origin, row.accepted) for row in noted] == [("forged", reason, "slack", 0)]
    assert CANARY not in json.dumps([logs, noted, answer.text], default=str)


def test_every_byte_of_a_body_is_signed(hook: Hook, phone: Hook) -> None:
    """A body with one changed byte is 401 for Slack and Meta, and nothing is stored."""
    for one, body in ((hook, message()), (phone, whatsapp(text()))):
        signed = one.sign(body)
        for place in range(len(body)):
            forged = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
            assert one.face.http.post(one.path, content=forged, headers=signed).status_code == 401
    assert hook.face.stored() == []


def test_an_unknown_address_is_404(hook: Hook, face: Face) -> None:
    """An unknown integration, another service's and one that only fetches get the same 404."""
    only = face.engine.integrations.add("acme", "slack", "xoxb-1")
    told = set()
    for path in (
        "/v1/hooks/slack/int_0",
        f"/v1/hooks/twilio/{hook.row.id}",
        f"/v1/hooks/slack/{only.id}",
        "/v1/hooks/x",
    ):
        answer = face.http.post(path, content=message(), headers=slack(message()))
        told.add((answer.status_code, answer.json()["detail"]))
    assert {status for status, _ in told} == {404}
    assert only.address is None


def test_a_paused_integration_takes_nothing_until_it_is_resumed(hook: Hook) -> None:
    """A paused integration answers 503, so that the service retries; a forged body is still 401."""
    hook.face.engine.integrations.pause("acme", hook.row.id)
    answer = hook.send(message())
    assert (answer.status_code, answer.json()["code"]) == (503, "integration_paused")
    assert answer.headers["retry-after"]
    assert hook.face.http.post(hook.path, content=message(), headers=slack(b"other")).status_code == 401
    hook.face.engine.integrations.resume("acme", hook.row.id)
    assert hook.send(message()).json()["accepted"] == 1


def test_challenges_with_the_secret_are_answered(hook: Hook, phone: Hook) -> None:
    """Slack's signed `url_verification` and Meta's verify token are answered; any other GET is refused."""
    asked = json.dumps({"type": "url_verification", "challenge": "c-1"}).encode()
    assert hook.send(asked).text == "c-1"
    assert hook.face.http.get(hook.path).status_code == 404
    params = {"hub.mode": "subscribe", "hub.verify_token": "word", "hub.challenge": "42"}
    answer = phone.face.http.get(phone.path, params=params)
    assert (answer.status_code, answer.text) == (200, "42")
    assert answer.headers["content-type"].startswith("text/plain")
    for wrong in ({"hub.verify_token": "other"}, {"hub.mode": "x"}, {"hub.verify_token": ""}):
        assert phone.face.http.get(phone.path, params=params | wrong).status_code == 401


def test_a_signed_body_that_is_not_json_is_refused_with_a_code(hook: Hook, phone: Hook) -> None:
    """A signed body that is not a JSON object is 400 with a code."""
    for body in (b"", b"[]", b"{", b'{"a": ' + b"[" * 10_000, b"\xff"):
        assert hook.send(body).status_code == 400
        assert phone.send(body).json()["code"] == "bad_request"


def test_an_edit_and_a_deletion_change_the_message_that_is_stored(phone: Hook) -> None:
    """An edit or deletion changes the stored message, which keeps its time and author; it may also come before the message."""
    edit = {
        **text("wamid.2", 1785499300),
        "type": "edit",
        "edit": {"original_message_id": "wamid.1", "message": {"type": "text"}},
    }
    revoke = {**text("wamid.3", 1785499400), "type": "revoke", "revoke": {"original_message_id": "wamid.1"}}
    phone.send(whatsapp(text()))
    sent = phone.face.stored()[0]
    assert phone.send(whatsapp(edit)).json()["corrected"] == 1
    assert phone.send(whatsapp(revoke)).json()["corrected"] == 1
    assert phone.send(whatsapp(revoke)).json()["corrected"] == 0
    (now,) = phone.face.stored()
    assert json.loads(now["attributes"]) == {"form": "text", "edited": True, "deleted": True}
    assert (now["time"], now["contact_id"], now["revision"] > sent["revision"]) == (sent["time"], "39123", True)
    early = {**revoke, "revoke": {"original_message_id": "wamid.9"}}
    assert phone.send(whatsapp(early)).json()["accepted"] == 1
    phone.face.engine.refresh()
    phone.send(whatsapp(text("wamid.9", 1785499000)))
    assert phone.send(whatsapp(early)).json()["corrected"] == 1
    assert {row["id"]: row["time"] for row in phone.face.stored()}["wamid.9"] == 1785499000_000000


def test_texts_are_stored_only_where_the_integration_keeps_them(face: Face) -> None:
    """Texts are encrypted outside of the event, which has a reference; an edit replaces the text, a deletion empties it."""
    phone = Hook(face, "whatsapp", meta, secrets={"app_secret": SECRET}, settings={"keep_text_days": "30"})
    assert made_for(phone.row)["verify_token"]
    phone.send(whatsapp(text()))
    (row,) = face.stored()
    reference = json.loads(row["attributes"])["text_ref"]
    assert CANARY not in json.dumps(row)
    kind = f"text:{phone.row.id}"
    kept = face.engine.payload_store
    assert kept.get("acme", reference, kind)["text"] == CANARY
    assert kept.naming("acme", lambda body: "39123" in body) == [reference]
    inner = {"type": "text", "text": {"body": "better"}}
    phone.send(
        whatsapp(
            {**text("w2", 1785499300), "type": "edit", "edit": {"original_message_id": "wamid.1", "message": inner}}
        )
    )
    assert kept.get("acme", reference, kind)["text"] == "better"
    phone.send(whatsapp(text()))
    assert kept.get("acme", reference, kind)["text"] == "better"
    phone.send(whatsapp({**text("w3", 1785499400), "type": "revoke", "revoke": {"original_message_id": "wamid.1"}}))
    assert kept.get("acme", reference, kind)["text"] == ""
    assert "text_ref" not in json.loads(face.stored()[0]["attributes"])


def test_texts_are_deleted_after_their_days_and_with_their_integration(face: Face) -> None:
    """Texts are deleted after the integration's days, and all of them with the integration; events stay."""
    phones = [
        Hook(face, "whatsapp", meta, secrets={"app_secret": SECRET}, settings={"keep_text_days": days})
        for days in ("1", "900")
    ]
    for n, phone in enumerate(phones):
        phone.send(whatsapp(text(f"wamid.{n}")))
    kept = face.engine.payload_store
    face.engine.fetching._clock = face.engine.integrations._clock = lambda: datetime.now(UTC) + timedelta(days=2)
    assert face.engine.fetching.forget_texts() == 1
    assert len(kept.naming("acme", lambda _: True)) == 1
    face.engine.integrations.remove("acme", phones[1].row.id)
    assert kept.naming("acme", lambda _: True) == []
    assert len(face.stored()) == 2


def test_a_read_watermark_is_a_receipt_of_each_earlier_message(face: Face) -> None:
    """A watermark of Messenger is one read receipt for each message of the conversation sent until then."""
    talk = Hook(face, "messenger", meta, secrets={"app_secret": SECRET})

    def body(**what: Any) -> bytes:
        one = {"sender": {"id": "P"}, "recipient": {"id": "U"}, "timestamp": 1785499200000, **what}
        return json.dumps({"object": "page", "entry": [{"id": "P", "messaging": [one]}]}).encode()

    for n, at in enumerate((1785499200000, 1785499201000, 1785499209000)):
        talk.send(body(timestamp=at, message={"mid": f"m{n}", "is_echo": True}))
    seen = body(sender={"id": "U"}, recipient={"id": "P"}, timestamp=1785499205000, read={"watermark": 1785499202000})
    assert talk.send(seen).json()["accepted"] == 2
    assert talk.send(seen).json()["duplicates"] == 2
    assert [row["message_id"] for row in face.stored() if row["type"] == "message.read"] == ["m0", "m1"]


def test_ignored_bodies_are_named_in_the_answer(face: Face) -> None:
    """The answer names a signed body without content, and a receipt of messages that are not stored."""
    talk = Hook(face, "messenger", meta, secrets={"app_secret": SECRET})
    error = {"error": {"message": "Error validating access token", "code": 190}}
    assert talk.send(json.dumps(error).encode()).json()["ignored"] == {"a body without content": 1}
    seen = {
        "sender": {"id": "U"},
        "recipient": {"id": "P"},
        "timestamp": 1785499205000,
        "read": {"watermark": 1785499202000},
    }
    answer = talk.send(json.dumps({"object": "page", "entry": [{"id": "P", "messaging": [seen]}]}).encode()).json()
    assert (answer["accepted"], answer["ignored"]) == (0, {"message.read without a stored message": 1})


def test_twilio_gets_an_empty_answer_and_the_log_has_the_counts(face: Face) -> None:
    """Twilio gets an empty answer, since it would forward a body; the log counts what was ignored, without texts."""
    url = "http://testserver/v1/hooks/twilio/"

    def sign(body: bytes) -> dict[str, str]:
        signed = f"{url}{twilio.row.id}" + "".join(f"{n}{v}" for n, v in sorted(parse_qsl(body.decode())))
        digest = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha1).digest()
        return {
            "X-Twilio-Signature": base64.b64encode(digest).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }

    twilio = Hook(face, "twilio", sign, secrets={"auth_token": SECRET})
    with capture_logs() as logs:
        assert (
            twilio.send(urlencode({"CallSid": "CA1", "CallStatus": "ringing", "Note": CANARY}).encode()).status_code
            == 204
        )
    (line,) = [line for line in logs if line["event"] == "ignored"]
    assert (line["integration"], sum(line["ignored"].values())) == (twilio.row.id, 1) and CANARY not in str(line)


def test_a_reply_makes_its_root_the_question_of_a_conversation(hook: Hook) -> None:
    """A reply puts its root into the same conversation, whichever comes first; a late root's text is read."""
    hook.send(message())
    reply = {"thread_ts": "1785499200.000100", "parent_user_id": "U1", "user": "U2"}
    hook.send(message("1785499260.000100", **reply))
    rows = {row["id"]: row for row in hook.face.stored()}
    assert {row["conversation_id"] for row in rows.values()} == {"C1:1785499200.000100"}
    assert [row["type"] for row in rows.values()] == ["message.received", "message.sent"]
    assert rows["C1:1785499260.000100"]["staff_id"] == "U2"
    hook.send(message("1785499360.000100", **{**reply, "thread_ts": "1785499300.000100"}))
    hook.send(message("1785499300.000100"))
    rows = {row["id"]: row for row in hook.face.stored()}
    assert rows["C1:1785499300.000100"]["conversation_id"] == "C1:1785499300.000100"
    assert rows["C1:1785499300.000100"]["contact_id"] == "U1"
    for ts, question in (("1785499400.000100", True), ("1785499500.000100", False)):
        hook.send(message(str(float(ts) + 60), **{**reply, "thread_ts": ts}))
        for _ in range(2):
            hook.send(message(ts, text="When do you open?" if question else "We are open."))
        root = next(row for row in hook.face.stored() if row["id"] == f"C1:{ts}")
        assert (root["asks"], root["conversation_id"]) == (question, f"C1:{ts}")


def test_a_minute_that_slack_omitted_is_a_gap(hook: Hook) -> None:
    """A minute lost by Slack's rate limit is one gap of one minute, and queries over it are incomplete."""
    lost = json.dumps({"type": "app_rate_limited", "minute_rate_limited": int(STAMP) - 600}).encode()
    for _ in range(2):
        assert hook.send(lost).json()["ignored"] == {"app_rate_limited": 1}
    (gap,) = hook.face.engine.ledger.gaps("acme", NOW)
    assert (gap.integration, gap.reason, gap.end - gap.start) == (hook.row.id, "rate_limited", timedelta(minutes=1))
    assert gap.start == NOW - timedelta(minutes=10)
    answer = hook.face.ask(**{"from": "2026-08-20", "to": "2026-08-21"}).json()
    assert answer["freshness"]["complete"] is False


@pytest.mark.parametrize("minute", [60, 4_000_000_000, None])
def test_a_notice_with_an_impossible_minute_means_the_minute_before_it(hook: Hook, minute: int | None) -> None:
    """A notice with an impossible minute, or without one, makes a gap of the minute before the notice."""
    assert (
        hook.send(json.dumps({"type": "app_rate_limited", "minute_rate_limited": minute}).encode()).status_code == 200
    )
    (gap,) = hook.face.engine.ledger.gaps("acme", NOW)
    assert (gap.start, gap.end) == (NOW - timedelta(minutes=1), NOW)


def test_twilio_signs_the_address_and_the_form(tmp_path_factory: pytest.TempPathFactory, face: Face) -> None:
    """Twilio signs address and sorted fields, with or without the port; the answer is empty, and another host is 401."""

    def sign(url: str, fields: dict[str, str]) -> str:
        signed = url + "".join(name + value for name, value in sorted(fields.items()))
        return base64.b64encode(hmac.new(SECRET.encode(), signed.encode(), hashlib.sha1).digest()).decode()

    row = face.engine.integrations.add("acme", "twilio", secrets={"auth_token": SECRET})
    path = f"/v1/hooks/twilio/{row.id}"
    fields = {
        "MessageSid": "SM1",
        "From": "whatsapp:+39123",
        "To": "whatsapp:+39055",
        "SmsStatus": "received",
        "Body": "",
    }
    for url, status in (
        (f"http://testserver{path}", 204),
        (f"http://testserver:80{path}", 204),
        (f"https://other{path}", 401),
    ):
        answer = face.http.post(path, data=fields, headers={"X-Twilio-Signature": sign(url, fields)})
        assert (answer.status_code, answer.content == b"") == (status, status == 204)
    (stored,) = face.stored()
    assert (stored["channel"], stored["contact_id"], stored["account_id"]) == ("whatsapp", "+39123", "+39055")


def test_the_setup_turns_green_with_the_first_body(hook: Hook) -> None:
    """A setup is waiting, then refused with a reason, then received after a good body; it names address, steps and scopes."""
    engine, id_ = hook.face.engine, hook.row.id
    found = engine.integrations.setup("acme", id_)
    assert (found.state, found.received_at) == ("waiting", None)
    assert found.address and found.address.endswith(hook.path) and found.address in " ".join(found.steps)
    assert "channels:history" in found.scopes
    hook.face.http.post(hook.path, content=message(), headers=slack(b"other"))
    assert engine.integrations.setup("acme", id_).state == "refused"
    assert "secret" in engine.integrations.setup("acme", id_).reason
    hook.send(message())
    found = engine.integrations.setup("acme", id_)
    assert found.state == "received" and found.received_at

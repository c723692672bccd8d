"""Received mails: their conversation, their author, and the same event by every service."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.errors import BadRequestError
from hubbub.ingest.receivers.base import Delivery, Options, Received
from hubbub.ingest.receivers.mail import parse, received
from tests.unit.ingest.receivers.sending import mailgun_signed, services, sns

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OPTIONS = Options(
    "int_1", staff_ids=frozenset({"ada@example.com"}), own_ids=frozenset({"support@example.com"}), keep_text=True
)
SERVICES = services()


def written(**headers: str) -> EmailMessage:
    """Return a contact's mail with other headers."""
    mail = EmailMessage()
    given = {
        "From": "Noor Haddad <Noor@Example.org>", "To": "Support <support@example.com>", "Subject": "Pool",
        "Date": "Mon, 01 Jun 2026 10:00:00 +0200", "Message-ID": "<2@example.org>", **headers,
    }  # fmt: skip
    for name, value in given.items():
        if value:
            mail[name.replace("_", "-")] = value
    mail.set_content("Is the pool open?\n")
    return mail


def meaning(mail: EmailMessage, options: Options = OPTIONS) -> Received:
    """Return what is received from a mail."""
    return received(parse(mail.as_bytes()), options, NOW)


def test_a_mail_of_a_contact() -> None:
    """A mail is a message from its sender's address, in its own conversation."""
    found = meaning(written())
    assert [dict(event) for event in found.events] == [{
        "type": "message.received", "id": "<2@example.org>", "message_id": "<2@example.org>", "conversation_id": "<2@example.org>",
        "contact_id": "noor@example.org", "account_id": "support@example.com", "channel": "email",
        "time": datetime(2026, 6, 1, 8, tzinfo=UTC), "attributes": {"text": "Is the pool open?\n"},
    }]  # fmt: skip
    assert [(name.kind, name.id, name.name) for name in found.names] == [("contact", "noor@example.org", "Noor Haddad")]


@pytest.mark.parametrize(
    ("headers", "conversation"),
    [
        ({"References": "<0@x> <1@x>", "In_Reply_To": "<1@x>"}, "<0@x>"), ({"In_Reply_To": "<1@x>"}, "<1@x>"),
        ({"In_Reply_To": "Your mail of Monday"}, "<2@example.org>"), ({"References": "<0@x>\r\n <1@x>"}, "<0@x>"),
        ({}, "<2@example.org>"),
    ],
)  # fmt: skip
def test_the_conversation_is_the_first_mail(headers: dict[str, str], conversation: str) -> None:
    """The conversation comes from References, else In-Reply-To, else the mail itself, also from folded headers."""
    text = written().as_bytes() if not headers else b""
    if headers:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        text = lines.encode() + written().as_bytes()
    assert received(parse(text), OPTIONS, NOW).events[0]["conversation_id"] == conversation


def test_a_mail_from_staff_is_a_reply() -> None:
    """A mail from staff is a reply to the contact; one from a shared address is a reply without staff."""
    answer = written(
        From="Ada <ada@example.com>", To="support@example.com, Noor <noor@example.org>", In_Reply_To="<1@x>"
    )
    found = meaning(answer)
    event = found.events[0]
    assert (event["type"], event["staff_id"], event["contact_id"]) == (
        "message.sent",
        "ada@example.com",
        "noor@example.org",
    )
    assert {(name.kind, name.id) for name in found.names} == {
        ("staff", "ada@example.com"),
        ("contact", "noor@example.org"),
    }
    shared = meaning(written(From="support+tag@example.com", To="noor@example.org")).events[0]
    assert (shared["type"], shared.get("staff_id"), shared["account_id"]) == (
        "message.sent",
        None,
        "support@example.com",
    )


def test_staff_may_be_a_whole_domain() -> None:
    """`@example.com` as staff covers everybody at that domain, but not at a longer one with the same ending."""
    options = replace(OPTIONS, staff_ids=frozenset({"@example.com"}))
    assert (
        meaning(written(From="eva@example.com", To="noor@example.org"), options).events[0]["staff_id"]
        == "eva@example.com"
    )
    assert meaning(written(From="eva@notexample.com"), options).events[0]["type"] == "message.received"


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"Auto_Submitted": "auto-replied"}, "auto"), ({"X_Autoreply": "yes"}, "auto"), ({"Precedence": "auto_reply"}, "auto"),
        ({"Auto_Submitted": "auto-generated"}, "bot"), ({"Precedence": "bulk"}, "bot"), ({"List_Unsubscribe": "<mailto:x>"}, "bot"),
        ({"Auto_Submitted": "no"}, None), ({"Return_Path": "<>"}, "system"), ({"From": "MAILER-DAEMON@example.org"}, "system"),
    ],
)  # fmt: skip
def test_headers_tell_a_programs_mail(headers: dict[str, str], kind: str | None) -> None:
    """Headers tell a program's mail from a person's."""
    assert meaning(written(**headers)).events[0].get("kind") == kind


def test_headers_in_any_encoding_are_decoded() -> None:
    """An encoded name, or one in raw UTF-8 or Windows-1252 bytes, is decoded."""
    encoded, plain = b"=?utf-8?q?J=C3=BCrgen?=", "Jürgen".encode()
    for name, expected in (
        (encoded, "Jürgen"),
        (plain, "Jürgen"),
        (b"J\xfcrgen", "Jürgen"),
        (b"J\x81", "J\N{REPLACEMENT CHARACTER}"),
    ):
        raw = b"From: " + name + b" <j@example.org>\r\nMessage-ID: <1@example.org>\r\n\r\nx"
        assert [one.name for one in received(parse(raw), OPTIONS, NOW).names] == [expected]


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 01 Jun 2099 10:00:00 +0000", "Mon, 32 Foo 2026", "0"])
def test_an_unusable_date_is_replaced_by_the_time_of_receipt(date: str) -> None:
    """An unreadable date, or one in the future, is replaced by the time of receipt."""
    assert meaning(written(Date=date)).events[0]["time"] == NOW


def test_a_report_on_a_mail_that_was_not_delivered() -> None:
    """A delivery status notification fails the mail it names, and is itself a system message."""
    raw = b"""From: MAILER-DAEMON@mx.example.org\r
To: support@example.com\r
Message-ID: <9@mx.example.org>\r
Date: Mon, 01 Jun 2026 08:30:00 +0000\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
It could not be delivered.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example.org\r
\r
Final-Recipient: rfc822; noor@example.org\r
Action: failed\r
Status: 5.1.1\r
\r
--b\r
Content-Type: text/rfc822-headers\r
\r
Message-ID: <7@example.com>\r
Subject: Pool\r
\r
--b--\r
"""
    events = received(parse(raw), OPTIONS, NOW).events
    assert [(e["type"], e.get("kind"), e["message_id"]) for e in events] == [
        ("message.received", "system", "<9@mx.example.org>"), ("message.failed", None, "<7@example.com>"),
    ]  # fmt: skip
    delayed = raw.replace(b"Action: failed", b"Action: delayed")
    assert [e["type"] for e in received(parse(delayed), OPTIONS, NOW).events] == ["message.received"]


def multipart(fields: dict[str, str]) -> tuple[bytes, str]:
    """Return a form as `multipart/form-data`, and its content type."""
    parts = "".join(f'--xYz\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items())
    file = '--xYz\r\nContent-Disposition: form-data; name="a1"; filename="p.txt"\r\n\r\nfrom: evil@example.org\r\n'
    return f"{parts}{file}--xYz--\r\n".encode(), 'multipart/form-data; boundary="xYz"'


def ways(mail: EmailMessage) -> dict[str, Delivery]:
    """Return the same mail as each service sends it."""
    raw = mail.as_string().replace("\n", "\r\n").replace("\r\r\n", "\r\n")
    head, _, text = raw.partition("\r\n\r\n")
    pairs = [(name, " ".join(str(value).split())) for name, value in mail.items()]
    listed = [{"name": name, "value": value} for name, value in pairs]
    ses = {
        "notificationType": "Received",
        "mail": {"messageId": "ses1", "destination": ["support@example.com"], "headers": listed},
    }
    whole = {**ses, "content": raw, "receipt": {"recipients": ["support@example.com"]}}
    packed = {
        **whole,
        "content": base64.b64encode(raw.encode()).decode(),
        "receipt": {"action": {"encoding": "BASE64"}},
    }
    envelope = json.dumps({"to": ["support@example.com"], "from": "bounce@example.org"})
    mailgun = {
        "recipient": "support@example.com",
        "message-headers": json.dumps(pairs),
        "body-plain": text,
        **mailgun_signed(NOW),
    }
    postmark = {
        "FromFull": {"Email": "Noor@Example.org", "Name": "Noor Haddad"}, "To": mail["To"], "Date": mail["Date"], "TextBody": text,
        "OriginalRecipient": "support+hash@example.com", "MessageID": "pm1", "Headers": [{"Name": n, "Value": v} for n, v in pairs],
    }  # fmt: skip
    bodies: dict[str, tuple[bytes, str]] = {
        "mime": (raw.encode(), "message/rfc822"),
        "ses headers": (sns(json.dumps(ses)), "text/plain"),
        "ses whole": (sns(json.dumps(whole)), "text/plain"),
        "ses base64": (sns(json.dumps(packed)), "text/plain"),
        "postmark": (json.dumps(postmark).encode(), "application/json"),
        "sendgrid": multipart({"headers": head, "text": text, "envelope": envelope}),
        "sendgrid raw": multipart({"email": raw, "envelope": envelope}),
        "mailgun": multipart(mailgun),
        "mailgun urlencoded": (urlencode(mailgun).encode(), "application/x-www-form-urlencoded"),
        "mailgun mime": multipart({"recipient": "support@example.com", "body-mime": raw, **mailgun_signed(NOW)}),
    }
    return {
        way: Delivery("POST", "https://hub.example/", {}, {"content-type": kind}, body, NOW)
        for way, (body, kind) in bodies.items()
    }


@pytest.mark.parametrize("way", sorted(ways(written())))
def test_a_mail_is_the_same_by_any_way(way: str) -> None:
    """A mail gives the same event whichever service forwards it, so that it counts once."""
    mail = written(References="<0@x> <1@x>", In_Reply_To="<1@x>")
    expected = received(parse(mail.as_bytes()), replace(OPTIONS, keep_text=False), NOW)
    found = SERVICES[way.split()[0]].receiver.read(ways(mail)[way], replace(OPTIONS, keep_text=False))
    assert [dict(event) for event in found.events] == [dict(event) for event in expected.events]
    assert list(found.names) == list(expected.names)


@pytest.mark.parametrize("way", sorted(way for way in ways(written()) if way != "ses headers"))
def test_the_text_is_kept_if_the_integration_keeps_texts(way: str) -> None:
    """The plain text is kept if the integration keeps texts."""
    found = SERVICES[way.split()[0]].receiver.read(ways(written())[way], OPTIONS)
    assert str(found.events[0]["attributes"]).count("Is the pool open?") == 1


@pytest.mark.parametrize("body", [b"", b"hello", b"\x00\xff" * 50, b"Subject: no sender\r\n\r\nx"])
def test_a_body_that_is_no_mail_is_refused(body: bytes) -> None:
    """A body that is no mail is refused."""
    delivery = Delivery("POST", "https://hub.example/", {}, {}, body, NOW)
    with pytest.raises(BadRequestError):
        SERVICES["mime"].receiver.read(delivery, OPTIONS)


@settings(max_examples=40, deadline=None)
@given(depth=st.integers(1, 8), order=st.permutations(range(8)), cut=st.booleans())
def test_a_thread_is_one_conversation_in_any_order(depth: int, order: list[int], cut: bool) -> None:
    """All mails of a thread are one conversation, in any order and with shortened References."""
    ids = [f"<{n}@example.org>" for n in range(depth)]
    found = set()
    for n in (n for n in order if n < depth):
        named = (
            ids[:n] if not cut or n < 3 else [ids[0], *ids[n - 2 : n]]
        )  # RFC 5322 lets clients keep the first and the last
        mail = written(**{"Message-ID": ids[n], "References": " ".join(named), "In_Reply_To": ids[n - 1] if n else ""})
        found.add(received(parse(mail.as_bytes()), OPTIONS, NOW + timedelta(minutes=n)).events[0]["conversation_id"])
    assert found == {ids[0]}

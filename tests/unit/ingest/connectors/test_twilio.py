"""Twilio's API gives a day's messages and receipts with the ids of its webhooks."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import Notes
from hubbub.ingest.connectors.twilio import TwilioAccount
from hubbub.ingest.receivers.base import Delivery, Options, with_source
from hubbub.ingest.receivers.twilio import Twilio
from hubbub.outgoing.http import Outgoing
from tests.platforms import TOKEN
from tests.services import Call, Reply, in_turn, service
from tests.unit.ingest.connectors.conftest import DAY, HOUR, NOON, fetched, integration

SID = "AC" + "a" * 32
OURS, THEIRS = "+390600000", "+390611111"


def message(
    sid: str, sent: int | None, status: str = "received", changed: int | None = None, **more: Any
) -> dict[str, Any]:
    """Return a message as Twilio's published examples show it; times in seconds since 1970."""
    inbound = status == "received"
    at = {"sent": sent, "created": sent, "updated": changed or sent}
    return {
        **{f"date_{name}": when and format_datetime(datetime.fromtimestamp(when, UTC)) for name, when in at.items()},
        "account_sid": SID, "api_version": "2010-04-01", "body": "words", "direction": "inbound" if inbound else "outbound-api",
        "error_code": None, "error_message": None, "from": THEIRS if inbound else OURS, "to": OURS if inbound else THEIRS,
        "messaging_service_sid": None, "num_media": "0", "num_segments": "1", "sid": sid, "status": status, **more,
    }  # fmt: skip


def on_whatsapp(one: dict[str, Any]) -> dict[str, Any]:
    """Return a message as a WhatsApp message."""
    return {**one, "from": f"whatsapp:{one['from']}", "to": f"whatsapp:{one['to']}"}


@dataclass
class Numbers:
    """A Twilio account: its messages, newest first, in pages."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    page: int = 2

    def __call__(self, call: Call) -> Reply:
        """Answer a call."""
        if call.headers.get("authorization") != "Basic " + b64encode(f"{SID}:{TOKEN}".encode()).decode():
            return Reply({"code": 20003, "message": "Authenticate", "status": 401}, 401)
        assert call.path == f"/2010-04-01/Accounts/{SID}/Messages.json"
        assert call.query["DateSent>"] < call.query["DateSent<"]
        start = int(call.query.get("PageToken", "PA0")[2:])
        after = {**call.query, "Page": "1", "PageToken": f"PA{start + self.page}"}
        more = f"{call.path}?{urlencode(after)}" if start + self.page < len(self.messages) else None
        return Reply({"messages": self.messages[start : start + self.page], "next_page_uri": more, "page_size": 1000})


def account(url: str, **settings: Any) -> Any:
    """Return an integration with the account."""
    return integration("twilio", url, account_sid=SID, **settings)


def form(one: dict[str, Any], status: str) -> dict[str, Any]:
    """Return the event that the webhook of this message gives."""
    sent = {"MessageSid": one["sid"], "From": one["from"], "To": one["to"], "Body": one["body"], "NumMedia": "0"}
    body = urlencode({**sent, "SmsStatus" if status == "received" else "MessageStatus": status}).encode()
    (event,) = Twilio().read(Delivery("POST", "", {}, {}, body, datetime.now(UTC)), Options("int_1")).events
    return with_source("twilio", event)


def test_a_fetched_day_gives_the_events_of_its_webhooks(out: Outgoing) -> None:
    """Messages and receipts of a day, also receipts of the day before's message, equal the webhooks' events. Only the
    time differs, which a form lacks.
    """
    numbers = Numbers([
        message("SM1", NOON), message("SM2", NOON + 5, "delivered", NOON + 9), message("SM3", NOON, "undelivered", NOON + 60),
        message("SM4", NOON - 20 * HOUR, "read", NOON - 2 * HOUR), message("SM5", NOON + 14 * HOUR),
        on_whatsapp(message("SM6", NOON, "sent")), message("SM7", None, "queued"),
    ])  # fmt: skip
    with service(numbers) as there:
        events = {event.id: event for event in fetched(TwilioAccount(out), account(there.url))}
        bounds = {(call.query["DateSent>"], call.query["DateSent<"]) for call in there.calls}
    assert bounds == {("2026-07-31", "2026-08-02")}
    by_status = {
        "SM1": "received", "SM2:sent": "sent", "SM2:delivered": "delivered", "SM3:sent": "sent", "SM3:undelivered": "undelivered",
        "SM4:read": "read", "SM6:sent": "sent",
    }  # fmt: skip
    assert set(events) == set(by_status)
    messages = {one["sid"]: one for one in numbers.messages}
    for id_, status in by_status.items():
        webhook = form(messages[id_[:3]], status)
        assert {name: getattr(events[id_], name) for name in webhook if name != "time"} == {
            name: value for name, value in webhook.items() if name != "time"
        }
    assert events["SM2:delivered"].time == datetime.fromtimestamp(NOON + 9, UTC)
    assert (events["SM6:sent"].channel, events["SM6:sent"].contact_id) == ("whatsapp", THEIRS)


def test_texts_are_read_only_for_labels(out: Outgoing) -> None:
    """Without labels no text leaves the connector."""
    with service(Numbers([message("SM1", NOON)])) as there:
        (plain,) = fetched(TwilioAccount(out), account(there.url))
        (labelled,) = fetched(TwilioAccount(out), account(there.url, labels="yes"))
    assert b"words" not in bytes(plain.attributes) and b"words" in bytes(labelled.attributes)


def test_an_interrupted_fetch_resumes_at_its_page(out: Outgoing) -> None:
    """A resumed fetch begins with the next page and reads no earlier one."""
    numbers = Numbers([message(f"SM{n}", NOON + n) for n in range(5)])
    with service(numbers) as there:
        notes = Notes()
        pages = TwilioAccount(out).fetch(account(there.url), TOKEN, DAY, notes)
        next(pages), next(pages)
        again = Notes(place=notes.place)
        rest = [
            getattr(item, "id", "")
            for batch in TwilioAccount(out).fetch(account(there.url), TOKEN, DAY, again)
            for item in batch
        ]
    assert rest == ["SM2", "SM3", "SM4"]


def test_short_pauses_are_waited_for_and_long_ones_end_the_attempt(out: Outgoing) -> None:
    """Short Retry-After pauses are waited for; a long one ends the attempt with `retry_after`."""
    numbers = Numbers([message("SM1", NOON)])
    busy = [Reply({}, 429, {"Retry-After": "2"})] * 2
    pauses: list[float] = []
    with service(lambda call: busy.pop() if busy else numbers(call)) as there:
        connector = TwilioAccount(out, pauses.append)
        assert [event.id for event in fetched(connector, account(there.url))] == ["SM1"]
        assert pauses == [2.0, 2.0]
        busy.append(Reply({}, 429, {"Retry-After": "1000"}))
        with pytest.raises(UpstreamUnavailableError) as caught:
            fetched(connector, account(there.url))
    assert caught.value.retry_after == 1000.0


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"code": 20003}, 401), UpstreamRefusedError), (Reply(b"", 502), UpstreamUnavailableError),
        (Reply(b"<html>", 200), UpstreamUnavailableError), (Reply([], 200), UpstreamUnavailableError),
        (Reply({"page": 0}), UpstreamUnavailableError), (Reply(b'{"messages": [{"sid"', 200), UpstreamUnavailableError),
        (Reply({"messages": [], "next_page_uri": "/?Page=1"}), UpstreamUnavailableError),
    ],
)  # fmt: skip
def test_unusable_answers_of_twilio_raise_the_right_error(out: Outgoing, reply: Reply, error: type[Exception]) -> None:
    """Refusals, truncated answers, pages without messages and repeated pages raise the right error, without the token."""
    with service(in_turn(reply)) as there, pytest.raises(error) as caught:
        fetched(TwilioAccount(out), account(there.url))
    assert TOKEN not in str(caught.value)


def test_a_missing_account_is_refused_by_its_setting(out: Outgoing) -> None:
    """Fetching days of an integration that only receives is refused, with the setting that is missing."""
    with pytest.raises(UpstreamRefusedError, match="account_sid"):
        fetched(TwilioAccount(out), integration("twilio", "http://127.0.0.1:9"))

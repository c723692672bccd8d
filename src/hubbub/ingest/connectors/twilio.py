"""Twilio through its list of messages: those of a day, with the same ids as its webhooks.

- Twilio sends each webhook once, so days are fetched as well: messages by the day they were sent on, 1,000 a page. Messages of the
  day before are listed too, because their status may have changed on this day.
- The list gives only the last status of a sent message, with the time of its last change. So a read message whose delivery webhook
  was lost has no receipt of delivery. The list leaves out messages that were never sent, so their lost failures stay lost.
- Texts are read only for labels, and not stored.
- Not verified against the service: written from its published answers.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from hubbub.control.integrations import Integration
from hubbub.ingest.connectors.api import ApiConnector, listed, next_params
from hubbub.ingest.connectors.base import Batch, Notes
from hubbub.ingest.receivers.base import Options, Received
from hubbub.ingest.receivers.fields import Fields
from hubbub.ingest.receivers.twilio import RECEIPTS, event_of
from hubbub.ingest.setting import BASE_URL, LABELS, SINCE, ZONE, Setting
from hubbub.model.coverage import Day

PAGE = 1000
DAY = timedelta(days=1)
SET_SID = "Set account_sid: the Account SID in the Twilio console, which begins with AC"


class TwilioAccount(ApiConnector):
    """An account of Twilio. Its secret is the Auth Token, or an API key and its secret with a colon between them."""

    provider = "twilio"
    token = "the Auth Token once more, or KEY:SECRET of an API key that may read messages, to fetch days with"
    needs = "account_sid"
    subjects = frozenset({"message"})
    settings = (
        Setting("account_sid", "SID of the account, to fetch days of it", r"AC[0-9a-f]{32}", fixed=True),
        ZONE,
        SINCE,
        LABELS,
        Setting("base_url", "address of Twilio's API", BASE_URL, default="https://api.twilio.com"),
    )

    def fetch(self, integration: Integration, secret: str, day: Day, notes: Notes) -> Iterator[Batch]:
        """Yield the day's messages and changes of status, newest first."""
        sid = self.needed(integration, self.needs, SET_SID)
        user = secret if ":" in secret else f"{sid}:{secret}"
        api = self.api(integration, notes, {"Authorization": f"Basic {b64encode(user.encode()).decode()}"})
        options = self.options(integration)
        first, last = (day.start - DAY).date().isoformat(), day.end.date().isoformat()
        params = notes.place or {"DateSent>": first, "DateSent<": last, "PageSize": PAGE}
        while params is not None:
            page = api.get(f"/2010-04-01/Accounts/{sid}/Messages.json", params)
            yield self.batch(_received(message, day, options) for message in listed(page, "messages"))
            params = next_params(page.text("next_page_uri"), params, "Page", "PageToken")
            notes.place = params


def _received(message: Fields, day: Day, options: Options) -> Received:
    """Return the events of a message that lie in a day: its sending or arrival, and its last change of status."""
    sent, changed = _time(message, "date_sent"), _time(message, "date_updated")
    status = message.text("status")
    steps = [("received", sent)] if message.text("direction") == "inbound" else [("sent", sent), (status, changed)]
    events, seen = [], set()
    for step, at in steps:
        if at is None or step in seen or not day.start <= at < day.end:
            continue
        seen.add(step)
        event = event_of(_report(message, step, at), options)
        events += [event] if event is not None else []
    known = events or status in RECEIPTS or status == "received"
    return Received(events, {} if known else {status or "no status": 1})


def _report(message: Fields, status: str, at: datetime) -> Fields:
    return Fields({
        "id": message.text("sid"), "from": message.text("from"), "to": message.text("to"), "status": status,
        "text": message.text("body"), "files": message.text("num_media"), "time": at.isoformat(),
        "error": message.text("error_code") if RECEIPTS.get(status) == "message.failed" else "",
    })  # fmt: skip


def _time(message: Fields, name: str) -> datetime | None:
    try:
        return parsedate_to_datetime(message.text(name))
    except ValueError:
        return None

"""The receivers there are, by provider."""

from __future__ import annotations

from hubbub.ingest.receivers.base import Receiver
from hubbub.ingest.receivers.facebook import FacebookFeed
from hubbub.ingest.receivers.messenger import Instagram, Messenger
from hubbub.ingest.receivers.slack import SlackEvents
from hubbub.ingest.receivers.telegram import Telegram
from hubbub.ingest.receivers.twilio import Twilio
from hubbub.ingest.receivers.whatsapp import WhatsApp

_ALL: tuple[Receiver, ...] = (
    SlackEvents(), WhatsApp(), Messenger(), Instagram(), FacebookFeed(), Twilio(), Telegram(),
)  # fmt: skip
RECEIVERS: dict[str, Receiver] = {one.provider: one for one in _ALL}

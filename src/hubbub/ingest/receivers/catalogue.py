"""All receivers, by provider."""

from __future__ import annotations

from hubbub.ingest.receivers.base import Receiver
from hubbub.ingest.receivers.chatwoot import Chatwoot
from hubbub.ingest.receivers.cloudevents import CloudEvents
from hubbub.ingest.receivers.facebook import FacebookFeed
from hubbub.ingest.receivers.front import Front
from hubbub.ingest.receivers.intercom import Intercom
from hubbub.ingest.receivers.mailgun import Mailgun
from hubbub.ingest.receivers.messenger import Instagram, Messenger
from hubbub.ingest.receivers.mime import Mime
from hubbub.ingest.receivers.postmark import Postmark
from hubbub.ingest.receivers.resend import Resend
from hubbub.ingest.receivers.segment import Segment
from hubbub.ingest.receivers.sendgrid import SendGrid
from hubbub.ingest.receivers.ses import Ses
from hubbub.ingest.receivers.slack import SlackEvents
from hubbub.ingest.receivers.standard_webhooks import StandardWebhooks
from hubbub.ingest.receivers.telegram import Telegram
from hubbub.ingest.receivers.twilio import Twilio
from hubbub.ingest.receivers.whatsapp import WhatsApp
from hubbub.ingest.receivers.zendesk import Zendesk
from hubbub.outgoing.http import Outgoing


def receivers(http: Outgoing) -> dict[str, Receiver]:
    """Return all receivers, by provider; certificates of services are fetched through `http`."""
    every: tuple[Receiver, ...] = (
        SlackEvents(), WhatsApp(), Messenger(), Instagram(), FacebookFeed(), Twilio(), Telegram(), Chatwoot(), Intercom(),
        Zendesk(), Front(), Postmark(), SendGrid(), Mailgun(), Ses(http), Resend(), Mime(), StandardWebhooks(), Segment(),
        CloudEvents(),
    )  # fmt: skip
    return {receiver.provider: receiver for receiver in every}


RECEIVERS = receivers(Outgoing())
"""All receivers, for their descriptions and for reading; `Receiving` has its own to verify deliveries."""

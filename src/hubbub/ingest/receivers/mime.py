"""Raw mails (RFC 5322), from any mail server: an alias or filter posts each mail as the body of a request.

The server sends the secret as a password or bearer token. The tenant's replies arrive as blind copies (BCC): a mail from one of
its own addresses, or from staff, is a sent message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hubbub.errors import BadRequestError
from hubbub.ingest.receivers.base import Delivery, Options, Received, Secret, Setup, no_challenge
from hubbub.ingest.receivers.keys import check_secret
from hubbub.ingest.receivers.mail import Mail, parse, received


class Mime:
    """A mail server."""

    provider: ClassVar[str] = "mime"
    setup: ClassVar[Setup] = Setup(
        title="Any mail server",
        steps=(
            "Have the mail server hand each mail to: curl --fail --silent --user hubbub:{password} "
            "--header 'Content-Type: message/rfc822' --data-binary @- {address}",
            'With Postfix that is a line of /etc/aliases: support-copy: "|curl ...", and support: ada, support-copy.',
            "Name your own addresses as own_ids and your people's as staff_ids, and send a blind copy of what you send there.",
        ),
        secrets=(Secret("password", "the password that the mail server shows", ours=True),),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the secret is shown."""
        check_secret(delivery, secrets["password"])

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        mail = parse(delivery.body)
        if not mail.people("from", "sender") and not mail.ids("message-id"):
            raise BadRequestError("the body is not a mail: it has neither a From nor a Message-ID", reason="unreadable")
        return received(
            Mail(
                mail.headers,
                to=[mail.header("delivered-to") or mail.header("x-original-to")],
                text=mail.text,
                failed=mail.failed,
            ),
            options,
            delivery.received_at,
        )

"""Mail through one SMTP server. A message that is sent again has the same id, so that mail programs recognise it.

There are two errors: `UpstreamUnavailableError` (try again) and `UpstreamRefusedError` (a person has to act).
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from pathlib import Path

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError

TIMEOUT = 20.0
"""Seconds for each answer of the server."""
LONGEST_ADDRESS = 254
WHOLE = ("List-Unsubscribe", "Message-ID")
"""Headers of one long word, which must not be folded: mail programs do not read them with RFC 2047 encoding."""


@dataclass(frozen=True, slots=True)
class Server:
    """An SMTP server: `security` is starttls, tls (from the first byte) or none; `sender` is the From address."""

    host: str
    port: int
    sender: str
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to attach: path, media type, and name for the recipient."""

    path: Path
    media_type: str
    name: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to one address; plain text if `html` is empty; `headers` are additional ones."""

    id: str
    to: str
    subject: str
    text: str
    at: datetime
    html: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[Attachment] = ()


class _Folding(EmailPolicy):
    """Folds headers at 78 characters, except those of WHOLE."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if name in WHOLE and value.isascii():
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


def is_address(text: str) -> bool:
    """Say whether a text is one plain mail address, like marta@hotel.example."""
    name, at, host = text.rpartition("@")
    plain = text.isascii() and text.isprintable() and " " not in text and parseaddr(text) == ("", text)
    return bool(name and at and "." in host and plain and len(text) <= LONGEST_ADDRESS)


def message_of(mail: Mail, sender: str) -> EmailMessage:
    """Return a mail as a message for SMTP."""
    message = EmailMessage(_Folding())
    message["From"], message["To"], message["Subject"] = sender, mail.to, " ".join(mail.subject.split())
    message["Message-ID"] = f"<{mail.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Date"] = format_datetime(mail.at)
    message["Auto-Submitted"] = "auto-generated"
    for name, value in mail.headers.items():
        message[name] = value
    message.set_content(mail.text)
    if mail.html:
        message.add_alternative(mail.html, subtype="html")
    for attachment in mail.attachments:
        kind, _, sub = attachment.media_type.partition(";")[0].partition("/")
        message.add_attachment(attachment.path.read_bytes(), maintype=kind, subtype=sub, filename=attachment.name)
    return message


def send(server: Server | None, mail: Mail) -> None:
    """Send a mail. Raises UpstreamUnavailableError, UpstreamRefusedError (also without a server)."""
    if server is None:
        raise UpstreamRefusedError("no mail server is set", action="Set mail.host and mail.sender in the settings")
    try:
        with _connected(server) as smtp:
            if server.user:
                smtp.login(server.user, server.password)
            smtp.send_message(message_of(mail, server.sender))
    except smtplib.SMTPRecipientsRefused as error:
        code, words = next(iter(error.recipients.values()))
        raise _meaning(server.host, code, words) from None
    except smtplib.SMTPResponseException as error:
        raise _meaning(server.host, error.smtp_code, error.smtp_error) from None
    except ssl.SSLCertVerificationError:
        raise UpstreamRefusedError(
            f"{server.host} has a certificate that is not trusted",
            action="Correct mail.host, or name the authority's file in SSL_CERT_FILE",
        ) from None
    except smtplib.SMTPNotSupportedError as error:
        raise UpstreamRefusedError(
            f"{server.host}: {error}", action="Correct mail.security, mail.user and mail.password"
        ) from None
    except (OSError, smtplib.SMTPException) as error:
        raise UpstreamUnavailableError(f"{server.host} could not be reached: {type(error).__name__}") from None


def _connected(server: Server) -> smtplib.SMTP:
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT, context=ssl.create_default_context())
    smtp = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT)
    if server.security == "starttls":
        smtp.starttls(context=ssl.create_default_context())
    return smtp


def _meaning(host: str, code: int, words: bytes | str) -> Exception:
    """Return the error of an answer: 4xx is temporary, 5xx permanent. The server's text is shortened to 120 characters."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    reason = f"{host} answered {code} {' '.join(text.split())[:120]}"
    if code < 500:
        return UpstreamUnavailableError(reason)
    return UpstreamRefusedError(reason, action="Check the address, and the sender's permissions on the mail server")

"""Mail through one SMTP server. A message has an id of its own, so that one that is sent twice is known as the same.

What went wrong ends as one of two errors: `UpstreamUnavailableError` (try again) or `UpstreamRefusedError` (a person has to act).
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError

TIMEOUT = 20.0
"""Seconds for each answer of the server."""
LONGEST_ADDRESS = 254


@dataclass(frozen=True, slots=True)
class Server:
    """An SMTP server: `security` is starttls, tls (from the first byte) or none; `sender` is the address that mails come from."""

    host: str
    port: int
    sender: str
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to be sent along: where it lies, its media type, and its name for the recipient."""

    path: Path
    media_type: str
    name: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to one address; `html` empty: text alone. `headers` are further ones."""

    id: str
    to: str
    subject: str
    text: str
    at: datetime
    html: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[Attachment] = ()


def is_address(text: str) -> bool:
    """Say whether a text is one plain mail address, like marta@hotel.example."""
    name, at, host = text.rpartition("@")
    plain = text.isascii() and text.isprintable() and " " not in text and parseaddr(text) == ("", text)
    return bool(name and at and "." in host and plain and len(text) <= LONGEST_ADDRESS)


def message_of(mail: Mail, sender: str) -> EmailMessage:
    """Return a mail as it travels."""
    found = EmailMessage()
    found["From"], found["To"], found["Subject"] = sender, mail.to, " ".join(mail.subject.split())
    found["Message-ID"] = f"<{mail.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    found["Date"] = format_datetime(mail.at)
    found["Auto-Submitted"] = "auto-generated"
    for name, value in mail.headers.items():
        found[name] = value
    found.set_content(mail.text)
    if mail.html:
        found.add_alternative(mail.html, subtype="html")
    for one in mail.attachments:
        kind, _, sub = one.media_type.partition(";")[0].partition("/")
        found.add_attachment(one.path.read_bytes(), maintype=kind, subtype=sub, filename=one.name)
    return found


def send(server: Server | None, mail: Mail) -> None:
    """Hand a mail to the server. Raises UpstreamUnavailableError, UpstreamRefusedError (also where there is no server)."""
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
            f"{server.host} shows a certificate that is not trusted",
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
    """Return the error that an answer means: 4xx passes, 5xx stays. The words of the server may name an address: they are cut."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    said = f"{host} answered {code} {' '.join(text.split())[:120]}"
    if code < 500:
        return UpstreamUnavailableError(said)
    return UpstreamRefusedError(said, action="Check the address, and what the mail server lets this sender do")

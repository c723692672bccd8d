"""A received mail, from any service: its headers name the writer and the conversation.

- The conversation is the first id in References, else in In-Reply-To, else the mail itself. Conversation, channel and message id
  are the same as in an archive of the same mails, so a mail counts once however often it arrives.
- The address identifies the person. Mails from the tenant's own addresses or its staff are sent; all other writers are contacts.
- Headers identify programs (RFC 3834): an automatic answer is `auto`, a list or a bulk mail `bot`, a report on an
  undelivered mail `system`; such a report is also `message.failed` of the mail that it names.
- A Date ahead of the clock is not trusted: the moment of receipt is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.utils import getaddresses, parsedate_to_datetime

from hubbub.ingest.receivers.base import Options, Received
from hubbub.ingest.receivers.fields import filled
from hubbub.ingest.sources.mails import decoded, plain_name
from hubbub.model.name import Name

CHANNEL = "email"
AHEAD = timedelta(minutes=15)
"""How far a sender's clock may be ahead."""
LONGEST_HEADER, MOST_REFERENCES = 20_000, 1_000
_ID = re.compile(r"<[^<>\s]{1,500}>")
_ADDRESS = re.compile(r"[^\s<>@,;]+@[^\s<>@,;]+\Z")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail: its headers by name in lower case, each with all its values in order, and facts beside them.

    `to` are the addresses of the envelope, `text` the plain text, `failed` the id of the mail that this one reports as
    undelivered; `id` replaces a missing Message-ID.
    """

    headers: Mapping[str, Sequence[str]]
    to: Sequence[str] = ()
    text: str = ""
    failed: str = ""
    id: str = ""

    def header(self, name: str) -> str:
        """Return the first value of a header, on one line; "" if absent."""
        return " ".join(next(iter(self.headers.get(name, ())), "")[:LONGEST_HEADER].split())

    def ids(self, name: str) -> list[str]:
        """Return the message ids of a header, in order."""
        return _ID.findall(self.header(name))[:MOST_REFERENCES]

    def people(self, *names: str) -> list[tuple[str, str]]:
        """Return names and addresses (in lower case) in headers."""
        return addresses([self.header(name) for name in names])


def addresses(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Return names and addresses (in lower case) from texts in the form of a header; invalid addresses are left out."""
    pairs = getaddresses(list(texts))
    return [(plain_name(name).strip(), address.lower()) for name, address in pairs if _ADDRESS.match(address)]


def headers_of(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return headers by name in lower case."""
    headers: dict[str, list[str]] = {}
    for name, value in pairs:
        headers.setdefault(name.strip().lower(), []).append(value)
    return headers


def parse(raw: bytes, *, body: bool = True) -> Mail:
    """Read a mail (RFC 5322), or its headers alone; from a broken mail, whatever is readable."""
    parser = BytesParser(policy=policy.compat32) if body else BytesHeaderParser(policy=policy.compat32)
    message = parser.parsebytes(raw)
    headers = headers_of((name, _legible(str(value))) for name, value in message.raw_items())
    return Mail(headers, text=_text(message) if body else "", failed=_failed(message) if body else "")


def whole(raw: bytes, to: Sequence[str], *, id: str = "") -> Mail:
    """Read a whole mail; the service gives its recipients and id."""
    mail = parse(raw)
    return Mail(mail.headers, to=to, text=mail.text, failed=mail.failed, id=id)


@dataclass(frozen=True, slots=True)
class _Parties:
    """The parties of a mail: whether the tenant sent it, the staff and account, and the contact; names with addresses."""

    sent: bool
    staff: tuple[str, str]
    account: str
    contact: tuple[str, str]


def _parties_of(mail: Mail, options: Options) -> _Parties:
    own, staff = _addresses(options.own_ids), _addresses(options.staff_ids)
    nobody = "", ""
    writer = next(iter(mail.people("from") or mail.people("sender")), nobody)
    readers = [*mail.people("to", "cc"), *addresses(mail.to)]
    if _among(writer[1], own | staff):
        contact = next((reader for reader in readers if not _among(reader[1], own | staff)), nobody)
        return _Parties(True, writer if _among(writer[1], staff) else nobody, _untagged(writer[1]), contact)
    ours = next((reader for reader in readers if _among(reader[1], own)), next(iter(addresses(mail.to)), nobody))
    return _Parties(False, nobody, _untagged(ours[1]), writer)


def received(mail: Mail, options: Options, received_at: datetime, *, threaded: bool = True) -> Received:
    """Return the meaning of a mail; `threaded`: whether it has all headers, so that its conversation is known."""
    parties = _parties_of(mail, options)
    id_ = next(iter(mail.ids("message-id")), mail.id)
    attributes = filled(
        in_reply_to=next(iter(mail.ids("in-reply-to")), ""), text=mail.text if options.keep_text else ""
    )
    about = filled(time=_written_at(mail, received_at), channel=CHANNEL, account_id=parties.account)
    events = [filled(
        type="message.sent" if parties.sent else "message.received", id=id_, message_id=id_, contact_id=parties.contact[1],
        conversation_id=_conversation(mail, id_) if threaded else None, staff_id=parties.staff[1], kind=_kind(mail, parties),
        attributes=attributes or None, **about,
    )]  # fmt: skip
    if mail.failed:
        events.append(filled(type="message.failed", id=f"{mail.failed}:failed", message_id=mail.failed, **about))
    named = (("contact", parties.contact), ("staff", parties.staff))
    return Received(events=events, names=[Name(kind, id_, name) for kind, (name, id_) in named if id_ and name])


def _conversation(mail: Mail, id_: str) -> str:
    return next(iter([*mail.ids("references"), *mail.ids("in-reply-to")]), id_)


def _addresses(ids: Iterable[str]) -> frozenset[str]:
    return frozenset(id_.strip().lower() for id_ in ids)


def _among(address: str, ids: frozenset[str]) -> bool:
    """Say whether an address is among ids, or its domain, written `@example.org`; `ada+tag@` equals `ada@`."""
    return bool(address) and not ids.isdisjoint({address, _untagged(address), address[address.rfind("@") :]})


def _untagged(address: str) -> str:
    """Return an address without the part after a plus, which may be a conversation's hash."""
    local, at, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"


def _kind(mail: Mail, parties: _Parties) -> str | None:
    """Return the kind of the program that wrote a mail; None for a person."""
    if (
        mail.failed
        or mail.header("return-path") == "<>"
        or parties.contact[1].startswith(("mailer-daemon@", "postmaster@"))
    ):
        return "system"
    automatic, precedence = mail.header("auto-submitted").lower(), mail.header("precedence").lower()
    answers = automatic.startswith("auto-replied") or precedence == "auto_reply"
    if answers or mail.header("x-autoreply") or mail.header("x-autorespond"):
        return "auto"
    listed = automatic not in ("", "no") or precedence in ("bulk", "junk", "list") or mail.header("list-unsubscribe")
    return "bot" if listed else None


def _written_at(mail: Mail, received_at: datetime) -> datetime:
    try:
        moment = parsedate_to_datetime(mail.header("date"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment if moment <= received_at + AHEAD else received_at
    except (ValueError, TypeError, IndexError, OverflowError):
        return received_at


def _legible(value: str) -> str:
    """Return a header as text when it holds raw bytes beyond ASCII, against the rules."""
    return decoded(value.encode("utf-8", "surrogateescape"))


def _text(message: Message) -> str:
    """Return the first plain text of a mail that is not an attachment."""
    for part in message.walk():
        if part.get_content_type() == "text/plain" and part.get_content_disposition() != "attachment":
            content = part.get_payload(decode=True)
            charset = part.get_content_charset("utf-8")
            if isinstance(content, bytes):
                try:
                    return content.decode(charset, "replace")
                except LookupError:
                    return content.decode("utf-8", "replace")
    return ""


def _failed(message: Message) -> str:
    """Return the id of the undelivered mail that a report (RFC 3464) names; "" for any other mail."""
    if message.get_content_type() != "multipart/report" or not isinstance(message.get_payload(), list):
        return ""
    actions = [str(part.get("action", "")) for part in message.walk() if part.get("action")]
    if not any(action.strip().lower() == "failed" for action in actions):
        return ""
    for part in message.walk():
        if part is not message and part.get("message-id"):
            return next(iter(_ID.findall(str(part["message-id"]))), "")
        if part.get_content_type() == "text/rfc822-headers":
            content = part.get_payload(decode=True)
            inner = BytesHeaderParser(policy=policy.compat32).parsebytes(content if isinstance(content, bytes) else b"")
            return next(iter(_ID.findall(str(inner.get("message-id", "")))), "")
    return ""

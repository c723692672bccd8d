"""What became of a mail that went out, as the service that sent it reports: the events of one report on one recipient.

- A mail to three people is three messages, since each has a fate of its own: the message id is the service's id of the mail and the
  recipient's address. Whoever records its own mails and wants them to have receipts has to use the same.
- A report that a mail was delivered or failed says that it was sent, too. Where the service reports the sending itself, that is the
  higher revision, so it does not matter which report comes first.
- A mail says what it belongs to in its metadata: `conversation_id`, `contact_id`, `staff_id` and `campaign_id`. Without a staff_id
  a program sent it, and its kind is `auto`.
- Who complains or unsubscribes has blocked the sender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from hubbub.ingest.receivers.base import Received
from hubbub.ingest.receivers.fields import filled
from hubbub.ingest.receivers.mail import CHANNEL, addresses

SENT, DELIVERED, READ, FAILED, CLICKED = (
    "message.sent", "message.delivered", "message.read", "message.failed", "link.clicked",
)  # fmt: skip
BLOCKED, UNBLOCKED = "contact.blocked", "contact.unblocked"
_OF_CONTACTS = frozenset({CLICKED, BLOCKED, UNBLOCKED})
"""What says something about a contact, even where it names no mail."""


@dataclass(frozen=True, slots=True)
class Report:
    """What happened to a mail: `type` of the event, `mail` the service's id, `recipient` an address, `at` when.

    `id` is the service's id of the report, if any; `sent_at` when the mail was sent, where it says so. `metadata` gives what the
    mail says of itself, "" for nothing.
    """

    type: str
    mail: str
    recipient: str
    at: datetime | str
    metadata: Callable[[str], str]
    id: str = ""
    account: str = ""
    why: str = ""
    sent_at: datetime | str = ""


def received(reports: Iterable[Report]) -> Received:
    """Return what reports mean; one that names no mail or no recipient is ignored by its type."""
    events: list[Mapping[str, object]] = []
    ignored: dict[str, int] = {}
    for report in reports:
        recipient = next((address for _, address in addresses([report.recipient])), report.recipient.strip().lower())
        if recipient and (report.mail or report.type in _OF_CONTACTS):
            events += _events(report, recipient)
        else:
            name = f"{report.type} of no mail or nobody"
            ignored[name] = ignored.get(name, 0) + 1
    return Received(events=events, ignored=ignored)


def _events(report: Report, recipient: str) -> Iterator[dict[str, object]]:
    """Yield that a mail was sent, as far as the report says so, and what it reports."""
    message = f"{report.mail}:{recipient}" if report.mail else ""
    contact = report.metadata("contact_id") or recipient
    about = filled(channel=CHANNEL, account_id=report.account.lower(), contact_id=contact, time=report.at)
    said = {name: report.metadata(name) for name in ("conversation_id", "staff_id", "campaign_id")}
    if report.type in (SENT, DELIVERED, FAILED):
        yield filled(
            type=SENT, id=f"{message}:sent", message_id=message, kind=None if said["staff_id"] else "auto",
            revision=2 if report.type == SENT else None, **{**about, "time": report.sent_at or report.at}, **said,
        )  # fmt: skip
    if report.type == SENT:
        return
    which = report.type.partition(".")[2]
    if report.type in (READ, *_OF_CONTACTS):  # may happen more than once to one mail
        which += f":{report.id or report.at}"
    why = filled(reason=_short(report.why))
    yield filled(
        type=report.type, id=f"{message or recipient}:{which}", message_id="" if report.type in (BLOCKED, UNBLOCKED) else message,
        campaign_id=said["campaign_id"], attributes=why or None, **about,
    )  # fmt: skip


def _short(why: str) -> str:
    """Return what a server says about a mail that it did not take, without the pages that some say."""
    return why[:500]

"""Reports of a mail service about sent mails: the events of one report on one recipient.

- A mail to three people is three messages, since each may fail alone: the message id is the service's id of the mail and the
  recipient's address. Senders that record their own mails must use the same id to get receipts.
- A report that a mail was delivered or failed implies that it was sent. If the service also reports the sending, that report has
  the higher revision, so the order of reports does not matter.
- A mail's metadata may hold `conversation_id`, `contact_id`, `staff_id` and `campaign_id`. Without a staff_id
  a program sent it, and its kind is `auto`.
- A recipient who complains or unsubscribes has blocked the sender.
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
"""Types that concern a contact, even without a mail."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report about a mail: `type` of the event, `mail` the service's id, `recipient` an address, `at` when.

    `id` is the service's id of the report, if any; `sent_at` when the mail was sent, where known. `metadata` returns a value of the
    mail's metadata, "" if absent.
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
    """Return the meaning of reports; one without a mail or recipient is ignored by its type."""
    events: list[Mapping[str, object]] = []
    ignored: dict[str, int] = {}
    for report in reports:
        recipient = next((address for _, address in addresses([report.recipient])), report.recipient.strip().lower())
        if recipient and (report.mail or report.type in _OF_CONTACTS):
            events += _events(report, recipient)
        else:
            name = f"{report.type} without a mail or recipient"
            ignored[name] = ignored.get(name, 0) + 1
    return Received(events=events, ignored=ignored)


def _events(report: Report, recipient: str) -> Iterator[dict[str, object]]:
    """Yield the sending of the mail, if the report implies it, and the report's own event."""
    message = f"{report.mail}:{recipient}" if report.mail else ""
    contact = report.metadata("contact_id") or recipient
    about = filled(channel=CHANNEL, account_id=report.account.lower(), contact_id=contact, time=report.at)
    metadata = {name: report.metadata(name) for name in ("conversation_id", "staff_id", "campaign_id")}
    if report.type in (SENT, DELIVERED, FAILED):
        yield filled(
            type=SENT, id=f"{message}:sent", message_id=message, kind=None if metadata["staff_id"] else "auto",
            revision=2 if report.type == SENT else None, **{**about, "time": report.sent_at or report.at}, **metadata,
        )  # fmt: skip
    if report.type == SENT:
        return
    which = report.type.partition(".")[2]
    if report.type in (READ, *_OF_CONTACTS):  # may happen to a mail more than once
        which += f":{report.id or report.at}"
    attributes = filled(reason=_short(report.why))
    yield filled(
        type=report.type, id=f"{message or recipient}:{which}", message_id="" if report.type in (BLOCKED, UNBLOCKED) else message,
        campaign_id=metadata["campaign_id"], attributes=attributes or None, **about,
    )  # fmt: skip


def _short(why: str) -> str:
    """Return a server's reason, cut to 500 characters."""
    return why[:500]

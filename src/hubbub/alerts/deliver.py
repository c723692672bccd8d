"""Deliver a message of the outbox under its own id: as a mail, a Slack message or a signed webhook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape

from hubbub.alerts.notice import Notice, notice_of
from hubbub.control.outbox import Destination, Message
from hubbub.outgoing import mail as mail_
from hubbub.outgoing import webhook
from hubbub.outgoing.http import Outgoing
from hubbub.outgoing.slack import BASE_URL
from hubbub.reports.as_mail import BUTTON, FONT, INK

LONGEST_SLACK = 2900
"""Longest Slack text in characters; Slack cuts at 3000."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What delivery needs."""

    http: Outgoing
    mail_server: mail_.Server | None
    base: str
    """The dashboard's address; empty: messages have no links."""
    slack: Callable[[str, str], tuple[str, str]]
    """Returns token and API address, by tenant and id of a Slack integration."""
    file: Callable[[str, str, str], mail_.Attachment]
    """Returns a report as an attachment, by tenant, id and format."""


def deliver(ways: Ways, destination: Destination, secret: Mapping[str, str], message: Message, now: datetime) -> None:
    """Send a message to its destination. Raises UpstreamUnavailableError, UpstreamRefusedError, NotFoundError."""
    notice = notice_of(message.document)
    if destination.kind == "mail":
        mail_.send(ways.mail_server, as_mail(ways, notice, secret["address"], message))
    elif destination.kind == "webhook":
        webhook.send(ways.http, secret["url"], secret["secret"], message.id, now, as_webhook(ways, notice, message))
    elif "url" in secret:
        ways.http.send("POST", secret["url"], body={"text": as_slack(ways, notice)}, limit=1 << 16).checked()
    else:
        from hubbub.outgoing.slack_client import SlackClient, ask

        token, base_url = ways.slack(message.tenant, secret["integration"])
        client = SlackClient(ways.http, token, base_url or BASE_URL)
        ask(client.chat_postMessage, channel=secret["channel"], text=as_slack(ways, notice))


def link(ways: Ways, path: str) -> str:
    """Return the address of a page; empty without a base or path."""
    return f"{ways.base}{path}" if ways.base and path else ""


def as_mail(ways: Ways, notice: Notice, to: str, message: Message) -> mail_.Mail:
    """Return a notice as a mail."""
    page, stop = link(ways, notice.path), link(ways, notice.unsubscribe)
    below = [f"Open: {page}"] * bool(page) + [f"Stop this: {stop}"] * bool(stop)
    text = "\n\n".join([*notice.lines, *below]) or notice.title
    headers = {"List-Unsubscribe": f"<{stop}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"} if stop else {}
    return mail_.Mail(
        message.id, to, notice.title, text + "\n", message.created_at, notice.html or _page(notice, page, stop), headers,
        tuple(ways.file(message.tenant, report, format_) for report, format_ in notice.files),
    )  # fmt: skip


def _page(notice: Notice, page: str, stop: str) -> str:
    """Return a notice as a page for mail programs, which looks like a digest."""
    lines = "".join(f'<p style="margin:8px 0">{escape(line)}</p>' for line in notice.lines)
    open_ = f'<p style="margin:16px 0"><a href="{escape(page)}" style="{BUTTON}">Open in Hubbub</a></p>' if page else ""
    end = f'<p><a href="{escape(stop)}">Stop this</a>, no sign-in needed</p>' if stop else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(notice.title)}</title></head>'
        f'<body style="margin:0;padding:16px;background:#ffffff;color:{INK};{FONT};font-size:14px;line-height:1.45">'
        f'<h1 style="margin:0 0 8px;font-size:20px">{escape(notice.title)}</h1>{lines}{open_}{end}</body></html>'
    )


def as_slack(ways: Ways, notice: Notice) -> str:
    """Return a notice as Slack's mrkdwn; text from outside is escaped, so it can mention nobody and link nowhere."""
    page = link(ways, notice.path)
    text = "\n".join([f"*{_mrkdwn(notice.title)}*", *map(_mrkdwn, notice.lines)])[:LONGEST_SLACK]
    return f"{text}\n<{page}|Open in Hubbub>" if page else text


def _mrkdwn(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_webhook(ways: Ways, notice: Notice, message: Message) -> dict[str, object]:
    """Return a notice as the body of a Standard Webhook: type, timestamp, data."""
    return {
        "type": notice.type, "timestamp": message.created_at.isoformat(),
        "data": {**notice.data, "title": notice.title, "lines": list(notice.lines), "url": link(ways, notice.path) or None},
    }  # fmt: skip
